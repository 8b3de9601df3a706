//! The console with the keyboard alone.

use tests::chromium::Chromium;
use tests::console::Console;
use tests::scimctl::scimctl;
use tests::service::service;
use uuid::Uuid;

#[tokio::test]
async fn form_is_reached_filled_and_sent_with_the_keyboard_alone() {
    let console = Console::start(service(), &["--write"]);
    let mut chromium = Chromium::start().await;
    chromium.open(&console.link).await;
    chromium.press("Tab").await;
    assert_eq!(chromium.focused().await, "Skip to the content", "the first stop");
    chromium.press("Enter").await;
    assert_eq!(chromium.text_of("document.activeElement.id").await, "main");
    assert_eq!(chromium.tab_to("Set up a connector").await, [""; 0], "the navigation is skipped");
    chromium.press_and_follow("Enter").await;

    chromium.tab_to("Id").await;
    chromium.insert("Wrong id").await;
    // Enter in a field sends the form. The summary of the errors gets the focus, and its link leads to the field.
    chromium.press_and_follow("Enter").await;
    assert!(chromium.text_of("document.activeElement.className").await.contains("summary"));
    let links = chromium.run("return [...document.querySelectorAll('.summary a')].map(named);").await;
    chromium.tab_to(links[0].as_str().unwrap()).await;
    chromium.press("Enter").await;
    assert_eq!(chromium.focused().await, "Id");

    let id = format!("t{}", Uuid::new_v4().simple());
    chromium.run("document.activeElement.select();").await;
    chromium.insert(&id).await;
    chromium.tab_to("URL of the service").await;
    chromium.insert(service().origin()).await;
    chromium.tab_to("Username and password: Okta, and most others").await;
    chromium.tab_to("Create the connector").await;
    chromium.press_and_follow("Enter").await;
    assert_eq!(chromium.heading().await, "New credential");
    scimctl(service(), &["connector", "show", &id]).ok();
}
