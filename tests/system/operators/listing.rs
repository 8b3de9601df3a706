//! The directory on the command line: lists of users and groups, local users, `scimctl doctor`, help and
//! completions.

use std::process::Command;

use directory::settings::{OnDelete, Settings};
use http::StatusCode;
use serde_json::{Value, json};
use tests::folder::Folder;
use tests::invariants::assert_invariants;
use tests::provisioning::{create_group, create_user};
use tests::sample::SampleDirectory;
use tests::scimctl::{Done, run, scimctl, scimctl_with};
use tests::service::{TABLE, binaries, service};
use tests::stub::Stub;

#[tokio::test]
async fn listings_show_direct_and_effective_groups() {
    let SampleDirectory { connector, ann, .. } = SampleDirectory::create().await;
    let table = run(&connector, &["user", "list"]).ok();
    assert_eq!(
        table,
        "USERNAME         NAME     EMAIL             GROUPS       ORIGIN\n\
         Ann@example.com  Ann Ash  ann@work.example  Sales, EMEA  scim\n\
         1 user, and 1 hidden (--hidden)\n"
    );
    let hidden = run(&connector, &["user", "list", "--filter", "userName eq \"bob\""]).ok();
    assert_eq!(hidden, "0 users, and 1 hidden (--hidden)\n");
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
    let public = run(&connector, &["group", "show", "Public"]).ok();
    assert!(public.contains("all users") && public.contains("built in"), "{public}");
    let public = run(&connector, &["group", "show", "public", "--json"]).ok();
    assert_eq!(groups.lines().last(), Some(public.trim_end()));
    let shown = run(&connector, &["user", "show", "ANN@example.com"]).ok();
    assert!(shown.contains("the identity provider of connector") && shown.contains("Everybody"), "{shown}");
    assert!(run(&connector, &["user", "show", "carl"]).failed().ends_with("has no user carl"));
}

#[tokio::test]
async fn local_user_can_be_created_changed_and_deleted() {
    let connector = service().connector().await;
    let run = |arguments: &[&str]| run(&connector, arguments);
    run(&["user", "create", "ann", "--first-name", "Ann", "--email", "ann@example.com"]).ok();
    assert!(run(&["user", "create", "ANN"]).failed().contains("taken by another user"));
    assert_eq!(
        run(&["user", "set", "ann", "--last-name", "Ash", "--email", ""]).ok(),
        "user ann is updated\n"
    );
    assert_eq!(run(&["user", "set", "ann", "--last-name", "Ash"]).ok(), "user ann is unchanged\n");
    let entry: Value = serde_json::from_str(&run(&["user", "show", "ann", "--json"]).ok()).unwrap();
    let parts =
        ["first_name", "last_name", "display_name", "email", "origin"].map(|part| entry[part].clone());
    assert_eq!(parts, [json!("Ann"), json!("Ash"), json!("Ann Ash"), Value::Null, json!("local")]);
    run(&["user", "delete", "ann"]).ok();
    assert!(run(&["user", "show", "ann"]).failed().contains("no user ann"));
    assert_invariants(service(), &connector.id).await;
}

#[tokio::test]
async fn user_deleted_by_the_client_and_kept_is_found_by_id_only() {
    let settings = Settings { on_delete: OnDelete::Deactivate, ..Settings::default() };
    let connector = service().connector_with(settings).await;
    let client = connector.local(service());
    let ann = create_user(&client, "ann").await;
    client.delete(&format!("/Users/{ann}")).await;
    let listed = run(&connector, &["user", "list", "--hidden"]).ok();
    let lines: Vec<&str> = listed.lines().collect();
    assert!(lines[0].ends_with("  ID") && lines[1].ends_with(&ann), "{listed}");
    for verb in ["show", "set", "delete"] {
        let printed = run(&connector, &["user", verb, "ANN"]).failed();
        let expected = format!(
            "connector {} has no user ANN; the identity provider deleted a user of this name: use its id {ann}",
            connector.id
        );
        assert_eq!(printed, expected);
    }
    assert!(run(&connector, &["user", "show", "bob"]).failed().ends_with("has no user bob"));
    run(&connector, &["user", "delete", &ann]).ok();
    assert!(run(&connector, &["user", "show", "ann"]).failed().ends_with("has no user ann"));
}

#[tokio::test]
async fn deactivated_user_cannot_join_and_is_named_in_the_error() {
    let SampleDirectory { connector, .. } = SampleDirectory::create().await;
    run(&connector, &["group", "create", "Stewards"]).ok();
    run(&connector, &["role", "create", "approver"]).ok();
    for (noun, verb, of, added, skipped) in [
        (
            "group",
            "add",
            "Stewards",
            "added to group Stewards",
            "deactivated users are not added to group Stewards",
        ),
        (
            "role",
            "assign",
            "approver",
            "role approver is assigned to",
            "role approver is not assigned to deactivated users",
        ),
    ] {
        let some = run(&connector, &[noun, verb, of, "bob", "ann@example.com", "Everybody"]);
        assert_eq!((some.code, some.out.as_str()), (1, &*format!("{added}: ann@example.com, Everybody\n")));
        assert_eq!(some.failed(), format!("{skipped}: bob"));
        let rejected = run(&connector, &[noun, verb, of, "bob"]);
        assert_eq!((rejected.code, rejected.out.as_str()), (1, ""));
    }
}

#[tokio::test]
async fn columns_of_a_long_table_never_become_narrower() {
    let connector = service().connector().await;
    let rows: String = (0..520).map(|number| format!("u{number:03},Ann\n")).collect();
    let folder = Folder::new();
    let file = folder.write("users.csv", &format!("username,first_name\n{rows}{},Ann\n", "x".repeat(40)));
    run(&connector, &["import", "users", &file]).ok();
    let table = run(&connector, &["user", "list"]).ok();
    let places: Vec<usize> = table.lines().skip(1).filter_map(|line| line.find("Ann")).collect();
    assert!(places.len() == 521 && places.is_sorted(), "{places:?}");
}

#[tokio::test]
async fn deceptive_characters_in_names_are_escaped_in_everything_that_is_printed() {
    const NAME: &str = "a\u{1b}[2J\nb\u{202e}\u{200b}\u{2028}\u{9b}c";
    const ESCAPED: &str = "a\\u{1b}[2J\\nb\\u{202e}\\u{200b}\\u{2028}\\u{9b}c";
    let connector = service().connector().await;
    let client = connector.local(service());
    let id = create_user(&client, NAME).await;
    create_user(&client, "dora").await;
    create_group(&client, "g\r\u{2066}", std::slice::from_ref(&id)).await;
    let is_deceptive = |c: char| NAME.contains(c) && !"a[2Jbc\n".contains(c);
    let run = |arguments: &[&str]| run(&connector, arguments);
    let hide = format!("rules.exclude-users={NAME}");
    let folder = Folder::new();
    let file =
        folder.write("users.jsonl", &json!({ "username": NAME, "email": "a@example.com" }).to_string());
    for (arguments, times) in [
        (&["user", "list"][..], 2),
        (&["user", "show", &id], 3),
        (&["user", "set", NAME, "--email", "a@example.com"], 0),
        (&["user", "show", &format!("{NAME}x")], 1),
        (&["user", "create", &format!("{NAME}y")], 1),
        (&["group", "members", "g\r\u{2066}"], 1),
        (&["group", "show", NAME], 1),
        (&["role", "create", NAME], 1),
        (&["role", "list"], 1),
        (&["role", "assign", NAME, NAME], 2),
        (&["connector", "set", &hide, "--dry-run"], 1),
        (&["connector", "rename", NAME], 1),
        (&["connector", "show"], 1),
        (&["connector", "retire", NAME], 1),
        (&["import", "users", &file], 0),
    ] {
        let Done { out, err, .. } = run(arguments);
        let printed = out + &err;
        assert!(!printed.contains(is_deceptive), "{arguments:?}: {printed:?}");
        assert_eq!(printed.matches(ESCAPED).count(), times, "{arguments:?}: {printed:?}");
        assert!(printed.lines().all(|line| !line.starts_with("b\\u{202e}")), "{arguments:?}: {printed:?}");
    }
    let table = run(&["user", "list"]).ok();
    let columns: Vec<usize> = table.lines().filter_map(|line| line.find("  scim")).collect();
    assert_eq!(columns.len(), 2, "{table}");
    assert_eq!(columns[0], columns[1], "the columns are aligned: {table}");
    assert!(run(&["group", "list"]).ok().contains("g\\r\\u{2066} "));
    for arguments in [&["user", "show", &id, "--json"][..], &["user", "list", "--json"]] {
        let json = run(arguments).ok();
        assert!(!json.contains(is_deceptive) && json.contains("\\u202e\\u200b"), "{json:?}");
        let names = json.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["username"].clone());
        assert!(names.into_iter().any(|name| name == NAME), "{json}");
    }
}

#[tokio::test]
async fn doctor_sends_no_password_over_http_except_to_this_machine() {
    let connector = service().connector().await;
    let id = connector.id.to_string();
    let look = |url: &str, login: &[&str]| {
        scimctl_with(service(), &[&["doctor", &id, "--url", url][..], login].concat(), "a secret\n")
    };
    let (token, password) = (&["--password", "-"][..], &["--username", "okta", "--password", "-"][..]);
    for url in [
        "http://scim.invalid",
        "HTTP://scim.invalid:80/",
        "http://127.0.0.1@scim.invalid",
        "http://0.0.0.0:1",
    ] {
        for login in [&[][..], token, password] {
            let refused = look(url, login);
            assert_eq!(refused.out, "", "nothing is checked");
            assert_eq!(
                refused.failed(),
                format!(
                    "--url is {url:?}. Enter the https:// URL of the service, such as https://scim.example.com. http:// is only \
                     for this machine, because everyone on the way could read the password"
                )
            );
        }
    }
    for (url, login) in
        [("https://scim.invalid", &[][..]), ("https://scim.invalid", password), ("http://localhost:1", token)]
    {
        let checked = look(url, login);
        assert!(checked.out.contains(" does not respond: "), "{url}: {checked:?}");
    }
}

#[tokio::test]
async fn doctor_reports_each_problem_with_its_remedy() {
    let connector = service().connector().await;
    let (id, client) = (connector.id.to_string(), connector.local(service()));
    let origin = service().origin();
    let look = |username: &str, password: &str| {
        let arguments = ["doctor", &id, "--url", origin, "--username", username, "--password", "-"];
        scimctl_with(service(), &arguments, &format!("{password}\n"))
    };
    let done = look(&client.username, &client.password);
    for line in [
        &format!("ok      table {TABLE} exists"),
        "ok      the table deletes expired items",
        "FAILED  the table has no stream",
        "        Deploy the stack again: template.yaml sets StreamSpecification.",
        &format!("ok      connector {id} is enabled"),
        "ok      the connector has a valid credential",
        &format!("ok      {origin}/{id}/scim/v2/Users?count=0 requires authentication"),
        "ok      the service accepts the credential",
    ] {
        assert!(done.out.lines().any(|printed| printed == line), "{line} in {}", done.out);
    }
    assert_eq!(done.code, 1, "doctor reports problems, because the embedded engine is not a deployed stack");
    assert!(
        look(&client.username, "wrong").out.contains("FAILED  the service refuses the credential with 401")
    );
    let nowhere = scimctl(service(), &["doctor", &id, "--url", "http://127.0.0.1:1"]);
    assert!(
        nowhere.out.contains("FAILED  http://127.0.0.1:1/") && nowhere.out.contains("does not respond"),
        "{nowhere:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn doctor_says_what_to_do_after_too_many_wrong_passwords() {
    let connector = service().connector().await;
    let limited = Stub::start(StatusCode::TOO_MANY_REQUESTS, String::new()).await;
    let arguments =
        ["doctor", &connector.id.to_string(), "--url", &limited.url, "--username", "okta", "--password", "-"];
    let printed = scimctl_with(service(), &arguments, "wrong\n").out;
    let advice = "FAILED  the service refuses the password with 429, after too many wrong ones from this address\n\
                  \u{20}       Correct the password. Or use a generated one, as `scimctl connector rotate` prints it: a generated \
                  password or token is never refused because of wrong ones. The limit of chosen passwords ends after 15 minutes.\n";
    assert!(printed.ends_with(advice), "{printed}");
}

#[tokio::test]
async fn help_has_examples() {
    let help = scimctl(service(), &["--help"]).ok();
    assert!(help.contains("EXAMPLES:") && help.contains("EXIT CODES:"), "{help}");
    for (noun, verbs) in [
        ("user", "list show create set delete"),
        ("group", "list show members create rename add remove delete"),
        ("role", "list show members create assign withdraw delete"),
    ] {
        for verb in verbs.split(' ') {
            let help = scimctl(service(), &[noun, verb, "--help"]).ok();
            assert!(help.contains(&format!("EXAMPLE:\n  scimctl {noun} {verb} okta")), "{help}");
        }
    }
    assert_eq!(scimctl(service(), &["connector", "frobnicate"]).code, 2);
}

#[tokio::test]
async fn bash_completes_commands_and_the_names_of_connectors() {
    let connector = service().connector().await;
    // What bash does when a person presses the tab key after these words.
    let script = r#"
        source <(scimctl completions bash)
        COMP_WORDS=("$@" "$BEGINNING")
        COMP_CWORD=$#
        _clap_complete_scimctl scimctl "$BEGINNING"
        printf '%s\n' "${COMPREPLY[@]}"
    "#;
    let complete = |words: &[&str], beginning: &str| -> Vec<String> {
        let mut command = Command::new("bash");
        command.args(["-c", script, "bash", "scimctl"]).args(words).env("BEGINNING", beginning);
        let path = format!("{}:{}", binaries().display(), std::env::var("PATH").unwrap());
        let output = command.env("PATH", path).output().unwrap();
        String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
    };
    assert_eq!(complete(&["connector"], "rot"), ["rotate"]);
    let id = connector.id.to_string();
    let endpoint = service().endpoint_for("OperateDirectory");
    let place = ["--endpoint", &endpoint, "--table", TABLE];
    for words in [[&place[..], &["connector", "show"]].concat(), [&["feed", "show"], &place[..]].concat()] {
        // A completion that takes long suggests nothing. On a slow machine, a person presses the key again.
        let suggested = (0..20).map(|_| complete(&words, &id)).find(|suggested| *suggested != [""]);
        assert_eq!(suggested.unwrap_or_default(), [id.as_str()], "{words:?}");
    }
    // Without a table, nothing is suggested, and nothing fails.
    assert_eq!(complete(&["--endpoint", "http://127.0.0.1:1", "connector", "show"], &id), [""]);
}
