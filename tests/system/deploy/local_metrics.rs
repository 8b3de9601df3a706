//! `/metrics` of `make run`: the counts are those of the requests that were sent, in the text format of Prometheus.

use std::collections::BTreeMap;
use std::sync::Arc;

use directory::feeds::{FeedId, NewDelivery, NewFeed};
use jiff::{SignedDuration, Timestamp};
use local::metrics::Counters;
use local::server;
use local::start_page::StartPage;
use serde_json::json;
use service::{Observer, Service as ScimService};
use shared::schema::Schemas;
use tests::client::Client;
use tests::folder::Folder;
use tests::ledger::CountedService;
use tests::provisioning::{USER, create_user};
use tests::service::{Service, TIME_LIMIT, TestConnector};
use tokio::net::TcpListener;

use super::process::Running;

/// The samples of a page, by their names with labels. Checks the format (Prometheus, "Exposition formats", version 0.0.4).
fn parse(page: &str) -> BTreeMap<String, f64> {
    let (mut samples, mut kinds) = (BTreeMap::new(), BTreeMap::new());
    for line in page.lines() {
        if let Some(text) = line.strip_prefix("# HELP ") {
            assert!(text.split_once(' ').is_some_and(|(_, help)| help.ends_with('.')), "{line}");
        } else if let Some(kind) = line.strip_prefix("# TYPE ") {
            let (name, kind) = kind.split_once(' ').unwrap();
            assert!(kinds.insert(name.to_owned(), kind.to_owned()).is_none(), "{line}");
        } else {
            let (name, value) = line.rsplit_once(' ').unwrap();
            let base = name.split('{').next().unwrap();
            let of_histogram = ["_bucket", "_sum", "_count"].iter().find_map(|end| base.strip_suffix(end));
            let kind = kinds.get(base).or(of_histogram.and_then(|base| kinds.get(base)));
            assert!(kind.is_some(), "{line} has no type");
            assert!(samples.insert(name.to_owned(), value.parse().unwrap()).is_none(), "{line}");
        }
    }
    samples
}

/// Starts a server with metrics over the table of a service. Returns a client of its root and one of a connector.
async fn start(service: &Service, connector: &TestConnector) -> (Client, Client) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    let (table, counters) = (service.table(), Arc::new(Counters::default()));
    let scim = ScimService::new(table.clone(), None, Schemas::built_in(), Timestamp::now).unwrap();
    let scim = scim.with_observer(Some(Arc::clone(&counters) as Arc<dyn Observer>));
    let page = StartPage::new(table, String::new()).with_counters(Some(counters));
    tokio::spawn(server::serve(listener, scim, Some(page), TIME_LIMIT, std::future::pending()));
    let url = format!("{origin}/{}/scim/v2", connector.id);
    (Client::new(&origin, "", ""), Client::new(&url, &connector.username, &connector.password))
}

async fn scrape(root: &Client) -> BTreeMap<String, f64> {
    let reply = root.send("GET", "/metrics", &[("authorization", "")], "").await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    parse(&String::from_utf8(reply.plain_body()).unwrap())
}

#[tokio::test]
async fn counts_are_those_of_the_requests_that_were_sent() {
    let service = Service::start();
    let connector = service.connector().await;
    let (root, client) = start(&service, &connector).await;
    let id = create_user(&client, "ann").await;
    let duplicate = json!({ "schemas": [USER], "userName": "ann" });
    assert_eq!(client.post("/Users", &duplicate).await.status, 409);
    for _ in 0..3 {
        assert_eq!(client.get(&format!("/Users/{id}")).await.status, 200);
    }
    let wrong = Client::new(&client.base_url, "ann", "wrong-password");
    assert_eq!(wrong.get("/Users").await.status, 401);
    let stranger = wrong.at(&client.base_url.replace(&connector.id.to_string(), "%22%7Dstranger"));
    assert_eq!(stranger.get("/Users").await.status, 401);
    let samples = scrape(&root).await;
    let sample = |name: &str, labels: &str| {
        let found = samples.get(&format!("rollcall_{name}{{{labels}}}"));
        *found.unwrap_or_else(|| panic!("{name} {labels}: {samples:?}"))
    };
    for (function, status, expected) in [
        ("users-create", 201, 1.0),
        ("users-create", 409, 1.0),
        ("users-get", 200, 3.0),
        ("users-list", 401, 2.0),
    ] {
        let labels = format!("function=\"{function}\",status=\"{status}\"");
        assert_eq!(sample("requests_total", &labels), expected, "{labels}");
    }
    let requests: f64 = samples
        .iter()
        .filter(|(name, _)| name.starts_with("rollcall_requests_total"))
        .map(|(_, value)| value)
        .sum();
    assert_eq!(requests, 7.0, "/metrics does not count itself");
    for (function, count) in [("users-create", 2.0), ("users-get", 3.0), ("users-list", 2.0)] {
        let of_function = format!("function=\"{function}\"");
        assert_eq!(sample("request_duration_seconds_count", &of_function), count);
        assert_eq!(sample("request_duration_seconds_bucket", &format!("{of_function},le=\"+Inf\"")), count);
        assert!(sample("request_duration_seconds_sum", &of_function) > 0.0);
        let buckets = ["0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10"];
        let buckets = buckets
            .map(|limit| sample("request_duration_seconds_bucket", &format!("{of_function},le=\"{limit}\"")));
        assert!(buckets.is_sorted() && buckets[10] <= count, "{buckets:?}");
    }
    for (connector, failures, errors) in
        [(connector.id.to_string(), 1.0, 2.0), ("unknown".to_owned(), 1.0, 1.0)]
    {
        let labels = format!("connector=\"{connector}\"");
        assert_eq!(sample("authentication_failures_total", &labels), failures, "{connector}");
        assert_eq!(sample("client_errors_total", &labels), errors, "{connector}");
    }
    // What one further request costs is what the ledger counts.
    let counted = CountedService::new(&service, &connector).await;
    let (cost, _) = counted.cost("GET", &format!("/Users/{id}"), None, 200).await;
    client.get(&format!("/Users/{id}")).await;
    let after = scrape(&root).await;
    for (name, expected) in [
        ("dynamodb_calls_total", cost.requests as f64),
        ("read_units_total", cost.read_units),
        ("write_units_total", cost.write_units),
        ("retries_total", 0.0),
        ("throttles_total", 0.0),
    ] {
        let name = format!("rollcall_{name}{{function=\"users-get\"}}");
        assert_eq!(after[&name] - samples[&name], expected, "{name}");
    }
}

#[tokio::test]
async fn health_of_the_connectors_is_measured_at_each_scrape() {
    let service = Service::start();
    let connector = service.connector().await;
    let new = NewFeed { id: FeedId::parse("platform").unwrap(), audience: None, delivery: NewDelivery::Poll };
    service.connectors().create_feed(&connector.id, &new).await.unwrap();
    let (root, client) = start(&service, &connector).await;
    let names = ["credential_days_left", "seconds_since_contact", "feed_backlog", "feed_oldest_age_seconds"]
        .map(|name| format!("rollcall_{name}{{connector=\"{}\"}}", connector.id));
    let values = |samples: &BTreeMap<String, f64>| names.clone().map(|name| samples.get(&name).copied());
    assert_eq!(values(&scrape(&root).await), [None, None, Some(0.0), Some(0.0)]);
    create_user(&client, "ann").await;
    let credential = service.table().connector(&connector.id).await.unwrap().unwrap().credentials.remove(0);
    let expires = Timestamp::now() + SignedDuration::from_hours(24);
    service.connectors().set_expiry(&connector.id, &credential.id, Some(expires)).await.unwrap();
    let [days, contact, backlog, age] = values(&scrape(&root).await).map(Option::unwrap);
    assert!((0.9..=1.0).contains(&days) && (0.0..900.0).contains(&contact) && (0.0..900.0).contains(&age));
    assert_eq!(backlog, 1.0);
}

#[tokio::test]
async fn process_shows_metrics_unless_they_are_off() {
    for (environment, status) in [(&[][..], 200), (&[("METRICS", "off")], 404)] {
        let folder = Folder::new();
        let running = Running::start(folder.path(), environment);
        let client = running.client();
        client.get("/Users").await;
        let root = client.at(client.base_url.strip_suffix("/default/scim/v2").unwrap());
        let reply = root.send("GET", "/metrics", &[("authorization", "")], "").await;
        assert_eq!(reply.status, status);
        if status == 200 {
            let samples = parse(&String::from_utf8(reply.plain_body()).unwrap());
            assert_eq!(samples["rollcall_requests_total{function=\"users-list\",status=\"200\"}"], 1.0);
            assert_eq!(samples["rollcall_feed_events_delivered_total"], 0.0);
        }
    }
}
