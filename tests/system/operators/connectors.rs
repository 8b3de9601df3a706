//! Connectors on the command line: operators create, disable, rename and delete them, rotate credentials and
//! change settings.

use std::io::Write as _;
use std::process::{Command, Stdio};

use directory::connectors::ConnectorId;
use directory::settings::{OnDelete, Settings};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use shared::resource::{ResourceId, ResourceKind};
use tests::client::Client;
use tests::folder::Folder;
use tests::layout;
use tests::provisioning::{USER, create_group, create_user, create_users};
use tests::scimctl::{operator, scimctl, scimctl_with};
use tests::service::{TABLE, binaries, service};
use tests::table::{read_items, take_item};
use uuid::Uuid;

/// A new name of a connector.
fn new_name() -> String {
    format!("c{}", Uuid::new_v4().simple())
}

fn origin() -> String {
    service().origin().to_owned()
}

#[tokio::test]
async fn connector_create_prints_the_endpoint_url_and_new_credentials_once() {
    let (name, origin) = (new_name(), origin());
    let created = scimctl(service(), &["connector", "create", "--name", &name, "--url", &origin]);
    let (url, username, password) =
        (created.value("Endpoint URL:"), created.value("Username:"), created.value("Password:"));
    assert_eq!((url.as_str(), username), (format!("{origin}/{name}/scim/v2").as_str(), name.clone()));
    assert_eq!(Client::new(&url, &name, &password).get("/Users").await.json()["totalResults"], 0);
    let again = scimctl(service(), &["connector", "create", "--name", &name]);
    assert_eq!(again.failed(), format!("connector {name} already exists"));
    assert!(
        scimctl(service(), &["connector", "create", "--name", "No_Name"])
            .failed()
            .contains("is not a connector id")
    );

    let bearer = format!("{name}b");
    let created =
        scimctl(service(), &["connector", "create", "--name", &bearer, "--url", &origin, "--bearer"]);
    let client =
        Client::new(&format!("{origin}/{bearer}/scim/v2"), "", "").with_token(&created.value("Token:"));
    assert_eq!(client.send("GET", "/Users", &[("authorization", &client.bearer())], "").await.status, 200);

    let chosen = format!("{name}p");
    let create =
        ["connector", "create", "--name", &chosen, "--url", &origin, "--username", "okta", "--password", "-"];
    assert!(scimctl_with(service(), &create, "short\n").failed().contains("12 characters"));
    let created = scimctl_with(service(), &create, "correct horse battery\n");
    assert!(!created.out.contains("horse"), "a password from standard input is not printed");
    let url = created.value("Endpoint URL:");
    assert_eq!(Client::new(&url, "okta", "correct horse battery").get("/Users").await.status, 200);
    let on_command_line = ["connector", "create", "--name", "x", "--password", "secret"];
    assert_eq!(scimctl(service(), &on_command_line).code, 2, "a password on the command line is refused");

    let created =
        scimctl(service(), &["connector", "create", "--name", "okta", "--unguessable", "--url", &origin]);
    let url = created.value("Endpoint URL:");
    let id = url.split('/').nth(3).unwrap();
    assert!(id.starts_with("okta-") && id.len() == 25 && ConnectorId::parse(id).is_some(), "{id}");
}

#[tokio::test]
async fn new_credential_says_to_retire_the_old_one_only_if_there_is_one() {
    let connector = service().connector().await;
    let id = connector.id.to_string();
    // The connector has a credential of the scope scim, which is for another client.
    let hints = ["--bearer", "--bearer"].map(|kind| {
        let created = scimctl(service(), &["credential", "create", &id, "--scope", "directory", kind]);
        assert_eq!(created.code, 0, "{created:?}");
        created.err.trim_end().split_once(" It works at once. ").unwrap().1.to_owned()
    });
    let first = "Enter it in the application that reads the directory";
    let second = format!(
        "{first}. When `scimctl connector show {id}` says that it is used, retire the old one: scimctl connector retire {id} CREDENTIAL"
    );
    assert_eq!(hints, [first.to_owned(), second]);
}

#[tokio::test]
async fn old_and_rotated_credentials_are_valid_until_one_is_retired() {
    let (name, origin) = (new_name(), origin());
    let run = |arguments: &[&str]| scimctl(service(), &[&["connector"], arguments].concat());
    let first = run(&["create", "--name", &name, "--url", &origin]);
    let second = run(&["rotate", &name]);
    assert_eq!((second.code, second.value("Username:")), (0, name.clone()));
    let url = first.value("Endpoint URL:");
    let client = |password: &str| Client::new(&url, &name, password);
    for created in [&first, &second] {
        assert_eq!(client(&created.value("Password:")).get("/Users?count=0").await.status, 200);
    }
    assert!(run(&["rotate", &name]).failed().starts_with("2 Basic credentials of scope scim are live"));
    let token = run(&["rotate", &name, "--bearer"]).value("Token:");
    let shown = run(&["show", &name]).ok();
    let rows: Vec<&str> = shown.lines().filter(|line| line.contains(" never ")).collect();
    let [old, new, bearer] = rows[..] else { panic!("{shown}") };
    assert!(old.contains("Basic") && old.contains(&name) && !old.ends_with("never"), "{old}");
    assert!(new.contains("Basic") && !new.ends_with("never"), "{new}");
    assert!(bearer.contains("Bearer") && bearer.ends_with("never"), "{bearer}");
    let id = |row: &str| row.split_whitespace().next().unwrap().to_owned();
    let connector = ConnectorId::parse(&name).unwrap();
    let used = async |credential: &str| {
        service().table().credential_usage(&connector).last_used(credential).await.unwrap()
    };
    assert!(used(&id(old)).await.is_some());
    run(&["retire", &name, &id(old)]).ok();
    assert_eq!(used(&id(old)).await, None, "the last use of a deleted credential is deleted");
    assert_eq!(
        run(&["expires", &name, &id(bearer), "2026-01-01"]).ok(),
        format!("credential {} expires at 2026-01-01 00:00 UTC\n", id(bearer))
    );
    assert!(run(&["retire", &name, &id(old)]).failed().contains("no credential"));
    assert_eq!(
        run(&["expires", &name, &id(new), "tomorrow"]).failed(),
        "\"tomorrow\" is not a date such as 2027-01-31, and not a time such as 2027-01-31T12:00:00Z, and not `never`"
    );
    let shown = run(&["show", &name]).ok();
    assert!(!shown.contains(&id(old)) && shown.contains("2026-01-01 00:00 UTC (expired)"), "{shown}");
    // Every function reads the connector again within a minute. This is what it reads.
    let stored = service().table().connector(&ConnectorId::parse(&name).unwrap()).await.unwrap().unwrap();
    let find = |presented: shared::credential::PresentedCredentials| {
        presented.find_generated(&stored.credentials, Timestamp::now()).is_some()
    };
    let basic = |password: String| shared::credential::PresentedCredentials::Basic {
        username: name.clone(),
        password,
    };
    assert!(!find(basic(first.value("Password:"))) && find(basic(second.value("Password:"))));
    assert!(!find(shared::credential::PresentedCredentials::Bearer { token }));
    let table = service().table();
    table.credential_usage(&connector).record_use(&id(bearer), Timestamp::now()).await.unwrap();
    run(&["rotate", &name]).ok();
    assert_eq!(
        used(&id(bearer)).await,
        None,
        "rotate deletes an expired credential and the record of its last use"
    );
}

#[tokio::test]
async fn connector_is_disabled_renamed_and_deleted_with_its_directory() {
    let connector = service().connector().await;
    let id = connector.id.to_string();
    let run = |arguments: &[&str]| scimctl(service(), &[&["connector"], arguments].concat());
    run(&["disable", &id]).ok();
    let client = connector.local(service());
    assert_eq!(client.get("/Users").await.status, 403);
    assert!(run(&["list"]).ok().lines().any(|line| line.starts_with(&id) && line.contains(" disabled ")));
    run(&["enable", &id]).ok();
    run(&["rename", &id, "Our Okta"]).ok();
    assert!(run(&["list"]).ok().lines().any(|line| line.starts_with(&id) && line.ends_with("Our Okta")));
    let records = scimctl(service(), &["audit", &id, "--json"]).ok();
    let records: Vec<serde_json::Value> =
        records.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let changed: Vec<&str> = records.iter().map(|record| record["attributes"][0].as_str().unwrap()).collect();
    assert_eq!(changed, ["name", "disabled", "disabled", "credentials"]);
    let who: Vec<&str> = records.iter().map(|record| record["who"].as_str().unwrap()).collect();
    let operator = operator();
    assert_eq!(who, [&operator, &operator, &operator, "test"]);
    assert!(records.iter().all(|record| record["kind"] == "Connector"));
    assert_eq!(
        run(&["show", "unknown"]).failed(),
        "there is no connector unknown; `scimctl connector list` lists all connectors"
    );

    let connector = service().connector().await;
    let (id, client) = (connector.id.to_string(), connector.local(service()));
    let created = create_users(&client, 5).await;
    let inner = create_group(&client, "inner", &created).await;
    create_group(&client, "outer", &[inner]).await;
    let wrong = scimctl_with(service(), &["connector", "delete", &id], "yes\n");
    assert_eq!(
        (wrong.code, wrong.err.lines().last()),
        (1, Some(&*format!("scimctl: \"yes\" is not {id}, so nothing is changed")))
    );
    assert_eq!(client.get("/Users?count=0").await.json()["totalResults"], 5);
    // A deletion that was interrupted an hour ago: a user is deleted, but its memberships and index items are
    // not.
    let long_ago = Timestamp::now() - SignedDuration::from_hours(1);
    service().connectors().begin_deletion(&connector.id, long_ago).await.unwrap();
    let first = ResourceId::parse(&created[0]).unwrap();
    take_item(service(), &layout::resource(&connector.id, ResourceKind::User, first)).await;
    let folder = Folder::new();
    let file = folder.write("users.csv", "username\nann@example.com\n");
    for arguments in [
        &["connector", "enable", &id][..],
        &["connector", "rotate", &id],
        &["connector", "set", &id, "audit-days=30"],
        &["user", "create", &id, "ann@example.com"],
        &["group", "create", &id, "Stewards"],
        &["role", "create", &id, "approver"],
        &["import", "users", &id, &file],
    ] {
        let refused = scimctl(service(), arguments).failed();
        assert_eq!(
            refused,
            format!(
                "connector {id} is being deleted; `scimctl connector delete {id}` completes the deletion"
            ),
            "{arguments:?}"
        );
    }
    // A function recorded the use of a credential after it was retired.
    service().table().credential_usage(&connector.id).record_use("retired", Timestamp::now()).await.unwrap();
    let deleted = scimctl_with(service(), &["connector", "delete", &id], &format!("{id}\n"));
    assert_eq!(
        deleted.ok(),
        format!("connector {id} is deleted; its audit records stay until they expire\n")
    );
    let left = read_items(service(), &connector.id).await;
    assert!(!left.is_empty() && left.keys().all(|(pk, _)| pk.contains("#audit/")), "{left:?}");
    assert!(service().table().connector(&connector.id).await.unwrap().is_none());
    assert_eq!(service().table().credential_usage(&connector.id).last_used("retired").await.unwrap(), None);
    let trail = scimctl(service(), &["audit", &id]).ok();
    assert!(trail.lines().any(|line| line.contains("  create     User  ")), "{trail}");
    assert_eq!(scimctl(service(), &["audit", &new_name()]).failed().split(' ').next(), Some("there"));
}

#[tokio::test]
async fn deletion_of_a_connector_is_recorded_in_its_audit_trail() {
    let connector = service().connector().await;
    let id = connector.id.to_string();
    let mut deletion = Command::new(binaries().join("scimctl"))
        .args(["--table", TABLE, "--endpoint", service().endpoint(), "connector", "delete", &id])
        .stdin(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    writeln!(deletion.stdin.take().unwrap(), "{id}").unwrap();
    let record = loop {
        let record = service().table().connector(&connector.id).await.unwrap().unwrap().record;
        if record.is_deleting {
            break record;
        }
        let ended = deletion.try_wait().unwrap();
        assert_eq!(ended, None, "scimctl ended before it marked the connector as being deleted");
        tokio::task::yield_now().await;
    };
    // The deletion now waits until no process has the old record in its cache, so this test ends it.
    deletion.kill().unwrap();
    deletion.wait().unwrap();
    assert!(record.disabled.is_some());
    let trail = scimctl(service(), &["audit", &id, "--json", "--resource", &id]).ok();
    let newest = trail.lines().next().unwrap();
    let trail: serde_json::Value = serde_json::from_str(newest).unwrap();
    assert_eq!((&trail["operation"], &trail["kind"]), (&json!("delete"), &json!("Connector")));
}

#[tokio::test]
async fn audit_trail_of_one_resource_is_read_by_its_id() {
    let connector = service().connector().await;
    let id = connector.id.to_string();
    let ann = create_user(&connector.local(service()), "ann@example.com").await;
    let of = |resource: &str| scimctl(service(), &["audit", &id, "--resource", resource]);
    let by_id = of(&ann).ok();
    assert_eq!(by_id.lines().last(), Some("1 record"));
    assert_eq!(of("ANN@example.com").ok(), by_id);
    let sales = create_group(&connector.local(service()), "Sales", &[]).await;
    assert_eq!(of("sales").ok(), of(&sales).ok());
    scimctl(service(), &["role", "create", &id, "Sales"]).ok();
    let ambiguous = of("Sales").failed();
    assert!(
        ambiguous.starts_with("Sales is the name of several resources: enter an id of Group ")
            && ambiguous.contains(&sales),
        "{ambiguous}"
    );
}

#[tokio::test]
async fn audit_trail_of_a_deleted_user_that_is_kept_is_read_by_its_name() {
    let settings = Settings { on_delete: OnDelete::Deactivate, ..Settings::default() };
    let connector = service().connector_with(settings).await;
    let client = connector.local(service());
    let ann = create_user(&client, "ann").await;
    client.delete(&format!("/Users/{ann}")).await;
    let of =
        |resource: &str| scimctl(service(), &["audit", &connector.id.to_string(), "--resource", resource]);
    assert_eq!(of("ann").ok(), of(&ann).ok());
    assert_eq!(of("ann").ok().lines().last(), Some("2 records"));
}

#[tokio::test]
async fn audit_trail_from_and_to_a_date_has_the_records_of_these_days() {
    let connector = service().connector().await;
    let id = connector.id.to_string();
    let today = Timestamp::now().strftime("%Y-%m-%d").to_string();
    let read = |options: &[&str]| scimctl(service(), &[&["audit", &id], options].concat());
    let all = read(&[]).ok();
    assert_eq!(all.lines().last(), Some("1 record"));
    assert_eq!(read(&["--since", "2026-01-01", "--until", "2199-12-31"]).ok(), all);
    // Only at midnight, the record is of the day before.
    assert!([all, "0 records\n".to_owned()].contains(&read(&["--since", &today]).ok()));
    assert_eq!(read(&["--since", "2020-01-01", "--until", "2020-01-31"]).ok(), "0 records\n");
    let wrong = read(&["--since", "yesterday"]);
    assert!(wrong.code == 2 && wrong.err.contains("\"yesterday\" is not a date such as"), "{wrong:?}");
}

#[tokio::test]
async fn last_valid_credential_is_retired_only_after_a_confirmation() {
    let (name, origin) = (new_name(), origin());
    let run = |arguments: &[&str]| scimctl(service(), &[&["connector"], arguments].concat());
    run(&["create", "--name", &name, "--url", &origin]).ok();
    let credentials = || -> Vec<String> {
        let shown: serde_json::Value = serde_json::from_str(&run(&["show", &name, "--json"]).ok()).unwrap();
        let credentials = shown["credentials"].as_array().unwrap().iter();
        credentials.map(|credential| credential["id"].as_str().unwrap().to_owned()).collect()
    };
    let [first] = &credentials()[..] else { panic!("{:?}", credentials()) };
    let refused = scimctl_with(service(), &["connector", "retire", &name, first], "yes\n");
    assert_eq!(
        (refused.code, refused.err),
        (
            1,
            format!(
                "{first} is the last valid credential of connector {name} with the scope scim: without it, the identity \
                 provider gets 401. `scimctl credential create {name} --scope scim` adds another one. To retire it, enter its id:\n\
                 scimctl: \"yes\" is not {first}, so nothing is changed\n"
            )
        )
    );
    let rotated = run(&["rotate", &name]);
    assert!(rotated.err.contains("It works at once. Enter it in the identity provider."), "{rotated:?}");
    run(&["retire", &name, first]).ok();
    let [second] = &credentials()[..] else { panic!("{:?}", credentials()) };
    scimctl_with(service(), &["connector", "retire", &name, second], &format!("{second}\n")).ok();
    assert_eq!(credentials(), [""; 0]);
    run(&["rotate", &name]).ok();
    run(&["retire", &name, &credentials()[0], "--yes"]).ok();
    assert_eq!(credentials(), [""; 0]);
}

#[tokio::test]
async fn url_of_a_new_connector_is_that_of_the_service() {
    for url in ["scim.example.com", "http://scim.example.com", "https://scim.example.com/okta/scim/v2"] {
        let name = new_name();
        let refused = scimctl(service(), &["connector", "create", "--name", &name, "--url", url]).failed();
        assert!(refused.starts_with(&format!("--url is {url:?}")), "{refused}");
        assert!(
            scimctl(service(), &["connector", "show", &name]).failed().starts_with("there is no connector")
        );
    }
}

#[tokio::test]
async fn dry_run_shows_each_kind_of_difference_with_three_examples() {
    let connector = service().connector().await;
    let (id, client) = (connector.id.to_string(), connector.local(service()));
    for number in 1..=5 {
        let name = format!("u{number}@example.com");
        let body =
            json!({ "schemas": [USER], "userName": name, "emails": [{ "value": name, "primary": true }] });
        assert_eq!(client.post("/Users", &body).await.status, 201);
    }
    create_group(&client, "Sales", &[]).await;
    let set = |setting: &str| scimctl(service(), &["connector", "set", &id, setting, "--dry-run"]).ok();
    let blanked = set("mapping.email=nickName");
    let lines: Vec<&str> = blanked.lines().collect();
    assert_eq!(lines.len(), 6, "{blanked}");
    assert_eq!(
        [lines[0], lines[1], lines[5]],
        [
            "mapping.email: \"emails[primary eq true].value\" → \"nickName\"",
            "5 users would have another email:",
            "  and 2 more"
        ]
    );
    for line in &lines[2..5] {
        let (name, change) = line.trim_start().split_once(": ").unwrap();
        assert_eq!(change, format!("{name} → (none)"));
    }
    let renamed = set("mapping.username-from-email=true");
    assert!(renamed.contains("5 users would have another username:\n  u"), "{renamed}");
    assert!(renamed.contains("5 users would have another display name:\n  u"), "{renamed}");
    assert_eq!(
        set("mapping.group-name=externalId"),
        "mapping.group-name: \"displayName\" → \"externalId\"\nno user or group would change\n",
        "a group without the attribute keeps its displayName"
    );
    assert_eq!(
        set("on-delete=refuse"),
        "on-delete: \"delete\" → \"refuse\"\nno user or group would change\n"
    );
}

#[tokio::test]
async fn apply_says_which_settings_the_file_resets() {
    let connector = service().connector().await;
    let id = connector.id.to_string();
    let run = |arguments: &[&str]| scimctl(service(), &[&["connector"], arguments].concat()).ok();
    run(&["set", &id, "rules.exclude-users=root", "audit-days=30"]);
    let folder = Folder::new();
    let file = folder.write("settings.toml", "audit-days = 60\n");
    let changes = "audit-days: 30 → 60\n\
                   rules.exclude-users: [\"root\"] → [] (the file lacks it, so it gets its default)\n";
    let dry = run(&["apply", &id, &file, "--dry-run"]);
    assert_eq!(dry, format!("{changes}no user or group would change\n"));
    let applied = run(&["apply", &id, &file]);
    assert_eq!(
        applied,
        format!("{changes}connector {id} has the new settings; all functions use them within a minute\n")
    );
}

#[tokio::test]
async fn connectors_and_roles_are_printed_as_json() {
    let connector = service().connector().await;
    let (id, client) = (connector.id.to_string(), connector.local(service()));
    let ann = create_user(&client, "ann").await;
    create_group(&client, "Sales", std::slice::from_ref(&ann)).await;
    let run = |arguments: &[&str]| scimctl(service(), arguments).ok();
    let parse = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
    let listed = run(&["connector", "list", "--json"]);
    let listed = listed.lines().map(parse).find(|listed| listed["id"] == json!(id)).unwrap();
    let shown = parse(&run(&["connector", "show", &id, "--json"]));
    for member in ["id", "name", "state", "created"] {
        assert_eq!(listed[member], shown[member], "{member}");
    }
    let counts =
        ["users", "deactivated_users", "groups", "local_groups", "roles"].map(|name| shown[name].clone());
    assert_eq!(counts, [1, 0, 1, 0, 0].map(serde_json::Value::from));
    assert_eq!(shown["settings"], serde_json::to_value(Settings::default()).unwrap());
    let credentials = shown["credentials"].as_array().unwrap();
    let credential = credentials.iter().find(|credential| credential["scheme"] == "Basic").unwrap();
    assert_eq!(credential["expires"], serde_json::Value::Null);
    assert!(credential.get("hash").is_none() && credential["last_used"].is_string(), "{credential}");

    run(&["role", "create", &id, "approver"]);
    run(&["role", "assign", &id, "approver", "Sales"]);
    let listed = parse(&run(&["role", "list", &id, "--json"]));
    let role = json!({ "id": listed["id"], "name": "approver", "users": 0, "groups": 1 });
    assert_eq!(listed, json!({ "id": role["id"], "name": "approver" }));
    assert_eq!(parse(&run(&["role", "show", &id, "approver", "--json"])), role);
    assert_eq!(run(&["role", "members", &id, "approver"]), "ann\n");
    assert_eq!(run(&["role", "members", &id, "approver", "--direct"]), "");
    let members = parse(&run(&["role", "members", &id, "approver", "--json"]));
    assert_eq!(members["roles"], json!(["approver"]));
}

#[tokio::test]
async fn role_is_deleted_only_after_a_confirmation() {
    let connector = service().connector().await;
    let id = connector.id.to_string();
    create_user(&connector.local(service()), "ann").await;
    scimctl(service(), &["role", "create", &id, "approver"]).ok();
    scimctl(service(), &["role", "assign", &id, "approver", "ann"]).ok();
    let delete = |input: &str| scimctl_with(service(), &["role", "delete", &id, "approver"], input);
    let refused = delete("\n");
    assert_eq!(
        (refused.code, refused.err.as_str()),
        (
            1,
            "This deletes role approver, which is assigned to 1 user, 0 groups. To continue, enter its name:\n\
             scimctl: \"\" is not approver, so nothing is changed\n"
        )
    );
    let shown = scimctl(service(), &["role", "show", &id, "approver"]);
    assert_eq!(shown.value("Assigned to:"), "1 user, 0 groups");
    delete("approver\n").ok();
    assert_eq!(scimctl(service(), &["role", "list", &id]).ok(), "0 roles\n");
}

#[tokio::test]
async fn settings_can_be_set_applied_from_a_file_and_exported() {
    let connector = service().connector().await;
    let (id, client) = (connector.id.to_string(), connector.local(service()));
    create_user(&client, "ann@example.com").await;
    create_user(&client, "root").await;
    create_group(&client, "Admins", &[]).await;
    let run = |arguments: &[&str]| scimctl(service(), &[&["connector"], arguments].concat());
    let set = ["set", &id, "rules.exclude-users=root,svc-*", "rules.exclude-groups=admin*", "audit-days=30"];
    let dry = run(&[&set[..], &["--dry-run"]].concat()).ok();
    assert_eq!(
        dry,
        "audit-days: 365 → 30\n\
         rules.exclude-groups: [] → [\"admin*\"]\n\
         rules.exclude-users: [] → [\"root\", \"svc-*\"]\n\
         1 group would disappear:\n  Admins\n\
         1 user would disappear:\n  root\n"
    );
    assert_eq!(
        run(&["set", &id, "rules.exclude-groups=PUB*", "--dry-run"]).ok(),
        "rules.exclude-groups: [] → [\"PUB*\"]\nno user or group would change\n",
        "rules do not hide the built-in group"
    );
    run(&set).ok();
    let exported = run(&["export", &id]).ok();
    assert!(
        exported.contains("exclude-users = [\"root\", \"svc-*\"]") && exported.contains("audit-days = 30"),
        "{exported}"
    );
    let folder = Folder::new();
    let path = &folder.write("settings.toml", &exported.replace("\"root\"", "\"ann*\""));
    assert_eq!(
        run(&["apply", &id, path, "--dry-run"]).ok(),
        "rules.exclude-users: [\"root\", \"svc-*\"] → [\"ann*\", \"svc-*\"]\n\
         1 user would disappear:\n  ann@example.com\n1 user would appear:\n  root\n"
    );
    run(&["apply", &id, path]).ok();
    assert_eq!(run(&["apply", &id, path]).ok(), format!("connector {id} already has these settings\n"));
    assert_eq!(run(&["export", &id]).ok(), std::fs::read_to_string(path).unwrap());
    for (text, expected) in [
        ("on-delte = \"refuse\"", "1: on-delte = \"refuse\": unknown field `on-delte`"),
        (
            "attribute-only = true\non-delete = \"x\"\n",
            "2: on-delete = \"x\": unknown variant `x`, expected one of `delete`, `deactivate`, `refuse`",
        ),
        ("audit-days = -1\n", "1: audit-days = -1: invalid value: integer `-1`, expected a whole number"),
        ("[rules]\nexclude-users = \n", "2: exclude-users =: "),
    ] {
        folder.write("settings.toml", text);
        let wrong = run(&["apply", &id, path]).failed();
        assert!(wrong.starts_with(&format!("{path}:{expected}")), "{wrong}");
    }
    for (setting, expected) in [
        (
            "mapping.email=emials.value",
            "mapping.email: \"emials.value\" does not name an attribute of a User",
        ),
        (
            "mapping.email=id",
            "mapping.email: \"id\" is generated for each response; name an attribute that is stored",
        ),
        ("on-delete=maybe", "on-delete is \"maybe\", and must be one of `delete`, `deactivate`, `refuse`"),
        ("mapping.display-name=x", "mapping.display-name is \"x\", and must be `given-or-names` or `names`"),
        ("audit-days=x", "audit-days is \"x\", and must be a whole number"),
        ("audit-days=-1", "audit-days is \"-1\", and must be a whole number"),
        ("audit-days=0", "audit-days is 0; it must be from 1 to 3653"),
        ("colour=red", "there is no setting colour; `scimctl connector export` prints all settings"),
        ("rules=x", "there is no setting rules; `scimctl connector export` prints all settings"),
        ("on-delete", "\"on-delete\" is not SETTING=VALUE"),
    ] {
        assert_eq!(run(&["set", &id, setting]).failed(), expected);
    }
    // Rules do not change the answers over SCIM.
    let names = client.get("/Users?attributes=userName").await.json();
    assert_eq!(names["totalResults"], json!(2));
}
