//! The console explains a user whom the identity provider deactivated.

use tests::chromium::Chromium;
use tests::console::Console;
use tests::provisioning::{create_group, create_user, set_active_body};
use tests::scimctl::run;
use tests::service::service;

#[tokio::test]
async fn page_of_a_leaver_says_since_when_why_and_that_the_groups_are_gone() {
    let connector = service().connector().await;
    let client = connector.local(service());
    let (ann, ben) = (create_user(&client, "ann").await, create_user(&client, "ben").await);
    let sales = create_group(&client, "Sales", &[ann.clone(), ben]).await;
    create_group(&client, "Company", &[sales]).await;
    run(&connector, &["role", "create", "approver"]).ok();
    run(&connector, &["role", "assign", "approver", "Company"]).ok();
    let console = Console::start(service(), &[]);
    let mut chromium = Chromium::start().await;
    chromium.open(&console.link).await;
    chromium.follow(&connector.id.to_string()).await;
    chromium.follow("Users").await;
    chromium.follow("ann").await;
    assert_eq!(chromium.fact("State").await, "shown");
    let groups = |rows: Vec<Vec<String>>| -> Vec<[String; 2]> {
        rows.into_iter().map(|row| [row[0].clone(), row[1].clone()]).collect()
    };
    let mut before = groups(chromium.table("Groups").await);
    before.sort();
    let pair = |group: &str, how: &str| [group.to_owned(), how.to_owned()];
    assert_eq!(before, [pair("Company", "through Sales"), pair("Sales", "direct")]);
    assert_eq!(groups(chromium.table("Roles").await).len(), 1);

    assert_eq!(client.patch(&format!("/Users/{ann}"), &set_active_body(false)).await.status, 200);
    chromium.reload().await;
    let state = chromium.fact("State").await;
    assert!(state.starts_with("hidden ") && state.contains("deactivated"), "{state}");
    let text = chromium.text().await;
    assert!(text.contains("The user is in no group.") && text.contains("The user has no role."), "{text}");

    chromium.follow("Why").await;
    let today = chromium.text_of("new Date().toISOString().slice(0, 10)").await;
    let text = chromium.text().await;
    let (_, since) = text.split_once("eactivated").unwrap_or_else(|| panic!("{text}"));
    assert!(since.contains(&today), "since when: {text}");

    chromium.follow("History").await;
    let newest = chromium.table("Changes, the newest first").await.swap_remove(0);
    assert!(newest[1].starts_with("client "), "{newest:?}");
    assert_eq!(newest[2..5], ["update", "User", "ann"]);
    assert_eq!(newest[6], "active: true → false; left Sales");
}
