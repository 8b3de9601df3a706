//! The test kit's gateway, Lambda and conversations, tested with a toy function. Other tests rely on them.

use std::env;
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use tests::client::{Client, Reply};
use tests::fixture::{Conversation, clients, conversations};
use tests::gateway::{DEFAULT_ROUTE, Gateway};
use tests::lambda::{Lambda, PAYLOAD_LIMIT};
use tokio::process::Command;

/// Functions whose process is this test binary. It runs only [`toy_function`].
fn toy_functions() -> Lambda {
    Lambda::new(|_| {
        let mut command = Command::new(env::current_exe().unwrap());
        command.args(["--ignored", "--exact", "kit::gateway::toy_function", "--nocapture"]);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command
    })
}

async fn gateway() -> Gateway {
    let routes =
        [("GET", "/{connector}/scim/v2/Users/{id}", "users-get"), ("", DEFAULT_ROUTE, "everything-else")];
    Gateway::start(&routes, toy_functions()).await
}

fn client(gateway: &Gateway) -> Client {
    Client::new(&gateway.base_url("okta"), "user", "secret").with_public_url(&gateway.public_url("okta"))
}

/// The process of a toy function, not a test. It answers each event with the event itself, and needs the
/// environment variables that Lambda sets.
#[tokio::test]
#[ignore = "other tests start it as a Lambda function"]
async fn toy_function() {
    let address = env::var("AWS_LAMBDA_RUNTIME_API").expect("AWS_LAMBDA_RUNTIME_API is set");
    let runtime = Client::new(&format!("http://{address}/2018-06-01/runtime"), "", "");
    let function = env::var("AWS_LAMBDA_FUNCTION_NAME").unwrap();
    if function == "does-not-start" {
        runtime.post("/init/error", &json!({ "errorType": "Toy.Init", "errorMessage": "no table" })).await;
        return;
    }
    loop {
        let next = runtime.get("/invocation/next").await;
        assert!(
            next.header("lambda-runtime-deadline-ms").unwrap().parse::<u64>().unwrap() > 1_700_000_000_000
        );
        let arn = next.header("lambda-runtime-invoked-function-arn").unwrap();
        assert!(arn.ends_with(&format!(":function:{function}")), "{arn}");
        let id = next.header("lambda-runtime-aws-request-id").unwrap();
        let event = next.json();
        let answer_target = format!("/invocation/{id}/response");
        match event["rawPath"].as_str().unwrap_or_default().rsplit('/').next() {
            Some("fails") => {
                let error = json!({ "errorType": "Toy.Error", "errorMessage": "fails on request" });
                runtime.post(&format!("/invocation/{id}/error"), &error).await;
            }
            Some("ends") => std::process::exit(1),
            Some("answers-too-much") => {
                let refused = runtime.post(&answer_target, &json!("x".repeat(PAYLOAD_LIMIT))).await;
                assert_eq!(refused.status, 413);
            }
            _ => {
                let answer = json!({
                    "statusCode": 200,
                    "headers": {
                        "content-type": "application/json",
                        "www-authenticate": "Basic realm=\"scim\"",
                        "x-function": function,
                        "x-process": std::process::id().to_string()
                    },
                    "body": event.to_string(),
                    "isBase64Encoded": false
                });
                let accepted = runtime.post(&answer_target, &answer).await;
                assert_eq!(accepted.status, 202);
                let repeated = runtime.post(&answer_target, &answer).await;
                assert_eq!(repeated.status, 400, "an invocation is answered once");
            }
        }
    }
}

#[tokio::test]
async fn request_reaches_its_function_as_an_event_and_the_answer_is_returned() {
    let gateway = gateway().await;
    let reply = client(&gateway).get("/Users/7?filter=userName%20eq%20%22a%40b%22&").await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.header("x-function"), Some("users-get"));
    assert_eq!(reply.header("x-amzn-remapped-www-authenticate"), Some("Basic realm=\"scim\""));
    assert_eq!(reply.header("www-authenticate"), None);
    let event = reply.json();
    assert_eq!(event["routeKey"], "GET /{connector}/scim/v2/Users/{id}");
    assert_eq!(event["pathParameters"], json!({ "connector": "okta", "id": "7" }));
    assert_eq!(event["rawQueryString"], "filter=userName%20eq%20%22a%40b%22&");
    assert_eq!(event["headers"]["authorization"], "Basic dXNlcjpzZWNyZXQ=");
}

#[tokio::test]
async fn request_target_is_sent_unchanged() {
    let gateway = gateway().await;
    for target in [
        "//Users/",
        "/Users/?",
        "/Users?",
        "/Users/.?a=+%2b&&",
        "/Users/..//%7e?x=%40@",
        "/Users?filter=a[b]",
    ] {
        let event = client(&gateway).get(target).await.json();
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        assert_eq!(event["rawPath"], format!("/okta/scim/v2{path}").replace("%7e", "~"), "{target}");
        assert_eq!(event["rawQueryString"], query, "{target}");
    }
}

#[tokio::test]
async fn body_arrives_in_base64_unless_its_media_type_is_json() {
    let gateway = gateway().await;
    let client = client(&gateway);
    let event = client.post("/Users", &json!({})).await.json();
    assert_eq!((&event["body"], &event["isBase64Encoded"]), (&json!("e30="), &json!(true)));
    let event = client.send("POST", "/Users", &[("content-type", "application/json")], "{}").await.json();
    assert_eq!((&event["body"], &event["isBase64Encoded"]), (&json!("{}"), &json!(false)));
}

#[tokio::test]
async fn failed_function_gives_500_from_the_gateway() {
    let gateway = gateway().await;
    let client = client(&gateway);
    for target in ["/Users/fails", "/Users/ends", "/Users/answers-too-much"] {
        let reply = client.get(target).await;
        assert_eq!(reply.status, 500, "{target}");
        assert_eq!(reply.json(), json!({ "message": "Internal Server Error" }), "{target}");
        assert_eq!(client.get("/Users/7").await.status, 200, "after {target}");
    }
}

#[tokio::test]
async fn request_above_the_size_limits_is_rejected_by_the_gateway() {
    let gateway = gateway().await;
    let client = client(&gateway);
    assert_eq!(client.get(&format!("/Users?{}", "x".repeat(11_000))).await.status, 431);
    assert_eq!(client.post("/Users", &json!("x".repeat(5_000_000))).await.status, 413);
}

#[tokio::test]
async fn failed_invocation_returns_the_error_type_and_message() {
    let lambda = toy_functions();
    let event = |path: &str| json!({ "rawPath": path });
    assert_eq!(
        lambda.invoke("toy", &event("/fails")).await.unwrap_err().to_string(),
        "Toy.Error: fails on request"
    );
    assert_eq!(lambda.invoke("toy", &event("/ends")).await.unwrap_err().kind, "Runtime.ExitError");
    let failure = lambda.invoke("toy", &event("/answers-too-much")).await.unwrap_err();
    assert_eq!(failure.kind, "Function.ResponseSizeTooLarge");
    assert_eq!(
        lambda.invoke("does-not-start", &event("/")).await.unwrap_err().to_string(),
        "Toy.Init: no table"
    );
}

#[tokio::test]
async fn function_has_one_process_that_ends_with_the_gateway() {
    let process = |reply: &Reply| reply.header("x-process").unwrap().to_owned();
    let gateway = gateway().await;
    let client = client(&gateway);
    let (one, two) = tokio::join!(client.get("/Users/1"), client.get("/Users/2"));
    assert_eq!(process(&one), process(&two));
    let other = client.get("/Groups").await;
    assert_ne!(process(&other), process(&one));
    client.get("/Users/ends").await;
    let again = client.get("/Users/1").await;
    assert_ne!(process(&again), process(&one));
    drop((client, gateway));
    for reply in [again, other] {
        let is_running = || async {
            let mut kill = Command::new("kill");
            kill.args(["-0", &process(&reply)]).stderr(Stdio::null()).status().await.unwrap().success()
        };
        for _ in 0..100 {
            if !is_running().await {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert!(!is_running().await, "process {} is still running", process(&reply));
    }
}

fn conversation(steps: Value) -> Result<Conversation, String> {
    let headers = json!({ "Accept": "application/json", "Content-Type": "application/scim+json" });
    let text =
        json!({ "name": "A name", "why": "A reason.", "headers": headers, "steps": steps }).to_string();
    Conversation::parse("toy/01.json", &text)
}

#[tokio::test]
async fn conversation_with_the_expected_answers_succeeds() {
    let gateway = gateway().await;
    let steps = json!([
        {
            "does": "asks three times",
            "repeat": 3,
            "request": { "method": "GET", "target": "/Users/${n}", "headers": { "Authorization": null } },
            "expect": {
                "status": [200, 204],
                "headers": { "X-Function": "users-get", "Location": "<absent>" },
                "body": {
                    "pathParameters": { "id": "${n}" },
                    "headers": {
                        "accept": "application/json",
                        "authorization": "<absent>",
                        "content-type": "<absent>"
                    }
                }
            },
            "capture": { "ids[]": "/pathParameters/id", "last": "/pathParameters/id" }
        },
        {
            "does": "sends the captured values",
            "request": {
                "method": "POST",
                "target": "/Groups?last=${last}",
                "headers": { "content-type": "application/json" },
                "body": { "at": "${base}", "members": ["<each of ids>", { "value": "${item}" }] }
            },
            "expect": {
                "status": 200,
                "body": {
                    "rawQueryString": "last=3",
                    "body": format!(
                        "{{\"at\":\"{}\",\"members\":[{{\"value\":\"1\"}},{{\"value\":\"2\"}},{{\"value\":\"3\"}}]}}",
                        gateway.public_url("okta")
                    )
                }
            }
        },
        {
            "does": "sends no JSON at all, with a token",
            "request": { "method": "POST", "target": "/Groups", "raw": "{", "headers": { "authorization": "x" } },
            "expect": {
                "status": 200,
                "body": { "body": "ew==", "headers": { "authorization": "x", "content-type": "application/scim+json" } }
            }
        }
    ]);
    conversation(steps).unwrap().replay(&client(&gateway)).await.unwrap();
}

#[tokio::test]
async fn conversation_with_another_answer_fails_with_the_step_and_the_differences() {
    let gateway = gateway().await;
    let steps = json!([
        { "does": "asks", "request": { "method": "GET", "target": "/Users/1" }, "expect": { "status": 200 } },
        {
            "does": "asks for what is not there",
            "request": { "method": "GET", "target": "/Users/2?a=b" },
            "expect": {
                "status": 404,
                "headers": { "Location": "<string>" },
                "body": { "rawQueryString": "a=c" }
            },
            "capture": { "id": "/id" }
        }
    ]);
    let failure = conversation(steps).unwrap().replay(&client(&gateway)).await.unwrap_err();
    let expected = "toy/01.json, step 2: the client asks for what is not there\n  \
        body/id: expected a value to keep as id, got nothing\n  \
        status: expected [404], got 200\n  \
        Location: expected <string>, got nothing\n  \
        body/rawQueryString: expected \"a=c\", got \"a=b\"\n\
        request: GET /Users/2?a=b \n\
        answer: 200 {\"version\":\"2.0\"";
    assert!(failure.starts_with(expected), "{failure}");
}

#[test]
fn malformed_conversation_is_rejected_when_it_is_parsed() {
    let step = |request: Value, expect: Value| {
        conversation(json!([{ "does": "asks", "request": request, "expect": expect }])).unwrap_err()
    };
    let request = json!({ "method": "GET", "target": "/Users" });
    for (failure, expected) in [
        (
            step(json!({ "method": "GET", "target": "/Users/${id}" }), json!({ "status": 200 })),
            "toy/01.json: where the client asks: nothing was captured as id",
        ),
        (
            step(request.clone(), json!({ "status": 200, "body": "<guid>" })),
            "toy/01.json: where the client asks: no marker is called <guid>",
        ),
        (step(request.clone(), json!({ "code": 200 })), "toy/01.json: unknown field `code`"),
    ] {
        assert!(failure.starts_with(expected), "{failure}");
    }
}

#[test]
fn every_conversation_file_can_be_parsed() {
    for client in clients() {
        for conversation in conversations(&client) {
            assert!(!conversation.steps.is_empty(), "{} has no steps", conversation.file);
        }
    }
}
