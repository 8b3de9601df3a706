//! Filters (RFC 7644 §3.4.2.2): every answer has exactly the resources that match. An independent
//! implementation of filters, `tests::filter`, decides which resources match.

use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::{Value, json};
use tests::client::Client;
use tests::filter::{Attribute, Comparison, Filter, Literal, Operator, attribute};
use tests::in_process::json_of;
use tests::invariants::assert_invariants;
use tests::ledger::CountedService;
use tests::provisioning::{
    ENTERPRISE, GROUP, USER, add_members_body, create_group, create_user, percent_encoded,
};
use tests::service::service;

const FILTERS: usize = 300;

fn word() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["a", "ab", "B", "ba", "é", "E\u{301}", "c\"d", "x#y"]).prop_map(str::to_owned)
}

fn a_user() -> impl Strategy<Value = Value> {
    let email = (word(), prop::sample::select(vec!["work", "home"]));
    let emails = prop::collection::vec(email, 0..3);
    // An empty value is less than any other value and has no index item.
    let value = || prop_oneof![4 => word(), 1 => Just(String::new())];
    let optional = || prop::option::of(value());
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

fn a_filter(attributes: Vec<Attribute>, fixed: Vec<Filter>) -> impl Strategy<Value = Filter> {
    let operator = prop::sample::select(Operator::ALL.to_vec());
    let attribute = prop::sample::select(attributes);
    let compare = (attribute.clone(), operator, word())
        .prop_map(|(attribute, operator, word)| Filter::compare(attribute, operator, &word));
    let leaf = prop_oneof![
        5 => compare,
        1 => attribute.prop_map(Filter::Present),
        2 => prop::sample::select(fixed),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 2..4).prop_map(Filter::And),
            prop::collection::vec(inner.clone(), 2..4).prop_map(Filter::Or),
            inner.prop_map(Filter::not),
        ]
    })
}

fn exact(spelling: &str, path: &str) -> Attribute {
    attribute(spelling, path).compared_as(Comparison::Exact)
}

/// An attribute of the enterprise extension, whose URN has dots.
fn department(spelling: &str) -> Attribute {
    Attribute { path: vec![ENTERPRISE.to_owned(), "department".to_owned()], ..attribute(spelling, "") }
}

fn email(filter: Filter) -> Filter {
    Filter::Element(attribute("emails", "emails"), Box::new(filter))
}

fn element(filter: Filter, of: &str) -> Filter {
    Filter::Element(attribute(of, of), Box::new(filter))
}

fn starts_with(attribute: Attribute, text: &str) -> Filter {
    Filter::compare(attribute, Operator::StartsWith, text)
}

/// Reads all resources of a list response that has one page.
async fn read_all(client: &Client, target: &str) -> Vec<Value> {
    let reply = client.get(target).await;
    assert_eq!(reply.status, 200, "{target}: {}", String::from_utf8_lossy(&reply.plain_body()));
    let body = reply.json();
    let resources: Vec<Value> = serde_json::from_value(body["Resources"].clone()).unwrap();
    assert_eq!(body["totalResults"], resources.len(), "{target}");
    resources
}

/// Asserts that the service answers exactly the resources that the filter matches.
async fn assert_same_matches(client: &Client, endpoint: &str, everything: &[Value], filter: &Filter) {
    let expected: BTreeSet<&str> = everything
        .iter()
        .filter(|resource| filter.matches(resource))
        .map(|resource| resource["id"].as_str().unwrap())
        .collect();
    let encoded = percent_encoded(&filter.to_string());
    let found = read_all(client, &format!("/{endpoint}?count=1000&filter={encoded}")).await;
    let ids: BTreeSet<&str> = found.iter().map(|resource| resource["id"].as_str().unwrap()).collect();
    assert_eq!(ids, expected, "{filter}");
    assert_eq!(found.len(), ids.len(), "{filter}: no resource is returned twice");
}

#[tokio::test]
async fn every_filter_finds_exactly_the_resources_that_match() {
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
    let inner = create_group(&client, "ab inner", &ids[..20]).await;
    let outer = create_group(&client, "b outer", &[inner.clone(), ids[30].clone()]).await;
    create_group(&client, "é empty", &[]).await;
    let mut users = read_all(&client, "/Users?count=1000").await;
    for user in &mut users {
        // A user without `active` is active.
        user.as_object_mut().unwrap().entry("active").or_insert(json!(true));
    }
    let groups = read_all(&client, "/Groups?count=1000").await;
    assert_eq!((users.len(), groups.len()), (60, 3));

    let is_work = || Filter::equal(attribute("type", "type"), "work");
    let value = || attribute("value", "value");
    let is_active =
        |active| Filter::Compare(attribute("active", "active"), Operator::Equal, Literal::Boolean(active));
    let attributes = vec![
        attribute("userName", "userName"),
        exact("externalId", "externalId"),
        attribute("emails", "emails.value"),
        attribute("emails.value", "emails.value"),
        attribute("emails.type", "emails.type"),
        attribute("name.givenName", "name.givenName"),
        attribute("familyName", "name.familyName"),
        attribute("displayName", "displayName"),
        attribute("title", "title"),
        department("department"),
        department(&format!("{ENTERPRISE}:department")),
        attribute("groups.display", "groups.display"),
    ];
    let last_modified = attribute("meta.lastModified", "meta.lastModified").compared_as(Comparison::Instant);
    let fixed = vec![
        email(Filter::And(vec![is_work(), starts_with(value(), "a")])),
        email(Filter::And(vec![
            Filter::equal(attribute("type", "type"), "home"),
            Filter::equal(value(), "ab"),
        ])),
        email(Filter::Or(vec![Filter::equal(value(), "ab"), Filter::equal(value(), "b")])),
        Filter::ElementValue(
            attribute("emails", "emails"),
            Box::new(is_work()),
            value(),
            Operator::Equal,
            Literal::Text("ba".to_owned()),
        ),
        email(Filter::not(is_work())),
        is_active(true),
        is_active(false),
        Filter::Compare(exact("externalId", "externalId"), Operator::Equal, Literal::Null),
        Filter::equal(exact("meta.resourceType", "meta.resourceType"), "User"),
        Filter::compare(last_modified, Operator::Greater, "2011-05-13T04:42:34Z"),
        Filter::Present(attribute("groups", "groups")),
    ];
    let filters = a_filter(attributes, fixed);
    for _ in 0..FILTERS {
        let filter = filters.new_tree(&mut runner).unwrap().current();
        assert_same_matches(&client, "Users", &users, &filter).await;
    }
    let id = |id: &str| Filter::equal(exact("id", "id"), id);
    let in_group = |group: &str| Filter::equal(attribute("groups.value", "groups.value"), group);
    let contains_a = Filter::compare(attribute("userName", "userName"), Operator::Contains, "a");
    let is_indirect = Filter::equal(attribute("type", "type"), "indirect");
    for filter in [
        in_group(&inner),
        Filter::equal(attribute("groups", "groups.value"), &outer),
        element(Filter::And(vec![Filter::equal(value(), &outer), is_indirect]), "groups"),
        Filter::And(vec![in_group(&outer), contains_a]),
        Filter::Or(vec![in_group(&outer), is_active(false)]),
        Filter::not(in_group(&outer)),
        id(&ids[3]),
        Filter::Or(vec![id(&ids[3]), id(&ids[4])]),
        id("unknown"),
        in_group("unknown"),
        starts_with(attribute("userName", "userName"), ""),
        Filter::equal(exact("externalId", "externalId"), ""),
    ] {
        assert_same_matches(&client, "Users", &users, &filter).await;
    }
    let has = |member: &str| Filter::equal(attribute("members", "members.value"), member);
    let has_value = |member: &str| Filter::equal(attribute("members.value", "members.value"), member);
    let name = || attribute("displayName", "displayName");
    let has_of_type = |member: &str, kind: &str| {
        let is_of_type = Filter::equal(attribute("type", "type"), kind);
        element(Filter::And(vec![Filter::equal(value(), member), is_of_type]), "members")
    };
    let any_member = || Filter::Present(attribute("members", "members"));
    for filter in [
        has(&ids[0]),
        Filter::And(vec![has_value(&ids[0]), starts_with(name(), "a")]),
        Filter::And(vec![id(&inner), has(&ids[0])]),
        Filter::And(vec![id(&inner), has(&ids[59])]),
        Filter::not(has(&ids[0])),
        has_of_type(&inner, "Group"),
        has_of_type(&inner, "User"),
        Filter::Or(vec![has_value(&inner), starts_with(name(), "é")]),
        any_member(),
        Filter::not(any_member()),
        Filter::equal(attribute("members.type", "members.type"), "Group"),
        Filter::compare(attribute("members.value", "members.value"), Operator::Contains, "-"),
        Filter::compare(name(), Operator::GreaterOrEqual, "b"),
        Filter::compare(name(), Operator::Less, "b"),
        starts_with(name(), "E\u{301}"),
    ] {
        assert_same_matches(&client, "Groups", &groups, &filter).await;
    }
    // A query over all resource types: a filter does not match a resource without the attribute.
    let both = read_all(&client, "?filter=displayName%20sw%20%22ab%22&count=1000").await;
    let kinds: BTreeSet<&str> =
        both.iter().map(|resource| resource["meta"]["resourceType"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["Group", "User"].into());
    assert_eq!(read_all(&client, "?count=1000").await.len(), 63);
}

#[tokio::test]
async fn search_request_supports_the_parameters_of_a_url() {
    let client = service().client().await;
    let names = ["ann", "bob", "cat"];
    for name in names {
        assert_eq!(client.post("/Users", &json!({ "schemas": [USER], "userName": name })).await.status, 201);
    }
    create_group(&client, "ann and bob", &[]).await;
    let request = |body: Value| {
        let mut body = body;
        body["schemas"] = json!(["urn:ietf:params:scim:api:messages:2.0:SearchRequest"]);
        body
    };
    let search = request(json!({
        "filter": "userName ne \"bob\"", "sortBy": "userName", "sortOrder": "descending", "attributes": ["userName"],
        "startIndex": 1, "count": 5
    }));
    let answer = client.post("/Users/.search", &search).await.json();
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
    let refused = client.post("/Users/.search", &json!({ "schemas": [USER], "filter": "userName pr" })).await;
    assert_eq!((refused.status, &refused.json()["scimType"]), (400, &json!("invalidSyntax")));
}

#[tokio::test]
async fn members_of_nested_groups_have_indirect_groups_at_any_depth() {
    let connector = service().connector().await;
    let client = connector.local(service());
    let user = create_user(&client, "ann").await;
    let mut groups = vec![create_group(&client, "level 0", std::slice::from_ref(&user)).await];
    for level in 1..10 {
        let below = groups.last().unwrap().clone();
        groups.push(create_group(&client, &format!("level {level}"), &[below]).await);
    }
    // A second path to the upper groups, which skips the middle.
    let middle = add_members_body(std::slice::from_ref(&groups[0]));
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
    // Cycles of any length are refused.
    for (outer, inner) in [(0, 0), (0, 1), (0, 9), (4, 5)] {
        let body = add_members_body(std::slice::from_ref(&groups[inner]));
        let reply = client.patch(&format!("/Groups/{}", groups[outer]), &body).await;
        let expected = if outer >= inner && outer != 0 { 200 } else { 400 };
        assert_eq!(reply.status, expected, "{inner} in {outer}");
    }
    // After group 2 is deleted, only the second path leads to the upper groups.
    assert_eq!(client.delete(&format!("/Groups/{}", groups[2])).await.status, 204);
    let names: Vec<String> =
        of_user(client.get(&path).await.json()).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["level 0", "level 1", "level 5", "level 6", "level 7", "level 8", "level 9"]);
    let members = client.get(&format!("/Groups/{}", groups[6])).await.json();
    assert_eq!((&members["members"][0]["type"], &members["schemas"]), (&json!("Group"), &json!([GROUP])));
    assert_invariants(service(), &connector.id).await;
}

#[tokio::test]
async fn filter_on_two_indexes_reads_only_users_in_both() {
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
    let answer = json_of(&answer);
    let names: BTreeSet<&str> = answer["Resources"]
        .as_array()
        .unwrap()
        .iter()
        .map(|user| user["userName"].as_str().unwrap())
        .collect();
    assert_eq!(names, BTreeSet::from(["user120", "user121", "user122", "user123", "user124"]));
    assert!(cost.read_units < 30.0, "the users of one index alone would be {} units", cost.read_units);
}
