//! The wizard, from its first page to an identity provider that provisions.

use serde_json::Value;
use tests::chromium::Chromium;
use tests::client::Client;
use tests::console::Console;
use tests::fixture::conversations;
use tests::service::service;
use uuid::Uuid;

#[tokio::test]
async fn wizard_leads_to_a_connector_that_okta_can_use() {
    let mut chromium = Chromium::start().await;
    let console = Console::start(service(), &["--write"]);
    chromium.allow_clipboard(console.origin()).await;
    let client = set_up(&mut chromium, &console, true).await;
    okta_provisions(&mut chromium, &client).await;
}

#[tokio::test]
async fn wizard_works_without_javascript() {
    let mut chromium = Chromium::start().await;
    chromium.disable_scripts().await;
    let console = Console::start(service(), &["--write"]);
    let client = set_up(&mut chromium, &console, false).await;
    okta_provisions(&mut chromium, &client).await;
}

/// Goes through the wizard. Returns a client with what its pages show.
async fn set_up(chromium: &mut Chromium, console: &Console, has_scripts: bool) -> Client {
    chromium.open(&console.link).await;
    assert_eq!(chromium.heading().await, "Connectors");
    assert_eq!(
        chromium.text_of("location.href").await,
        format!("{}/", console.origin()),
        "without the token"
    );
    chromium.follow("Set up a connector").await;
    assert_eq!(chromium.heading().await, "Set up a connector");

    chromium.enter("Id", "Not an id").await;
    chromium.enter("URL of the service", "scim.example.com").await;
    chromium.follow("Create the connector").await;
    let summary = chromium.text_of("document.activeElement.innerText").await;
    assert!(summary.starts_with("2 fields are wrong"), "the summary has the focus: {summary:?}");
    assert_eq!(chromium.run("return field('Id').value;").await, "Not an id");
    assert_eq!(
        chromium.run("return getComputedStyle(field('Id')).borderTopWidth;").await,
        "2px",
        "the field is marked"
    );

    let id = format!("t{}", Uuid::new_v4().simple());
    chromium.enter("Id", &id).await;
    chromium.enter("Name (optional)", "Okta <b>of</b> the test").await;
    chromium.enter("URL of the service", service().origin()).await;
    chromium.click("Username and password: Okta, and most others").await;
    chromium.follow("Create the connector").await;

    assert_eq!(chromium.heading().await, "New credential");
    assert!(chromium.text().await.contains("This page shows the secret only now"));
    let url = chromium.fact("Endpoint URL").await;
    let (username, password) = (chromium.fact("Username").await, chromium.fact("Password").await);
    assert_eq!(url, format!("{}/{id}/scim/v2", service().origin()));
    copy(chromium, &password, has_scripts).await;
    chromium.reload().await;
    let text = chromium.text().await;
    assert!(text.contains("The secret was shown before") && !text.contains(&password), "{text}");

    chromium.follow("Continue: users and groups").await;
    assert_eq!(chromium.heading().await, "Which users and groups are shown");
    chromium.enter("Users to hide", "svc-*\n*@test.invalid").await;
    chromium.follow("Preview").await;
    let changes = chromium.table("Settings that change").await;
    assert_eq!(changes, [["rules.exclude-users", "[]", r#"["svc-*", "*@test.invalid"]"#].map(str::to_owned)]);
    chromium.follow("Apply and continue").await;

    assert_eq!(chromium.heading().await, "From which attributes users are made");
    assert!(chromium.text().await.contains("There is no user yet."));
    chromium.follow("Continue without a change").await;

    assert_eq!(chromium.heading().await, "Connect the identity provider");
    let mut okta = chromium.table("What to enter in Okta").await;
    okta.retain(|row| ["SCIM connector base URL", "Username"].contains(&row[0].as_str()));
    let copy = if has_scripts { " Copy" } else { "" };
    assert_eq!(
        okta,
        [
            ["SCIM connector base URL".to_owned(), format!("{url}{copy}")],
            ["Username".to_owned(), username.clone()]
        ]
    );

    chromium.follow("Show the connector").await;
    assert_eq!(chromium.fact("Name").await, "Okta <b>of</b> the test");
    let (_, complaints) = chromium.take_observations();
    assert_eq!(complaints, [""; 0], "the browser complained");
    Client::new(&url, &username, &password)
}

/// With JavaScript, buttons copy the values. Without, there is no such button.
async fn copy(chromium: &mut Chromium, password: &str, has_scripts: bool) {
    let shown = "return [...document.querySelectorAll('button.copy')].filter(button => button.checkVisibility()).length;";
    assert_eq!(chromium.run(shown).await, if has_scripts { 3 } else { 0 });
    if has_scripts {
        chromium.click("Copy the password").await;
        chromium.wait_until("document.getElementById('live')?.textContent === 'Copied'").await;
        assert_eq!(chromium.run("return navigator.clipboard.readText();").await, password);
    }
}

/// Okta creates users and pushes a group, and the console shows them.
async fn okta_provisions(chromium: &mut Chromium, client: &Client) {
    let push = conversations("okta").into_iter().find(|one| one.file == "okta/11-group-push.json");
    push.expect("there is a conversation that pushes a group")
        .replay(client)
        .await
        .unwrap_or_else(|error| panic!("{error}"));
    chromium.reload().await;
    assert_eq!(chromium.fact("Users").await, "2 (0 deactivated)");
    assert_ne!(chromium.fact("Last contact").await, "never");
    chromium.follow("Users").await;
    let users: Vec<String> = chromium.table("Users").await.into_iter().map(|row| row[0].clone()).collect();
    assert_eq!(users, ["other.user@okta.local", "test.user@okta.local"]);
    chromium.follow("Groups").await;
    chromium.follow("Test SCIMv2").await;
    let mut members: Vec<String> =
        chromium.table("Members").await.into_iter().map(|row| row[0].clone()).collect();
    members.sort();
    assert_eq!(members, users);
    // The conversation creates the group twice. The second request gets 409, and the console shows it.
    chromium.follow("Requests").await;
    let failed = chromium.table("Requests").await;
    assert_eq!(failed.len(), 1, "{failed:?}");
    assert_eq!(
        failed[0][1..4],
        ["409 uniqueness", format!("POST /{}/scim/v2/Groups", client.connector()).as_str(), "Test SCIMv2"]
    );
    let found = client.get("/Users?filter=userName%20eq%20%22test.user@okta.local%22").await.json();
    assert_eq!(found["totalResults"], Value::from(1));
}
