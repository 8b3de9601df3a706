//! What `scimctl` does at a terminal: tables fit its width, headings are bold, and passwords are not shown.

use serde_json::json;
use tests::client::Client;
use tests::provisioning::{USER, create_group};
use tests::scimctl::scimctl;
use tests::service::{Service, TestConnector, secret, service};
use tests::terminal::Terminal;

/// Creates a user with a Japanese name and a long email address, in groups whose names do not fit.
async fn create_taro(connector: &TestConnector) {
    let client = connector.local(service());
    let email = "taro.yamada@a-very-long-subdomain.example.com";
    let body = json!({
        "schemas": [USER], "userName": "taro", "displayName": "山田 太郎",
        "emails": [{ "value": email, "primary": true }]
    });
    let taro = client.post("/Users", &body).await.json()["id"].as_str().unwrap().to_owned();
    create_group(&client, "マーケティング部", std::slice::from_ref(&taro)).await;
}

#[tokio::test]
async fn table_fits_the_terminal_and_a_pipe_gets_whole_cells_without_colours() {
    let connector = service().connector().await;
    create_taro(&connector).await;
    let id = connector.id.to_string();
    let arguments = ["user", "list", &id];
    let whole = "USERNAME  NAME       EMAIL                                          GROUPS            ORIGIN\n\
                 taro      山田 太郎  taro.yamada@a-very-long-subdomain.example.com  マーケティング部  scim\n\
                 1 user\n";
    assert_eq!(scimctl(service(), &arguments).ok(), whole);
    let cut = "USERNAME  NAME       EMAIL               GROUPS            ORIGIN\n\
               taro      山田 太郎  taro.yamada@a-ver…  マーケティング部  scim\n\
               1 user\n";
    let at = |variables: &[(&str, &str)], arguments: &[&str]| {
        Terminal::start(service(), 65, variables, arguments).finish()
    };
    assert_eq!(at(&[("NO_COLOR", "1")], &arguments), cut);
    assert_eq!(at(&[("NO_COLOR", "1")], &["user", "list", &id, "--wide"]), whole);
    let coloured = at(&[], &arguments);
    let (heading, rest) = cut.split_once('\n').unwrap();
    let (row, total) = rest.trim_end().split_once('\n').unwrap();
    assert_eq!(coloured, format!("\u{1b}[1m{heading}\u{1b}[0m\n{row}\n\u{1b}[2m{total}\u{1b}[0m\n"));
}

#[tokio::test]
async fn password_is_asked_for_twice_and_not_shown() {
    let service = Service::start();
    let connector = service.connector_named("okta", "okta", &secret()).await;
    let rotate = ["connector", "rotate", "okta", "--username", "okta", "--password", "-"];
    let password = "correct horse battery";
    let mut terminal = Terminal::start(&service, 80, &[], &rotate);
    terminal.enter_hidden("Enter the new password:", password);
    terminal.enter_hidden("Enter it again:", "another horse battery");
    let shown = terminal.finish();
    assert!(shown.contains("the two passwords differ, so nothing is changed"), "{shown}");

    let mut terminal = Terminal::start(&service, 80, &[], &rotate);
    terminal.enter_hidden("Enter the new password:", password);
    terminal.enter_hidden("Enter it again:", password);
    let shown = terminal.finish();
    assert!(
        shown.starts_with("Enter the new password:\n\nEnter it again:\n\nUsername:      okta\n"),
        "{shown}"
    );
    assert!(!shown.contains("horse"), "{shown}");
    let url = &connector.local(&service).base_url;
    assert_eq!(Client::new(url, "okta", password).get("/Users").await.status, 200);
}
