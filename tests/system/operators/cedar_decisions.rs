//! `scimctl policies try` and `scimctl policies who`: what Cedar decides about the users of a directory.

use directory::settings::{Mapping, Settings};
use serde_json::json;
use tests::client::Client;
use tests::folder::Folder;
use tests::provisioning::{USER, create_group, create_user, set_active_body};
use tests::scimctl::{Done, run};
use tests::service::{TestConnector, service};

/// The action and the resource of most questions.
const READ_PLAN: [&str; 4] = ["--action", "read", "--resource", "Document::\"plan\""];

async fn new_connector() -> (TestConnector, Client) {
    let connector = service().connector().await;
    let client = connector.local(service());
    (connector, client)
}

/// Asks whether a user may read the plan.
fn may_read_plan(connector: &TestConnector, policies: &str, user: &str) -> Done {
    run(connector, &[&["policies", "try", "--policies", policies, "--user", user], &READ_PLAN[..]].concat())
}

/// The output of `policies try` about the reading of the plan.
fn answer(decision: &str, name: &str, id: &str, rest: &[String]) -> String {
    let mut lines = vec![
        format!("Decision:  {decision}"),
        format!("User:      {name} {id}"),
        "Action:    Action::\"read\"".to_owned(),
        "Resource:  Document::\"plan\"".to_owned(),
    ];
    lines.extend_from_slice(rest);
    lines.join("\n") + "\n"
}

#[tokio::test]
async fn cedar_decides_by_groups_roles_attributes_and_names() {
    let (connector, client) = new_connector().await;
    let (ann, ben) = (create_user(&client, "ann").await, create_user(&client, "ben").await);
    let carl = create_user(&client, "carl").await;
    create_user(&client, "dora").await;
    let inner = create_group(&client, "Inner", std::slice::from_ref(&ann)).await;
    let outer = create_group(&client, "Outer", &[inner]).await;
    run(&connector, &["role", "create", "approver"]).ok();
    run(&connector, &["role", "assign", "approver", "ben"]).ok();
    let approver = run(&connector, &["role", "show", "approver"]).value("Id:");
    let folder = Folder::new();
    let file = folder.write(
        "docs.cedar",
        &format!(
            r#"// Who reads documents.
permit (principal in Rollcall::Group::"{outer}", action == Action::"read", resource);

@id("approvers")
permit (principal in Rollcall::Role::"{approver}", action, resource);
permit (principal == Rollcall::User::"{carl}", action, resource);
@id("no secrets")
forbid (principal, action, resource in Folder::"secret") unless {{ principal.userName == "ben" }};
permit (principal, action, resource) when {{ resource.isOpen }};
"#
        ),
    );
    let error =
        format!("Error:     {file}:9 policy4: `Document::\"plan\"` does not have the attribute `isOpen`");
    let no_attributes = format!("Error:     {file}:9 policy4: entity `Document::\"plan\"` does not exist");
    let reason = |policy: &str| format!("Reason:    {file}:{policy}");
    let entities = folder.write(
        "resources.json",
        &json!([
            { "uid": { "type": "Document", "id": "plan" }, "attrs": {}, "parents": [{ "type": "Folder", "id": "secret" }] },
            { "uid": { "type": "Folder", "id": "secret" }, "attrs": {}, "parents": [] }
        ])
        .to_string(),
    );
    for (user, own, code, decision, reasons) in [
        ("ann", None, 0, "allow", vec![reason("2 policy0")]),
        ("ben", None, 0, "allow", vec![reason("4 approvers")]),
        ("carl", None, 0, "allow", vec![reason("6 policy2")]),
        ("dora", None, 1, "deny", vec!["Reason:    no policy allows it".to_owned()]),
        ("ann", Some(&entities), 1, "deny", vec![reason("7 no secrets")]),
        ("ben", Some(&entities), 0, "allow", vec![reason("4 approvers")]),
    ] {
        let mut arguments = vec!["policies", "try", "--policies", &file, "--user", user];
        arguments.extend(READ_PLAN);
        arguments.extend(own.into_iter().flat_map(|own| ["--entities", own]));
        let done = run(&connector, &arguments);
        let id = run(&connector, &["user", "show", user]).value("Id:");
        let mut lines = reasons;
        lines.push(if own.is_some() { error.clone() } else { no_attributes.clone() });
        let expected = (code, answer(decision, user, &id, &lines), String::new());
        assert_eq!((done.code, done.out, done.err), expected, "{user} {own:?}");
    }
    let who = run(&connector, &[&["policies", "who", "--policies", &file], &READ_PLAN[..]].concat());
    let expected = format!(
        "USERNAME  POLICIES{:width$}ID\nann       {file}:2 policy0    {ann}\nben       {file}:4 approvers  {ben}\ncarl      \
         {file}:6 policy2    {carl}\n3 users\n",
        "",
        width = format!("{file}:4 approvers  ").len() - "POLICIES".len()
    );
    let noted = format!(
        "{file}:9 policy4 has an error for 4 users; ann: entity `Document::\"plan\"` does not exist\n"
    );
    assert_eq!((who.code, who.out, who.err), (0, expected, noted));
}

#[tokio::test]
async fn context_of_the_request_and_extension_functions_decide_too() {
    let (connector, client) = new_connector().await;
    let ann = create_user(&client, "ann").await;
    let folder = Folder::new();
    let file = folder.write(
        "network.cedar",
        "permit (principal in Rollcall::Group::\"public\", action == App::Action::\"open\", resource)\n\
         when { ip(context.address).isInRange(ip(\"10.0.0.0/8\")) };",
    );
    for (address, code) in [("10.1.2.3", 0), ("192.0.2.1", 1)] {
        let context = folder.write("context.json", &json!({ "address": address }).to_string());
        let arguments =
            ["policies", "try", "--policies", &file, "--user", &ann, "--action", "App::Action::\"open\""];
        let arguments = [&arguments[..], &["--resource", "App::\"x\"", "--context", &context]].concat();
        assert_eq!(run(&connector, &arguments).code, code, "{address}");
    }
}

#[tokio::test]
async fn deactivated_user_loses_what_groups_attributes_and_public_give_but_not_what_names_it() {
    let (connector, client) = new_connector().await;
    let ann = create_user(&client, "ann").await;
    let sales = create_group(&client, "Sales", std::slice::from_ref(&ann)).await;
    let folder = Folder::new();
    let policies = [
        ("group", format!("permit (principal in Rollcall::Group::\"{sales}\", action, resource);")),
        ("public", "permit (principal in Rollcall::Group::\"public\", action, resource);".to_owned()),
        ("attribute", "permit (principal, action, resource) when { principal.active };".to_owned()),
        ("user", format!("permit (principal == Rollcall::User::\"{ann}\", action, resource);")),
    ];
    let files = policies.map(|(name, text)| (name, folder.write(&format!("{name}.cedar"), &text)));
    for (name, file) in &files {
        assert_eq!(may_read_plan(&connector, file, "ann").code, 0, "{name}");
    }
    assert_eq!(client.patch(&format!("/Users/{ann}"), &set_active_body(false)).await.status, 200);
    let note =
        "the directory hides this user (deactivated), so it has no groups, roles or attributes in Cedar";
    let still_allowed = format!("{note}; the policy applies without them");
    for (name, file) in &files {
        let done = may_read_plan(&connector, file, "ann");
        let expected = if *name == "user" { (0, still_allowed.as_str()) } else { (1, note) };
        assert_eq!((done.code, done.err.trim_end()), expected, "{name}");
        let who = run(&connector, &[&["policies", "who", "--policies", file], &READ_PLAN[..]].concat());
        assert_eq!((who.code, who.out.as_str(), who.err.as_str()), (0, "0 users\n", ""), "{name}");
    }
}

#[tokio::test]
async fn user_is_found_by_id_user_name_and_shown_name_and_an_ambiguous_name_is_refused() {
    let mapping = Mapping { username: "nickName".to_owned(), ..Mapping::default() };
    let connector = service().connector_with(Settings { mapping, ..Settings::default() }).await;
    let client = connector.local(service());
    let create = async |user_name: &str, nick_name: &str| {
        let user = json!({ "schemas": [USER], "userName": user_name, "nickName": nick_name });
        client.post("/Users", &user).await.json()["id"].as_str().unwrap().to_owned()
    };
    let ann = create("ann@example.com", "Ann").await;
    let ben = create("ben@example.com", "carl").await;
    let carl = create("carl", "cc").await;
    let folder = Folder::new();
    let file = folder.write("all.cedar", "permit (principal, action, resource);");
    for (user, shown, id) in [
        (ann.as_str(), "Ann", &ann),
        ("ANN", "Ann", &ann),
        ("Ann@example.com", "Ann", &ann),
        ("ben@example.com", "carl", &ben),
        ("cc", "cc", &carl),
    ] {
        let expected = answer("allow", shown, id, &[format!("Reason:    {file}:1 policy0")]);
        assert_eq!(may_read_plan(&connector, &file, user).ok(), expected, "{user}");
    }
    let mut ids = [ben.as_str(), &carl];
    ids.sort_unstable();
    for (user, error) in [
        ("carl", format!("has 2 users of the name carl; use an id: {}", ids.join(", "))),
        ("zoe", "has no user zoe".to_owned()),
    ] {
        let done = may_read_plan(&connector, &file, user);
        let expected = format!("scimctl: connector {} {error}\n", connector.id);
        assert_eq!((done.code, done.out.as_str(), done.err), (2, "", expected));
    }
}

#[tokio::test]
async fn question_that_cedar_cannot_read_ends_with_2_and_the_place() {
    let (connector, client) = new_connector().await;
    create_user(&client, "ann").await;
    let folder = Folder::new();
    let good = folder.write("good.cedar", "permit (principal, action, resource);");
    let broken = folder
        .write("broken.cedar", "permit (principal, action, resource);\n\npermit (principal, resource);");
    let json = folder.write("policies.cedar.json", "{\n \"staticPolicies\": 3 }");
    let own = folder.write(
        "own.json",
        "[{ \"uid\": { \"type\": \"Rollcall::Group\", \"id\": \"x\" }, \"attrs\": {}, \"parents\": [] }]",
    );
    let cyclic = folder.write(
        "cyclic.json",
        "[{ \"uid\": { \"type\": \"A\", \"id\": \"x\" }, \"attrs\": {}, \"parents\": [{ \"type\": \"A\", \"id\": \"x\" }] }]",
    );
    let context = folder.write("context.json", "[1]");
    let missing = folder.file_path("missing.cedar");
    let empty = Folder::new();
    let empty = empty.path().to_str().unwrap();
    let plan = "Document::\"plan\"";
    for (arguments, error) in [
        (
            vec!["--policies", &good, &broken, "--resource", plan],
            format!(
                "{broken}:3: found the variable `resource` where the variable `action` must be used; policy scopes must contain a `principal`, `action`, and `resource` element in that order"
            ),
        ),
        (
            vec!["--policies", &json, "--resource", plan],
            format!(
                "{json}:2: error serializing/deserializing policy set to/from JSON: invalid type: integer `3`, expected a linked hash map at line 2 column 20"
            ),
        ),
        (
            vec!["--policies", &missing, "--resource", plan],
            format!("{missing}: No such file or directory (os error 2)"),
        ),
        (
            vec!["--policies", empty, "--resource", plan],
            format!("{empty}: no file in this folder ends in .cedar or .cedar.json"),
        ),
        (
            vec!["--policies", &own, "--resource", plan],
            format!("{own}: the file holds entities; use --entities for it"),
        ),
        (
            vec!["--policies", &good, "--resource", "plan"],
            "--resource is plan, and must be an entity such as Type::\"id\": unexpected end of input"
                .to_owned(),
        ),
        (
            vec!["--policies", &good, "--resource", plan, "--entities", &own],
            format!(
                "{own}: the directory defines the entities of Rollcall; remove Rollcall::Group::\"x\" from the file"
            ),
        ),
        (
            vec!["--policies", &good, "--resource", plan, "--entities", &good],
            format!("{good}: the file must be a JSON array of entities, and its name must end in .json"),
        ),
        (
            vec!["--policies", &good, "--resource", plan, "--entities", &cyclic],
            format!(
                "{cyclic}: transitive closure computation/enforcement error: input graph has a cycle containing vertex `A::\"x\"`"
            ),
        ),
        (
            vec!["--policies", &good, "--resource", plan, "--context", &context],
            format!("{context}: expression is not a record: [1]"),
        ),
    ] {
        for (verb, user) in [("try", &["--user", "ann"][..]), ("who", &[])] {
            let done = run(&connector, &[&["policies", verb, "--action", "read"], user, &arguments].concat());
            let expected = (2, "", format!("scimctl: {error}\n"));
            assert_eq!((done.code, done.out.as_str(), done.err), expected, "{verb} {arguments:?}");
        }
    }
}

#[tokio::test]
async fn policies_of_several_files_keep_their_places() {
    let (connector, client) = new_connector().await;
    let ann = create_user(&client, "ann").await;
    let folder = Folder::new();
    let everyone = "permit (principal, action, resource);";
    let first = folder.write("a.cedar", &format!("{everyone}\n{everyone}"));
    let same = folder.write("d.cedar", everyone);
    let second =
        folder.write("b.cedar", "\npermit (principal, action, resource) when { principal has active };");
    let policy = json!({ "effect": "permit", "principal": { "op": "All" }, "action": { "op": "All" }, "resource": { "op": "All" }, "conditions": [] });
    let third = folder.write(
        "c.cedar.json",
        &json!({ "staticPolicies": { "everyone": policy }, "templates": {}, "templateLinks": [] })
            .to_string(),
    );
    folder.write("notes.txt", "not a policy");
    let reasons = [
        format!("{first}:1 policy0, {same}:1 policy0"),
        format!("{first}:2 policy1"),
        format!("{second}:2 policy0"),
        format!("{third} everyone"),
    ];
    let expected = answer("allow", "ann", &ann, &reasons.map(|reason| format!("Reason:    {reason}")));
    assert_eq!(may_read_plan(&connector, folder.path().to_str().unwrap(), "ann").ok(), expected);
}

#[tokio::test]
async fn scope_of_a_policy_decides_about_actions_and_resources() {
    let (connector, client) = new_connector().await;
    create_user(&client, "ann").await;
    let folder = Folder::new();
    let entities = folder.write(
        "own.json",
        &json!([
            { "uid": { "type": "Document", "id": "plan" }, "attrs": {}, "parents": [{ "type": "Folder", "id": "in" }] },
            { "uid": { "type": "Folder", "id": "in" }, "attrs": {}, "parents": [{ "type": "Folder", "id": "out" }] },
            { "uid": { "type": "Action", "id": "read" }, "attrs": {}, "parents": [{ "type": "Action", "id": "any" }] }
        ])
        .to_string(),
    );
    for (action, resource, is_allowed) in [
        ("action", "resource", true),
        ("action == Action::\"read\"", "resource", true),
        ("action == Action::\"write\"", "resource", false),
        ("action in Action::\"any\"", "resource", true),
        ("action in [Action::\"write\", Action::\"read\"]", "resource", true),
        ("action in [Action::\"write\", Action::\"none\"]", "resource", false),
        ("action", "resource == Document::\"plan\"", true),
        ("action", "resource == Document::\"other\"", false),
        ("action", "resource in Folder::\"out\"", true),
        ("action", "resource in Document::\"plan\"", true),
        ("action", "resource in Folder::\"other\"", false),
        ("action", "resource is Document", true),
        ("action", "resource is Folder", false),
        ("action", "resource is Document in Folder::\"in\"", true),
        ("action", "resource is Folder in Folder::\"in\"", false),
        ("action", "resource is Document in Folder::\"other\"", false),
    ] {
        let file = folder.write("scope.cedar", &format!("permit (principal, {action}, {resource});"));
        let arguments = ["policies", "try", "--policies", &file, "--user", "ann", "--entities", &entities];
        let done = run(&connector, &[&arguments[..], &READ_PLAN[..]].concat());
        assert_eq!((done.code, done.err.as_str()), (i32::from(!is_allowed), ""), "{action}, {resource}");
    }
}
