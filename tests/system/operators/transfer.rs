//! Export and import of users and groups as CSV and JSON Lines files.

use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};

use directory::settings::{Mapping, OnDelete, Settings};
use serde_json::{Value, json};
use shared::resource::ResourceKind;
use tests::client::Client;
use tests::folder::Folder;
use tests::invariants::assert_invariants;
use tests::provisioning::{USER, create_group, create_user};
use tests::sample::SampleDirectory;
use tests::scimctl::{run, scimctl};
use tests::service::{TABLE, TestConnector, binaries, service};

const UNCHANGED: &str = "0 created, 0 updated, 1 unchanged, 0 refused\n";

#[tokio::test]
async fn exported_directory_can_be_imported_elsewhere_repeatedly() {
    let SampleDirectory { connector, .. } = SampleDirectory::create().await;
    let folder = Folder::new();
    for extension in ["csv", "jsonl"] {
        let (users, groups) =
            (folder.file_path(&format!("u.{extension}")), folder.file_path(&format!("g.{extension}")));
        run(&connector, &["export", "users", &users]).ok();
        run(&connector, &["export", "groups", &groups]).ok();
        let other = service().connector().await;
        assert_eq!(
            run(&other, &["import", "users", &users]).ok(),
            "1 created, 0 updated, 0 unchanged, 0 refused\n"
        );
        // A local group can contain groups of the identity provider only, so the outer group is refused.
        let nested = run(&other, &["import", "groups", &groups]);
        assert_eq!(nested.out, "1 created, 0 updated, 0 unchanged, 1 refused\n");
        assert!(nested.err.contains("has no group Sales, EMEA of the identity provider"), "{nested:?}");
        assert_eq!(run(&other, &["import", "users", &users]).ok(), UNCHANGED);
        let again = run(&other, &["import", "groups", &groups]);
        assert_eq!(again.out, "0 created, 0 updated, 1 unchanged, 1 refused\n");
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
        assert_invariants(service(), &other.id).await;
    }
    let csv = run(&connector, &["export", "users"]).ok();
    assert_eq!(csv, std::fs::read_to_string(folder.file_path("u.csv")).unwrap());
    assert_eq!(csv.lines().count(), 2);
    assert_eq!(
        run(&connector, &["export", "users", &folder.file_path("u.xml")]).failed(),
        format!("{}: the file name must end in .csv, .jsonl or .ndjson", folder.file_path("u.xml"))
    );
}

#[tokio::test]
async fn refused_rows_are_reported_and_the_other_rows_are_imported() {
    let SampleDirectory { connector, client, .. } = SampleDirectory::create().await;
    let folder = Folder::new();
    let csv = folder.write(
        "users.csv",
        "username,first_name,email\ncarl,Carl,carl@example.com\n,Nobody,\nann@example.com,Anna,\ndora,\nemil,Émile,\n",
    );
    let imported = run(&connector, &["import", "users", &csv]);
    assert_eq!((imported.code, imported.out.as_str()), (1, "2 created, 0 updated, 0 unchanged, 3 refused\n"));
    let printed: Vec<&str> = imported.err.lines().collect();
    let [no_name, owned, short, last] = printed[..] else { panic!("{printed:?}") };
    assert_eq!(no_name, format!("{csv}:3: the row has no username"));
    assert!(owned.starts_with(&format!("{csv}:4: User ")) && owned.contains("belongs to"), "{owned}");
    assert_eq!(short, format!("{csv}:5: the row has 2 cells, but the heading has 3"));
    assert_eq!(last, "scimctl: 3 rows were refused");
    let changed = folder.write("changed.csv", "username,first_name,email\ncarl,,carl@example.org\n");
    assert_eq!(
        run(&connector, &["import", "users", &changed]).ok(),
        "0 created, 1 updated, 0 unchanged, 0 refused\n"
    );
    let carl = client.get("/Users?filter=userName%20eq%20%22carl%22").await.json()["Resources"][0].clone();
    assert_eq!((carl.get("name"), &carl["emails"][0]["value"]), (None, &json!("carl@example.org")));
    let silent = folder.write("silent.csv", "username\ncarl\n");
    assert_eq!(
        run(&connector, &["import", "users", &silent]).ok(),
        "0 created, 0 updated, 1 unchanged, 0 refused\n"
    );
    let lines = folder.write("groups.jsonl", "{\"name\": \"Team\", \"members\": \"carl; emil\"}\n\n{\"name\": 1}\n{\"name\": \"Sales, EMEA\"}\n{\"name\": \"T\", \"members\": \"zoe\"}\n");
    let imported = run(&connector, &["import", "groups", &lines]);
    assert_eq!((imported.code, imported.out.as_str()), (1, "1 created, 0 updated, 1 unchanged, 2 refused\n"));
    assert!(
        imported.err.contains(":3: name is 1, and must be a string")
            && imported.err.contains("has no user zoe"),
        "{}",
        imported.err
    );
    let silent = folder.write("silent.jsonl", "{\"name\": \"team\"}\n");
    assert_eq!(
        run(&connector, &["import", "groups", &silent]).ok(),
        "0 created, 0 updated, 1 unchanged, 0 refused\n"
    );
    assert_eq!(run(&connector, &["group", "members", "team"]).ok().lines().count(), 2);
    let fewer = folder.write("fewer.csv", "name,members\nteam,emil\n");
    assert_eq!(
        run(&connector, &["import", "groups", &fewer]).ok(),
        "0 created, 1 updated, 0 unchanged, 0 refused\n"
    );
    assert_eq!(run(&connector, &["group", "members", "team"]).ok(), "emil\n");
    assert_invariants(service(), &connector.id).await;
    assert!(
        run(&connector, &["import", "users", &folder.file_path("none.csv")])
            .failed()
            .contains("No such file")
    );
}

/// Everything that the command line shows of a directory.
fn shown_directory(connector: &TestConnector) -> String {
    let mut all = run(connector, &["user", "list", "--hidden", "--json"]).ok();
    all.push_str(&run(connector, &["group", "list", "--hidden"]).ok());
    for name in ["Team; \\A", "Everybody", "Sales, EMEA"] {
        all.push_str(&run(connector, &["group", "show", name]).ok());
    }
    all
}

/// Creates users and groups whose shown values differ from the stored values: several email addresses, spaces
/// in names, characters that are special in CSV files.
async fn populate(connector: &TestConnector, client: &Client) {
    let ann = json!({
        "schemas": [USER], "userName": "Ann@example.com", "name": { "givenName": " Ann", "familyName": "Ash" },
        "emails": [{ "value": "ann@home.example", "type": "home" }, { "value": "ann@work.example", "primary": true }]
    });
    assert_eq!(client.post("/Users", &ann).await.status, 201);
    let ids = [create_user(client, "CORP\\bob;").await, create_user(client, " carl").await];
    let inner = create_group(client, "Sales, EMEA", &ids).await;
    create_group(client, "Everybody", &[inner]).await;
    let run = |arguments: &[&str]| run(connector, arguments).ok();
    run(&["user", "create", "dora@example.com", "--first-name", "Dora", "--email", "dora@example.org"]);
    run(&["user", "create", "=1+1", "--display-name", "+49 89"]);
    run(&["group", "create", "Team; \\A"]);
    run(&["group", "add", "Team; \\A", "=1+1", "CORP\\bob;", " carl", "Sales, EMEA"]);
}

#[tokio::test]
async fn import_of_an_export_changes_nothing_in_the_same_directory() {
    let home = Mapping { email: "emails[type eq \"home\"].value".to_owned(), ..Mapping::default() };
    let short =
        Mapping { username_from_email: true, first_name: "userName".to_owned(), ..Mapping::default() };
    for mapping in [Mapping::default(), home, short] {
        let connector = service().connector_with(Settings { mapping, ..Settings::default() }).await;
        let client = connector.local(service());
        populate(&connector, &client).await;
        let before = shown_directory(&connector);
        let folder = Folder::new();
        for extension in ["csv", "jsonl"] {
            for (what, count) in [("users", 5), ("groups", 3)] {
                let file = folder.file_path(&format!("{what}.{extension}"));
                run(&connector, &["export", what, &file]).ok();
                assert_eq!(
                    run(&connector, &["import", what, &file]).ok(),
                    format!("0 created, 0 updated, {count} unchanged, 0 refused\n"),
                    "{extension}"
                );
            }
        }
        assert_eq!(shown_directory(&connector), before);
        assert_invariants(service(), &connector.id).await;
    }
}

#[tokio::test]
async fn export_has_the_shown_values_beside_the_stored_values() {
    let mapping = Mapping { username_from_email: true, ..Mapping::default() };
    let connector = service().connector_with(Settings { mapping, ..Settings::default() }).await;
    populate(&connector, &connector.local(service())).await;
    let folder = Folder::new();
    let rows = |what: &str| -> Vec<Value> {
        let file = folder.file_path("rows.jsonl");
        run(&connector, &["export", what, &file]).ok();
        let text = std::fs::read_to_string(file).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let users = rows("users");
    let dora = users.iter().find(|row| row["username"] == "dora@example.com").unwrap();
    assert_eq!((&dora["shown_username"], &dora["shown_display_name"]), (&json!("dora"), &json!("Dora")));
    assert_eq!((&dora["display_name"], &dora["effective_groups"]), (&Value::Null, &json!(["public"])));
    let groups = rows("groups");
    let team = groups.iter().find(|row| row["name"] == "Team; \\A").unwrap();
    assert_eq!(team["members"], json!([" carl", "=1+1", "CORP\\bob;"]));
    assert_eq!(team["member_groups"], json!(["Sales, EMEA"]));
    let csv = run(&connector, &["export", "users"]).ok();
    assert!(csv.contains("\n\"'=1+1\",\"\",\"\",\"'+49 89\",\"\",\"'=1+1\","), "{csv}");
    let csv = run(&connector, &["export", "groups"]).ok();
    assert!(csv.contains("\n\"Team; \\A\",\" carl;'=1+1;CORP\\\\bob\\;\",\"Sales, EMEA\","), "{csv}");
}

#[tokio::test]
async fn member_columns_replace_members_and_missing_columns_keep_them() {
    let connector = service().connector().await;
    populate(&connector, &connector.local(service())).await;
    let folder = Folder::new();
    let members = || {
        let shown = run(&connector, &["group", "show", "Team; \\A"]);
        shown.value("Members:")
    };
    for (text, left) in [
        ("name\nTeam; \\A\n", "3 users, 1 group"),
        ("name,members\nTeam; \\A,'=1+1\n", "1 user, 1 group"),
        ("name,member_groups\nTeam; \\A,\n", "1 user, 0 groups"),
        (
            "name,members,member_groups\nTeam; \\A,CORP\\bob\\;; dora@example.com,Everybody\n",
            "2 users, 1 group",
        ),
    ] {
        let file = folder.write("groups.csv", text);
        run(&connector, &["import", "groups", &file]).ok();
        assert_eq!(members(), left, "{text}");
    }
    let owned = folder.write("owned.csv", "name,members\n\"Sales, EMEA\",dora@example.com\n");
    let refused = run(&connector, &["import", "groups", &owned]);
    assert!(refused.err.contains("belongs to the identity provider"), "{refused:?}");
    assert_invariants(service(), &connector.id).await;
}

#[tokio::test]
async fn hidden_rows_of_an_export_are_not_imported() {
    let settings = Settings { on_delete: OnDelete::Deactivate, ..Settings::default() };
    let connector = service().connector_with(settings).await;
    let client = connector.local(service());
    let ann = create_user(&client, "ann").await;
    create_user(&client, "bob").await;
    client.delete(&format!("/Users/{ann}")).await;
    let folder = Folder::new();
    for extension in ["csv", "jsonl"] {
        let file = folder.file_path(&format!("users.{extension}"));
        run(&connector, &["export", "users", &file, "--hidden"]).ok();
        assert_eq!(
            run(&connector, &["import", "users", &file]).ok(),
            "0 created, 0 updated, 1 unchanged, 0 refused, 1 hidden row skipped\n"
        );
    }
    assert_eq!(client.get("/Users").await.json()["totalResults"], 1);
}

#[tokio::test]
async fn duplicate_name_in_a_file_is_refused_with_both_line_numbers() {
    let connector = service().connector().await;
    let folder = Folder::new();
    let users = folder.write("users.csv", "username,first_name\nann,Ann\nbob,Bob\nANN,Anna\n");
    let groups = folder.write("groups.jsonl", "{\"name\": \"Team\"}\n\n{\"name\": \"team \"}\n");
    for (what, file, created, line) in [
        ("users", &users, 2, "4: username \"ANN\" is already in line 2"),
        ("groups", &groups, 1, "3: name \"team \" is already in line 1"),
    ] {
        let imported = run(&connector, &["import", what, file]);
        assert_eq!(imported.out, format!("{created} created, 0 updated, 0 unchanged, 1 refused\n"));
        assert!(imported.err.contains(&format!("{file}:{line}\n")), "{imported:?}");
    }
    assert_eq!(run(&connector, &["user", "show", "ann"]).value("First name:"), "Ann");
}

#[tokio::test]
async fn file_with_an_unknown_column_is_refused_before_any_import() {
    let connector = service().connector().await;
    let folder = Folder::new();
    let csv = folder.write("users.csv", "username,firstname,last_nam\nann,Ann,Ash\n");
    let lines = folder.write("groups.jsonl", "{\"name\": \"Team\"}\n{\"name\": \"T\", \"member\": []}\n");
    for (what, file, unknown) in [
        ("users", csv, "columns \"firstname\", \"last_nam\"; the columns are username, "),
        ("groups", lines, "column \"member\"; the columns are name, "),
    ] {
        let printed = run(&connector, &["import", what, &file]).failed();
        assert!(printed.starts_with(&format!("{file}: unknown {unknown}")), "{printed}");
    }
    let nothing =
        run(&connector, &["user", "list"]).ok() + &run(&connector, &["group", "list", "--json"]).ok();
    assert_eq!((nothing.lines().next(), nothing.lines().count()), (Some("0 users"), 2), "{nothing}");
}

#[tokio::test]
async fn dry_run_of_an_import_says_what_it_would_do_and_writes_nothing() {
    let connector = service().connector().await;
    let client = connector.local(service());
    create_user(&client, "bob").await;
    create_group(&client, "Sales", &[]).await;
    run(&connector, &["user", "create", "ann", "--first-name", "Ann"]).ok();
    let folder = Folder::new();
    let users = folder.write("users.csv", "username,first_name\nann,Anna\nbob,Bob\ncarl,Carl\n");
    let groups = folder.write("groups.csv", "name,members\nSales,ann\nTeam,ann\nOthers,nobody\n");
    let exported = |kind| run(&connector, &["export", kind]).ok();
    let before = (exported("users"), exported("groups"));
    let audited = scimctl(service(), &["audit", &connector.id.to_string()]).ok();
    for (kind, file, counts, refusals) in [
        ("users", &users, "1 created, 1 updated, 0 unchanged, 1 refused", 1),
        ("groups", &groups, "1 created, 0 updated, 0 unchanged, 2 refused", 2),
    ] {
        let done = run(&connector, &["import", kind, file, "--dry-run"]);
        assert_eq!(done.out, format!("{counts}; nothing is written (--dry-run)\n"), "{done:?}");
        assert_eq!((done.code, done.err.lines().count()), (1, refusals + 1), "{done:?}");
        assert!(done.err.contains("belongs to the identity provider"), "{done:?}");
    }
    assert_eq!((exported("users"), exported("groups")), before);
    assert_eq!(scimctl(service(), &["audit", &connector.id.to_string()]).ok(), audited);
    // The import itself does what the dry run said.
    let done = run(&connector, &["import", "users", &users]);
    assert_eq!(done.out, "1 created, 1 updated, 0 unchanged, 1 refused\n");
}

#[tokio::test]
async fn export_says_how_many_rows_it_wrote_on_standard_error() {
    let connector = service().connector().await;
    run(&connector, &["user", "create", "ann"]).ok();
    // Rules hide only users that the client sent.
    create_user(&connector.local(service()), "bob").await;
    scimctl(service(), &["connector", "set", &connector.id.to_string(), "rules.exclude-users=bob"]).ok();
    assert_eq!(
        run(&connector, &["export", "users"]).err,
        "1 user exported, and 1 hidden left out (--hidden)\n"
    );
    assert_eq!(run(&connector, &["export", "users", "--hidden"]).err, "2 users exported\n");
    let folder = Folder::new();
    let file = folder.file_path("groups.csv");
    let id = connector.id.to_string();
    let done = scimctl(service(), &["export", "groups", &id, &file]);
    assert_eq!((done.out.as_str(), done.err.as_str()), ("", "0 groups exported\n"));
}

#[tokio::test]
async fn import_of_a_folder_fails_with_one_line() {
    let connector = service().connector().await;
    let folder = Folder::new();
    for name in ["folder.jsonl", "folder.csv"] {
        let path = folder.file_path(name);
        std::fs::create_dir(&path).unwrap();
        let printed = run(&connector, &["import", "users", &path]).failed();
        assert!(printed.starts_with(&format!("{path}: ")), "{printed}");
    }
}

#[tokio::test]
async fn errors_name_the_first_line_of_a_row() {
    let connector = service().connector().await;
    let folder = Folder::new();
    for end in ["\n", "\r\n"] {
        let text = ["username,first_name", "", "ann,\"A", "nn\"", "", ",x", ",\"y", "y\"", ",z"].join(end);
        let file = folder.write("users.csv", &text);
        let imported = run(&connector, &["import", "users", &file]);
        let lines: Vec<&str> =
            imported.err.lines().filter_map(|line| line.strip_suffix(": the row has no username")).collect();
        assert_eq!(lines, [6, 7, 9].map(|line| format!("{file}:{line}")), "{end:?}");
    }
}

/// Values that a spreadsheet could read as formulas, in every place where it can begin a cell.
const FORMULAS: [&str; 16] = [
    "=1+1",
    "+1",
    "-1",
    "@SUM(1)",
    "\t=1",
    "\r=1",
    "\n=1",
    " =1",
    "\u{a0}\u{2003}\u{3000}=1",
    "\u{ff1d}1",
    "\u{ff0b}1",
    "\u{ff0d}1",
    "\u{ff20}1",
    "a;=1",
    "a\t=1",
    "'=1",
];

#[tokio::test]
async fn no_part_of_an_exported_cell_is_a_formula_and_an_import_restores_every_value() {
    let connector = service().connector().await;
    let client = connector.local(service());
    let mut names: Vec<String> =
        (0..).zip(FORMULAS).map(|(number, formula)| format!("{formula}-{number}")).collect();
    let mut ids = Vec::new();
    for name in &names {
        let user = json!({
            "schemas": [USER], "userName": name, "displayName": format!("{name} shown"),
            "name": { "givenName": name, "familyName": format!("{name};{name}") },
            "emails": [{ "value": format!("{name}@example.com") }]
        });
        let created = client.post("/Users", &user).await;
        assert_eq!(created.status, 201, "{name:?}: {:?}", created.try_json());
        ids.push(created.json()["id"].as_str().unwrap().to_owned());
    }
    let inner = create_group(&client, "=inner", &[]).await;
    create_group(&client, "\t=Team", &[ids, vec![inner]].concat()).await;
    let folder = Folder::new();
    let (users, groups) = (folder.file_path("users.csv"), folder.file_path("groups.csv"));
    run(&connector, &["export", "users", &users]).ok();
    run(&connector, &["export", "groups", &groups]).ok();
    for file in [&users, &groups] {
        let text = std::fs::read_to_string(file).unwrap();
        // A spreadsheet that splits lines at another separator than commas, or ignores quotes, begins a cell after each of these.
        for cell in text.split(['\n', '\r', '\t', ';']).chain(text.split("\",\"")) {
            let cell = cell.trim_start_matches(|c: char| c.is_whitespace() || c == '"');
            let signs = ['=', '+', '-', '@', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}'];
            assert!(!cell.starts_with(signs), "{cell:?} in {text}");
        }
        let cells = text.matches("\",\"").count();
        assert!(cells > 10 && text.starts_with('"'), "every cell has quotes: {text}");
    }
    let other = service().connector().await;
    run(&other, &["import", "users", &users]).ok();
    // A client's list leaves local users out.
    let directory = service().directory(&other.id).await;
    let mut walk = directory.queries().walk(ResourceKind::User);
    let mut found = Vec::new();
    while let Some(page) = walk.next().await.unwrap() {
        found.extend(page.into_iter().map(|found| Value::Object(found.stored.resource.document)));
    }
    found.sort_by_key(|user| user["userName"].as_str().map(str::to_owned));
    // An import takes white space around a value away.
    names.sort_by_key(|name| name.trim().to_owned());
    assert_eq!(found.len(), names.len());
    for (user, name) in found.iter().zip(&names) {
        for (value, expected) in [
            (&user["userName"], name.clone()),
            (&user["displayName"], format!("{name} shown")),
            (&user["name"]["givenName"], name.clone()),
            (&user["name"]["familyName"], format!("{name};{name}")),
            (&user["emails"][0]["value"], format!("{name}@example.com")),
        ] {
            assert_eq!(value, expected.trim());
        }
    }
    for (what, file, count) in [("users", &users, names.len()), ("groups", &groups, 2)] {
        let unchanged = format!("0 created, 0 updated, {count} unchanged, 0 refused\n");
        assert_eq!(run(&connector, &["import", what, file]).ok(), unchanged);
    }
}

#[tokio::test]
async fn written_files_are_private_whatever_the_umask_and_their_mode_before() {
    let connector = service().connector().await;
    let client = connector.local(service());
    create_user(&client, "ann").await;
    create_group(&client, "Team", &[]).await;
    let id = connector.id.to_string();
    let mode = |file: &str| std::fs::metadata(file).unwrap().permissions().mode() & 0o777;
    for umask in ["000", "022", "277", "777"] {
        let folder = Folder::new();
        for (arguments, name) in [
            (&["export", "users", &id][..], "users.csv"),
            (&["export", "groups", &id], "groups.jsonl"),
            (&["connector", "export", &id], "settings.toml"),
        ] {
            let (new, existing) =
                (folder.file_path(name), folder.write(&format!("old-{name}"), &"x".repeat(9_999)));
            std::fs::set_permissions(&existing, std::fs::Permissions::from_mode(0o666)).unwrap();
            for file in [&new, &existing] {
                let done = Command::new("sh")
                    .args(["-c", &format!("umask {umask}; exec \"$@\""), "sh"])
                    .arg(binaries().join("scimctl"))
                    .args(["--table", TABLE, "--endpoint", service().endpoint()])
                    .args(arguments)
                    .arg(file)
                    .output()
                    .unwrap();
                assert!(done.status.success() && done.stdout.is_empty(), "{done:?}");
                assert_eq!(mode(file), 0o600, "{file} with umask {umask}");
            }
            let text = std::fs::read_to_string(&new).unwrap();
            assert_eq!(std::fs::read_to_string(&existing).unwrap(), text, "the old content is gone");
            assert!(text.len() > 10, "{text}");
        }
    }
}

#[tokio::test]
async fn csv_on_a_terminal_is_escaped_and_in_a_pipe_is_exact() {
    let connector = service().connector().await;
    create_user(&connector.local(service()), "ann\u{1b}[2J\u{202e}").await;
    let piped = run(&connector, &["export", "users"]).ok();
    assert!(piped.contains("\n\"ann\u{1b}[2J\u{202e}\","), "{piped:?}");
    let program = binaries().join("scimctl");
    let command = format!(
        "'{}' --table {TABLE} --endpoint {} export users {}",
        program.display(),
        service().endpoint(),
        connector.id
    );
    let shown =
        Command::new("script").args(["-qec", &command, "/dev/null"]).stdin(Stdio::null()).output().unwrap();
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert!(shown.contains("\n\"ann\\u{1b}[2J\\u{202e}\","), "{shown:?}");
    assert!(!shown.contains("ann\u{1b}") && !shown.contains('\u{202e}'), "{shown:?}");
}
