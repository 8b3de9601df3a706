//! The directory as operators see it, take it away in files, and bring it in.

use std::path::PathBuf;

use serde_json::{Value, json};
use tests::client::Client;
use tests::dump::assert_sound;
use tests::scimctl::{Done, scimctl, scimctl_with};
use tests::service::{TABLE, TestConnector, service};
use uuid::Uuid;

use crate::concurrency::{USER, group, patch, user};

struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("rollcall-files-{}", Uuid::new_v4()));
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str, text: &str) -> String {
        let path = self.0.join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    fn name(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What is left lies in a temporary folder.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn run(connector: &TestConnector, arguments: &[&str]) -> Done {
    let id = connector.id.to_string();
    let [noun, verb, rest @ ..] = arguments else { panic!("a command") };
    scimctl(service(), &[&[*noun, *verb, &id], rest].concat())
}

async fn directory() -> (TestConnector, Client, String) {
    let connector = service().connector().await;
    let client = connector.local(service());
    let ann = json!({
        "schemas": [USER], "userName": "Ann@example.com", "name": { "givenName": "Ann", "familyName": "Ash" },
        "emails": [{ "value": "ann@work.example", "primary": true }]
    });
    let ann = client.post("/Users", &ann).await.json()["id"].as_str().unwrap().to_owned();
    let bob = user(&client, "bob").await;
    let gone = patch(json!([{ "op": "replace", "value": { "active": false } }]));
    client.patch(&format!("/Users/{bob}"), &gone).await;
    let inner = group(&client, "Sales, EMEA", std::slice::from_ref(&ann)).await;
    group(&client, "Everybody", &[inner]).await;
    (connector, client, ann)
}

#[tokio::test]
async fn the_directory_is_listed_with_the_groups_that_users_have_in_the_end() {
    let (connector, _, ann) = directory().await;
    let table = run(&connector, &["user", "list"]).ok();
    assert_eq!(
        table,
        "USERNAME         NAME     EMAIL             GROUPS       ORIGIN\n\
         Ann@example.com  Ann Ash  ann@work.example  Sales, EMEA  scim\n"
    );
    let all = run(&connector, &["user", "list", "--hidden", "--json"]).ok();
    let mut all: Vec<Value> = all.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    all.sort_by_key(|entry| entry["username"].as_str().unwrap().to_owned());
    let id = connector.id.to_string();
    let expected = json!({
        "id": ann, "connector": id, "origin": "scim", "username": "Ann@example.com", "first_name": "Ann",
        "last_name": "Ash", "display_name": "Ann Ash", "email": "ann@work.example", "groups": ["Sales, EMEA"],
        "effective_groups": ["Everybody", "Sales, EMEA", "public"], "roles": [], "hidden": null
    });
    assert_eq!((all.len(), &all[0]), (2, &expected));
    assert_eq!((&all[1]["username"], &all[1]["hidden"]), (&json!("bob"), &json!("deactivated")));
    for (filter, found) in [
        ("userName sw \"ANN\"", 1),
        ("groups.display eq \"Everybody\"", 1),
        ("active eq false", 1),
        ("name.givenName pr and active eq true", 1),
    ] {
        let listed = run(&connector, &["user", "list", "--hidden", "--json", "--filter", filter]).ok();
        assert_eq!(listed.lines().count(), found, "{filter}");
    }
    let wrong = run(&connector, &["user", "list", "--filter", "userName zz 1"]).failed();
    assert!(wrong.contains("the filter"), "{wrong}");
    let groups = run(&connector, &["group", "list", "--json"]).ok();
    let names: Vec<Value> =
        groups.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["name"].clone()).collect();
    assert_eq!(names, ["Everybody", "Sales, EMEA", "public"]);
    assert_eq!(run(&connector, &["group", "members", "Everybody"]).ok(), "Ann@example.com\n");
    assert_eq!(run(&connector, &["group", "members", "Everybody", "--direct"]).ok(), "");
    let members = run(&connector, &["group", "members", "public", "--hidden", "--json"]).ok();
    assert_eq!(members.lines().count(), 2);
    assert!(members.lines().all(|line| serde_json::from_str::<Value>(line).unwrap()["username"].is_string()));
    let of_ann = format!("members.value eq \"{ann}\"");
    let filtered = run(&connector, &["group", "list", "--json", "--filter", &of_ann]).ok();
    let group: Value = serde_json::from_str(&filtered).unwrap();
    assert_eq!(
        (&group["name"], &group["origin"], &group["hidden"]),
        (&json!("Sales, EMEA"), &json!("scim"), &Value::Null)
    );
    let shown = run(&connector, &["group", "show", "Sales, EMEA", "--json"]).ok();
    assert_eq!(serde_json::from_str::<Value>(&shown).unwrap(), group);
    let shown = run(&connector, &["user", "show", "ANN@example.com"]).ok();
    assert!(shown.contains("the identity provider of connector") && shown.contains("Everybody"), "{shown}");
    assert!(run(&connector, &["user", "show", "carl"]).failed().ends_with("has no user carl"));
}

#[tokio::test]
async fn a_directory_is_exported_and_imported_elsewhere_and_a_second_time_changes_nothing() {
    let (connector, ..) = directory().await;
    let folder = Folder::new();
    for extension in ["csv", "jsonl"] {
        let (users, groups) =
            (folder.name(&format!("u.{extension}")), folder.name(&format!("g.{extension}")));
        run(&connector, &["export", "users", &users]).ok();
        run(&connector, &["export", "groups", &groups]).ok();
        let other = service().connector().await;
        assert_eq!(
            run(&other, &["import", "users", &users]).ok(),
            "1 made, 0 changed, 0 as they were, 0 refused\n"
        );
        assert_eq!(
            run(&other, &["import", "groups", &groups]).ok(),
            "2 made, 0 changed, 0 as they were, 0 refused\n"
        );
        for (what, file, count) in [("users", &users, 1), ("groups", &groups, 2)] {
            let again = run(&other, &["import", what, file]).ok();
            assert_eq!(again, format!("0 made, 0 changed, {count} as they were, 0 refused\n"));
        }
        let show = |connector: &TestConnector| -> Value {
            serde_json::from_str(&run(connector, &["user", "show", "ann@example.com", "--json"]).ok())
                .unwrap()
        };
        let (here, there) = (show(&connector), show(&other));
        for part in ["username", "first_name", "last_name", "display_name", "email", "groups"] {
            assert_eq!(here[part], there[part], "{extension} {part}");
        }
        assert_eq!(
            (&there["origin"], there["connector"].as_str()),
            (&json!("local"), Some(other.id.to_string().as_str()))
        );
        assert_sound(service(), &other.id).await;
    }
    let csv = run(&connector, &["export", "users"]).ok();
    assert_eq!(csv, std::fs::read_to_string(folder.name("u.csv")).unwrap());
    assert_eq!(csv.lines().count(), 2);
    assert_eq!(
        run(&connector, &["export", "users", &folder.name("u.xml")]).failed(),
        format!("{} ends in neither .csv nor .jsonl", folder.name("u.xml"))
    );
}

#[tokio::test]
async fn rows_that_cannot_be_imported_are_named_and_the_others_are_there() {
    let (connector, client, _) = directory().await;
    let folder = Folder::new();
    let csv = folder.file(
        "users.csv",
        "username,first_name,email\ncarl,Carl,carl@example.com\n,Nobody,\nann@example.com,Anna,\ndora,\nemil,Émile,\n",
    );
    let imported = run(&connector, &["import", "users", &csv]);
    assert_eq!((imported.code, imported.out.as_str()), (1, "2 made, 0 changed, 0 as they were, 3 refused\n"));
    let said: Vec<&str> = imported.err.lines().collect();
    let [nobody, owned, short, last] = said[..] else { panic!("{said:?}") };
    assert_eq!(nobody, format!("{csv}:3: there is no username"));
    assert!(owned.starts_with(&format!("{csv}:4: User ")) && owned.contains("belongs to"), "{owned}");
    assert_eq!(short, format!("{csv}:5: the row has 2 cells, and the heading 3"));
    assert_eq!(last, "scimctl: 3 rows were refused");
    let changed = folder.file("changed.csv", "username,first_name,email\ncarl,,carl@example.org\n");
    assert_eq!(
        run(&connector, &["import", "users", &changed]).ok(),
        "0 made, 1 changed, 0 as they were, 0 refused\n"
    );
    let carl = client.get("/Users?filter=userName%20eq%20%22carl%22").await.json()["Resources"][0].clone();
    assert_eq!((carl.get("name"), &carl["emails"][0]["value"]), (None, &json!("carl@example.org")));
    let silent = folder.file("silent.csv", "username\ncarl\n");
    assert_eq!(
        run(&connector, &["import", "users", &silent]).ok(),
        "0 made, 0 changed, 1 as they were, 0 refused\n"
    );
    let lines = folder.file("groups.jsonl", "{\"name\": \"Team\", \"members\": \"carl; emil\"}\n\n{\"name\": 1}\n{\"name\": \"Sales, EMEA\"}\n{\"name\": \"T\", \"members\": \"zoe\"}\n");
    let imported = run(&connector, &["import", "groups", &lines]);
    assert_eq!((imported.code, imported.out.as_str()), (1, "1 made, 0 changed, 0 as they were, 3 refused\n"));
    assert!(
        imported.err.contains(":3: invalid type") && imported.err.contains("has no user zoe"),
        "{}",
        imported.err
    );
    let silent = folder.file("silent.jsonl", "{\"name\": \"team\"}\n");
    assert_eq!(
        run(&connector, &["import", "groups", &silent]).ok(),
        "0 made, 0 changed, 1 as they were, 0 refused\n"
    );
    assert_eq!(run(&connector, &["group", "members", "team"]).ok().lines().count(), 2);
    let fewer = folder.file("fewer.csv", "name,members\nteam,emil\n");
    assert_eq!(
        run(&connector, &["import", "groups", &fewer]).ok(),
        "0 made, 1 changed, 0 as they were, 0 refused\n"
    );
    assert_eq!(run(&connector, &["group", "members", "team"]).ok(), "emil\n");
    assert_sound(service(), &connector.id).await;
    assert!(
        run(&connector, &["import", "users", &folder.name("none.csv")]).failed().contains("No such file")
    );
}

#[tokio::test]
async fn a_user_made_by_hand_is_changed_by_hand() {
    let connector = service().connector().await;
    let run = |arguments: &[&str]| run(&connector, arguments);
    run(&["user", "create", "ann", "--first-name", "Ann", "--email", "ann@example.com"]).ok();
    assert!(run(&["user", "create", "ANN"]).failed().contains("taken by another user"));
    assert_eq!(run(&["user", "set", "ann", "--last-name", "Ash", "--email", ""]).ok(), "it is changed\n");
    assert_eq!(run(&["user", "set", "ann", "--last-name", "Ash"]).ok(), "nothing changes\n");
    let entry: Value = serde_json::from_str(&run(&["user", "show", "ann", "--json"]).ok()).unwrap();
    let parts =
        ["first_name", "last_name", "display_name", "email", "origin"].map(|part| entry[part].clone());
    assert_eq!(parts, [json!("Ann"), json!("Ash"), json!("Ann Ash"), Value::Null, json!("local")]);
    run(&["user", "delete", "ann"]).ok();
    assert!(run(&["user", "show", "ann"]).failed().contains("no user ann"));
    assert_sound(service(), &connector.id).await;
}

#[tokio::test]
async fn a_doctor_says_what_is_not_well_and_what_to_do() {
    let connector = service().connector().await;
    let (id, client) = (connector.id.to_string(), connector.local(service()));
    let origin = service().origin();
    let look = |username: &str, password: &str| {
        let arguments = ["doctor", &id, "--url", origin, "--username", username, "--password", "-"];
        scimctl_with(service(), &arguments, &format!("{password}\n"))
    };
    let done = look(&client.username, &client.password);
    for line in [
        &format!("ok   table {TABLE} is there"),
        "ok   what has expired goes by itself",
        "BAD  its changes are not streamed",
        "     Deploy the stack again: template.yaml sets StreamSpecification.",
        &format!("ok   connector {id} is enabled"),
        "ok   it has a credential that is live",
        &format!("ok   {origin}/{id}/scim/v2/ServiceProviderConfig answers, and asks who is there"),
        "ok   it knows these credentials",
    ] {
        assert!(done.out.lines().any(|said| said == line), "{line} in {}", done.out);
    }
    assert_eq!(done.code, 1, "the embedded engine is no deployed stack");
    assert!(look(&client.username, "wrong").out.contains("BAD  it does not know these credentials"));
    let nowhere = scimctl(service(), &["doctor", &id, "--url", "http://127.0.0.1:1"]);
    assert!(
        nowhere.out.contains("BAD  http://127.0.0.1:1/") && nowhere.out.contains("does not answer"),
        "{nowhere:?}"
    );
}

#[tokio::test]
async fn help_has_examples_and_shells_have_completions() {
    let help = scimctl(service(), &["--help"]).ok();
    assert!(help.contains("EXAMPLES:") && help.contains("EXIT CODES:"), "{help}");
    let completions = scimctl(service(), &["completions", "bash"]).ok();
    assert!(completions.contains("_scimctl()"));
    assert_eq!(scimctl(service(), &["connector", "frobnicate"]).code, 2);
}
