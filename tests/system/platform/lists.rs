//! Lists of the directory API: pages, filters and query parameters.

use directory::settings::{Mapping, Settings};
use serde_json::{Value, json};
use tests::client::{Client, gunzip};
use tests::provisioning::{USER, create_group, create_user, create_users, percent_encoded};
use tests::scimctl::run;
use tests::service::service;

async fn page(reader: &Client, path: &str) -> (Vec<Value>, Option<String>) {
    let reply = reader.get(path).await;
    assert_eq!(reply.status, 200, "{path}: {}", String::from_utf8_lossy(&reply.body));
    let body = reply.json();
    (body["entries"].as_array().unwrap().clone(), body["next"].as_str().map(str::to_owned))
}

/// The ids of all pages, in order, and the sizes of the pages.
async fn all_pages(reader: &Client, path: &str) -> (Vec<String>, Vec<usize>) {
    let separator = if path.contains('?') { '&' } else { '?' };
    let (mut ids, mut sizes, mut cursor) = (Vec::new(), Vec::new(), None::<String>);
    loop {
        let target = match &cursor {
            None => path.to_owned(),
            Some(cursor) => format!("{path}{separator}cursor={cursor}"),
        };
        let (entries, next) = page(reader, &target).await;
        sizes.push(entries.len());
        ids.extend(entries.iter().map(|entry| entry["id"].as_str().unwrap().to_owned()));
        match next {
            None => return (ids, sizes),
            next => cursor = next,
        }
    }
}

fn sorted(ids: &[String]) -> Vec<String> {
    let mut ids = ids.to_vec();
    ids.sort_unstable();
    ids
}

#[tokio::test]
async fn pages_hold_every_entry_once_in_the_order_of_ids() {
    let connector = service().connector().await;
    let (client, reader) = (connector.local(service()), connector.reader(service()).await);
    let users = create_users(&client, 7).await;
    // Memberships are stored among the users.
    let group = create_group(&client, "All", &users).await;
    let mut groups = vec![group.clone()];
    for number in 0..3 {
        groups.push(create_group(&client, &format!("group {number}"), &users[..3]).await);
    }
    run(&connector, &["group", "create", "Stewards"]).ok();
    for (path, ids, sizes) in [
        ("/users?limit=3".to_owned(), sorted(&users), vec![3, 3, 1]),
        ("/users?limit=7".to_owned(), sorted(&users), vec![7]),
        ("/users".to_owned(), sorted(&users), vec![7]),
        (format!("/groups/{group}/members?limit=3"), sorted(&users), vec![3, 3, 1]),
        ("/users?group=All&limit=4".to_owned(), sorted(&users), vec![4, 3]),
        ("/users?group=group%201&limit=2".to_owned(), sorted(&users[..3]), vec![2, 1]),
    ] {
        assert_eq!(all_pages(&reader, &path).await, (ids, sizes), "{path}");
    }
    // Groups of the client and of operators are in one list.
    let (found, sizes) = all_pages(&reader, "/groups?limit=2").await;
    assert_eq!((sorted(&found), sizes), (found.clone(), vec![2, 2, 1]));
    assert!(groups.iter().all(|group| found.contains(group)), "{found:?}");
}

#[tokio::test]
async fn cursor_is_valid_only_for_the_same_query_and_connector() {
    let (connector, other) = (service().connector().await, service().connector().await);
    let (reader, stranger) = (connector.reader(service()).await, other.reader(service()).await);
    create_users(&connector.local(service()), 3).await;
    let (_, cursor) = page(&reader, "/users?limit=1").await;
    let cursor = cursor.unwrap();
    // Another page size is allowed.
    assert_eq!(page(&reader, &format!("/users?limit=2&cursor={cursor}")).await.0.len(), 2);
    let invalid = "The cursor is not valid for this query; request the first page again";
    for (reader, path) in [
        (&reader, format!("/users?hidden=true&cursor={cursor}")),
        (&reader, format!("/groups?cursor={cursor}")),
        (&reader, "/users?cursor=x".to_owned()),
        (&stranger, format!("/users?cursor={cursor}")),
    ] {
        let refused = reader.get(&path).await;
        assert_eq!((refused.status, &refused.json()["detail"]), (400, &json!(invalid)), "{path}");
    }
}

#[tokio::test]
async fn users_are_found_by_username_email_group_and_role() {
    let connector = service().connector().await;
    let (client, reader) = (connector.local(service()), connector.reader(service()).await);
    let user = async |name: &str, email: &str| {
        let emails = json!([{ "value": "shared@home.com" }, { "value": email, "primary": true }]);
        let user = json!({ "schemas": [USER], "userName": name, "emails": emails });
        client.post("/Users", &user).await.json()["id"].as_str().unwrap().to_owned()
    };
    let (ann, ben, cat) =
        (user("Ann", "Ann@work.com").await, user("ben", "ben@work.com").await, user("cat", "x@y").await);
    let inner = create_group(&client, "Inner", std::slice::from_ref(&ben)).await;
    let outer = create_group(&client, "Outer", &[ann.clone(), inner]).await;
    run(&connector, &["role", "create", "approver"]).ok();
    run(&connector, &["role", "assign", "approver", "Inner", "cat"]).ok();
    let (roles, _) = page(&reader, "/roles").await;
    let approver = roles[0]["id"].as_str().unwrap();
    let local = run(&connector, &["user", "create", "dora"]).ok();
    let found = async |query: &str| all_pages(&reader, &format!("/users?{query}")).await.0;
    let nobody: [String; 0] = [];
    for (query, expected) in [
        ("username=ann", sorted(std::slice::from_ref(&ann))),
        ("username=zoe", nobody.to_vec()),
        ("email=ANN@WORK.COM", sorted(std::slice::from_ref(&ann))),
        // This is an address of all of them, but not the mapped one.
        ("email=shared@home.com", nobody.to_vec()),
        ("group=outer", sorted(&[ann.clone(), ben.clone()])),
        (&format!("group={outer}"), sorted(&[ann.clone(), ben.clone()])),
        ("group=Inner", sorted(std::slice::from_ref(&ben))),
        ("group=Nothing", nobody.to_vec()),
        ("role=approver", sorted(&[ben.clone(), cat.clone()])),
        (&format!("role={approver}"), sorted(&[ben.clone(), cat.clone()])),
        ("role=nothing", nobody.to_vec()),
        ("group=outer&role=approver", sorted(std::slice::from_ref(&ben))),
        ("username=ben&email=ben@work.com&group=outer&role=approver", sorted(std::slice::from_ref(&ben))),
        ("username=ben&email=ann@work.com", nobody.to_vec()),
    ] {
        assert_eq!(found(query).await, expected, "{query}");
    }
    assert_eq!(found("username=dora").await.len(), 1, "{local}");
}

#[tokio::test]
async fn filter_that_no_index_can_answer_is_refused() {
    let mapping =
        Mapping { email: "nickName".to_owned(), group_name: "externalId".to_owned(), ..Mapping::default() };
    let connector = service().connector_with(Settings { mapping, ..Settings::default() }).await;
    let (client, reader) = (connector.local(service()), connector.reader(service()).await);
    let ann = create_user(&client, "ann").await;
    let refused = reader.get("/users?email=ann").await;
    let detail = "email cannot be filtered, because the attribute nickName that the mapping uses for it is not indexed";
    assert_eq!((refused.status, &refused.json()["detail"]), (400, &json!(detail)));
    // Two groups can have the same mapped name.
    let mut ids = Vec::new();
    for name in ["Sales", "Marketing"] {
        let group = json!({
            "schemas": [tests::provisioning::GROUP], "displayName": name, "externalId": "g1", "members": [{ "value": ann }]
        });
        ids.push(client.post("/Groups", &group).await.json()["id"].as_str().unwrap().to_owned());
    }
    let refused = reader.get("/users?group=g1").await;
    let detail = refused.json()["detail"].as_str().unwrap().to_owned();
    assert!(detail.starts_with("group: 2 groups have the name \"g1\"; use an id: "), "{detail}");
    assert!(ids.iter().all(|id| detail.contains(id)), "{detail}");
    assert_eq!(page(&reader, &format!("/users?group={}", ids[0])).await.0.len(), 1);
}

#[tokio::test]
async fn unknown_and_invalid_query_parameters_are_refused() {
    let connector = service().connector().await;
    let reader = connector.reader(service()).await;
    let id = create_user(&connector.local(service()), "ann").await;
    for (path, detail) in [
        (
            "/users?name=ann".to_owned(),
            "Unknown query parameter \"name\"; this path knows: username, email, group, role, hidden, limit, cursor",
        ),
        (format!("/users/{id}?limit=1"), "Unknown query parameter \"limit\"; this path knows: hidden"),
        (format!("/roles/{id}?hidden=true"), "Unknown query parameter \"hidden\"; this path knows: none"),
        ("/users?limit=0".to_owned(), "limit is \"0\"; it must be from 1 to 1000"),
        ("/users?limit=1001".to_owned(), "limit is \"1001\"; it must be from 1 to 1000"),
        ("/groups?limit=x".to_owned(), "limit is \"x\"; it must be from 1 to 1000"),
        ("/groups?hidden=yes".to_owned(), "hidden is \"yes\"; it must be true or false"),
        ("/users?username=".to_owned(), "Query parameter username is empty"),
        ("/users?email=a&email=b".to_owned(), "Query parameter email occurs more than once"),
    ] {
        let refused = reader.get(&path).await;
        assert_eq!((refused.status, &refused.json()["detail"]), (400, &json!(detail)), "{path}");
    }
}

#[tokio::test]
async fn page_ends_before_it_is_too_large_and_can_be_compressed() {
    let connector = service().connector().await;
    let (client, reader) = (connector.local(service()), connector.reader(service()).await);
    let mut users = Vec::new();
    for number in 0..18 {
        let display = "\u{1}".repeat(49_000);
        let user = json!({ "schemas": [USER], "userName": format!("user{number}"), "displayName": display });
        users.push(client.post("/Users", &user).await.json()["id"].as_str().unwrap().to_owned());
    }
    // A control character takes 6 bytes as JSON, so 18 of these users take 5.3 MB.
    let (ids, sizes) = all_pages(&reader, "/users?limit=1000").await;
    assert_eq!((ids, sizes), (sorted(&users), vec![15, 3]));
    let reply = reader.send("GET", "/users", &[("accept-encoding", "gzip")], "").await;
    assert_eq!(reply.header("content-encoding"), Some("gzip"));
    assert_eq!(
        serde_json::from_slice::<Value>(&gunzip(&reply.body)).unwrap()["entries"].as_array().unwrap().len(),
        15
    );
    let name = percent_encoded("user1");
    assert_eq!(page(&reader, &format!("/users?username={name}")).await.0.len(), 1);
}
