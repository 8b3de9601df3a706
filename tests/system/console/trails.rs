//! The pages of `scimctl console` about requests, the audit trail, charts, feeds and policies.

use std::fs;

use directory::settings::{Settings, TrailScope};
use serde_json::{Value, json};
use tests::client::{Client, Reply};
use tests::console::{Page, SignedIn};
use tests::folder::Folder;
use tests::provisioning::{USER, create_user, patch_body, set_active_body};
use tests::receiver::{Answer, Receiver};
use tests::scimctl::{run, scimctl_as};
use tests::service::{TestConnector, service};

/// The rows of a table without the headings.
fn rows(page: &Page, caption: &str) -> Vec<Vec<String>> {
    page.grid(caption).into_iter().skip(1).collect()
}

fn request_id(reply: &Reply) -> String {
    reply.headers["x-request-id"].to_str().unwrap().to_owned()
}

async fn wrong_patch(client: &Client, user: &str) -> Reply {
    let operations = json!([{ "op": "replace", "path": "unknown", "value": 1 }]);
    client.patch(&format!("/Users/{user}"), &patch_body(operations)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_are_filtered_and_each_has_a_page_with_everything() {
    let connector = service().connector().await;
    let client = connector.local(service());
    let browser = SignedIn::to(service(), &[]).await;
    let path = format!("/connectors/{}/requests", connector.id);
    let empty = browser.show(&path).await;
    assert!(
        empty.text().contains("0 requests and operations, the newest first No request."),
        "{}",
        empty.text()
    );
    assert!(empty.text().contains("Failed requests of the last 7 days"), "{}", empty.text());

    let ann = create_user(&client, "ann").await;
    let body = json!({ "schemas": [USER], "userName": "Ann", "shoeSize": 38 });
    let conflict = request_id(&client.post("/Users", &body).await);
    let of_ann = request_id(&wrong_patch(&client, &ann).await);
    let of_none = request_id(&client.get("/Users/11111111-1111-4111-8111-111111111111").await);
    let page = browser.show(&path).await;
    let columns = ["Time (UTC)", "Status", "Request", "Name", "Detail", "Milliseconds"];
    assert_eq!(page.grid("Requests")[0], columns);
    let statuses = |page: &Page| -> Vec<[String; 2]> {
        rows(page, "Requests").into_iter().map(|row| [row[1].clone(), row[3].clone()]).collect()
    };
    let none = ["404", "11111111-1111-4111-8111-111111111111"];
    let all = [none, ["400 invalidPath", "ann"], ["409 uniqueness", "Ann"]];
    assert_eq!(statuses(&page), all);
    for (query, expected) in [
        ("status=4xx", &all[..]),
        ("status=409", &all[2..]),
        ("status=5xx", &[]),
        ("user=ANN", &all[1..]),
        (&format!("user={ann}"), &all[1..2]),
        ("user=zoe", &[]),
        ("since=1h", &all),
        ("since=2026-01-01&status=400", &all[1..2]),
    ] {
        assert_eq!(statuses(&browser.show(&format!("{path}?{query}")).await), expected, "{query}");
    }
    for (query, error) in
        [("status=6xx", "is neither a status such as 409"), ("since=x", "is not a duration")]
    {
        let page = browser.get(&format!("{path}?{query}")).await;
        assert_eq!(page.status(), 422, "{query}");
        assert!(page.text().contains(error), "{query}: {}", page.text());
    }

    let page = browser.show(&format!("{path}/{conflict}")).await;
    assert!(page.html.contains("<h1>POST /"), "{}", page.text());
    let facts = [
        "Status",
        "Detail",
        "User or group",
        "Resource",
        "Ignored attributes",
        "Failed operations",
        "Lost before it",
    ];
    let expected =
        ["409 uniqueness", "userName \"Ann\" is taken by another user", "Ann", "–", "shoeSize", "0", "none"];
    assert_eq!(facts.map(|label| page.fact(label).unwrap_or_default()), expected);
    assert!(page.fact("Request id").unwrap().starts_with(&conflict), "{}", page.text());
    assert!(page.fact("Duration").unwrap().ends_with(" ms") && !page.fact("Credential").unwrap().is_empty());
    let of_ann = browser.show(&format!("{path}/{of_ann}")).await;
    assert_eq!(of_ann.fact("Resource").unwrap(), ann);
    assert_eq!(of_ann.link("ann"), Some(format!("/connectors/{}/users/{ann}", connector.id)));
    browser.show(&format!("{path}/{of_none}")).await;
    assert_eq!(browser.get(&format!("{path}/none")).await.status(), 404);

    let why = browser.show(&format!("/connectors/{}/users/{ann}/why", connector.id)).await;
    let failed: Vec<String> = rows(&why, "Failed requests").into_iter().map(|row| row[1].clone()).collect();
    assert_eq!(failed, ["400 invalidPath", "409 uniqueness"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn audit_is_filtered_by_resource_and_time_and_read_page_by_page() {
    let connector = service().connector().await;
    let client = connector.local(service());
    let ann = create_user(&client, "ann").await;
    // The records of one user are in one partition, of which a round reads 50.
    for number in 0..120 {
        let title = json!([{ "op": "replace", "path": "title", "value": number.to_string() }]);
        client.patch(&format!("/Users/{ann}"), &patch_body(title)).await;
        if number % 2 == 0 {
            create_user(&client, &format!("user{number:03}")).await;
        }
    }
    let renamed = json!([{ "op": "replace", "path": "userName", "value": "anna" }]);
    client.patch(&format!("/Users/{ann}"), &patch_body(renamed)).await;
    let browser = SignedIn::to(service(), &[]).await;
    let path = format!("/connectors/{}/audit", connector.id);
    let caption = "Changes, the newest first";

    let (mut next, mut times, mut names) = (Some(path.clone()), Vec::new(), Vec::new());
    while let Some(present) = next {
        let page = browser.show(&present).await;
        for row in rows(&page, caption) {
            times.push(row[0].clone());
            names.push(row[4].clone());
        }
        next = page.link("Next page");
    }
    assert!(times.is_sorted_by(|newer, older| newer >= older), "{times:?}");
    // The 61 users, the 121 changes of one of them, and the creation of the connector.
    assert_eq!((names.len(), names[0].as_str()), (183, "anna"));
    let of_ann = names.iter().filter(|name| *name == "anna").count();
    names.sort();
    names.dedup();
    assert_eq!((of_ann, names.len()), (121, 63));

    let found = async |query: &str| -> Vec<[String; 2]> {
        let page = browser.show(&format!("{path}?{query}")).await;
        rows(&page, caption).into_iter().map(|row| [row[2].clone(), row[4].clone()]).collect()
    };
    for query in ["resource=ANNA", &format!("resource={ann}")] {
        let records = found(query).await;
        assert_eq!(
            (records.len(), &records[0], &records[99][0]),
            (100, &["update", "anna"].map(str::to_owned), &"update".to_owned()),
            "{query}"
        );
    }
    // A name that the user had before is in two records.
    assert_eq!(found("resource=ann").await, [["update", "anna"], ["create", "ann"]]);
    assert_eq!(found(&format!("resource={}", connector.id)).await.len(), 1);
    assert_eq!(found("resource=zoe").await, [[""; 2]; 0]);
    assert_eq!(found("resource=ann&until=2026-01-01").await, [[""; 2]; 0]);
    assert_eq!(found("resource=ann&since=2026-01-01").await.len(), 2);
    let wrong = browser.get(&format!("{path}?since=yesterday")).await;
    assert_eq!(wrong.status(), 422);
    assert!(wrong.text().contains("\"yesterday\" is not a date"), "{}", wrong.text());
    // The id leads to the user.
    let page = browser.show(&format!("{path}?resource=anna")).await;
    assert_eq!(page.link(&ann), Some(format!("/connectors/{}/users/{ann}", connector.id)));
    // A cursor that is none does no harm.
    for after in ["x", "~", "0000-00-00", "2026-11/x", "%00"] {
        assert_eq!(browser.get(&format!("{path}?after={after}")).await.status(), 200, "{after}");
    }
}

/// The numbers in the last row of a chart's table.
fn last_numbers(page: &Page, caption: &str) -> Vec<String> {
    rows(page, caption).pop().map(|row| row[1..].to_vec()).unwrap_or_default()
}

/// The sum of each column of a chart's table.
fn sums(page: &Page, caption: &str) -> Vec<u64> {
    let rows = rows(page, caption);
    let columns = rows.first().map_or(0, Vec::len);
    (1..columns).map(|column| rows.iter().map(|row| row[column].parse::<u64>().unwrap()).sum()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn charts_count_failures_requests_and_users() {
    let settings = Settings { trail: TrailScope::All, ..Settings::default() };
    let connector = service().connector_with(settings).await;
    let browser = SignedIn::to(service(), &[]).await;
    let path = format!("/connectors/{}/charts", connector.id);
    let empty = browser.show(&path).await;
    for sentence in [
        "No request failed in the last 24 hours.",
        "No request in the last 24 hours.",
        "No user joined or left in the last 14 days.",
    ] {
        assert!(empty.text().contains(sentence), "{}", empty.text());
    }
    assert!(!empty.html.contains("<svg"), "{}", empty.html);

    let client = connector.local(service());
    let (ann, bob) = (create_user(&client, "ann").await, create_user(&client, "bob").await);
    create_user(&client, "carl").await;
    client.patch(&format!("/Users/{ann}"), &set_active_body(false)).await;
    client.patch(&format!("/Users/{ann}"), &set_active_body(true)).await;
    client.delete(&format!("/Users/{bob}")).await;
    wrong_patch(&client, &ann).await;
    wrong_patch(&client, &ann).await;
    let page = browser.show(&path).await;
    let errors = "Failed requests and operations in the last 24 hours";
    let columns = ["Hour (UTC)", "errors of clients (4xx)", "errors of the service (5xx)"];
    assert_eq!(
        (page.grid(errors)[0].clone(), page.grid(errors).len()),
        (columns.map(str::to_owned).to_vec(), 25)
    );
    assert_eq!(sums(&page, errors), [2, 0]);
    assert_eq!(sums(&page, "All requests in the last 24 hours"), [8]);
    let users = "Users who joined and left in the last 14 days";
    assert_eq!((page.grid(users).len(), sums(&page, users)), (15, vec![4, 2]));
    assert_eq!(last_numbers(&page, users).len(), 2);
    assert_eq!(page.html.matches("<svg viewBox=\"0 0 720 240\" role=\"img\"").count(), 3);
    assert!(
        page.html.contains("In all: 4 joined: created, or activated again, 2 left: deactivated or deleted.")
    );

    // Without all requests in the trail, there is no chart of them.
    let connector = service().connector().await;
    let page = browser.show(&format!("/connectors/{}/charts", connector.id)).await;
    assert!(!page.text().contains("All requests"), "{}", page.text());
}

fn feed(connector: &TestConnector) -> Value {
    serde_json::from_str(&run(connector, &["feed", "show", "platform", "--json"]).ok()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn feeds_show_their_backlog_and_are_paused_resumed_replayed_and_tested() {
    let receiver = Receiver::start().await;
    let connector = service().connector().await;
    let id = connector.id.to_string();
    let browser = SignedIn::at(&service().endpoint_for("OperateDirectory"), &["--write"]).await;
    let list = format!("/connectors/{id}/feeds");
    let empty = browser.show(&list).await;
    assert!(empty.text().contains("No feed. scimctl feed create makes one."), "{}", empty.text());
    run(
        &connector,
        &["feed", "create", "platform", "--webhook", &receiver.url, "--url", "https://scim.example.com"],
    )
    .ok();
    create_user(&connector.local(service()), "ann").await;
    receiver.answer([Answer::status(503)]);
    let failed = scimctl_as("DeliverFeeds", service(), &["feed", "deliver", &id, "platform"], "");
    assert_eq!(failed.code, 1, "{failed:?}");

    let page = browser.show(&list).await;
    let columns =
        ["Feed", "Delivery", "State", "Waiting", "Oldest", "Last delivered", "Last error", "Next attempt"];
    let [heading, row] = &page.grid("Feeds")[..] else { panic!("{}", page.text()) };
    assert_eq!(*heading, columns);
    assert_eq!(row[..4], ["platform", "webhook", "retrying", "1"]);
    assert!(row[4].ends_with("UTC") && row[7].ends_with("UTC"), "{row:?}");
    assert_eq!(row[5], "–");
    assert!(row[6].ends_with("503 Service Unavailable"), "{row:?}");

    let path = format!("{list}/platform");
    let page = browser.show(&path).await;
    let facts = ["State", "Waiting", "Delivery", "Failed deliveries"].map(|label| page.fact(label).unwrap());
    let delivery = format!("webhook to {}", receiver.url);
    assert_eq!(facts, ["retrying", "1 change", &delivery, "1 delivery, one after another"]);
    assert_eq!(browser.submit(&path, &[("pause", "true")]).await.fact("State").unwrap(), "paused");
    assert_eq!(feed(&connector)["state"], "paused");
    let resumed = browser.submit(&path, &[("resume", "true")]).await;
    assert!(resumed.html.contains("name=\"pause\""), "{}", resumed.text());
    browser.submit(&path, &[("replay", "true")]).await;
    assert!(!feed(&connector)["marked_at"].is_null());
    assert_eq!(browser.post(&path, &[]).await.status(), 400);
    assert_eq!(browser.get(&format!("{list}/none")).await.status(), 404);
    assert_eq!(browser.get(&format!("{list}/No%20Feed")).await.status(), 404);

    // Operators may not read private keys, and the page says which role may.
    let refused = browser.post(&format!("{path}/test"), &[]).await;
    assert_eq!(refused.status(), 403);
    assert!(refused.text().contains("AWS does not permit this"), "{}", refused.text());
    // An operator with both policies.
    let deliverer = SignedIn::at(service().endpoint(), &["--write"]).await;
    deliverer.show(&path).await;
    let tested = deliverer.post(&format!("{path}/test"), &[]).await;
    assert_eq!(tested.status(), 200, "{}", tested.text());
    assert!(
        tested.text().contains("The consumer accepted the test event: 202 Accepted"),
        "{}",
        tested.text()
    );
    receiver.answer([Answer::status(410)]);
    let tested = deliverer.post(&format!("{path}/test"), &[]).await;
    assert!(tested.text().contains("The test event was not accepted: 410 Gone"), "{}", tested.text());
    // The changes have audit records.
    let audit = browser.show(&format!("/connectors/{id}/audit?resource={id}")).await;
    let changes: Vec<String> =
        rows(&audit, "Changes, the newest first").into_iter().map(|row| row[6].clone()).collect();
    assert_eq!(changes.iter().filter(|changes| changes.starts_with("feeds")).count(), 4, "{changes:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn policies_that_name_users_who_are_gone_are_reported() {
    let connector = service().connector().await;
    let client = connector.local(service());
    create_user(&client, "ann").await;
    let bob = create_user(&client, "bob").await;
    client.patch(&format!("/Users/{bob}"), &set_active_body(false)).await;
    let folder = Folder::new();
    let policy = json!({
        "id": 42, "name": "salaries", "service": "hive", "isEnabled": true,
        "policyItems": [{ "users": ["ann", "bob", "<b>zoe</b>"], "accesses": [{ "type": "select", "isAllowed": true }] }]
    });
    let export = folder.write("policies.json", &json!({ "policies": [policy] }).to_string());
    let rule = format!("permit (principal == Rollcall::User::\"{bob}\", action, resource);\n");
    let cedar = folder.write("rules.cedar", &rule);

    let browser = SignedIn::to(service(), &["--policies", &export, &cedar]).await;
    let path = format!("/connectors/{}/policies", connector.id);
    let page = browser.show(&path).await;
    assert!(page.text().contains(&export) && page.text().contains("Check the policies"), "{}", page.text());
    assert_eq!(page.grid("Users and groups who are gone"), [[""; 0]; 0]);
    let page = browser.show(&format!("{path}?check=true")).await;
    let table = page.grid("Users and groups who are gone");
    assert_eq!(table[0], ["Principal", "Why", "Since", "Service", "Policy", "Place", "Effect", "Note", "Id"]);
    let found: Vec<[&str; 6]> = table[1..]
        .iter()
        .map(|row| [&row[0], &row[1], &row[3], &row[4], &row[6], &row[7]].map(String::as_str))
        .collect();
    let of_cedar = format!("cedar {cedar}");
    let expected = [
        ["user bob", "deactivated", "ranger hive", "42 salaries", "allow", "-"],
        ["user <b>zoe</b>", "not in the directory", "ranger hive", "42 salaries", "allow", "-"],
        ["user bob", "deactivated", &of_cedar, "policy0", "allow", "last principal"],
    ];
    assert_eq!(found, expected);
    assert!(page.text().contains("3 places name users or groups who are gone"), "{}", page.text());
    assert!(!page.html.contains("<b>zoe"), "{}", page.html);

    // The explanation of a user has the places that name it.
    let why = browser.show(&format!("/connectors/{}/users/{bob}/why", connector.id)).await;
    assert!(why.section("Policies").contains("salaries"), "{}", why.text());

    let without = SignedIn::to(service(), &[]).await;
    let page = without.show(&path).await;
    assert!(
        page.text().contains("No files with policies. Start the console with --policies"),
        "{}",
        page.text()
    );
    fs::write(&export, "{ \"policies\": [").unwrap();
    let broken = browser.show(&format!("{path}?check=true")).await;
    assert!(broken.text().contains(&export), "{}", broken.text());
}
