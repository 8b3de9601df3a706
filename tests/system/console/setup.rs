//! The wizard of the console: name, credential, rules, mapping, and what to enter in the identity provider.

use serde_json::Value;
use tests::client::Client;
use tests::console::{Browser, Console, Page};
use tests::provisioning::create_user;
use tests::scimctl::{operator, scimctl};
use tests::service::service;
use uuid::Uuid;

fn new_id() -> String {
    format!("t{}", Uuid::new_v4().simple())
}

fn show(id: &str) -> Value {
    serde_json::from_str(&scimctl(service(), &["connector", "show", id, "--json"]).ok()).unwrap()
}

/// The values that the page offers to copy, in their order.
fn copyable(page: &Page) -> Vec<String> {
    let parts = page.html.split("data-copy=\"").skip(1);
    parts.map(|part| part.split('"').next().unwrap().to_owned()).collect()
}

async fn wrong_field(browser: &Browser, fields: &[(&str, &str)], field: &str, sentence: &str) {
    let page = browser.post("/new", fields).await;
    assert_eq!(page.status(), 422, "{fields:?}");
    assert!(page.html.contains(&format!("<a href=\"#{field}\">")), "{fields:?}: {}", page.html);
    assert!(page.text().contains(sentence), "{fields:?}: {}", page.text());
    // What was entered stays.
    for (_, value) in fields.iter().filter(|(name, value)| *name != "kind" && !value.is_empty()) {
        let escaped =
            value.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;");
        assert!(page.html.contains(&format!("value=\"{escaped}\"")), "{value}: {}", page.html);
    }
}

#[tokio::test]
async fn wizard_leads_from_the_name_to_what_to_enter_in_okta() {
    let id = new_id();
    let console = Console::start(service(), &["--write"]);
    let browser = console.sign_in().await;
    let start = browser.get("/new").await;
    assert!(start.html.contains("<li aria-current=\"step\">Name</li>"), "{}", start.html);
    // 1: the name.
    let url = service().origin();
    let fields = [("id", id.as_str()), ("name", "Okta, <test>"), ("url", url), ("kind", "password")];
    // 2: the credential, once.
    let page = browser.submit("/new", &fields).await;
    assert!(page.html.contains("<li aria-current=\"step\">Credential</li>"), "{}", page.html);
    let values = copyable(&page);
    let [endpoint, username, password] = &values[..] else { panic!("{values:?}") };
    assert_eq!((endpoint, username), (&format!("{url}/{id}/scim/v2"), &id));
    let client = Client::new(endpoint, username, password);
    create_user(&client, "ann@example.com").await;
    create_user(&client, "svc-backup").await;
    let shown = show(&id);
    assert_eq!((&shown["name"], &shown["state"]), (&"Okta, <test>".into(), &"enabled".into()));
    let audit = scimctl(service(), &["audit", &id, "--json", "--resource", &id]).ok();
    let created: Value = serde_json::from_str(audit.lines().last().unwrap()).unwrap();
    assert_eq!((&created["operation"], &created["who"]), (&"create".into(), &operator().into()));
    assert!(!audit.contains(password));
    // 3: rules, with the users who disappear.
    let rules = format!("/connectors/{id}/setup/rules");
    assert!(page.html.contains(&format!("href=\"{rules}\"")), "{}", page.html);
    let page = browser.get(&rules).await;
    assert!(page.html.contains("<li aria-current=\"step\">Users and groups</li>"));
    let entered = [("rules.exclude-users", "svc-*\r\nroot\r\n"), ("preview", "true")];
    let preview = browser.post(&rules, &entered).await;
    assert_eq!(preview.status(), 200);
    assert!(preview.text().contains("1 user would disappear svc-backup"), "{}", preview.text());
    assert_eq!(
        preview.table("Settings that change"),
        [["rules.exclude-users", "[]", "[\"svc-*\", \"root\"]"]]
    );
    assert_eq!(
        show(&id)["settings"]["rules"]["exclude-users"],
        serde_json::json!([]),
        "a preview stores nothing"
    );
    let revision = preview.hidden("revision").unwrap();
    let apply = [("rules.exclude-users", "svc-*\r\nroot"), ("revision", &revision), ("apply", "true")];
    // 4: the mapping, with a real user.
    let page = browser.submit(&rules, &apply).await;
    assert!(page.html.contains("<li aria-current=\"step\">Attributes</li>"), "{}", page.html);
    assert_eq!(show(&id)["settings"]["rules"]["exclude-users"], serde_json::json!(["svc-*", "root"]));
    let mapping = format!("/connectors/{id}/setup/mapping");
    let entered = [
        ("mapping.username", "userName"),
        ("mapping.username-from-email", "true"),
        ("mapping.username-case", "upper"),
        ("mapping.first-name", "name.givenName"),
        ("mapping.last-name", "name.familyName"),
        ("mapping.email", "emails[type eq \"work\"].value"),
        ("mapping.display-name", "given-or-names"),
        ("mapping.group-name", "displayName"),
    ];
    let preview = browser
        .post(&mapping, &[&entered[..], &[("sample", "ann@example.com"), ("preview", "true")]].concat())
        .await;
    let rows = preview.table("The user ann@example.com");
    assert_eq!(rows[0], ["Username", "ann@example.com", "ANN", "userName, the part before the @"]);
    assert_eq!(rows[5], ["Hidden", "no", "no", "rules and mapping"]);
    let revision = preview.hidden("revision").unwrap();
    let apply = [&entered[..], &[("revision", revision.as_str()), ("apply", "true")]].concat();
    // 5: what to enter.
    let page = browser.submit(&mapping, &apply).await;
    assert!(page.html.contains("<li aria-current=\"step\">Identity provider</li>"), "{}", page.html);
    let okta = page.table("What to enter in Okta");
    let fields: Vec<&str> = okta.iter().map(|row| row[0].as_str()).collect();
    let expected = [
        "SCIM connector base URL",
        "Unique identifier field for users",
        "Supported provisioning actions",
        "Authentication Mode",
        "Username",
        "Password",
    ];
    assert_eq!(fields, expected);
    assert!(okta[0][1].starts_with(endpoint.as_str()), "{okta:?}");
    assert_eq!((okta[3][1].as_str(), &okta[4][1]), ("Basic Auth", username));
    let entra = page.table("What to enter in Microsoft Entra ID");
    assert_eq!((entra[0][0].as_str(), entra[1][0].as_str()), ("Tenant URL", "Secret Token"));
    assert!(!page.html.contains(password.as_str()));
    assert_eq!(show(&id)["settings"]["mapping"]["username-case"], "upper");
}

#[tokio::test]
async fn wrong_names_and_urls_are_explained_beside_the_field() {
    let console = Console::start(service(), &["--write"]);
    let browser = console.sign_in().await;
    let (id, url) = (new_id(), "https://scim.example.com");
    let existing = service().connector().await.id.to_string();
    for (fields, field, sentence) in [
        ([("id", ""), ("url", url), ("kind", "token")], "id", "\"\" is not a connector id"),
        ([("id", "Okta Test"), ("url", url), ("kind", "token")], "id", "use 1 to 63 of a-z, 0-9 and -"),
        ([("id", "<script>"), ("url", url), ("kind", "token")], "id", "\"<script>\" is not a connector id"),
        ([("id", &existing), ("url", url), ("kind", "token")], "id", "already exists; choose another id"),
        (
            [("id", &id), ("url", "http://scim.example.com"), ("kind", "token")],
            "url",
            "Enter the https:// URL of the service",
        ),
        (
            [("id", &id), ("url", "https://scim.example.com/okta/scim/v2"), ("kind", "token")],
            "url",
            "Enter the URL of the service: https://scim.example.com",
        ),
        ([("id", &id), ("url", url), ("kind", "")], "kind", "Choose how the identity provider signs in"),
    ] {
        wrong_field(&browser, &fields, field, sentence).await;
    }
    assert!(scimctl(service(), &["connector", "show", &id]).failed().contains("there is no connector"));
}

#[tokio::test]
async fn token_for_entra_is_shown_once() {
    let id = new_id();
    let console = Console::start(service(), &["--write"]);
    let browser = console.sign_in().await;
    let fields = [("id", id.as_str()), ("url", service().origin()), ("kind", "token")];
    let sent = browser.post("/new", &fields).await;
    let page = browser.get(sent.location()).await;
    let values = copyable(&page);
    let [endpoint, token] = &values[..] else { panic!("{values:?}") };
    assert_eq!(show(&id)["name"], id);
    let bearer = format!("Bearer {token}");
    let reply = Client::new(endpoint, "", "").send("GET", "/Users", &[("authorization", &bearer)], "").await;
    assert_eq!(reply.status, 200);
    let again = browser.get(sent.location()).await;
    assert_eq!((again.status(), again.html.contains(token.as_str())), (410, false));
    let done = browser.get(&format!("/connectors/{id}/setup/done")).await;
    let okta = done.table("What to enter in Okta");
    assert!(okta[3][1].starts_with("HTTP Header"), "{okta:?}");
    // The console remembers the URL of the service for the next connector.
    assert!(browser.get("/new").await.html.contains(&format!("value=\"{}\"", service().origin())));
}

#[tokio::test]
async fn steps_can_be_left_without_a_change() {
    let connector = service().connector().await;
    let console = Console::start(service(), &["--write"]);
    let browser = console.sign_in().await;
    let path = format!("/connectors/{}/setup", connector.id);
    let rules = browser.get(&format!("{path}/rules")).await;
    assert!(
        rules.html.contains(&format!("<a href=\"{path}/mapping\">Continue without a change</a>")),
        "{}",
        rules.html
    );
    let mapping = browser.get(&format!("{path}/mapping")).await;
    assert!(
        mapping.html.contains(&format!("<a href=\"{path}/done\">Continue without a change</a>")),
        "{}",
        mapping.html
    );
    assert!(mapping.text().contains("There is no user yet"), "{}", mapping.text());
    let same = browser.post(&format!("{path}/rules"), &[("preview", "true")]).await;
    assert!(same.text().contains("These are the present settings."), "{}", same.text());
    assert_eq!(browser.get(&format!("{path}/nothing")).await.status(), 404);
}
