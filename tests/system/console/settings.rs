//! The settings in the console: shown, previewed and applied. A preview reads only the first part of a large directory.

use serde_json::{Value, json};
use tests::console::{Browser, Console};
use tests::provisioning::{USER, create_group, create_user};
use tests::scimctl::{operator, scimctl};
use tests::seed;
use tests::service::{TestConnector, service};

fn settings(connector: &TestConnector) -> Value {
    let printed = scimctl(service(), &["connector", "show", &connector.id.to_string(), "--json"]).ok();
    serde_json::from_str::<Value>(&printed).unwrap()["settings"].clone()
}

const BEHAVIOUR: [(&str, &str); 5] = [
    ("on-deactivate", "leave-groups"),
    ("on-delete", "delete"),
    ("audit-days", "365"),
    ("token-minutes", "60"),
    ("trail", "failures"),
];

/// The fields of the page with some replaced or added.
fn behaviour<'f>(changes: &[(&'f str, &'f str)]) -> Vec<(&'f str, &'f str)> {
    let kept = BEHAVIOUR.into_iter().filter(|(name, _)| changes.iter().all(|(changed, _)| changed != name));
    kept.chain(changes.iter().copied()).collect()
}

async fn apply(browser: &Browser, path: &str, fields: &[(&str, &str)]) -> String {
    let preview = browser.post(path, &[fields, &[("preview", "true")]].concat()).await;
    assert_eq!(preview.status(), 200, "{}", preview.text());
    let revision = preview.hidden("revision").unwrap_or_else(|| panic!("{}", preview.text()));
    browser.submit(path, &[fields, &[("revision", &revision), ("apply", "true")]].concat()).await.text()
}

#[tokio::test]
async fn page_lists_every_setting() {
    let connector = service().connector().await;
    let console = Console::start(service(), &[]);
    let page = console.sign_in().await.get(&format!("/connectors/{}/settings", connector.id)).await;
    let exported = scimctl(service(), &["connector", "export", &connector.id.to_string()]).ok();
    let mut expected: Vec<String> = Vec::new();
    let mut table = String::new();
    for line in exported.lines() {
        if let Some(name) = line.strip_prefix('[') {
            table = format!("{}.", name.trim_end_matches(']'));
        } else if let Some((name, _)) = line.split_once(" = ") {
            expected.push(format!("{table}{name}"));
        }
    }
    let captions = [
        "Which users and groups are shown",
        "From which attributes users are made",
        "What the connector does",
    ];
    let mut shown: Vec<String> =
        captions.iter().flat_map(|caption| page.table(caption)).map(|row| row[0].clone()).collect();
    shown.sort();
    expected.sort();
    assert_eq!(shown, expected);
    assert!(!page.html.contains("<form"));
}

#[tokio::test]
async fn settings_are_previewed_and_then_applied_as_previewed() {
    let connector = service().connector().await;
    let console = Console::start(service(), &["--write"]);
    let browser = console.sign_in().await;
    let path = format!("/connectors/{}/settings/behaviour", connector.id);
    let fields = behaviour(&[
        ("on-deactivate", "keep-groups"),
        ("audit-days", "30"),
        ("attribute-only", "true"),
        ("trail", "all"),
    ]);
    let text = apply(&browser, &path, &fields).await;
    assert!(text.contains("The settings are stored"), "{text}");
    let stored = settings(&connector);
    let picked =
        ["on-deactivate", "audit-days", "attribute-only", "trail", "link-by-email"].map(|name| &stored[name]);
    assert_eq!(picked, [&json!("keep-groups"), &json!(30), &json!(true), &json!("all"), &json!(false)]);
    let audit = scimctl(service(), &["audit", &connector.id.to_string(), "--json", "--limit", "1"]).ok();
    let record: Value = serde_json::from_str(audit.lines().next().unwrap()).unwrap();
    assert_eq!((&record["operation"], &record["who"]), (&json!("update"), &json!(operator())));
    let values = record["values"].as_array().unwrap();
    let days = values.iter().find(|value| value["what"].as_str().unwrap().contains("audit-days"));
    assert_eq!(
        days.map(|value| [&value["from"], &value["to"]]),
        Some([&json!("365"), &json!("30")]),
        "{values:?}"
    );
    // A box that is not ticked is false.
    apply(&browser, &path, &BEHAVIOUR).await;
    assert_eq!(settings(&connector)["attribute-only"], false);
}

#[tokio::test]
async fn wrong_settings_are_explained_beside_the_field() {
    let connector = service().connector().await;
    let console = Console::start(service(), &["--write"]);
    let browser = console.sign_in().await;
    let before = settings(&connector);
    let mapping = |change: (&'static str, &'static str)| {
        let fields = [
            ("mapping.username", "userName"),
            ("mapping.username-case", "as-is"),
            ("mapping.first-name", "name.givenName"),
            ("mapping.last-name", "name.familyName"),
            ("mapping.email", "emails[primary eq true].value"),
            ("mapping.display-name", "given-or-names"),
            ("mapping.group-name", "displayName"),
        ];
        fields.map(|field| if field.0 == change.0 { change } else { field }).to_vec()
    };
    for (kind, fields, field, sentence) in [
        ("behaviour", behaviour(&[("audit-days", "many")]), "audit-days", "must be a whole number"),
        ("behaviour", behaviour(&[("audit-days", "0")]), "audit-days", "it must be from 1 to 3653"),
        ("behaviour", behaviour(&[("token-minutes", "1")]), "token-minutes", "it must be from 60 to 360"),
        ("behaviour", behaviour(&[("on-delete", "explode")]), "on-delete", "choose a value of the list"),
        (
            "behaviour",
            behaviour(&[("strict", "true"), ("on-delete", "refuse")]),
            "strict",
            "on-delete must be delete",
        ),
        ("mapping", mapping(("mapping.email", "emials")), "mapping.email", "mapping.email: "),
        ("mapping", mapping(("mapping.email", "<script>")), "mapping.email", "mapping.email: "),
        ("mapping", mapping(("mapping.group-name", "members.display")), "mapping.group-name", "is generated"),
        (
            "mapping",
            mapping(("mapping.username-case", "x")),
            "mapping.username-case",
            "choose a value of the list",
        ),
    ] {
        let path = format!("/connectors/{}/settings/{kind}", connector.id);
        for button in ["preview", "apply"] {
            let page = browser.post(&path, &[&fields[..], &[(button, "true")]].concat()).await;
            assert_eq!(page.status(), 422, "{fields:?}");
            assert!(page.html.contains(&format!("<a href=\"#{field}\">")), "{fields:?}: {}", page.html);
            assert!(page.html.contains(&format!("id=\"{field}-error\"")), "{fields:?}: {}", page.html);
            assert!(page.text().contains(sentence), "{fields:?}: {}", page.text());
            assert!(!page.html.contains("<script>"), "{}", page.html);
        }
    }
    assert_eq!(settings(&connector), before);
}

#[tokio::test]
async fn settings_that_another_operator_changed_meanwhile_are_not_overwritten() {
    let connector = service().connector().await;
    let console = Console::start(service(), &["--write"]);
    let browser = console.sign_in().await;
    let path = format!("/connectors/{}/settings/rules", connector.id);
    let rules = ("rules.exclude-users", "root");
    let preview = browser.post(&path, &[rules, ("preview", "true")]).await;
    let revision = preview.hidden("revision").unwrap();
    scimctl(service(), &["connector", "set", &connector.id.to_string(), "rules.exclude-groups=Secret"]).ok();
    for revision in [revision.as_str(), "", "x"] {
        let refused = browser.post(&path, &[rules, ("revision", revision), ("apply", "true")]).await;
        assert_eq!(refused.status(), 409);
        assert!(refused.text().contains("Another operator changed connector"), "{}", refused.text());
    }
    assert_eq!(settings(&connector)["rules"]["exclude-users"], json!([]));
}

#[tokio::test]
async fn preview_names_users_and_groups_and_escapes_them() {
    let connector = service().connector().await;
    let client = connector.local(service());
    let ann = create_user(&client, "<b>ann</b>@example.com").await;
    create_user(&client, "bob@example.com").await;
    create_group(&client, "<script>alert(1)</script>", std::slice::from_ref(&ann)).await;
    let console = Console::start(service(), &["--write"]);
    let browser = console.sign_in().await;
    let path = format!("/connectors/{}/settings/rules", connector.id);
    let fields =
        [("rules.include-users", "bob*"), ("rules.exclude-groups", "<script>*"), ("preview", "true")];
    let preview = browser.post(&path, &fields).await;
    let text = preview.text();
    assert!(text.contains("1 group would disappear <script>alert(1)</script>"), "{text}");
    assert!(text.contains("1 user would disappear <b>ann</b>@example.com"), "{text}");
    assert!(!preview.html.contains("<script>") && !preview.html.contains("<b>ann"), "{}", preview.html);
    // The same as the command finds.
    let id = connector.id.to_string();
    let changes = ["rules.include-users=bob*", "rules.exclude-groups=<script>*", "--dry-run"];
    let printed = scimctl(service(), &[&["connector", "set", &id][..], &changes].concat()).ok();
    assert!(printed.contains("1 user would disappear:\n  <b>ann</b>@example.com"), "{printed}");
    let mapping = format!("/connectors/{id}/settings/mapping");
    let user = json!({ "schemas": [USER], "userName": "eve", "name": { "givenName": "<i>Eve</i>" } });
    assert_eq!(client.post("/Users", &user).await.status, 201);
    let fields = [
        ("mapping.username", "userName"),
        ("mapping.username-case", "as-is"),
        ("mapping.first-name", "name.givenName"),
        ("mapping.last-name", "name.familyName"),
        ("mapping.email", "emails[primary eq true].value"),
        ("mapping.display-name", "names"),
        ("mapping.group-name", "displayName"),
    ];
    for (sample, expected) in [("eve", "<i>Eve</i>"), ("nobody", "There is no user nobody.")] {
        let page =
            browser.post(&mapping, &[&fields[..], &[("sample", sample), ("preview", "true")]].concat()).await;
        assert!(page.text().contains(expected), "{}", page.text());
        assert!(!page.html.contains("<i>Eve"), "{}", page.html);
    }
}

#[tokio::test]
async fn preview_of_a_large_directory_says_how_much_it_read() {
    let connector = service().connector().await;
    seed::users(service(), &connector.id, 1_300).await;
    let console = Console::start(service(), &["--write"]);
    let browser = console.sign_in().await;
    let path = format!("/connectors/{}/settings/rules", connector.id);
    let preview = browser.post(&path, &[("rules.exclude-users", "*"), ("preview", "true")]).await;
    let text = preview.text();
    assert!(text.contains("this is a preview of the first 1,000 users"), "{text}");
    assert!(text.contains("1,000 users would disappear, of the first 1,000 users"), "{text}");
    assert!(text.contains("and 990 more"), "{text}");
}
