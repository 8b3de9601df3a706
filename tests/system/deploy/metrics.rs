//! The metrics that the functions print: one line for each request, in the embedded metric format of CloudWatch. Its counts are
//! those of the ledger, and the number of metrics that AWS charges for is bounded.

use std::collections::BTreeSet;

use directory::feeds::{FeedId, NewDelivery, NewFeed};
use functions::metrics::{CONNECTOR, DELIVERY, LINES, REQUEST, SWEEP};
use jiff::{SignedDuration, Timestamp};
use runtime::emf::{Kind, Metric};
use serde_json::{Map, Value, json};
use tests::client::{Client, SCIM_JSON};
use tests::emf::Line;
use tests::faults::{Fault, FaultyDynamoDb};
use tests::faulty_service::FaultyService;
use tests::interrupted::{expire_intents, prolong_intents};
use tests::ledger::CountedService;
use tests::logged::LoggedFunctions;
use tests::provisioning::{USER, add_members_body, create_group, create_user, create_users, patch_body};
use tests::receiver::{Answer, Receiver};
use tests::service::{Service, TestConnector, service};
use uuid::Uuid;

fn user(name: &str) -> Value {
    json!({ "schemas": [USER], "userName": name })
}

/// The members of a line, without those that differ from run to run. These are checked here.
fn stable(line: &Line) -> Map<String, Value> {
    let mut members = line.members.clone();
    assert!(line.number("Latency") > 0.0, "{members:?}");
    members.remove("Latency");
    let id = members.remove("id").unwrap_or_default();
    assert!(id.as_str().is_some_and(|id| Uuid::parse_str(id).is_ok()), "{id}");
    let trace = members.remove("trace").unwrap_or_default();
    assert!(trace.as_str().is_some_and(|trace| trace.starts_with("1-00000000-")), "{trace}");
    members
}

/// The dimensions of the metrics of a line, as the list of metrics says: a counter of 0 is no metric.
fn expected_kinds(metrics: &[Metric], line: &Line) -> BTreeSet<(String, Vec<String>)> {
    let mut expected = BTreeSet::new();
    for metric in metrics {
        if metric.kind == Kind::Counter && line.number(metric.name) == 0.0 {
            continue;
        }
        expected.insert((metric.name.to_owned(), vec!["stack".to_owned()]));
        if let Some(by) = metric.by {
            let mut dimensions = vec![by.to_owned(), "stack".to_owned()];
            dimensions.sort();
            expected.insert((metric.name.to_owned(), dimensions));
        }
    }
    expected
}

async fn start(environment: &[(&str, &str)]) -> (TestConnector, LoggedFunctions, Client) {
    let connector = service().connector().await;
    let functions = LoggedFunctions::start(&service().endpoint_for("{function}"), environment).await;
    let client = functions.client(&connector);
    (connector, functions, client)
}

#[tokio::test]
async fn each_request_prints_one_line_whose_counts_are_those_of_the_ledger() {
    let (connector, functions, client) = start(&[("METRICS", "acme"), ("LOG_LEVEL", "warn")]).await;
    let counted = CountedService::new(service(), &connector).await;
    let title = patch_body(json!([{ "op": "replace", "path": "title", "value": "guide" }]));
    let mut ids = ["", ""].map(str::to_owned);
    for (function, method, path, status) in [
        ("users-create", "POST", "/Users", 201),
        ("users-get", "GET", "/Users/{id}", 200),
        ("users-patch", "PATCH", "/Users/{id}", 200),
        ("users-list", "GET", "/Users?filter=userName%20eq%20%22{name}%22", 200),
        ("users-delete", "DELETE", "/Users/{id}", 204),
    ] {
        // The first request of a process also reads the connector, and records the use of the credential.
        let missing = path.replace("{id}", &Uuid::new_v4().to_string());
        functions
            .warm_up(async || {
                client.send_json(method, &missing, &user(&Uuid::new_v4().to_string())).await;
            })
            .await;
        let printed = functions.metrics().len();
        let [name, other] = ["ann-of-the-function", "ann-of-the-ledger--"];
        let target = |id: &str, name: &str| path.replace("{id}", id).replace("{name}", name);
        let body = |name| match method {
            "POST" => user(name),
            "PATCH" => title.clone(),
            _ => Value::Null,
        };
        let sent = if body(name).is_null() { String::new() } else { body(name).to_string() };
        let reply = client.send(method, &target(&ids[0], name), &[("content-type", SCIM_JSON)], sent).await;
        assert_eq!(reply.status, status, "{method} {path}");
        let body = Some(body(other)).filter(|body| !body.is_null());
        let (cost, response) = counted.cost(method, &target(&ids[1], other), body.as_ref(), status).await;
        if status == 201 {
            let created: Value = serde_json::from_slice(response.body()).unwrap();
            ids = [&reply.json(), &created].map(|created| created["id"].as_str().unwrap().to_owned());
        }
        let lines = functions.metrics();
        assert_eq!(lines.len(), printed + 1, "one line for each request");
        let line = &lines[printed];
        let expected = json!({
            "stack": "acme", "function": function, "connector": connector.id.to_string(), "status": status,
            "Errors5xx": 0, "Errors4xx": 0, "AuthenticationFailures": 0,
            "DynamoDbCalls": cost.requests, "Retries": 0, "Throttles": 0, "ColdStarts": 0,
        });
        let mut members = stable(line);
        let units = ["ReadUnits", "WriteUnits"].map(|name| {
            let value = members.remove(name).unwrap_or_default();
            value.as_f64().unwrap_or_else(|| panic!("{name} is {value}"))
        });
        assert_eq!(units, [cost.read_units, cost.write_units], "{method} {path}");
        assert_eq!(Value::Object(members), expected, "{method} {path}");
        assert_eq!(line.kinds(), expected_kinds(REQUEST, line), "{method} {path}");
    }
    // A failed request also writes to the request trail, if that takes less than 100 ms.
    for (method, path, status) in
        [("POST", "/Users", 400), ("GET", "/Users?filter=wrong", 400), ("DELETE", "/Users/1", 404)]
    {
        assert_eq!(client.send_json(method, path, &json!({})).await.status, status, "{method} {path}");
        let line = functions.metrics().pop().unwrap();
        let flags =
            ["status", "Errors4xx", "Errors5xx", "AuthenticationFailures"].map(|name| line.number(name));
        assert_eq!(flags, [status.into(), 1.0, 0.0, 0.0], "{method} {path}");
        assert_eq!(line.kinds(), expected_kinds(REQUEST, &line), "{method} {path}");
    }
    let lines = functions.metrics();
    let first_of_each = lines.iter().filter(|line| line.number("ColdStarts") == 1.0);
    let first_of_each = first_of_each.map(|line| line.members["function"].as_str().unwrap());
    let expected = ["users-create", "users-get", "users-patch", "users-list", "users-delete"];
    assert_eq!(first_of_each.collect::<Vec<_>>(), expected);
    // The connector, its credentials, the use of the credential, and the transaction.
    assert_eq!(lines[0].number("DynamoDbCalls"), 4.0);
}

#[tokio::test]
async fn retries_throttles_and_server_errors_are_counted() {
    let connector = service().connector().await;
    let dynamodb = FaultyDynamoDb::start(&service().endpoint_for("fallback")).await;
    let functions = LoggedFunctions::start(&dynamodb.endpoint, &[]).await;
    let client = functions.client(&connector);
    functions
        .warm_up(async || {
            client.post("/Users", &user(&Uuid::new_v4().to_string())).await;
        })
        .await;
    for (number, (fault, status, calls, retries, throttles)) in [
        (Fault::Throttled, 201, 2.0, 1.0, 1.0),
        (Fault::NoCapacity, 201, 2.0, 1.0, 1.0),
        (Fault::Cancelled("ThrottlingError"), 201, 2.0, 1.0, 1.0),
        (Fault::Cancelled("TransactionConflict"), 201, 2.0, 1.0, 0.0),
        (Fault::ServerError, 201, 2.0, 1.0, 0.0),
        (Fault::LostAnswer, 201, 2.0, 1.0, 0.0),
        // The second call writes to the request trail.
        (Fault::Denied, 500, 2.0, 0.0, 0.0),
    ]
    .into_iter()
    .enumerate()
    {
        dynamodb.fail_once(0, fault);
        let reply = client.post("/Users", &user(&format!("user {number}"))).await;
        assert_eq!(reply.status, status, "{fault:?}");
        let line = functions.metrics().pop().unwrap();
        let counted = ["DynamoDbCalls", "Retries", "Throttles", "Errors5xx"].map(|name| line.number(name));
        let errors = if status == 500 { 1.0 } else { 0.0 };
        assert_eq!(counted, [calls, retries, throttles, errors], "{fault:?}");
        assert_eq!(line.kinds(), expected_kinds(REQUEST, &line), "{fault:?}");
    }
}

#[tokio::test]
async fn strangers_share_one_connector_and_add_no_metric() {
    let (connector, functions, client) = start(&[]).await;
    assert_eq!(client.get("/Users").await.status, 200);
    let wrong = Client::new(&client.base_url, &client.username, "wrong-password");
    assert_eq!(wrong.get("/Users").await.status, 401);
    let line = functions.metrics().pop().unwrap();
    assert_eq!(line.members["connector"], connector.id.to_string());
    assert_eq!(
        (line.number("AuthenticationFailures"), line.number("Errors4xx"), line.number("Errors5xx")),
        (1.0, 1.0, 0.0)
    );
    let before: BTreeSet<_> = functions.metrics().into_iter().flat_map(|line| line.units).collect();
    let mut refused = BTreeSet::new();
    for number in 0..40 {
        let name = format!("stranger-{number}");
        let stranger = wrong.at(&functions.gateway.base_url(&name));
        refused.insert(stranger.get("/Users").await.status);
        stranger.get(&format!("/{name}")).await;
        stranger.at(&stranger.base_url.replace("/scim/v2", "/x")).get(&format!("/{name}")).await;
    }
    assert!(refused.is_subset(&[401, 429].into()), "{refused:?}");
    let lines = functions.metrics();
    let unknown = lines.iter().filter(|line| line.members["connector"] == "unknown").count();
    assert_eq!((lines.len(), unknown), (122, 120));
    // What they add: the same few metrics of `unknown`, and those of the functions that they called.
    let added: BTreeSet<String> = lines
        .iter()
        .flat_map(|line| line.units.clone())
        .filter(|metric| !before.contains(metric))
        .flat_map(|((_, dimensions), _)| dimensions.into_iter().filter(|(name, _)| name != "stack"))
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    assert_eq!(added, ["connector=unknown", "function=fallback"].map(str::to_owned).into());
    assert!(
        !functions.log().lines().filter(|line| line.contains("_aws")).any(|line| line.contains("stranger"))
    );
}

#[tokio::test]
async fn metrics_that_are_off_print_nothing() {
    let (_, functions, client) = start(&[("METRICS", "off"), ("LOG_LEVEL", "info")]).await;
    create_user(&client, "ann").await;
    for function in ["directory-sweep", "feeds-deliver"] {
        functions.gateway.lambda().invoke(function, &schedule()).await.unwrap();
    }
    assert_eq!(functions.metrics().len(), 0);
    assert!(functions.log().contains(r#""method":"POST""#), "{}", functions.log());
}

#[tokio::test]
async fn every_log_line_of_a_request_has_its_trace() {
    let (_, functions, client) = start(&[]).await;
    assert_eq!(client.post("/Users", &user("ann")).await.status, 201);
    assert_eq!(client.post("/Users", &user("ann")).await.status, 409);
    let lines = functions.lines();
    let mut traces = Vec::new();
    for line in &lines {
        let trace = line.get("trace").unwrap_or(&line["span"]["trace"]);
        traces.push(trace.as_str().unwrap_or_else(|| panic!("{line} has a trace")).to_owned());
    }
    traces.dedup();
    assert_eq!(traces.len(), 2, "the lines of a request have one trace: {lines:?}");
    let of_second = lines.iter().filter(|line| line["span"]["trace"] == traces[1].as_str());
    let levels: Vec<&str> = of_second.map(|line| line["level"].as_str().unwrap()).collect();
    assert_eq!(levels, ["DEBUG", "INFO"], "the error, and the request");
}

fn schedule() -> Value {
    json!({ "detail-type": "Scheduled Event", "source": "aws.events" })
}

/// The lines of these metrics.
fn of_kind<'l>(lines: &'l [Line], metric: &str) -> Vec<&'l Line> {
    lines.iter().filter(|line| line.members.contains_key(metric)).collect()
}

async fn create_feed(service: &Service, connector: &TestConnector, delivery: NewDelivery) -> FeedId {
    let id = FeedId::parse("platform").unwrap();
    let new = NewFeed { id: id.clone(), audience: None, delivery };
    service.connectors().create_feed(&connector.id, &new).await.unwrap();
    id
}

#[tokio::test]
async fn schedule_prints_the_health_of_each_connector() {
    let service = Service::start();
    let (polled, unused, disabled) =
        (service.connector().await, service.connector().await, service.connector().await);
    let id = create_feed(&service, &polled, NewDelivery::Poll).await;
    let credential = service.table().connector(&polled.id).await.unwrap().unwrap().credentials.remove(0);
    let expires = Timestamp::now() + SignedDuration::from_hours(24 * 10);
    service.connectors().set_expiry(&polled.id, &credential.id, Some(expires)).await.unwrap();
    service.connectors().disable(&disabled.id).await.unwrap();
    let functions = LoggedFunctions::start(&service.endpoint_for("{function}"), &[]).await;
    let client = functions.client(&polled);
    create_user(&client, "ann").await;
    create_user(&client, "bob").await;
    let invoke = async || functions.gateway.lambda().invoke("feeds-deliver", &schedule()).await.unwrap();
    let kinds = |line: &Line| line.kinds().into_iter().map(|(name, _)| name).collect::<BTreeSet<_>>();
    invoke().await;
    let lines = functions.metrics();
    // The connector without feeds, use and expiry has nothing to tell, nor has the disabled one.
    let health: Vec<&Line> = lines.iter().filter(|line| !line.members.contains_key("Latency")).collect();
    let [line] = health.as_slice() else { panic!("{health:?}, not of {}", unused.id) };
    assert_eq!(line.kinds(), expected_kinds(CONNECTOR, line));
    assert_eq!(line.members["connector"], polled.id.to_string());
    assert_eq!(line.number("FeedBacklog"), 2.0);
    assert!((9.9..=10.0).contains(&line.number("CredentialDaysLeft")), "{line:?}");
    assert!((0.0..900.0).contains(&line.number("FeedOldestAge")), "{line:?}");
    assert!((0.0..900.0).contains(&line.number("SecondsSinceContact")), "{line:?}");
    // The next run of the process is less than five minutes later.
    invoke().await;
    assert_eq!(functions.metrics().len(), lines.len());
    // A paused feed waits because an operator wants that.
    service.connectors().pause_feed(&polled.id, &id).await.unwrap();
    let another = LoggedFunctions::start(&service.endpoint_for("{function}"), &[]).await;
    another.gateway.lambda().invoke("feeds-deliver", &schedule()).await.unwrap();
    let [line] = &another.metrics()[..] else { panic!("{}", another.log()) };
    assert_eq!(kinds(line), ["CredentialDaysLeft", "SecondsSinceContact"].map(str::to_owned).into());
}

#[tokio::test]
async fn delivery_prints_accepted_events_and_failed_feeds() {
    let service = Service::start();
    let (connector, receiver) = (service.connector().await, Receiver::start().await);
    let delivery =
        NewDelivery::Push { url: receiver.url.clone(), issuer: "https://x".to_owned(), token: None };
    let feed = create_feed(&service, &connector, delivery).await;
    let functions = LoggedFunctions::start(&service.endpoint_for("{function}"), &[]).await;
    let client = functions.client(&connector);
    create_user(&client, "ann").await;
    let mut event: Value = serde_json::from_str(
        &std::fs::read_to_string(tests::workspace().join("events/feeds-deliver.json")).unwrap(),
    )
    .unwrap();
    event["Records"][0]["dynamodb"]["Keys"]["pk"]["S"] = json!(format!("outbox/{}/{feed}", connector.id));
    receiver.answer([Answer::status(503)]);
    for (event, delivered, failed) in [(&event, 0, 1), (&schedule(), 1, 0)] {
        functions.gateway.lambda().invoke("feeds-deliver", event).await.unwrap();
        let lines = functions.metrics();
        let line = *of_kind(&lines, "FeedEventsDelivered").last().unwrap();
        let expected =
            json!({ "stack": "test", "FeedEventsDelivered": delivered, "FeedDeliveriesFailed": failed });
        assert_eq!(Value::Object(line.members.clone()), expected);
        assert_eq!(line.kinds(), expected_kinds(DELIVERY, line));
        service.connectors().resume_feed(&connector.id, &feed).await.unwrap();
    }
    // Nothing waits, so there is no line.
    let before = functions.metrics().len();
    functions.gateway.lambda().invoke("feeds-deliver", &event).await.unwrap();
    assert_eq!(functions.metrics().len(), before);
}

#[tokio::test]
async fn sweep_prints_how_many_changes_are_open() {
    let faulty = FaultyService::new().await;
    let client = faulty.connector.local(&faulty.service);
    let users = create_users(&client, 40).await;
    let group = create_group(&client, "guides", &[]).await;
    faulty.cut_off("PATCH", &format!("/Groups/{group}"), &add_members_body(&users)).await;
    let functions = LoggedFunctions::start(&faulty.service.endpoint_for("{function}"), &[]).await;
    let sweep = async |open: u32, finished: u32| {
        functions.gateway.lambda().invoke("directory-sweep", &schedule()).await.unwrap();
        let line = functions.metrics().pop().unwrap();
        let expected = json!({ "stack": "test", "OpenIntents": open, "finished": finished, "failed": 0 });
        assert_eq!(Value::Object(line.members.clone()), expected);
        assert_eq!(line.kinds(), expected_kinds(SWEEP, &line));
    };
    // The process that began the change may still live.
    prolong_intents(&faulty.service, &faulty.connector.id).await;
    sweep(1, 0).await;
    expire_intents(&faulty.service, &faulty.connector.id).await;
    sweep(0, 1).await;
    sweep(0, 0).await;
}

#[test]
fn number_of_metrics_is_the_one_that_the_documentation_states() {
    let metrics: Vec<&Metric> = LINES.iter().flat_map(|line| line.iter()).collect();
    let by = |dimension: &str| metrics.iter().filter(|metric| metric.by == Some(dimension)).count();
    let functions: BTreeSet<&str> = service::routes::ROUTES.iter().map(|route| route.function).collect();
    let (stack, function, connector) = (metrics.len(), by("function"), by("connector"));
    let unknown = REQUEST.iter().filter(|metric| metric.by == Some("connector")).count();
    let fixed = stack + function * (functions.len() + 1) + unknown;
    let cost = std::fs::read_to_string(tests::workspace().join("docs/operate/cost.md")).unwrap();
    let stated = format!("at most {fixed} metrics, and {connector} for each connector");
    assert!(cost.contains(&stated), "docs/operate/cost.md says: {stated}");
    let names: BTreeSet<&str> = metrics.iter().map(|metric| metric.name).collect();
    assert_eq!(names.len(), metrics.len(), "each name is of one line");
    let page = std::fs::read_to_string(tests::workspace().join("docs/operate/metrics.md")).unwrap();
    let explained: BTreeSet<&str> =
        page.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    assert_eq!(
        explained.intersection(&names).copied().collect::<BTreeSet<_>>(),
        names,
        "docs/operate/metrics.md"
    );
}
