//! Connectors on the command line: operators create, disable, rename and delete them, rotate credentials and
//! change settings.

use std::io::Write as _;
use std::process::{Command, Stdio};

use directory::connectors::ConnectorId;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use shared::resource::{ResourceId, ResourceKind};
use tests::client::Client;
use tests::folder::Folder;
use tests::layout;
use tests::provisioning::{create_group, create_user, create_users};
use tests::scimctl::{scimctl, scimctl_with};
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
    assert!(run(&["rotate", &name]).failed().starts_with("2 Basic credentials are live"));
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
    run(&["expires", &name, &id(bearer), "2026-01-01T00:00:00Z"]).ok();
    assert!(run(&["retire", &name, &id(old)]).failed().contains("no credential"));
    assert!(run(&["expires", &name, &id(new), "tomorrow"]).failed().contains("is not a time"));
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
    assert_eq!(who, ["ada", "ada", "ada", "test"]);
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
        (1, Some("scimctl: \"yes\" is not the id of the connector, so nothing is deleted"))
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
    assert!(trail.lines().any(|line| line.contains("create User")), "{trail}");
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
    assert_eq!(of(&ann).ok().lines().count(), 1);
    assert!(of("ann@example.com").failed().starts_with("\"ann@example.com\" is not a resource id; "));
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
    assert_eq!(dry, "- group Admins\n- user root\n");
    assert_eq!(
        run(&["set", &id, "rules.exclude-groups=PUB*", "--dry-run"]).ok(),
        "no user or group would appear or disappear\n",
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
        run(&["apply", &id, path, "--dry-run"]).ok().lines().collect::<std::collections::BTreeSet<_>>(),
        ["+ user root", "- user ann@example.com"].into()
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
