//! Queries: whatever plan finds them, the answer is what the filter says of every resource.

use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::{Map, Value, json};
use shared::filter::Filter;
use shared::resource::ResourceKind;
use shared::schema::Schemas;
use tests::client::Client;
use tests::ledger::CountedService;
use tests::service::service;

use crate::directory::concurrency::{GROUP, USER, group, patch, values};

const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
const FILTERS: usize = 300;

fn word() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["a", "ab", "B", "ba", "é", "E\u{301}", "c\"d", "x#y"]).prop_map(str::to_owned)
}

fn a_user() -> impl Strategy<Value = Value> {
    let email = (word(), prop::sample::select(vec!["work", "home"]));
    let emails = prop::collection::vec(email, 0..3);
    let optional = || prop::option::of(word());
    (optional(), optional(), optional(), optional(), emails, prop::option::of(any::<bool>())).prop_map(
        |(given, family, title, department, emails, active)| {
            let emails: Vec<Value> =
                emails.into_iter().map(|(value, kind)| json!({ "value": value, "type": kind })).collect();
            json!({
                "schemas": [USER],
                "name": { "givenName": given, "familyName": family },
                "title": title,
                "externalId": title,
                "displayName": given,
                "emails": emails,
                "active": active,
                ENTERPRISE: { "department": department }
            })
        },
    )
}

fn a_filter(fields: Vec<String>, brackets: &'static [&'static str]) -> impl Strategy<Value = String> {
    let operator = prop::sample::select(vec!["eq", "ne", "co", "sw", "ew", "gt", "ge", "lt", "le"]);
    let literal = word().prop_map(|word| Value::from(word).to_string());
    let field = prop::sample::select(fields);
    let compare = (field.clone(), operator, literal)
        .prop_map(|(field, operator, literal)| format!("{field} {operator} {literal}"));
    let fixed = prop::sample::select(brackets).prop_map(str::to_owned);
    let leaf = prop_oneof![
        5 => compare,
        1 => field.prop_map(|field| format!("{field} pr")),
        2 => fixed,
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 2..4).prop_map(|parts| format!("({})", parts.join(" and "))),
            prop::collection::vec(inner.clone(), 2..4).prop_map(|parts| format!("({})", parts.join(" or "))),
            inner.prop_map(|part| format!("not ({part})")),
        ]
    })
}

async fn all(client: &Client, target: &str) -> Vec<Map<String, Value>> {
    let reply = client.get(target).await;
    assert_eq!(reply.status, 200, "{target}: {}", String::from_utf8_lossy(&reply.plain_body()));
    let body = reply.json();
    let resources: Vec<Map<String, Value>> = serde_json::from_value(body["Resources"].clone()).unwrap();
    assert_eq!(body["totalResults"], resources.len(), "{target}");
    resources
}

/// What the service answers is what the filter says of each resource by itself.
async fn agree(client: &Client, kind: ResourceKind, everybody: &[Map<String, Value>], filter: &str) {
    let schema = Schemas::built_in().of(kind);
    let resolved = Filter::parse(filter).and_then(|filter| filter.resolve(schema)).unwrap();
    let expected: BTreeSet<&str> = everybody
        .iter()
        .filter(|resource| resolved.matches(resource))
        .map(|resource| resource["id"].as_str().unwrap())
        .collect();
    let encoded: String = filter.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let found = all(client, &format!("/{}?count=1000&filter={encoded}", kind.endpoint())).await;
    let ids: BTreeSet<&str> = found.iter().map(|resource| resource["id"].as_str().unwrap()).collect();
    assert_eq!(ids, expected, "{filter}");
    assert_eq!(found.len(), ids.len(), "{filter}: nobody twice");
}

#[tokio::test]
async fn an_answer_is_what_the_filter_says_of_every_resource() {
    let connector = service().connector().await;
    let client = connector.local(service());
    let mut runner =
        TestRunner::new_with_rng(Config::default(), TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let mut ids = Vec::new();
    for number in 0..60 {
        let mut user = a_user().new_tree(&mut runner).unwrap().current();
        user["userName"] = json!(format!("{}{number}", word().new_tree(&mut runner).unwrap().current()));
        let reply = client.post("/Users", &user).await;
        assert_eq!(reply.status, 201);
        ids.push(reply.json()["id"].as_str().unwrap().to_owned());
    }
    let inner = group(&client, "ab inner", &ids[..20]).await;
    let outer = group(&client, "b outer", &[inner.clone(), ids[30].clone()]).await;
    group(&client, "é empty", &[]).await;
    let mut users = all(&client, "/Users?count=1000").await;
    for user in &mut users {
        // Who was never said to be active or not is.
        user.entry("active").or_insert(json!(true));
    }
    let groups = all(&client, "/Groups?count=1000").await;
    assert_eq!((users.len(), groups.len()), (60, 3));

    let fields =
        ["userName", "externalId", "emails", "emails.value", "emails.type", "name.givenName", "familyName"];
    let mut fields: Vec<String> = fields.into_iter().map(str::to_owned).collect();
    fields.extend(["displayName", "title", "department", "groups.display"].map(str::to_owned));
    fields.push(format!("{ENTERPRISE}:department"));
    let brackets: &[&str] = &[
        "emails[type eq \"work\" and value sw \"a\"]",
        "emails[type eq \"home\" and value eq \"ab\"]",
        "emails[value eq \"ab\" or value eq \"b\"]",
        "emails[type eq \"work\"].value eq \"ba\"",
        "emails[not (type eq \"work\")]",
        "active eq true",
        "active eq false",
        "externalId eq null",
        "meta.resourceType eq \"User\"",
        "meta.lastModified gt \"2011-05-13T04:42:34Z\"",
        "groups pr",
    ];
    let filters = a_filter(fields, brackets);
    for _ in 0..FILTERS {
        let filter = filters.new_tree(&mut runner).unwrap().current();
        agree(&client, ResourceKind::User, &users, &filter).await;
    }
    for filter in [
        format!("groups.value eq \"{inner}\""),
        format!("groups eq \"{outer}\""),
        format!("groups[value eq \"{outer}\" and type eq \"indirect\"]"),
        format!("groups.value eq \"{outer}\" and userName co \"a\""),
        format!("groups.value eq \"{outer}\" or active eq false"),
        format!("not (groups.value eq \"{outer}\")"),
        format!("id eq \"{}\"", ids[3]),
        format!("id eq \"{}\" or id eq \"{}\"", ids[3], ids[4]),
        "id eq \"nobody\"".to_owned(),
        "groups.value eq \"nobody\"".to_owned(),
        "userName sw \"\"".to_owned(),
        "externalId eq \"\"".to_owned(),
    ] {
        agree(&client, ResourceKind::User, &users, &filter).await;
    }
    for filter in [
        format!("members eq \"{}\"", ids[0]),
        format!("members.value eq \"{}\" and displayName sw \"a\"", ids[0]),
        format!("id eq \"{inner}\" and members eq \"{}\"", ids[0]),
        format!("id eq \"{inner}\" and members eq \"{}\"", ids[59]),
        format!("not (members eq \"{}\")", ids[0]),
        format!("members[value eq \"{inner}\" and type eq \"Group\"]"),
        format!("members[value eq \"{inner}\" and type eq \"User\"]"),
        format!("members.value eq \"{inner}\" or displayName sw \"é\""),
        "members pr".to_owned(),
        "not (members pr)".to_owned(),
        "members.type eq \"Group\"".to_owned(),
        "members.value co \"-\"".to_owned(),
        "displayName ge \"b\"".to_owned(),
        "displayName lt \"b\"".to_owned(),
        "displayName sw \"E\u{301}\"".to_owned(),
    ] {
        agree(&client, ResourceKind::Group, &groups, &filter).await;
    }
    // Across both, what one does not have does not match.
    let both = all(&client, "?filter=displayName%20sw%20%22ab%22&count=1000").await;
    let kinds: BTreeSet<&str> =
        both.iter().map(|resource| resource["meta"]["resourceType"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["Group", "User"].into());
    assert_eq!(all(&client, "?count=1000").await.len(), 63);
}

#[tokio::test]
async fn a_search_request_asks_what_a_url_asks() {
    let client = service().client().await;
    let names = ["ann", "bob", "cat"];
    for name in names {
        assert_eq!(client.post("/Users", &json!({ "schemas": [USER], "userName": name })).await.status, 201);
    }
    group(&client, "ann and bob", &[]).await;
    let request = |body: Value| {
        let mut body = body;
        body["schemas"] = json!(["urn:ietf:params:scim:api:messages:2.0:SearchRequest"]);
        body
    };
    let asked = request(json!({
        "filter": "userName ne \"bob\"", "sortBy": "userName", "sortOrder": "descending", "attributes": ["userName"],
        "startIndex": 1, "count": 5
    }));
    let answer = client.post("/Users/.search", &asked).await.json();
    let found: Vec<&str> = answer["Resources"]
        .as_array()
        .unwrap()
        .iter()
        .map(|user| user["userName"].as_str().unwrap())
        .collect();
    assert_eq!(found, ["cat", "ann"]);
    assert_eq!(
        answer["Resources"][0].as_object().unwrap().keys().collect::<Vec<_>>(),
        ["schemas", "id", "userName"]
    );
    let both = client
        .post("/.search", &request(json!({ "filter": "userName eq \"ann\" or displayName co \"bob\"" })))
        .await;
    assert_eq!(both.json()["totalResults"], 2);
    let groups = client.post("/Groups/.search", &request(json!({}))).await;
    assert_eq!(groups.json()["totalResults"], 1);
    let refused = client.post("/Users/.search", &json!({ "filter": "userName pr" })).await;
    assert_eq!((refused.status, &refused.json()["scimType"]), (400, &json!("invalidSyntax")));
}

#[tokio::test]
async fn groups_in_groups_reach_their_members_however_deep() {
    let connector = service().connector().await;
    let client = connector.local(service());
    let user = crate::directory::concurrency::user(&client, "ann").await;
    let mut groups = vec![group(&client, "level 0", std::slice::from_ref(&user)).await];
    for level in 1..10 {
        let below = groups.last().unwrap().clone();
        groups.push(group(&client, &format!("level {level}"), &[below]).await);
    }
    // Another way up, past the middle.
    let middle =
        patch(json!([{ "op": "add", "path": "members", "value": values(std::slice::from_ref(&groups[0])) }]));
    assert_eq!(client.patch(&format!("/Groups/{}", groups[5]), &middle).await.status, 200);
    let of_user = |user: Value| -> Vec<(String, String)> {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let groups = user["groups"].as_array().cloned().unwrap_or_default();
        let mut names: Vec<_> =
            groups.iter().map(|group| (text(&group["display"]), text(&group["type"]))).collect();
        names.sort();
        names
    };
    let path = format!("/Users/{user}");
    let found = of_user(client.get(&path).await.json());
    let expected: Vec<(String, String)> = (0..10)
        .map(|level| (format!("level {level}"), if level == 0 { "direct" } else { "indirect" }.to_owned()))
        .collect();
    assert_eq!(found, expected);
    let listed = client.get("/Users").await.json();
    assert_eq!(of_user(listed["Resources"][0].clone()), expected);
    // A circle of any length is refused, and nothing of it is done.
    for (outer, inner) in [(0, 0), (0, 1), (0, 9), (4, 5)] {
        let body = patch(
            json!([{ "op": "add", "path": "members", "value": values(std::slice::from_ref(&groups[inner])) }]),
        );
        let reply = client.patch(&format!("/Groups/{}", groups[outer]), &body).await;
        let expected = if outer >= inner && outer != 0 { 200 } else { 400 };
        assert_eq!(reply.status, expected, "{inner} in {outer}");
    }
    // Without the group in between, those above it are reached the other way only.
    assert_eq!(client.delete(&format!("/Groups/{}", groups[2])).await.status, 204);
    let names: Vec<String> =
        of_user(client.get(&path).await.json()).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["level 0", "level 1", "level 5", "level 6", "level 7", "level 8", "level 9"]);
    let members = client.get(&format!("/Groups/{}", groups[6])).await.json();
    assert_eq!((&members["members"][0]["type"], &members["schemas"]), (&json!("Group"), &json!([GROUP])));
    tests::invariants::assert_invariants(service(), &connector.id).await;
}

#[tokio::test]
async fn what_two_indexes_find_is_read_where_both_find_it() {
    let connector = service().connector().await;
    let counted = CountedService::new(service(), &connector).await;
    for number in 0..240 {
        let given = if number < 125 { "Ann" } else { "Bob" };
        let family = if number < 120 { "Lee" } else { "Ash" };
        let body = json!({
            "schemas": [USER],
            "userName": format!("user{number}"),
            "name": { "givenName": given, "familyName": family }
        });
        counted.cost("POST", "/Users?attributes=id", Some(&body), 201).await;
    }
    let filter = "givenName%20eq%20%22ann%22%20and%20familyName%20eq%20%22ash%22";
    let (cost, answer) = counted.cost("GET", &format!("/Users?filter={filter}"), None, 200).await;
    let answer: Value = serde_json::from_slice(answer.body()).unwrap();
    let names: BTreeSet<&str> = answer["Resources"]
        .as_array()
        .unwrap()
        .iter()
        .map(|user| user["userName"].as_str().unwrap())
        .collect();
    assert_eq!(names, BTreeSet::from(["user120", "user121", "user122", "user123", "user124"]));
    assert!(cost.read_units < 30.0, "the users of one index alone would be {} units", cost.read_units);
}
