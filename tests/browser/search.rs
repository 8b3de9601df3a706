//! Users are found by the beginning of a name: while the operator types, or, without JavaScript, with the button.

use tests::chromium::Chromium;
use tests::console::Console;
use tests::provisioning::create_users;
use tests::service::service;

const STATUS: &str = "document.querySelector('#results [role=status]').textContent";

async fn names(chromium: &mut Chromium) -> Vec<String> {
    chromium.table("Users").await.into_iter().map(|row| row[0].clone()).collect()
}

#[tokio::test]
async fn list_follows_what_is_typed_and_the_address_too() {
    let connector = service().connector().await;
    create_users(&connector.local(service()), 60).await;
    let console = Console::start(service(), &[]);
    let mut chromium = Chromium::start().await;
    chromium.open(&console.link).await;
    chromium.open_path(&format!("/connectors/{}/users", connector.id)).await;
    assert_eq!(names(&mut chromium).await.len(), 50);

    chromium.enter("Search", "user01").await;
    chromium.wait_until(&format!("{STATUS}.startsWith('10 users match')")).await;
    let expected: Vec<String> = (10..20).map(|number| format!("user{number:03}")).collect();
    assert_eq!(names(&mut chromium).await, expected);
    assert_eq!(chromium.focused().await, "Search", "the field keeps the focus");
    assert!(chromium.text_of("location.search").await.contains("q=user01"));
    // What a screen reader says.
    chromium.wait_until("document.getElementById('live')?.textContent.startsWith('10 users match')").await;

    chromium.insert("x").await;
    chromium.wait_until(&format!("{STATUS}.startsWith('0 users match')")).await;
    assert!(chromium.text().await.contains("No user."));
    // The address leads to the same list.
    chromium.reload().await;
    assert!(chromium.text_of(STATUS).await.starts_with("0 users match"));
    assert_eq!(chromium.take_observations().1, [""; 0]);
}

#[tokio::test]
async fn button_searches_and_links_lead_through_all_pages_without_javascript() {
    let connector = service().connector().await;
    create_users(&connector.local(service()), 60).await;
    let console = Console::start(service(), &[]);
    let mut chromium = Chromium::start().await;
    chromium.disable_scripts().await;
    chromium.open(&console.link).await;
    chromium.open_path(&format!("/connectors/{}/users", connector.id)).await;
    let mut all = names(&mut chromium).await;
    chromium.follow("Next page").await;
    all.extend(names(&mut chromium).await);
    assert_eq!(all, (0..60).map(|number| format!("user{number:03}")).collect::<Vec<_>>());

    chromium.enter("Search", "user05").await;
    chromium.follow("Search").await;
    assert!(chromium.text_of(STATUS).await.starts_with("10 users match"));
    assert_eq!(names(&mut chromium).await.len(), 10);
}
