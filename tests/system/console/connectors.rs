//! The list of connectors with their health, and the page of each.

use directory::settings::Settings;
use jiff::{SignedDuration, Timestamp};
use tests::console::Console;
use tests::provisioning::{create_user, create_users, set_active_body};
use tests::scimctl::scimctl;
use tests::service::{Service, service};

#[tokio::test]
async fn list_shows_the_health_of_each_connector() {
    let service = Service::start();
    let console = Console::start(&service, &["--write"]);
    let browser = console.sign_in().await;
    let empty = browser.get("/").await;
    assert!(empty.text().contains("There is no connector yet"), "{}", empty.text());
    let used = service.connector_named("used", "okta", "a long password").await;
    create_user(&used.local(&service), "ann@example.com").await;
    let expiring = service.connector_named("expiring", "okta", "a long password").await;
    let expires = Timestamp::now() + SignedDuration::from_hours(48);
    service.expire_password(&expiring.id, expires).await;
    service.connector_named("off", "okta", "a long password").await;
    scimctl(&service, &["connector", "disable", "off"]).ok();
    scimctl(&service, &["feed", "create", "off", "platform"]).ok();
    scimctl(&service, &["feed", "pause", "off", "platform"]).ok();
    let rows = browser.get("/").await.table("Connectors");
    let minute = |time: Timestamp| time.strftime("%Y-%m-%d %H:%M UTC").to_string();
    let password = scimctl(&service, &["credential", "list", "expiring", "--json"]).ok();
    let password: Vec<serde_json::Value> =
        password.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let password = password.iter().find(|one| one["scheme"] == "Basic").unwrap()["id"].as_str().unwrap();
    let expires = minute(expires);
    let new = "the identity provider has not connected yet";
    assert_eq!(
        rows,
        [
            [
                "expiring",
                "expiring",
                "enabled",
                &format!("credential {password} expires {expires} {new}"),
                "never",
                "0",
                &expires,
                "no feed"
            ],
            [
                "off",
                "off",
                "disabled",
                &format!("refuses every request feed platform is paused {new}"),
                "never",
                "0",
                "not soon",
                "0"
            ],
            ["used", "used", "enabled", "no problem found", &rows[2][4], "0", "not soon", "no feed"],
        ]
    );
    assert!(rows[2][4].ends_with(" UTC"), "{}", rows[2][4]);
}

#[tokio::test]
async fn page_of_a_connector_shows_its_size_and_credentials_but_no_secret() {
    let connector = service().connector().await;
    let client = connector.local(service());
    let users = create_users(&client, 3).await;
    assert_eq!(client.patch(&format!("/Users/{}", users[0]), &set_active_body(false)).await.status, 200);
    let console = Console::start(service(), &["--url", "https://scim.example.com"]);
    let page = console.sign_in().await.get(&format!("/connectors/{}", connector.id)).await;
    let text = page.text();
    assert!(
        text.contains(&format!("Endpoint URL https://scim.example.com/{}/scim/v2 ", connector.id)),
        "{text}"
    );
    assert!(text.contains("Users 3 (1 deactivated)"), "{text}");
    assert!(text.contains("Groups 0 of the identity provider, 0 local"), "{text}");
    let rows = page.table("Credentials, without their secrets");
    let listed = scimctl(service(), &["credential", "list", &connector.id.to_string(), "--json"]).ok();
    let listed: Vec<serde_json::Value> =
        listed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(rows.len(), 2);
    for (row, one) in rows.iter().zip(&listed) {
        let columns = [
            one["id"].as_str().unwrap(),
            "scim",
            one["scheme"].as_str().unwrap(),
            one["username"].as_str().unwrap_or("–"),
        ];
        assert_eq!(row[..4], columns);
        let is_used = row[6] != "never";
        assert_eq!((row[5].as_str(), is_used), ("never", one["scheme"] == "Basic"));
    }
    for secret in [&connector.password, &client.token.unwrap()] {
        assert!(!page.html.contains(secret.as_str()));
    }
    let unknown = console.client();
    drop(unknown);
}

#[tokio::test]
async fn unknown_connector_and_page_are_404() {
    let console = Console::start(service(), &[]);
    let browser = console.sign_in().await;
    for (path, sentence) in [
        ("/connectors/nothing", "There is no connector nothing."),
        ("/connectors/%3Cscript%3E", "There is no connector <script>."),
        ("/nothing", "The console has no such page."),
    ] {
        let page = browser.get(path).await;
        assert_eq!((page.status(), page.text().contains(sentence)), (404, true), "{path}: {}", page.text());
        assert!(!page.html.contains("<script>"), "{}", page.html);
    }
}

#[tokio::test]
async fn names_of_connectors_are_escaped() {
    let connector = service().connector().await;
    let name = "<script>alert('x')</script>\"&";
    scimctl(service(), &["connector", "rename", &connector.id.to_string(), name]).ok();
    let console = Console::start(service(), &[]);
    let page = console.sign_in().await.get(&format!("/connectors/{}", connector.id)).await;
    assert!(page.text().contains(name), "{}", page.text());
    assert!(page.html.contains("&lt;script&gt;") && !page.html.contains("<script>"), "{}", page.html);
}

#[tokio::test]
async fn failed_request_of_the_last_hour_is_a_problem() {
    let connector = service().connector_with(Settings::default()).await;
    let client = connector.local(service());
    create_user(&client, "ann@example.com").await;
    let again = serde_json::json!({ "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": "ann@example.com" });
    assert_eq!(client.post("/Users", &again).await.status, 409);
    let console = Console::start(service(), &[]);
    let page = console.sign_in().await.get(&format!("/connectors/{}", connector.id)).await;
    assert!(page.text().contains("1 failed request in the last hour"), "{}", page.text());
    assert!(page.text().contains("Errors, last hour 1 "), "{}", page.text());
}

#[tokio::test]
async fn unreachable_table_is_an_error_page_and_not_the_end() {
    let service = Service::start();
    service.connector_named("okta", "okta", "a long password").await;
    let console = Console::start(&service, &[]);
    let browser = console.sign_in().await;
    service.dynamodb().delete_table().table_name(tests::service::TABLE).send().await.unwrap();
    let page = browser.get("/connectors/okta").await;
    assert_eq!(page.status(), 500);
    assert!(page.text().contains("there is no table"), "{}", page.text());
    // What DynamoDB refused once is asked again for the next page.
    let again = browser.get("/nothing").await;
    assert_eq!(again.status(), 404);
}
