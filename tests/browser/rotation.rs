//! A rotation: the new secret works at once, the old one goes on, and then it is retired.

use tests::chromium::Chromium;
use tests::client::Client;
use tests::console::Console;
use tests::service::service;

#[tokio::test]
async fn new_secret_works_at_once_and_the_old_one_until_it_is_retired() {
    let connector = service().connector().await;
    let old = connector.local(service());
    let id = connector.id.to_string();
    assert_eq!(old.get("/Users").await.status, 200);
    let console = Console::start(service(), &["--write"]);
    let mut chromium = Chromium::start().await;
    chromium.open(&console.link).await;
    chromium.follow(&id).await;
    let caption = "Credentials, without their secrets";
    let before = chromium.table(caption).await;
    let old_one =
        before.iter().find(|row| row[2] == "Basic").expect("the connector has a password")[0].clone();

    chromium.follow("Rotate the credential").await;
    chromium.click("Username and password (Basic)").await;
    let confirm = format!("To confirm, enter the name of the connector: {id}");
    chromium.enter(&confirm, "another").await;
    chromium.follow("Add the credential").await;
    assert!(chromium.text().await.contains("so nothing is changed"));
    chromium.enter(&confirm, &id).await;
    chromium.follow("Add the credential").await;
    assert_eq!(chromium.heading().await, "New credential");
    let (username, password) = (chromium.fact("Username").await, chromium.fact("Password").await);
    let new = Client::new(&old.base_url, &username, &password);
    assert_eq!(new.get("/Users").await.status, 200, "the new secret works at once");
    assert_eq!(old.get("/Users").await.status, 200, "the old one goes on");

    chromium.follow("I have stored it").await;
    assert_eq!(chromium.table(caption).await.len(), before.len() + 1);
    chromium.follow(&format!("Retire credential {old_one}")).await;
    chromium.enter(&confirm, &id).await;
    chromium.follow("Retire the credential").await;
    assert!(chromium.text().await.contains("The credential is retired."));
    let left = chromium.table(caption).await;
    assert!(left.len() == before.len() && left.iter().all(|row| row[0] != old_one), "{left:?}");
    // The local server may remember the connector for a minute. The functions have not served it yet.
    let functions = connector.functions(service()).base_url;
    let status = async |username: &str, password: &str| {
        Client::new(&functions, username, password).get("/Users").await.status
    };
    assert_eq!(status(&old.username, &connector.password).await, 401, "the old one is refused");
    assert_eq!(status(&username, &password).await, 200);
}
