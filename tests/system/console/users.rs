//! The pages of `scimctl console` about users, groups and roles, and changes of them by hand.

use std::collections::BTreeSet;

use directory::settings::{Mapping, OnDelete, Rules, Settings};
use serde_json::{Value, json};
use tests::client::Client;
use tests::console::{Page, SignedIn};
use tests::provisioning::{USER, create_group, create_user, percent_encoded, set_active_body};
use tests::scimctl::{operator, run};
use tests::seed;
use tests::service::{Service, TestConnector, service};

const COLUMNS: [&str; 5] = ["Username", "Display name", "Email", "Origin", "State"];

async fn writable(service: &Service) -> SignedIn {
    SignedIn::to(service, &["--write", "--url", "https://scim.example.com"]).await
}

/// Creates a user with a name and an email address.
async fn create_ann(client: &Client) -> String {
    let ann = json!({
        "schemas": [USER], "userName": "ann@example.com", "externalId": "00u1",
        "name": { "givenName": "Ann", "familyName": "Ash" }, "displayName": "Dr. Ann Ash",
        "emails": [{ "value": "work@example.org", "primary": true }]
    });
    let created = client.post("/Users", &ann).await;
    assert_eq!(created.status, 201, "{created:?}");
    created.json()["id"].as_str().unwrap().to_owned()
}

/// The id at the end of what `scimctl` prints about a creation.
fn printed_id(printed: &str) -> String {
    printed.trim().rsplit(' ').next().unwrap().to_owned()
}

/// The rows of a table without the headings.
fn rows(page: &Page, caption: &str) -> Vec<Vec<String>> {
    page.grid(caption).into_iter().skip(1).collect()
}

/// The operations of the audit trail, the oldest first: who made them, the operation, the kind and the changes.
fn audited(connector: &TestConnector) -> Vec<(String, String, String)> {
    let id = connector.id.to_string();
    let printed = tests::scimctl::scimctl(service(), &["audit", &id, "--json", "--limit", "1000"]).ok();
    let records = printed.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let text = |record: &Value, name: &str| record[name].as_str().unwrap().to_owned();
    let mut records: Vec<_> = records
        .map(|record| (text(&record, "who"), text(&record, "operation"), text(&record, "kind")))
        .collect();
    records.reverse();
    records
}

#[tokio::test(flavor = "multi_thread")]
async fn users_are_listed_with_every_column_and_the_reason_why_they_are_hidden() {
    let rules = Rules { exclude_users: vec!["svc-*".to_owned()], ..Rules::default() };
    let mapping = Mapping { username_from_email: true, ..Mapping::default() };
    let settings = Settings { rules, mapping, on_delete: OnDelete::Deactivate, ..Settings::default() };
    let connector = service().connector_with(settings).await;
    let client = connector.local(service());
    let ann = create_ann(&client).await;
    create_user(&client, "ann@other.com").await;
    let bob = create_user(&client, "bob@example.com").await;
    client.patch(&format!("/Users/{bob}"), &set_active_body(false)).await;
    let carl = create_user(&client, "carl").await;
    client.delete(&format!("/Users/{carl}")).await;
    create_user(&client, "svc-bot").await;
    run(&connector, &["user", "create", "dora", "--email", "dora@example.com"]).ok();

    let browser = SignedIn::to(service(), &[]).await;
    let path = format!("/connectors/{}/users", connector.id);
    let page = browser.show(&path).await;
    let scim = "identity provider";
    let taken = format!("hidden the username is taken by {ann}");
    let expected = [
        COLUMNS,
        ["ann userName ann@example.com", "Dr. Ann Ash", "work@example.org", scim, "shown"],
        ["ann userName ann@other.com", "ann", "–", scim, &taken],
        ["bob userName bob@example.com", "bob", "–", scim, "hidden deactivated"],
        ["dora", "dora", "dora@example.com", "local", "shown"],
        ["svc-bot", "svc-bot", "–", scim, "hidden excluded by svc-*"],
    ];
    assert_eq!(page.grid("Users"), expected);
    // The user whom the client deleted has no name any more, and does not count.
    assert!(page.text().contains("Search 5 users Users"), "{}", page.text());
    assert_eq!(page.link(&ann), Some(format!("{path}/{ann}")));

    let hidden = browser.show(&format!("{path}?show=hidden")).await;
    assert!(hidden.text().contains("4 hidden users among the 6 users, in the order of their ids"));
    let found: BTreeSet<_> =
        rows(&hidden, "Users").into_iter().map(|row| (row[0].clone(), row[4].clone())).collect();
    let expected = [
        ("ann userName ann@other.com", taken.as_str()),
        ("bob userName bob@example.com", "hidden deactivated"),
        ("carl", "hidden deleted by the client"),
        ("svc-bot", "hidden excluded by svc-*"),
    ];
    let expected: BTreeSet<_> = expected.map(|(name, state)| (name.to_owned(), state.to_owned())).into();
    assert_eq!(found, expected);
    let carl = browser.show(&format!("{path}/{carl}")).await;
    assert_eq!(carl.fact("State").unwrap(), "hidden deleted by the client");
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_users_follow_each_other_in_the_order_of_names() {
    let service = Service::start();
    let connector = service.connector().await;
    seed::users(&service, &connector.id, 250).await;
    let browser = SignedIn::to(&service, &[]).await;
    let first = format!("/connectors/{}/users", connector.id);
    let (mut path, mut names, mut pages) = (Some(first.clone()), Vec::new(), 0);
    while let Some(present) = path {
        let page = browser.show(&present).await;
        assert!(page.text().contains("50 users of 250, in the order of the userName"), "{}", page.text());
        names.extend(rows(&page, "Users").into_iter().map(|row| row[0].clone()));
        assert_eq!(page.link("First page"), (pages > 0).then(|| first.clone()));
        path = page.link("Next page");
        pages += 1;
    }
    let expected: Vec<String> = (0..250).map(|number| format!("user{number:06}@example.com")).collect();
    assert_eq!((pages, names), (5, expected));

    let found = browser.show(&format!("{first}?q=user")).await;
    let sentence = "The first 100 users that match \"user\". There are more: enter more characters";
    assert!(found.text().contains(sentence), "{}", found.text());
    assert_eq!(rows(&found, "Users").len(), 100);
    let found = browser.show(&format!("{first}?q=USER00024")).await;
    assert!(found.text().contains("10 users match \"USER00024\""), "{}", found.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn search_finds_users_by_the_beginning_of_each_indexed_attribute_and_by_id() {
    let connector = service().connector().await;
    let client = connector.local(service());
    let ann = create_ann(&client).await;
    create_user(&client, "bob").await;
    let browser = SignedIn::to(service(), &[]).await;
    let path = format!("/connectors/{}/users", connector.id);
    for text in ["ANN@", "dr. ann", "Ash", "ann", "WORK@example", "00u1", &ann, " ann@example.com "] {
        let page = browser.show(&format!("{path}?q={}", percent_encoded(text))).await;
        let found: Vec<String> = rows(&page, "Users").into_iter().map(|row| row[0].clone()).collect();
        assert_eq!(found, ["ann@example.com"], "{text}");
        assert!(page.text().contains("1 user matches"), "{text}: {}", page.text());
        // The form keeps what was entered.
        assert!(page.html.contains(&format!("value=\"{}\"", text.trim())), "{text}");
    }
    for text in ["nn@", "00U1", "zoe"] {
        let page = browser.show(&format!("{path}?q={text}")).await;
        assert_eq!(page.grid("Users"), [[""; 0]; 0], "{text}");
        assert!(page.text().contains(&format!("0 users match {text:?} No user.")), "{}", page.text());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn page_of_a_user_explains_its_groups_and_roles() {
    let rules = Rules { exclude_groups: vec!["Secret*".to_owned()], ..Rules::default() };
    let connector = service().connector_with(Settings { rules, ..Settings::default() }).await;
    let client = connector.local(service());
    let ann = create_ann(&client).await;
    let inner = create_group(&client, "Sales", std::slice::from_ref(&ann)).await;
    create_group(&client, "Everybody", &[inner]).await;
    create_group(&client, "Secret plans", std::slice::from_ref(&ann)).await;
    run(&connector, &["group", "create", "Stewards"]).ok();
    run(&connector, &["group", "add", "Stewards", "ann@example.com"]).ok();
    for (role, members) in [
        ("approver", &["Everybody", "ann@example.com"][..]),
        ("auditor", &["Stewards"][..]),
        ("secret", &["Secret plans"][..]),
    ] {
        run(&connector, &["role", "create", role]).ok();
        run(&connector, &[&["role", "assign", role], members].concat()).ok();
    }
    run(&connector, &["user", "set-display-name", "ann@example.com", "Ann of Sales"]).ok();

    let browser = SignedIn::to(service(), &["--url", "https://scim.example.com"]).await;
    let path = format!("/connectors/{}/users/{ann}", connector.id);
    let page = browser.show(&path).await;
    let scim = "identity provider";
    let groups = [
        ["Group", "How", "Origin", "State"],
        ["Everybody", "through Sales", scim, "shown"],
        ["Sales", "direct", scim, "shown"],
        ["Secret plans", "direct", scim, "hidden excluded by Secret*"],
        ["Stewards", "direct", "local", "shown"],
    ];
    assert_eq!(page.grid("Groups"), groups);
    let roles =
        [["Role", "How"], ["approver", "direct, and through Everybody"], ["auditor", "through Stewards"]];
    assert_eq!(page.grid("Roles"), roles);
    let facts = [
        "State",
        "Username",
        "Stored userName",
        "First name",
        "Last name",
        "Display name",
        "Email",
        "Owner",
        "Id",
    ];
    let owner = format!("the identity provider of connector {}", connector.id);
    let expected = [
        "shown",
        "ann@example.com",
        "ann@example.com",
        "Ann",
        "Ash",
        "Ann of Sales entered by an operator",
        "work@example.org",
        &owner,
        &format!("{ann} Copy"),
    ];
    assert_eq!(facts.map(|label| page.fact(label).unwrap_or_default()), expected);

    let scim = browser.show(&format!("{path}/scim")).await;
    let (_, json) = scim.html.split_once("<code>").map(|(_, rest)| ((), rest)).unwrap();
    let json: Vec<&str> = json.split("<pre").collect();
    assert!(scim.text().contains("\"userName\": \"ann@example.com\""), "{json:?}");
    let group = format!("\"$ref\": \"https://scim.example.com/{}/scim/v2/Groups/", connector.id);
    assert_eq!(scim.text().matches(&group).count(), 3, "{}", scim.text());

    let history = browser.show(&format!("{path}/history")).await;
    let changes = history.grid("Changes, the newest first");
    let columns = ["Time (UTC)", "By", "Operation", "Kind", "Name", "Id", "Changes"];
    assert_eq!(changes[0], columns);
    let what: Vec<[&str; 3]> =
        changes[1..].iter().map(|row| [&row[2], &row[3], &row[4]].map(String::as_str)).collect();
    let expected = [
        ["update", "User", "ann@example.com"],
        ["update", "Role", "approver"],
        ["update", "LocalGroup", "Stewards"],
        ["create", "Group", "Secret plans"],
        ["create", "Group", "Sales"],
        ["create", "User", "ann@example.com"],
    ];
    assert_eq!(what, expected);
    assert_eq!(changes[1][1], format!("operator {}", operator()));
    assert!(history.text().contains("6 records"), "{}", history.text());

    let why = browser.show(&format!("{path}/why")).await;
    assert_eq!(why.fact("State").unwrap(), "shown");
    let groups =
        "Everybody: through Sales Sales: direct Stewards: direct Secret plans: hidden, excluded by Secret*";
    assert_eq!(why.section("Groups"), groups);
    assert_eq!(why.section("Roles"), "approver: given by an operator auditor: through Stewards");
    assert!(why.section("Events").contains("created by client"), "{}", why.text());
    assert_eq!(why.section("Failed requests"), "The request trail has no failed request about this user.");
}

#[tokio::test(flavor = "multi_thread")]
async fn deleted_user_is_explained_and_an_unknown_one_is_not_found() {
    let connector = service().connector().await;
    let client = connector.local(service());
    let ann = create_user(&client, "ann").await;
    client.delete(&format!("/Users/{ann}")).await;
    let browser = SignedIn::to(service(), &[]).await;
    let path = format!("/connectors/{}/users", connector.id);
    let why = browser.show(&format!("{path}/{ann}/why")).await;
    assert_eq!(why.fact("State").unwrap(), "deleted");
    assert!(why.section("Events").contains("deleted by client"), "{}", why.text());
    let unknown = "11111111-1111-4111-8111-111111111111";
    for (path, status) in [
        (format!("{path}/{ann}"), 404),
        (format!("{path}/{unknown}"), 404),
        (format!("{path}/{unknown}/why"), 404),
        (format!("{path}/x"), 404),
        (format!("{path}/{ann}/scim"), 404),
        (format!("/connectors/{}/groups/{unknown}", connector.id), 404),
        (format!("/connectors/{}/roles/{unknown}", connector.id), 404),
        ("/connectors/none/users".to_owned(), 404),
    ] {
        assert_eq!(browser.get(&path).await.status(), status, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_and_roles_are_listed_by_name_and_show_their_members() {
    let rules = Rules { exclude_groups: vec!["zz*".to_owned()], ..Rules::default() };
    let connector = service().connector_with(Settings { rules, ..Settings::default() }).await;
    let client = connector.local(service());
    let ann = create_ann(&client).await;
    let bob = create_user(&client, "bob").await;
    create_user(&client, "zoe").await;
    let sales = create_group(&client, "Sales", std::slice::from_ref(&ann)).await;
    let all = create_group(&client, "Everybody", &[sales.clone(), bob.clone()]).await;
    create_group(&client, "zzz", &[]).await;
    let stewards = printed_id(&run(&connector, &["group", "create", "Stewards"]).ok());
    run(&connector, &["group", "add", "Stewards", "bob"]).ok();
    let role = printed_id(&run(&connector, &["role", "create", "approver"]).ok());
    run(&connector, &["role", "assign", "approver", "Stewards", "Sales"]).ok();

    let browser = SignedIn::to(service(), &[]).await;
    let base = format!("/connectors/{}", connector.id);
    let scim = "identity provider";
    let page = browser.show(&format!("{base}/groups")).await;
    let expected = [
        ["Group", "Origin", "State"],
        ["Everybody", scim, "shown"],
        ["Sales", scim, "shown"],
        ["Stewards", "local", "shown"],
        ["zzz", scim, "hidden excluded by zz*"],
    ];
    assert_eq!(page.grid("Groups"), expected);
    assert!(page.text().contains("4 groups"), "{}", page.text());
    let found = browser.show(&format!("{base}/groups?q=S")).await;
    assert_eq!(rows(&found, "Groups"), expected[2..4]);
    let roles = browser.show(&format!("{base}/roles")).await;
    assert_eq!(roles.grid("Roles"), [["Role", "Id"], ["approver", role.as_str()]]);

    let members = async |path: &str, caption: &str| {
        let page = browser.show(&format!("{base}/{path}")).await;
        let mut rows: Vec<String> = rows(&page, caption).into_iter().map(|row| row.join(" | ")).collect();
        rows.sort();
        rows
    };
    let of_all = ["Sales | group | shown", "bob | user | shown"];
    assert_eq!(members(&format!("groups/{all}"), "Members").await, of_all);
    let everyone = [
        "ann@example.com | Dr. Ann Ash | identity provider | shown",
        "bob | bob | identity provider | shown",
    ];
    assert_eq!(members(&format!("groups/{all}/everyone"), "Everyone").await, everyone);
    assert_eq!(members(&format!("groups/{stewards}"), "Members").await, ["bob | user | shown"]);
    assert_eq!(
        members(&format!("roles/{role}"), "Members").await,
        ["Sales | group | shown", "Stewards | group | shown"]
    );
    assert_eq!(members(&format!("roles/{role}/everyone"), "Everyone").await, everyone);
    assert_eq!(
        members(&format!("groups/{sales}"), "Groups that contain it").await,
        ["Everybody | direct | shown"]
    );
    assert_eq!(members(&format!("groups/{sales}"), "Roles of its members").await, ["approver | direct"]);
    let history = members(&format!("groups/{stewards}/history"), "Changes, the newest first").await;
    assert_eq!(history.len(), 3, "{history:?}");
    // A role is no group, and a group is no role.
    assert_eq!(browser.get(&format!("{base}/groups/{role}")).await.status(), 404);
    assert_eq!(browser.get(&format!("{base}/roles/{sales}")).await.status(), 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn users_who_have_a_role_only_by_a_local_group_are_found_without_nested_groups() {
    let connector = service().connector().await;
    let client = connector.local(service());
    create_user(&client, "bob").await;
    create_user(&client, "zoe").await;
    run(&connector, &["group", "create", "Stewards"]).ok();
    run(&connector, &["group", "add", "Stewards", "bob"]).ok();
    let role = printed_id(&run(&connector, &["role", "create", "approver"]).ok());
    run(&connector, &["role", "assign", "approver", "Stewards"]).ok();
    let browser = SignedIn::to(service(), &[]).await;
    let page = browser.show(&format!("/connectors/{}/roles/{role}/everyone", connector.id)).await;
    assert_eq!(rows(&page, "Everyone").len(), 1, "{}", page.text());
    // The directory API has the same answer.
    let reader = connector.reader(service()).await;
    let found = reader.get("/users?role=approver").await.json();
    assert_eq!(
        (&found["entries"][0]["username"], &found["entries"][0]["roles"][0]["name"]),
        (&json!("bob"), &json!("approver"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn members_of_a_large_group_are_shown_page_by_page() {
    let service = Service::start();
    let connector = service.connector().await;
    let ids = seed::users(&service, &connector.id, 120).await;
    let group = directory::secrets::new_resource_id();
    seed::group_with_id(&service, &connector.id, group, "Everybody").await;
    seed::members(&service, &connector.id, group, &ids).await;
    let browser = SignedIn::to(&service, &[]).await;
    for (path, caption) in [("", "Members"), ("/everyone", "Everyone")] {
        let mut next = Some(format!("/connectors/{}/groups/{group}{path}", connector.id));
        let mut sizes = Vec::new();
        let mut names = BTreeSet::new();
        while let Some(path) = next {
            let page = browser.show(&path).await;
            let rows = rows(&page, caption);
            sizes.push(rows.len());
            names.extend(rows.into_iter().map(|row| row[0].clone()));
            next = page.link("Next page");
        }
        assert_eq!((sizes, names.len()), (vec![50, 50, 20], 120), "{caption}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn local_users_groups_and_roles_are_changed_by_hand_and_recorded() {
    let connector = service().connector().await;
    let client = connector.local(service());
    let bob = create_user(&client, "bob").await;
    let before = audited(&connector).len();
    let browser = writable(service()).await;
    let base = format!("/connectors/{}", connector.id);

    browser.show(&format!("{base}/users/new")).await;
    let fields = [
        ("user_name", "dora@example.com"),
        ("first_name", "Dora"),
        ("last_name", "Doe"),
        ("display_name", ""),
        ("email", "dora@example.org"),
    ];
    let dora = browser.submit(&format!("{base}/users/new"), &fields).await;
    let id = dora.fact("Id").unwrap().split(' ').next().unwrap().to_owned();
    let facts = ["Username", "First name", "Last name", "Display name", "Email", "Owner"];
    let expected =
        ["dora@example.com", "Dora", "Doe", "Dora Doe", "dora@example.org", "this directory's operators"];
    assert_eq!(facts.map(|label| dora.fact(label).unwrap()), expected);

    let edit = format!("{base}/users/{id}/edit");
    let form = browser.show(&edit).await;
    assert!(form.html.contains("value=\"dora@example.org\""), "{}", form.html);
    let fields =
        [("first_name", "Dora"), ("last_name", ""), ("display_name", "D."), ("email", "d@example.org")];
    let dora = browser.submit(&edit, &fields).await;
    let expected = ["dora@example.com", "Dora", "–", "D.", "d@example.org", "this directory's operators"];
    assert_eq!(facts.map(|label| dora.fact(label).unwrap()), expected);
    let named = browser.submit(&format!("{base}/users/{bob}/edit"), &[("display_name", "Bob B.")]).await;
    assert_eq!(named.fact("Display name").unwrap(), "Bob B. entered by an operator");

    let stewards = browser.submit(&format!("{base}/groups/new"), &[("name", "Stewards")]).await;
    let group = stewards.fact("Id").unwrap().split(' ').next().unwrap().to_owned();
    let group_page = format!("{base}/groups/{group}");
    let renamed = browser.submit(&format!("{group_page}/rename"), &[("name", "Data Stewards")]).await;
    assert!(renamed.html.contains("<h1>Data Stewards</h1>"), "{}", renamed.text());
    let added = browser.submit(&format!("{group_page}/add"), &[("member", "bob")]).await;
    assert_eq!(rows(&added, "Members"), [["bob", "user", "shown", "Remove"]]);
    let joined =
        browser.submit(&format!("{base}/users/{id}/groups/join"), &[("group", "data stewards")]).await;
    assert_eq!(rows(&joined, "Groups"), [["Data Stewards", "direct", "local", "shown", "Remove"]]);
    let removed = browser.submit(&format!("{group_page}/remove"), &[("member", &bob)]).await;
    assert_eq!(rows(&removed, "Members"), [["dora@example.com", "user", "shown", "Remove"]]);

    let role = browser.submit(&format!("{base}/roles/new"), &[("name", "approver")]).await;
    let role = role.fact("Id").unwrap().split(' ').next().unwrap().to_owned();
    let given = browser.submit(&format!("{base}/roles/{role}/add"), &[("member", "Data Stewards")]).await;
    assert_eq!(rows(&given, "Members"), [["Data Stewards", "group", "shown", "Withdraw"]]);
    let given = browser.submit(&format!("{base}/users/{bob}/roles/join"), &[("role", "approver")]).await;
    assert_eq!(rows(&given, "Roles"), [["approver", "direct", "Withdraw"]]);
    let withdrawn = browser.submit(&format!("{base}/users/{bob}/roles/leave"), &[("name", &role)]).await;
    assert_eq!(rows(&withdrawn, "Roles"), [[""; 0]; 0]);
    let left = browser.submit(&format!("{base}/users/{id}/groups/leave"), &[("name", &group)]).await;
    assert_eq!(rows(&left, "Groups"), [[""; 0]; 0]);

    for path in [format!("roles/{role}"), format!("groups/{group}"), format!("users/{id}")] {
        let asked = browser.show(&format!("{base}/{path}/delete")).await;
        assert!(asked.text().contains("It cannot be undone."), "{}", asked.text());
        browser.submit(&format!("{base}/{path}/delete"), &[("delete", "true")]).await;
        assert_eq!(browser.get(&format!("{base}/{path}")).await.status(), 404, "{path}");
    }
    let operator = operator();
    let expected = [
        ("create", "User"),
        ("update", "User"),
        ("update", "User"),
        ("create", "LocalGroup"),
        ("update", "LocalGroup"),
        ("update", "LocalGroup"),
        ("update", "LocalGroup"),
        ("update", "LocalGroup"),
        ("create", "Role"),
        ("update", "Role"),
        ("update", "Role"),
        ("update", "Role"),
        ("update", "LocalGroup"),
        ("delete", "Role"),
        ("delete", "LocalGroup"),
        ("delete", "User"),
    ];
    let expected: Vec<_> =
        expected.map(|(what, kind)| (operator.clone(), what.to_owned(), kind.to_owned())).into();
    assert_eq!(audited(&connector)[before..], expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_input_is_explained_beside_its_field_and_changes_nothing() {
    let connector = service().connector().await;
    let client = connector.local(service());
    create_user(&client, "ann").await;
    let bob = create_user(&client, "bob").await;
    client.patch(&format!("/Users/{bob}"), &set_active_body(false)).await;
    let sales = create_group(&client, "Sales", &[]).await;
    let stewards = printed_id(&run(&connector, &["group", "create", "Stewards"]).ok());
    let before = audited(&connector).len();
    let browser = writable(service()).await;
    let base = format!("/connectors/{}", connector.id);
    browser.show(&format!("{base}/users/new")).await;
    let no_group = format!("connector {} has no group none", connector.id);
    let no_user = format!(
        "connector {} has no user none, and no group of the identity provider with this name",
        connector.id
    );
    for (path, fields, error) in [
        ("users/new".to_owned(), [("user_name", "")], "Enter the userName"),
        ("users/new".to_owned(), [("user_name", "ANN")], "userName \"ANN\" is taken by another user"),
        ("groups/new".to_owned(), [("name", "")], "Enter a name"),
        (
            "groups/new".to_owned(),
            [("name", "sales")],
            "displayName \"sales\" is taken by a group of the identity provider",
        ),
        (
            "groups/new".to_owned(),
            [("name", "Public")],
            "displayName \"Public\" is taken by a built-in group",
        ),
        (
            format!("groups/{stewards}/rename"),
            [("name", "Sales")],
            "is taken by a group of the identity provider",
        ),
        (format!("groups/{stewards}/add"), [("member", "")], "Enter a user or group"),
        (format!("groups/{stewards}/add"), [("member", "none")], no_user.as_str()),
        (
            format!("groups/{stewards}/add"),
            [("member", "bob")],
            "bob is a deactivated user, and is not added",
        ),
        (format!("groups/{sales}/add"), [("member", "ann")], "belongs to the identity provider of connector"),
        (format!("users/{bob}/groups/join"), [("group", "none")], no_group.as_str()),
        (format!("users/{bob}/groups/join"), [("group", "")], "Enter a name"),
        (format!("users/{bob}/roles/join"), [("role", "none")], "has no role none"),
        (
            format!("users/{bob}/groups/join"),
            [("group", "Stewards")],
            "The user is deactivated, so it cannot join a group or get a role",
        ),
    ] {
        let page = browser.post(&format!("{base}/{path}"), &fields).await;
        assert_eq!(page.status(), 422, "{path} {fields:?}: {}", page.text());
        assert!(page.html.contains("aria-invalid=\"true\""), "{path}: {}", page.html);
        assert!(page.text().contains(error), "{path} {fields:?}: {}", page.text());
        assert!(page.text().contains("1 field is wrong"), "{path}: {}", page.text());
    }
    assert_eq!(
        browser.post(&format!("{base}/groups/{sales}/remove"), &[("member", "ann")]).await.status(),
        409
    );
    // Nothing but the changes of versions of the group to which nobody was added.
    let records = audited(&connector);
    let changes: Vec<_> =
        records[before..].iter().filter(|(_, what, kind)| what != "update" || kind == "User").collect();
    assert_eq!(changes, [] as [&(String, String, String); 0]);
    assert_eq!(browser.show(&format!("{base}/groups/{stewards}")).await.grid("Members"), [[""; 0]; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn user_whom_the_identity_provider_uses_is_deleted_only_with_its_name_and_a_promise() {
    let connector = service().connector().await;
    let client = connector.local(service());
    let ann = create_user(&client, "ann").await;
    let group = create_group(&client, "Sales", std::slice::from_ref(&ann)).await;
    let browser = writable(service()).await;
    let base = format!("/connectors/{}", connector.id);
    for (path, name) in [(format!("{base}/groups/{group}"), "Sales"), (format!("{base}/users/{ann}"), "ann")]
    {
        let delete = format!("{path}/delete");
        let asked = browser.show(&delete).await;
        assert!(asked.text().contains("Delete it in the identity provider instead"), "{}", asked.text());
        for fields in [
            &[][..],
            &[("orphaned", "true")],
            &[("confirmation", name)],
            &[("orphaned", "true"), ("confirmation", "Ann")],
        ] {
            let refused = browser.post(&delete, fields).await;
            assert_eq!(refused.status(), 422, "{path} {fields:?}: {}", refused.text());
            assert_eq!(browser.get(&path).await.status(), 200, "{path} {fields:?}");
        }
        browser.submit(&delete, &[("orphaned", "true"), ("confirmation", name)]).await;
        assert_eq!(browser.get(&path).await.status(), 404, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn read_only_console_has_no_forms_and_refuses_every_change() {
    let connector = service().connector().await;
    let client = connector.local(service());
    let ann = create_user(&client, "ann").await;
    let group = printed_id(&run(&connector, &["group", "create", "Stewards"]).ok());
    let role = printed_id(&run(&connector, &["role", "create", "approver"]).ok());
    run(&connector, &["role", "assign", "approver", "ann", "Stewards"]).ok();
    run(&connector, &["group", "add", "Stewards", "ann"]).ok();
    run(&connector, &["feed", "create", "platform"]).ok();
    let before = audited(&connector);
    let browser = SignedIn::to(service(), &[]).await;
    let base = format!("/connectors/{}", connector.id);
    for path in [
        "users".to_owned(),
        format!("users/{ann}"),
        "groups".to_owned(),
        format!("groups/{group}"),
        "roles".to_owned(),
        format!("roles/{role}"),
        "feeds/platform".to_owned(),
    ] {
        let page = browser.show(&format!("{base}/{path}")).await;
        assert!(
            !page.html.contains("method=\"post\"") && !page.html.contains("class=\"actions\""),
            "{path}: {}",
            page.html
        );
    }
    for path in [
        "users/new".to_owned(),
        format!("users/{ann}/edit"),
        format!("users/{ann}/delete"),
        "groups/new".to_owned(),
        format!("groups/{group}/rename"),
        format!("groups/{group}/delete"),
        "roles/new".to_owned(),
    ] {
        assert_eq!(browser.get(&format!("{base}/{path}")).await.status(), 403, "{path}");
    }
    for (path, fields) in [
        ("users/new".to_owned(), [("user_name", "x")]),
        (format!("users/{ann}/edit"), [("display_name", "x")]),
        (format!("users/{ann}/delete"), [("confirmation", "ann")]),
        (format!("users/{ann}/groups/leave"), [("name", group.as_str())]),
        ("groups/new".to_owned(), [("name", "x")]),
        (format!("groups/{group}/add"), [("member", "ann")]),
        (format!("groups/{group}/remove"), [("member", ann.as_str())]),
        (format!("roles/{role}/remove"), [("member", ann.as_str())]),
        (format!("roles/{role}/delete"), [("delete", "true")]),
        ("feeds/platform".to_owned(), [("replay", "true")]),
        ("feeds/platform/test".to_owned(), [("test", "true")]),
    ] {
        let refused = browser.post(&format!("{base}/{path}"), &fields).await;
        assert_eq!(refused.status(), 403, "{path}: {}", refused.text());
    }
    assert_eq!(audited(&connector), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn names_with_markup_are_shown_as_text() {
    let connector = service().connector().await;
    let client = connector.local(service());
    let script = "<script>alert(1)</script>";
    let attribute = "\"><img src=x onerror=alert(2)>";
    let user = json!({ "schemas": [USER], "userName": script, "displayName": attribute });
    let user = client.post("/Users", &user).await.json()["id"].as_str().unwrap().to_owned();
    let group = create_group(&client, attribute, std::slice::from_ref(&user)).await;
    client.post("/Users", &json!({ "schemas": [USER], "userName": script })).await;
    let role = printed_id(&run(&connector, &["role", "create", script]).ok());
    run(&connector, &["role", "assign", script, script]).ok();
    let browser = writable(service()).await;
    let base = format!("/connectors/{}", connector.id);
    let search = format!("users?q={}", percent_encoded(attribute));
    for path in [
        "users",
        &search,
        &format!("users/{user}"),
        &format!("users/{user}/why"),
        &format!("users/{user}/history"),
        &format!("users/{user}/scim"),
        &format!("users/{user}/edit"),
        &format!("users/{user}/delete"),
        "groups",
        &format!("groups/{group}"),
        &format!("groups/{group}/everyone"),
        &format!("groups/{group}/delete"),
        "roles",
        &format!("roles/{role}"),
        "audit",
        "requests",
        "charts",
    ] {
        let page = browser.show(&format!("{base}/{path}")).await;
        for markup in ["<script>", "<img"] {
            assert!(!page.html.contains(markup), "{path}: {}", page.html);
        }
        // Labels and descriptions name their elements by id.
        let ids: Vec<&str> =
            page.html.split(" id=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "{path}: {ids:?}");
    }
    let page = browser.show(&format!("{base}/users")).await;
    assert_eq!(rows(&page, "Users")[0][..2], [script, attribute]);
    let page = browser.show(&format!("{base}/{search}")).await;
    assert!(page.html.contains("value=\"&quot;&gt;&lt;img"), "{}", page.html);
}
