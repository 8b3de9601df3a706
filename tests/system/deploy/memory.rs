//! The memory of the functions' processes: a stranger cannot fill it, and neither can the largest body.

use std::net::{IpAddr, Ipv4Addr};

use directory::secrets::credential_of_chosen;
use futures_util::future::join_all;
use http::Request;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use service::routes::{FALLBACK, ROUTES, Route};
use shared::credential::CredentialKind;
use tests::client::Client;
use tests::consumer::Consumer;
use tests::event::{Arrival, event};
use tests::hostile::{Kind, Part};
use tests::lambda::{Lambda, PAYLOAD_LIMIT};
use tests::provisioning::{USER, create_group, create_users};
use tests::service::{ACCESS_KEY, Service, TABLE, binaries, service};
use uuid::Uuid;

/// The maximum of the memory of a function that strangers send requests to, in KiB.
const MAX_KIB_FROM_STRANGERS: u64 = 64 * 1024;
/// The number of users of the largest size whose changes wait together.
const LARGE_USERS: usize = 400;
/// The maximum of the memory of a function, in KiB.
const MAX_KIB: u64 = 128 * 1024;

fn functions(service: &Service) -> Lambda {
    Lambda::of_binaries(
        binaries(),
        &[
            ("DYNAMODB_ENDPOINT", service.endpoint()),
            ("TABLE_NAME", TABLE),
            ("LOG_LEVEL", "error"),
            ("METRICS", "off"),
            ("AWS_ACCESS_KEY_ID", ACCESS_KEY),
        ],
    )
}

fn request(method: &str, path: &str, authorization: &str, body: &[u8]) -> Value {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(AUTHORIZATION, authorization)
        // A body of this type is text in the event, so it can be larger than one in base64.
        .header(CONTENT_TYPE, "application/json")
        .body(())
        .unwrap();
    let arrival = Arrival {
        route_key: "$default".to_owned(),
        path_parameters: Map::new(),
        source_ip: IpAddr::V4(Ipv4Addr::LOCALHOST),
        request_id: "memory".to_owned(),
        time: Timestamp::UNIX_EPOCH,
    };
    event(&request.into_parts().0, body, &arrival)
}

/// The most memory that a process has had, in KiB.
fn peak_of(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[tokio::test]
async fn strangers_cannot_fill_the_memory_of_a_function() {
    let connector = service().connector().await;
    let kind = CredentialKind::Basic { username: "okta".to_owned() };
    let chosen = credential_of_chosen(kind, "correct horse battery staple", Timestamp::now()).unwrap();
    service().connectors().replace_credentials(&connector.id, &[chosen]).await.unwrap();
    let lambda = functions(service());
    let mut names: Vec<&str> = ROUTES.iter().map(|route| route.function).chain([FALLBACK]).collect();
    names.dedup();
    let wrong = Client::new(&connector.local(service()).base_url, "okta", "wrong").basic();
    let attack = async |function: &'static str| {
        for attempt in 0..200 {
            let (connector, authorization) = match attempt % 4 {
                0 => (connector.id.to_string(), wrong.as_str()),
                1 => (format!("stranger-{attempt}"), wrong.as_str()),
                2 => (connector.id.to_string(), "Bearer wrong"),
                _ => (connector.id.to_string(), ""),
            };
            let (method, path, body) = match function {
                "oauth-token" => ("POST", "oauth2/token", r#"{"grant_type":"client_credentials"}"#),
                _ => ("GET", "scim/v2/Users", ""),
            };
            let event = request(method, &format!("/{connector}/{path}"), authorization, body.as_bytes());
            let status = lambda.invoke(function, &event).await.unwrap()["statusCode"].as_u64().unwrap();
            // Anyone may read the keys of a connector.
            let expected = if function == "jwks-get" { [200, 404, 429] } else { [401, 401, 429] };
            assert!(expected.contains(&status), "{function}: {status}");
        }
        (function, peak_of(lambda.process_id(function).await.unwrap()))
    };
    for (function, kib) in join_all(names.into_iter().map(attack)).await {
        println!("{function:<30} {kib:>8} KiB");
        assert!(kib < MAX_KIB_FROM_STRANGERS, "{function} had {kib} KiB");
    }
}

/// The kind of the bodies that a route reads; `None` for a route without a body.
fn kind_of(route: &Route) -> Option<Kind> {
    match (route.method, route.path) {
        ("POST", "/Users") | ("PUT", "/Users/{id}") => Some(Kind::User),
        ("POST", "/Groups") | ("PUT", "/Groups/{id}") => Some(Kind::Group),
        ("PATCH", "/Users/{id}") => Some(Kind::UserPatch),
        ("PATCH", "/Groups/{id}") => Some(Kind::GroupPatch),
        ("POST", "/Bulk") => Some(Kind::Bulk),
        ("POST", "/{id}/poll" | "/token") => None,
        ("POST", _) => Some(Kind::Search),
        _ => None,
    }
}

/// The parts of bodies that take the most memory.
const WORST_PARTS: [&str; 7] = [
    "small objects",
    "members with a display",
    "extensions",
    "added values",
    "added members",
    "a long sortBy",
    "references in an array",
];

#[tokio::test]
async fn largest_body_cannot_fill_the_memory_of_a_function() {
    let connector = service().connector().await;
    let client = connector.local(service());
    let user = create_users(&client, 1).await.remove(0);
    let group = create_group(&client, "all", &[]).await;
    let lambda = functions(service());
    // The largest body that fits into an event, and the largest one that does not have too many JSON values.
    let attack = async |route: &Route, kind: Kind, part: Part| {
        let id = if route.path.starts_with("/Users") { &user } else { &group };
        let path = route.full_path().replace("{connector}", client.connector()).replace("{id}", id);
        let mut bytes = kind.max_bytes() - 2_000;
        loop {
            let event = request(route.method, &path, &client.basic(), &kind.write(&[part], bytes));
            let is_sent = event.to_string().len() <= PAYLOAD_LIMIT;
            if is_sent {
                let answer = lambda.invoke(route.function, &event).await.unwrap();
                if !answer["body"].as_str().unwrap_or_default().contains("JSON values") {
                    break;
                }
            }
            bytes -= bytes / 10;
        }
        let kib = peak_of(lambda.process_id(route.function).await.unwrap());
        println!("{:<20} {:<25} {bytes:>8} bytes {kib:>8} KiB", route.function, part.name);
        assert!(kib < MAX_KIB, "{} with {part:?} had {kib} KiB", route.function);
    };
    for (route, kind) in ROUTES.iter().filter_map(|route| kind_of(route).map(|kind| (route, kind))) {
        for part in kind.parts().iter().filter(|part| WORST_PARTS.contains(&part.name)) {
            attack(route, kind, *part).await;
        }
    }
}

#[tokio::test]
async fn largest_poll_cannot_fill_the_memory_of_its_function() {
    // A separate engine, because tests that read the whole shared table would have to read all these users.
    let service = &Service::start();
    let connector = service.connector().await;
    Consumer::create(service.table(), &connector.id, "platform").await;
    let reader = connector.reader(service).await;
    let client = connector.local(service);
    // Together they have almost the memory that a function may take.
    for number in 0..LARGE_USERS {
        let user =
            json!({ "schemas": [USER], "userName": format!("u{number}"), "title": "x".repeat(290_000) });
        assert_eq!(client.post("/Users", &user).await.status, 201);
    }
    let lambda = functions(service);
    let several = format!("u{}/54.{}", Uuid::from_bytes([7; 16]), "0".repeat(32));
    let one = |number: u64| format!("u{}/{:043x}", Uuid::from_bytes([7; 16]), number);
    let invented = |number: u64| several.replace("07070707-", &format!("{number:08x}-"));
    for (name, body) in [
        ("many large users", json!({ "maxEvents": 1_000 })),
        ("ids of one item", json!({ "ack": (0..10_000).map(one).collect::<Vec<_>>(), "maxEvents": 0 })),
        (
            "ids of several items",
            json!({ "ack": (0..10_000).map(invented).collect::<Vec<_>>(), "maxEvents": 0 }),
        ),
        ("one long id", json!({ "ack": ["x".repeat(5_900_000)], "maxEvents": 0 })),
        ("one long error", json!({ "setErrs": { "x": { "err": "y".repeat(5_900_000) } }, "maxEvents": 0 })),
    ] {
        let path = format!("/{}/events/v1/platform/poll", connector.id);
        let event = request("POST", &path, &reader.basic(), body.to_string().as_bytes());
        let answer = lambda.invoke("feeds-poll", &event).await.unwrap();
        // A slow machine does not end all the reads of invented ids before the deadline.
        let status = answer["statusCode"].as_u64().unwrap();
        assert!([200, 429].contains(&status), "{name}: {answer}");
        let kib = peak_of(lambda.process_id("feeds-poll").await.unwrap());
        println!("{name:<25} {kib:>8} KiB");
        assert!(kib < MAX_KIB, "{name}: {kib} KiB");
    }
}
