//! Rotate, retire, disable, enable and delete in the console: each needs the name of the connector, and leaves the same audit record
//! as the command.

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tests::client::Client;
use tests::console::{Console, Page};
use tests::scimctl::{operator, scimctl};
use tests::service::{TestConnector, service};

/// The newest audit record of the connector itself: who, operation, and each value: what, from, to.
fn newest(connector: &TestConnector) -> (String, String, Vec<[String; 3]>) {
    let id = connector.id.to_string();
    let printed = scimctl(service(), &["audit", &id, "--json", "--limit", "1"]).ok();
    let record: Value = serde_json::from_str(printed.lines().next().unwrap()).unwrap();
    assert_eq!(
        (&record["kind"], &record["by"], &record["id"]),
        (&"Connector".into(), &"operator".into(), &id.into())
    );
    assert!(record["request"].as_str().unwrap().starts_with("scimctl-"));
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let values = record["values"].as_array().unwrap().iter();
    let values = values.map(|value| ["what", "from", "to"].map(|field| text(&value[field]))).collect();
    (text(&record["who"]), text(&record["operation"]), values)
}

fn shown(connector: &TestConnector) -> Value {
    let printed = scimctl(service(), &["connector", "show", &connector.id.to_string(), "--json"]).ok();
    serde_json::from_str(&printed).unwrap()
}

/// The value after a label in a list of facts.
fn fact(page: &Page, label: &str) -> String {
    let (_, rest) =
        page.html.split_once(&format!("<dt>{label}</dt><dd>")).unwrap_or_else(|| panic!("{}", page.html));
    let (_, rest) = rest.split_once("<code>").unwrap();
    rest.split_once("</code>").unwrap().0.to_owned()
}

#[tokio::test]
async fn wrong_confirmation_changes_nothing() {
    let connector = service().connector().await;
    let console = Console::start(service(), &["--write"]);
    let browser = console.sign_in().await;
    let before = shown(&connector);
    let credential = before["credentials"][0]["id"].as_str().unwrap();
    let id = connector.id.to_string();
    for change in ["rotate", "disable", "enable", "delete", &format!("credentials/{credential}/retire")] {
        let path = format!("/connectors/{id}/{change}");
        let asked = browser.get(&path).await;
        assert!(
            asked.text().contains(&format!("To confirm, enter the name of the connector: {id}")),
            "{change}"
        );
        for entered in ["", "wrong", &id.to_uppercase()] {
            let fields = [("confirmation", entered), ("scope", "scim"), ("kind", "password")];
            let refused = browser.post(&path, &fields).await;
            let sentence = format!("{entered:?} is not {id}, so nothing is changed");
            assert_eq!(refused.status(), 422, "{change} {entered}");
            // In the summary, which gets the focus, and beside the field.
            assert_eq!(refused.text().matches(&sentence).count(), 2, "{change}: {}", refused.text());
            assert!(
                refused.html.contains("<a href=\"#confirmation\">")
                    && refused.html.contains("aria-invalid=\"true\"")
            );
            assert!(refused.html.contains("role=\"alert\" tabindex=\"-1\" autofocus"), "{}", refused.html);
        }
    }
    assert_eq!(shown(&connector), before);
}

#[tokio::test]
async fn rotation_shows_the_new_secret_once_and_keeps_the_old_one_valid() {
    let connector = service().connector().await;
    let id = connector.id.to_string();
    // One of each kind can be added beside the present ones.
    let console = Console::start(service(), &["--write", "--url", service().origin()]);
    let browser = console.sign_in().await;
    let path = format!("/connectors/{id}/rotate");
    for (field, wrong) in
        [("scope", [("scope", "x"), ("kind", "token")]), ("kind", [("scope", "scim"), ("kind", "x")])]
    {
        let fields = [&wrong[..], &[("confirmation", id.as_str())]].concat();
        let refused = browser.post(&path, &fields).await;
        assert_eq!(refused.status(), 422);
        assert!(refused.html.contains(&format!("<a href=\"#{field}\">")), "{}", refused.html);
    }
    let fields = [("confirmation", id.as_str()), ("scope", "scim"), ("kind", "password")];
    let sent = browser.post(&path, &fields).await;
    assert_eq!(sent.status(), 303, "{}", sent.text());
    let other = service().connector().await;
    let elsewhere = sent.location().replace(&id, &other.id.to_string());
    assert_eq!(browser.get(&elsewhere).await.status(), 410, "the page belongs to one connector");
    let page = browser.get(sent.location()).await;
    let [url, username, password] = ["Endpoint URL", "Username", "Password"].map(|label| fact(&page, label));
    assert_eq!(
        (url.as_str(), username.as_str()),
        (format!("{}/{id}/scim/v2", service().origin()).as_str(), "okta")
    );
    assert_eq!(Client::new(&url, &username, &password).get("/Users").await.status, 200);
    assert_eq!(connector.local(service()).get("/Users").await.status, 200, "the old one goes on");
    let again = browser.get(sent.location()).await;
    assert_eq!(again.status(), 410);
    assert!(again.text().contains("The secret was shown before"), "{}", again.text());
    let overview = browser.get(&format!("/connectors/{id}")).await;
    for page in [&again, &overview] {
        assert!(!page.html.contains(&password));
    }
    let credential = fact(&page, "Id of the credential");
    let (who, operation, values) = newest(&connector);
    assert_eq!((who, operation.as_str()), (operator(), "update"));
    assert!(values.iter().any(|[what, from, _]| what.contains(&credential) && from.is_empty()), "{values:?}");
    let trail = scimctl(service(), &["audit", &id, "--json"]).ok();
    assert!(!trail.contains(&password));
    // Two passwords are live now.
    let refused = browser.post(&path, &fields).await;
    assert_eq!(refused.status(), 409);
    assert!(refused.text().contains("retire one first"), "{}", refused.text());
    let token = [("confirmation", id.as_str()), ("scope", "directory"), ("kind", "token")];
    let page = browser.submit(&path, &token).await;
    let reader = Client::new(&fact(&page, "URL of the directory API"), "", "");
    let bearer = format!("Bearer {}", fact(&page, "Token"));
    assert_eq!(reader.send("GET", "/users", &[("authorization", &bearer)], "").await.status, 200);
}

#[tokio::test]
async fn retirement_deletes_one_credential_and_warns_about_the_last_one() {
    let connector = service().connector().await;
    let id = connector.id.to_string();
    let console = Console::start(service(), &["--write"]);
    let browser = console.sign_in().await;
    let credentials = shown(&connector)["credentials"].as_array().unwrap().clone();
    let ids: Vec<&str> = credentials.iter().map(|one| one["id"].as_str().unwrap()).collect();
    let path = |credential: &str| format!("/connectors/{id}/credentials/{credential}/retire");
    assert_eq!(browser.get(&path("nothing")).await.status(), 404);
    let warning = "This is the last valid credential with the scope scim";
    assert!(!browser.get(&path(ids[0])).await.text().contains(warning));
    let page = browser.submit(&path(ids[0]), &[("confirmation", &id)]).await;
    assert!(page.text().contains("The credential is retired"), "{}", page.text());
    let (who, operation, values) = newest(&connector);
    assert_eq!((who, operation.as_str()), (operator(), "update"));
    assert!(values.iter().any(|[what, _, to]| what.contains(ids[0]) && to.is_empty()), "{values:?}");
    assert_eq!(shown(&connector)["credentials"].as_array().unwrap().len(), 1);
    assert!(browser.get(&path(ids[1])).await.text().contains(warning));
    let page = browser.submit(&path(ids[1]), &[("confirmation", &id)]).await;
    assert!(page.text().contains("no valid credential"), "{}", page.text());
}

#[tokio::test]
async fn connector_is_disabled_and_enabled() {
    let connector = service().connector().await;
    let id = connector.id.to_string();
    let console = Console::start(service(), &["--write"]);
    let browser = console.sign_in().await;
    for (change, state, sentence) in [
        ("disable", "disabled", "The connector is disabled"),
        ("enable", "enabled", "The connector is enabled"),
    ] {
        let page = browser.submit(&format!("/connectors/{id}/{change}"), &[("confirmation", &id)]).await;
        assert!(page.text().contains(sentence), "{}", page.text());
        assert_eq!(shown(&connector)["state"], state);
        let (who, operation, _) = newest(&connector);
        assert_eq!((who, operation.as_str()), (operator(), "update"), "{change}");
    }
}

#[tokio::test]
async fn deletion_begins_at_once_and_is_named_at_the_end() {
    let connector = service().connector().await;
    let id = connector.id.to_string();
    let console = Console::start(service(), &["--write"]);
    let browser = console.sign_in().await;
    let path = format!("/connectors/{id}/delete");
    assert!(
        browser.get(&path).await.text().contains("All users, groups and roles of the connector are deleted")
    );
    let page = browser.submit(&path, &[("confirmation", &id)]).await;
    assert!(page.text().contains("The console waits two and a half minutes"), "{}", page.text());
    assert_eq!(shown(&connector)["state"], "deleting");
    let (who, operation, _) = newest(&connector);
    assert_eq!((who, operation.as_str()), (operator(), "delete"));
    let settings = browser.get(&format!("/connectors/{id}/settings/rules")).await;
    assert_eq!(settings.status(), 409);
    let (code, err) = console.interrupt();
    assert_eq!(code, Some(0));
    assert!(err.contains(&format!("To continue it, run: scimctl connector delete {id}")), "{err}");
}

#[tokio::test]
async fn interrupted_deletion_is_continued() {
    let connector = service().connector().await;
    let id = connector.id.to_string();
    let long_ago = Timestamp::now() - SignedDuration::from_mins(10);
    service().connectors().begin_deletion(&connector.id, long_ago).await.unwrap();
    let console = Console::start(service(), &["--write"]);
    let browser = console.sign_in().await;
    let page = browser.get(&format!("/connectors/{id}")).await;
    assert!(
        page.text().contains("The deletion of this connector was interrupted. Continue it"),
        "{}",
        page.text()
    );
    let sent = browser.post(&format!("/connectors/{id}/delete"), &[("confirmation", &id)]).await;
    assert_eq!(sent.status(), 303);
    let limit = std::time::Instant::now() + tests::service::TIME_LIMIT;
    while browser.get(&format!("/connectors/{id}")).await.status() != 404 {
        assert!(std::time::Instant::now() < limit, "the connector is not deleted");
    }
    assert!(scimctl(service(), &["connector", "show", &id]).failed().contains("there is no connector"));
}
