//! Rules are previewed before they are stored.

use tests::chromium::Chromium;
use tests::console::Console;
use tests::provisioning::create_user;
use tests::service::service;

#[tokio::test]
async fn preview_names_who_disappears_and_only_apply_stores_the_rules() {
    let connector = service().connector().await;
    let client = connector.local(service());
    for name in ["ann", "ben", "svc-backup", "svc-reports"] {
        create_user(&client, name).await;
    }
    let reader = connector.reader(service()).await;
    let console = Console::start(service(), &["--write"]);
    let mut chromium = Chromium::start().await;
    chromium.open(&console.link).await;
    chromium.follow(&connector.id.to_string()).await;
    chromium.follow("Settings").await;
    chromium.follow("Change: Which users and groups are shown").await;
    // The preview follows what is typed.
    chromium.enter("Users to hide", "*-backup").await;
    chromium.wait_until("document.querySelector('main').innerText.includes('svc-backup')").await;
    assert!(!chromium.text().await.contains("svc-reports"));
    chromium.enter("Users to hide", "SVC-*").await;
    chromium.wait_until("document.querySelector('main').innerText.includes('svc-reports')").await;
    // Without JavaScript, the button shows the same.
    chromium.follow("Preview").await;

    let text = chromium.text().await;
    let (_, preview) = text.split_once(" Preview Settings that change ").unwrap_or_else(|| panic!("{text}"));
    for name in ["svc-backup", "svc-reports"] {
        assert!(preview.contains(name), "{preview}");
    }
    assert!(!preview.contains("ann") && !preview.contains("ben"), "{preview}");
    // The form keeps what was entered, so the operator can go on changing it.
    assert_eq!(chromium.run("return field('Users to hide').value;").await, "SVC-*");
    assert_eq!(
        reader.get("/users").await.json()["entries"].as_array().map(Vec::len),
        Some(4),
        "nothing is stored"
    );

    chromium.follow("Apply").await;
    assert!(chromium.text().await.contains("The settings are stored."));
    chromium.follow("Users").await;
    let states: Vec<[String; 2]> =
        chromium.table("Users").await.into_iter().map(|row| [row[0].clone(), row[4].clone()]).collect();
    let shown = |name: &str| [name.to_owned(), "shown".to_owned()];
    assert_eq!(states[..2], [shown("ann"), shown("ben")]);
    for [name, state] in &states[2..] {
        assert!(state.starts_with("hidden ") && state.contains("SVC-*"), "{name}: {state}");
    }
}
