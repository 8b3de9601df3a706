//! The request trail: failed requests are recorded with what an operator needs to find out why, and without secrets. Requests
//! without right credentials are not recorded.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use directory::settings::{Mapping, Rules, Settings, TrailScope};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use shared::credential::CredentialScope;
use tests::client::{Client, Reply, SCIM_JSON};
use tests::in_process::InProcess;
use tests::oauth::{SigningKey, create_client, request_token, request_token_by_secret};
use tests::provisioning::{
    GROUP, USER, create_group, create_user, patch_body, percent_encoded, set_active_body,
};
use tests::scimctl::run;
use tests::service::{Service, TIME_LIMIT, TestConnector, service};
use tests::trail::{dump_table, read_records, read_trail};

const UNKNOWN: &str = "11111111-1111-4111-8111-111111111111";

/// A record without what differs in each run: its time, duration, request and credential.
fn content(mut record: Value) -> Value {
    let fields = record.as_object_mut().unwrap();
    for field in ["time", "ms", "request", "credential"] {
        assert!(fields.remove(field).is_some(), "{field} is missing");
    }
    record
}

fn request_id(reply: &Reply) -> String {
    reply.headers["x-request-id"].to_str().unwrap().to_owned()
}

async fn last_record(connector: &TestConnector) -> Value {
    read_records(service(), &connector.id).await.pop().expect("a request is recorded")
}

#[tokio::test]
async fn each_kind_of_failure_is_recorded_with_all_its_columns() {
    let connector = service().connector().await;
    let client = connector.local(service());
    let id = connector.id.to_string();
    let ann = create_user(&client, "ann@example.com").await;
    create_user(&client, "bob@example.com").await;
    let sales = create_group(&client, "Sales", &[]).await;
    let before = Timestamp::now() - SignedDuration::from_secs(1);
    assert_eq!(
        read_records(service(), &connector.id).await,
        [Value::Null; 0],
        "successful requests are not recorded"
    );
    let rename = json!([{ "op": "replace", "path": "userName", "value": "bob@example.com" }]);
    let title = json!([{ "op": "add", "value": { "shoeSize": 38, "userName": "bob@example.com" } }]);
    let user = format!("/Users/{ann}");
    let path = |path: &str| format!("/{id}/scim/v2{path}");
    for (method, target, headers, body, expected) in [
        (
            "POST",
            "/Users",
            &[][..],
            json!({ "schemas": [USER], "userName": "Ann@Example.com", "shoeSize": 38 }).to_string(),
            json!({
                "method": "POST", "path": path("/Users"), "status": 409, "scim_type": "uniqueness", "kind": "User",
                "name": "Ann@Example.com", "ignored": ["shoeSize"],
            }),
        ),
        (
            "POST",
            "/Users",
            &[],
            json!({ "schemas": [USER], "displayName": "x" }).to_string(),
            json!({ "method": "POST", "path": path("/Users"), "status": 400, "scim_type": "invalidValue", "kind": "User" }),
        ),
        (
            "POST",
            "/Users",
            &[],
            "{".to_owned(),
            json!({ "method": "POST", "path": path("/Users"), "status": 400, "scim_type": "invalidSyntax", "kind": "User" }),
        ),
        (
            "POST",
            "/Users",
            &[("content-type", "text/xml")],
            "<x/>".to_owned(),
            json!({ "method": "POST", "path": path("/Users"), "status": 415, "kind": "User" }),
        ),
        (
            "POST",
            "/Groups",
            &[],
            json!({ "schemas": [GROUP], "displayName": "Temps", "members": [{ "value": UNKNOWN }] })
                .to_string(),
            json!({
                "method": "POST", "path": path("/Groups"), "status": 400, "scim_type": "invalidValue", "kind": "Group",
                "name": "Temps",
            }),
        ),
        (
            "GET",
            &format!("/Users/{UNKNOWN}"),
            &[],
            String::new(),
            json!({
                "method": "GET", "path": path(&format!("/Users/{UNKNOWN}")), "status": 404, "kind": "User",
                "resource": UNKNOWN,
            }),
        ),
        (
            "GET",
            "/Users?filter=userName%20xx%20%22ann%22",
            &[],
            String::new(),
            json!({ "method": "GET", "path": path("/Users"), "status": 400, "scim_type": "invalidFilter", "kind": "User" }),
        ),
        (
            "PUT",
            &user,
            &[("if-match", "W/\"999\"")],
            json!({ "schemas": [USER], "userName": "ann@example.com" }).to_string(),
            json!({
                "method": "PUT", "path": path(&user), "status": 412, "kind": "User", "resource": ann, "name": "ann@example.com",
            }),
        ),
        (
            "PATCH",
            &user,
            &[],
            patch_body(rename).to_string(),
            json!({
                "method": "PATCH", "path": path(&user), "status": 409, "scim_type": "uniqueness", "kind": "User", "resource": ann,
                "name": "ann@example.com",
            }),
        ),
        (
            "PATCH",
            &user,
            &[],
            patch_body(title).to_string(),
            json!({
                "method": "PATCH", "path": path(&user), "status": 409, "scim_type": "uniqueness", "kind": "User", "resource": ann,
                "name": "ann@example.com", "ignored": ["shoeSize"],
            }),
        ),
        (
            "PATCH",
            &format!("/Groups/{sales}"),
            &[],
            patch_body(json!([{ "op": "remove" }])).to_string(),
            json!({
                "method": "PATCH", "path": path(&format!("/Groups/{sales}")), "status": 400, "scim_type": "noTarget",
                "kind": "Group", "resource": sales,
            }),
        ),
        (
            "DELETE",
            "/Users",
            &[],
            String::new(),
            json!({ "method": "DELETE", "path": path("/Users"), "status": 405, "kind": "User" }),
        ),
        ("GET", "/Me", &[], String::new(), json!({ "method": "GET", "path": path("/Me"), "status": 501 })),
    ] {
        let basic = client.basic();
        let mut sent = vec![("accept", SCIM_JSON), ("authorization", basic.as_str())];
        sent.extend(headers.iter().copied());
        if headers.iter().all(|(name, _)| *name != "content-type") {
            sent.push(("content-type", SCIM_JSON));
        }
        let reply = client.send(method, target, &sent, body).await;
        let record = last_record(&connector).await;
        assert_eq!(record["request"], request_id(&reply), "{method} {target}");
        let time: Timestamp = record["time"].as_str().unwrap().parse().unwrap();
        assert!(before <= time && time <= Timestamp::now() + SignedDuration::from_secs(1), "{time}");
        assert!(record["ms"].as_u64().is_some_and(|ms| ms < 60_000), "{record}");
        let stored = service().table().connector(&connector.id).await.unwrap().unwrap();
        let credentials: Vec<String> =
            stored.credentials.into_iter().map(|credential| credential.id).collect();
        assert!(credentials.iter().any(|id| record["credential"] == *id), "{record}");
        let mut expected = expected;
        expected["detail"] = reply.json()["detail"].clone();
        assert!(!expected["detail"].is_null());
        assert_eq!(content(record), expected, "{method} {target}");
    }
}

#[tokio::test]
async fn records_and_their_entries_expire_after_seven_days() {
    let connector = service().connector().await;
    let client = connector.local(service());
    let ann = create_user(&client, "ann").await;
    let rename = patch_body(json!([{ "op": "replace", "path": "active", "value": "perhaps" }]));
    assert_eq!(client.patch(&format!("/Users/{ann}"), &rename).await.status, 400);
    assert_eq!(client.post("/Users", &json!({ "schemas": [USER], "userName": "Ann" })).await.status, 409);
    let items = read_trail(service(), &connector.id).await;
    let kinds: Vec<&str> = items
        .keys()
        .map(|(pk, sk)| if pk.ends_with("/entries") { sk.split('/').next().unwrap() } else { "record" })
        .collect();
    // The first request is found by the id and the name of the user, and the second one by the name in its body.
    assert_eq!(kinds, ["record", "record", "id", "name", "name", "request", "request"]);
    for ((pk, sk), item) in &items {
        let expires: i64 = item["expires"].as_n().unwrap().parse().unwrap();
        let days = (expires - Timestamp::now().as_second()) as f64 / 86_400.0;
        assert!((6.9..7.1).contains(&days), "{pk} {sk}: {days}");
    }
}

#[tokio::test]
async fn requests_without_right_credentials_are_not_recorded() {
    let connector = service().connector().await;
    let client = connector.local(service());
    let wrong = Client::new(&client.base_url, "okta", "wrong-password");
    assert_eq!(wrong.get("/Users").await.status, 401);
    assert_eq!(wrong.post("/Users", &json!({})).await.status, 401);
    let process = InProcess::uncached(service().dynamodb(), client.clone());
    for (target, status) in [("/Users", 401), ("/Schemas/unknown", 404)] {
        let reply = process.send_without_credentials("GET", target, TIME_LIMIT).await;
        assert_eq!(reply.status().as_u16(), status, "{target}");
    }
    let chosen = ["connector", "rotate", "--username", "chosen", "--password", "-"];
    let id = connector.id.to_string();
    let arguments = [&chosen[..2], &[id.as_str()], &chosen[2..]].concat();
    tests::scimctl::scimctl_with(service(), &arguments, "a-chosen-password\n").ok();
    let guess = Client::new(&client.base_url, "chosen", "another-password");
    let mut statuses = BTreeSet::new();
    for _ in 0..12 {
        statuses.insert(guess.get("/Users").await.status);
    }
    assert!(statuses.contains(&429), "{statuses:?}");
    assert_eq!(read_trail(service(), &connector.id).await.len(), 0);
    let url = format!("{}/no-such-connector/scim/v2", service().origin());
    assert_eq!(Client::new(&url, "okta", "x").get("/Users").await.status, 401);
    let keys = client.at(&url.replace("/scim/v2", "/jwks.json"));
    assert_eq!(keys.get("").await.status, 404);
    let dump = dump_table(service()).await;
    assert!(!dump.contains("trail/no-such-connector/"));
    assert_eq!(read_trail(service(), &connector.id).await.len(), 0);
}

#[tokio::test]
async fn right_credentials_that_are_refused_are_recorded() {
    let connector = service().connector().await;
    let client = connector.local(service());
    let reader = connector.reader(service()).await;
    let wrong_scope = reader.at(&client.base_url).get("/Users").await;
    assert_eq!(wrong_scope.status, 403);
    assert_eq!(last_record(&connector).await["detail"], wrong_scope.json()["detail"]);
    let problem = reader.get(&format!("/users/{UNKNOWN}")).await;
    let record = last_record(&connector).await;
    assert_eq!((problem.status, &problem.json()["instance"]), (404, &record["request"]));
    assert_eq!(record["path"], format!("/{}/directory/v1/users/{UNKNOWN}", connector.id));
    assert_eq!((&record["kind"], &record["resource"]), (&json!("User"), &json!(UNKNOWN)));
    run(&connector, &["feed", "create", "platform"]).ok();
    let events = reader.at(&client.base_url.replace("/scim/v2", "/events/v1"));
    assert_eq!(events.post("/platform/poll", &json!({ "maxEvents": "x" })).await.status, 400);
    // The process may not know the feed yet.
    let path = last_record(&connector).await["path"].as_str().unwrap().to_owned();
    let shown = ["platform", "…"].map(|feed| format!("/{}/events/v1/{feed}/poll", connector.id));
    assert!(shown.contains(&path), "{path}");
    // Whether a user is in a group is a question, and 404 is the answer.
    let recorded = read_records(service(), &connector.id).await.len();
    assert_eq!(reader.get(&format!("/groups/{UNKNOWN}/members/{UNKNOWN}")).await.status, 404);
    assert_eq!(read_records(service(), &connector.id).await.len(), recorded);
    let other = service().connector().await;
    run(&other, &["connector", "disable"]).ok();
    let disabled = other.local(service()).get("/Users").await;
    assert_eq!(disabled.status, 403);
    assert_eq!(last_record(&other).await["detail"], format!("Connector {} is disabled", other.id));
}

#[tokio::test]
async fn token_endpoint_records_only_authenticated_clients() {
    let connector = service().connector().await;
    let client = connector.local(service());
    let (credential, secret) = create_client(service(), &connector.id, CredentialScope::Scim).await;
    let id = credential.kind.client_id().unwrap().to_owned();
    assert_eq!(request_token_by_secret(&client, &id, "wrong-secret").await.status, 401);
    assert_eq!(request_token_by_secret(&client, &id, &secret).await.status, 200);
    assert_eq!(read_trail(service(), &connector.id).await.len(), 0);
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", &id),
        ("client_secret", &secret),
        ("scope", "admin"),
    ];
    let reply = request_token(&client, "", &form, "").await;
    assert_eq!(reply.status, 400);
    let record = last_record(&connector).await;
    assert_eq!(
        (&record["request"], &record["credential"]),
        (&json!(request_id(&reply)), &json!(credential.id))
    );
    let expected = json!({
        "method": "POST", "path": format!("/{}/oauth2/token", connector.id), "status": 400, "scim_type": "invalid_scope",
        "detail": reply.json()["error_description"],
    });
    assert_eq!(content(record), expected);
}

/// Sends secrets wherever a client can put them, with right credentials, so that the requests are recorded.
async fn send_everywhere(client: &Client, user: &str, secret: &str) {
    let encoded = percent_encoded(secret);
    for target in [
        format!("/Users/{encoded}"),
        format!("/{encoded}"),
        format!("/Groups/{encoded}/{encoded}"),
        format!("/Users?filter={encoded}"),
        format!("/Users?filter=userName%20eq%20%22{encoded}%22%20and%20x"),
        format!("/Users?filter=userName%20eq%20{encoded}"),
        format!("/Users?filter=userName%20eq%20%22{encoded}"),
        format!("/Users?count={encoded}"),
        format!("/Users?access_token={encoded}&cursor={encoded}"),
        format!("/Users?sortOrder={encoded}&sortBy=userName"),
    ] {
        client.get(&target).await;
    }
    let basic = client.basic();
    let headers = [
        ("accept", SCIM_JSON),
        ("authorization", basic.as_str()),
        ("content-type", SCIM_JSON),
        ("x-api-key", secret),
        ("cookie", secret),
        ("if-match", secret),
    ];
    let put = json!({ "schemas": [USER], "userName": "ann", "password": secret });
    client.send("PUT", &format!("/Users/{user}"), &headers, put.to_string()).await;
    for body in [
        json!({ "schemas": [USER], "userName": "ann", "password": secret }),
        json!({ "schemas": [USER], "password": secret, "active": secret }),
        json!({ "schemas": [USER], "userName": "bob", "password": [secret, secret] }),
    ] {
        client.post("/Users", &body).await;
    }
    for operation in [
        json!({ "op": "replace", "path": "password", "value": { "x": secret } }),
        json!({ "op": "replace", "path": "active", "value": secret }),
        json!({ "op": "replace", "path": "userName", "value": { "password": secret } }),
    ] {
        client.patch(&format!("/Users/{user}"), &patch_body(json!([operation]))).await;
    }
    let operation = |path: String, data: Value| json!({ "method": "PATCH", "path": path, "data": data });
    let bulk = json!({
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],
        "Operations": [
            operation(format!("/Users/{secret}"), json!({ "password": secret })),
            operation(format!("/Users/{user}"), patch_body(json!([{ "op": "add", "path": "active", "value": secret }]))),
        ],
    });
    client.post("/Bulk", &bulk).await;
}

#[tokio::test]
async fn no_secret_gets_into_the_table() {
    let service = Service::start();
    let connector = service.connector_named("okta", "okta", &tests::service::secret()).await;
    let client = connector.local(&service);
    let user = create_user(&client, "ann").await;
    let assertion =
        SigningKey::new_ec().sign("1", &json!({ "iss": "okta", "sub": "ann", "exp": 4_000_000_000_u64 }));
    let token = client.token.clone().unwrap();
    let other = tests::service::secret();
    for secret in ["hunter2-of-ann", client.password.as_str(), &token, &assertion, &other] {
        send_everywhere(&client, &user, secret).await;
    }
    let records = read_records(&service, &connector.id).await;
    assert!(records.len() > 80, "{} requests were recorded", records.len());
    let dump = dump_table(&service).await;
    let basic = BASE64.encode(format!("okta:{}", client.password));
    let signature = assertion.rsplit_once('.').unwrap().1;
    for secret in ["hunter2-of-ann", client.password.as_str(), &token, &assertion, signature, &other, &basic]
    {
        let at =
            dump.find(secret).map(|at| dump[at.saturating_sub(300)..].chars().take(700).collect::<String>());
        assert_eq!(at, None, "the table has the secret {secret}");
    }
}

#[tokio::test]
async fn connector_can_record_all_requests_and_what_is_made_of_users() {
    let rules = Rules { exclude_users: vec!["svc-*".to_owned()], ..Rules::default() };
    let mapping = Mapping { username_from_email: true, ..Mapping::default() };
    let settings = Settings { trail: TrailScope::All, rules, mapping, ..Settings::default() };
    let connector = service().connector_with(settings).await;
    let client = connector.local(service());
    let ann = create_user(&client, "ann@example.com").await;
    let svc = create_user(&client, "svc-backup@example.com").await;
    let sales = create_group(&client, "Sales", &[]).await;
    assert_eq!(client.patch(&format!("/Users/{ann}"), &set_active_body(false)).await.status, 200);
    assert_eq!(client.get("/Users?filter=userName%20eq%20%22ann%22").await.status, 200);
    assert_eq!(client.delete(&format!("/Users/{svc}")).await.status, 204);
    let path = |path: &str| format!("/{}/scim/v2{path}", connector.id);
    let expected = [
        json!({
            "method": "POST", "path": path("/Users"), "status": 201, "kind": "User", "resource": ann, "name": "ann@example.com",
            "shown": { "username": "ann" },
        }),
        json!({
            "method": "POST", "path": path("/Users"), "status": 201, "kind": "User", "resource": svc,
            "name": "svc-backup@example.com", "shown": { "username": "svc-backup", "hidden": "excluded by svc-*" },
        }),
        json!({ "method": "POST", "path": path("/Groups"), "status": 201, "kind": "Group", "resource": sales, "name": "Sales" }),
        json!({
            "method": "PATCH", "path": path(&format!("/Users/{ann}")), "status": 200, "kind": "User", "resource": ann,
            "name": "ann@example.com", "shown": { "username": "ann", "hidden": "deactivated" },
        }),
        json!({ "method": "GET", "path": path("/Users"), "status": 200, "kind": "User" }),
        json!({ "method": "DELETE", "path": path(&format!("/Users/{svc}")), "status": 204, "kind": "User", "resource": svc }),
    ];
    let records = read_records(service(), &connector.id).await;
    assert_eq!(records.into_iter().map(content).collect::<Vec<_>>(), expected);
}

#[tokio::test]
async fn bulk_records_the_request_and_its_first_failed_operations() {
    let connector = service().connector().await;
    let client = connector.local(service());
    create_user(&client, "ann").await;
    let post = |number: usize, name: &str| {
        json!({
            "method": "POST", "path": "/Users", "bulkId": number.to_string(),
            "data": { "schemas": [USER], "userName": name, "shoeSize": 38 },
        })
    };
    let mut operations: Vec<Value> = (0..25).map(|number| post(number, "ann")).collect();
    operations.insert(1, post(99, "bob"));
    operations.push(json!({ "method": "DELETE", "path": format!("/Users/{UNKNOWN}") }));
    let bulk = |operations: &[Value]| json!({ "schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"], "Operations": operations });
    let reply = client.post("/Bulk", &bulk(&operations)).await;
    assert_eq!(reply.status, 200);
    let records = read_records(service(), &connector.id).await;
    assert!(records.iter().all(|record| record["request"] == request_id(&reply)), "{records:?}");
    let records: Vec<Value> = records.into_iter().map(content).collect();
    let path = format!("/{}/scim/v2/Bulk", connector.id);
    assert_eq!(
        records[0],
        json!({ "method": "POST", "path": path, "status": 200, "failed_operations": 26, "unrecorded_operations": 6 })
    );
    let detail = reply.json()["Operations"][0]["response"]["detail"].clone();
    let operation = |position: usize| {
        json!({
            "operation": position, "method": "POST", "path": "/Users", "status": 409, "scim_type": "uniqueness",
            "detail": detail, "kind": "User", "name": "ann", "ignored": ["shoeSize"],
        })
    };
    let positions: Vec<usize> = [1].into_iter().chain(3..=21).collect();
    let expected: Vec<Value> = positions.into_iter().map(operation).collect();
    assert_eq!(records[1..], expected);
    // A request whose operations all succeed is no failure.
    assert_eq!(client.post("/Bulk", &bulk(&[post(1, "carl")])).await.status, 200);
    assert_eq!(read_records(service(), &connector.id).await.len(), 21);
}

#[tokio::test(flavor = "multi_thread")]
async fn functions_record_requests_with_the_id_of_their_response() {
    let connector = service().connector().await;
    let client = connector.functions(service());
    for (method, target, body, status) in [
        ("GET", format!("/Users/{UNKNOWN}"), String::new(), 404),
        ("POST", "/Users".to_owned(), "{}".to_owned(), 400),
        ("POST", "/Users/.search".to_owned(), "{".to_owned(), 400),
        ("GET", "/Schemas/unknown".to_owned(), String::new(), 404),
        ("POST", "/Bulk".to_owned(), "{}".to_owned(), 400),
        ("PUT", "/Users".to_owned(), "{}".to_owned(), 405),
    ] {
        let basic = client.basic();
        let headers = [("accept", SCIM_JSON), ("authorization", basic.as_str()), ("content-type", SCIM_JSON)];
        // A function gives up a write after 100 ms, which can be too short on a slow machine.
        let mut is_recorded = false;
        for _ in 0..50 {
            let reply = client.send(method, &target, &headers, body.clone()).await;
            assert_eq!(reply.status, status, "{method} {target}");
            let records = read_records(service(), &connector.id).await;
            is_recorded = records.iter().any(|record| record["request"] == request_id(&reply));
            if is_recorded {
                break;
            }
        }
        assert!(is_recorded, "{method} {target}");
    }
}

#[tokio::test]
async fn every_response_has_the_id_of_its_request() {
    let connector = service().connector().await;
    let client = connector.local(service());
    let mut ids = BTreeSet::new();
    let origin = client.at(service().origin());
    for reply in [
        client.get("/Users").await,
        client.get("/ServiceProviderConfig").await,
        client.get(&format!("/Users/{UNKNOWN}")).await,
        Client::new(&client.base_url, "okta", "wrong").get("/Users").await,
        origin.get("/unknown").await,
        origin.get(&format!("/{}/jwks.json", connector.id)).await,
        request_token_by_secret(&client, "unknown", "wrong").await,
    ] {
        ids.insert(request_id(&reply));
    }
    assert_eq!(ids.len(), 7);
}
