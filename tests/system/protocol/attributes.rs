//! Answers: the selection of attributes (RFC 7644 §3.9), entity tags (§3.14), compression, methods, discovery
//! (§4) and the maximum size.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use shared::resource::ResourceId;
use tests::client::Reply;
use tests::pages::walk_pages;
use tests::provisioning::{ENTERPRISE, GROUP, USER, create_group, create_user, patch_body};
use tests::seed;
use tests::service::service;
use tests::workspace;

fn names(reply: &Reply) -> Vec<String> {
    reply.json().as_object().unwrap().keys().cloned().collect()
}

/// A user with several attributes, also of the enterprise extension.
fn full_user(name: &str) -> Value {
    json!({
        "schemas": [USER, ENTERPRISE],
        "userName": name,
        "name": { "givenName": "Ann", "familyName": "Lee" },
        "emails": [{ "value": "a@x", "type": "work" }],
        ENTERPRISE: { "department": "Tours", "costCenter": "1" }
    })
}

#[tokio::test]
async fn attributes_and_excluded_attributes_select_what_every_answer_contains() {
    let client = service().client().await;
    let title = patch_body(json!([{ "op": "replace", "path": "title", "value": "x" }]));
    let id = client.post("/Users", &full_user("ann")).await.json()["id"].as_str().unwrap().to_owned();
    for (query, expected) in [
        ("attributes=userName", vec!["schemas", "id", "userName"]),
        ("attributes=USERNAME,%20name.givenName", vec!["schemas", "id", "userName", "name"]),
        (
            "attributes=urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department",
            vec!["schemas", "id", ENTERPRISE],
        ),
        ("attributes=nothing", vec!["schemas", "id"]),
        (
            "excludedAttributes=name,emails,meta,title,id,urn:ietf:params:scim:schemas:extension:enterprise:2.0:User",
            vec!["schemas", "id", "userName"],
        ),
    ] {
        let other = full_user(&format!("created by {query}"));
        for reply in [
            client.get(&format!("/Users/{id}?{query}")).await,
            client.put(&format!("/Users/{id}?{query}"), &full_user("ann")).await,
            client.patch(&format!("/Users/{id}?{query}"), &title).await,
            client.post(&format!("/Users?{query}"), &other).await,
        ] {
            assert_eq!(names(&reply), expected, "{query}");
            assert!(reply.header("etag").is_some(), "{query}");
        }
        let listed = client.get(&format!("/Users?filter=userName%20eq%20%22ann%22&{query}")).await.json();
        let listed: Vec<&String> = listed["Resources"][0].as_object().unwrap().keys().collect();
        assert_eq!(listed, expected.iter().collect::<Vec<_>>(), "{query}");
    }
    let one = client.get(&format!("/Users/{id}?attributes=name.givenName")).await.json();
    assert_eq!(one["name"], json!({ "givenName": "Ann" }));
    let group = json!({ "schemas": [GROUP], "displayName": "g", "members": [{ "value": id }] });
    let created = client.post("/Groups?excludedAttributes=members", &group).await;
    assert_eq!(
        (created.status, names(&created)),
        (201, ["schemas", "id", "displayName", "meta"].map(str::to_owned).into())
    );
}

#[tokio::test]
async fn stale_if_match_is_rejected_and_if_none_match_gives_304() {
    let client = service().client().await;
    let path = format!("/Users/{}", create_user(&client, "ann").await);
    let send = async |method: &str, name: &str, version: &str, body: String| {
        let headers = [(name, version), ("content-type", "application/scim+json")];
        client.send(method, &path, &headers, body).await
    };
    let put = full_user("ann").to_string();
    let none = String::new;
    for (method, name, version, body, status) in [
        ("GET", "if-none-match", "W/\"1\"", none(), 304),
        ("GET", "if-none-match", "\"7\", \"1\"", none(), 304),
        ("GET", "if-none-match", "*", none(), 304),
        ("GET", "if-none-match", "W/\"7\"", none(), 200),
        ("PUT", "if-match", "W/\"7\"", put.clone(), 412),
        (
            "PATCH",
            "if-match",
            "W/\"7\"",
            patch_body(json!([{ "op": "add", "path": "title", "value": "x" }])).to_string(),
            412,
        ),
        ("DELETE", "if-match", "W/\"7\"", none(), 412),
        ("PUT", "if-match", "W/\"1\"", put.clone(), 200),
        ("PUT", "if-match", "W/\"2\"", put.clone(), 200),
        ("PUT", "if-match", "*", put, 200),
    ] {
        let reply = send(method, name, version, body).await;
        assert_eq!(reply.status, status, "{method} {name} {version}");
        assert_eq!(reply.body.is_empty(), status == 304, "{method} {name} {version}: only a 304 has no body");
    }
    // The second and the third PUT changed nothing, so the version is unchanged.
    let before = client.get(&path).await;
    assert_eq!(
        (before.header("etag"), &before.json()["meta"]["version"]),
        (Some("W/\"2\""), &json!("W/\"2\""))
    );
    // A user's groups and their names are part of the answer, so they change the version.
    let id = path.rsplit_once('/').unwrap().1.to_owned();
    let group = create_group(&client, "g", &[id]).await;
    let joined = client.get(&path).await;
    assert_ne!(joined.header("etag"), before.header("etag"));
    let renamed = patch_body(json!([{ "op": "replace", "path": "displayName", "value": "h" }]));
    assert_eq!(client.patch(&format!("/Groups/{group}"), &renamed).await.status, 200);
    let after = client.get(&path).await;
    assert_ne!(after.header("etag"), joined.header("etag"));
    // The version is the same in every list, whatever attributes are selected.
    for query in [
        "",
        "&excludedAttributes=groups",
        "&attributes=meta&sortBy=userName",
        "&filter=userName%20eq%20%22ann%22&excludedAttributes=groups",
        "&filter=meta.version%20pr&sortBy=meta.version",
    ] {
        let listed = client.get(&format!("/Users?count=5{query}")).await.json();
        assert_eq!(listed["Resources"][0]["meta"]["version"], after.json()["meta"]["version"], "{query}");
    }
    let versions = [("if-none-match", "W/\"7\""), ("if-none-match", after.header("etag").unwrap())];
    assert_eq!(
        client.send("GET", &path, &versions, "").await.status,
        304,
        "a header in two lines is one list"
    );
    assert_eq!(send("GET", "if-none-match", "W/\"2\"", none()).await.status, 200);
    assert_eq!(send("DELETE", "if-match", after.header("etag").unwrap(), none()).await.status, 204);
}

#[tokio::test]
async fn gzip_is_sent_on_request_head_has_no_body_and_wrong_methods_give_405() {
    let client = service().client().await;
    let plain = client.get("/Schemas").await;
    assert_eq!((plain.header("content-encoding"), plain.header("vary")), (None, Some("accept-encoding")));
    let compressed = client.send("GET", "/Schemas", &[("accept-encoding", "gzip,deflate")], "").await;
    assert_eq!(compressed.header("content-encoding"), Some("gzip"));
    assert!(compressed.body.len() * 4 < plain.body.len());
    assert_eq!(compressed.json(), plain.json());
    let head = client.send("HEAD", "/ServiceProviderConfig", &[], "").await;
    assert_eq!(
        (head.status, head.body.len(), head.header("content-type")),
        (200, 0, Some("application/scim+json"))
    );
    let length = client.get("/ServiceProviderConfig").await.body.len().to_string();
    assert_eq!(head.header("content-length"), Some(length.as_str()));
    for (method, path, allow) in [
        ("POST", "/ServiceProviderConfig", "GET, HEAD"),
        ("DELETE", "/Groups", "GET, HEAD, POST"),
        ("GET", "/Bulk", "POST"),
        ("POST", "/Users/x", "GET, HEAD, PUT, PATCH, DELETE"),
    ] {
        let reply = client.send(method, path, &[], "").await;
        assert_eq!((reply.status, reply.header("allow")), (405, Some(allow)), "{method} {path}");
    }
}

#[tokio::test]
async fn discovery_endpoints_describe_the_service() {
    let client = service().client().await;
    let config = client.get("/ServiceProviderConfig").await.json();
    for (pointer, expected) in [
        ("/patch/supported", json!(true)),
        ("/bulk", json!({ "supported": true, "maxOperations": 1000, "maxPayloadSize": 1_048_576 })),
        ("/filter", json!({ "supported": true, "maxResults": 1000 })),
        ("/changePassword/supported", json!(false)),
        ("/sort/supported", json!(true)),
        ("/etag/supported", json!(true)),
        ("/pagination/cursor", json!(true)),
        ("/pagination/index", json!(true)),
        ("/pagination/defaultPaginationMethod", json!("index")),
        ("/pagination/maxPageSize", json!(1000)),
        ("/authenticationSchemes/0/type", json!("httpbasic")),
        ("/authenticationSchemes/1/type", json!("oauthbearertoken")),
        ("/meta/location", json!(format!("{}/ServiceProviderConfig", client.base_url))),
    ] {
        assert_eq!(config.pointer(pointer), Some(&expected), "{pointer}");
    }
    let schemas = client.get("/Schemas").await.json();
    assert_eq!((&schemas["totalResults"], &schemas["itemsPerPage"]), (&json!(3), &json!(3)));
    for schema in schemas["Resources"].as_array().unwrap() {
        let id = schema["id"].as_str().unwrap();
        assert_eq!(client.get(&format!("/Schemas/{id}")).await.json(), *schema);
        assert_eq!(schema["meta"]["location"], format!("{}/Schemas/{id}", client.base_url));
        let file = workspace().join(format!("shared/schemas/{}.json", schema["name"].as_str().unwrap()));
        let file: Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
        assert_eq!(
            (&schema["id"], &schema["attributes"]),
            (&file["id"], &file["attributes"]),
            "the schema is the same as in the file"
        );
    }
    let types = client.get("/ResourceTypes").await.json();
    assert_eq!(types["Resources"][0], client.get("/ResourceTypes/User").await.json());
    assert_eq!(types["Resources"][0].get("indexes"), None);
    assert_eq!(
        types["Resources"][0]["schemaExtensions"],
        json!([{ "schema": ENTERPRISE, "required": false }])
    );
    for path in ["/ServiceProviderConfig", "/ResourceTypes/User", &format!("/Schemas/{USER}")] {
        let reply = client.get(path).await;
        assert_eq!(reply.header("location"), Some(format!("{}{path}", client.base_url).as_str()));
    }
    for path in ["/Schemas/urn:none", "/ResourceTypes/Device"] {
        assert_eq!(client.get(path).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn pages_stay_below_the_response_limit_and_a_too_large_group_is_400() {
    let connector = service().connector().await;
    let client = connector.local(service());
    let big = |number: usize| json!({ "schemas": [USER], "userName": format!("u{number}"), "title": "x".repeat(290_000) });
    for number in 0..20 {
        assert_eq!(client.post("/Users?attributes=id", &big(number)).await.status, 201);
    }
    let mut seen = 0;
    while seen < 20 {
        let reply = client.get(&format!("/Users?startIndex={}&count=20", seen + 1)).await;
        assert!(reply.body.len() < 4_600_000);
        let page = reply.json();
        let items = page["itemsPerPage"].as_u64().unwrap() as usize;
        assert_eq!((&page["totalResults"], page["Resources"].as_array().unwrap().len()), (&json!(20), items));
        assert!(items > if seen == 0 { 10 } else { 0 }, "{items} users on the page after {seen}");
        seen += items;
    }
    for query in ["count=20", "count=20&sortBy=userName", "count=20&filter=title%20pr"] {
        let seen = walk_pages(&client, query, async |_| {}).await;
        let distinct: BTreeSet<&String> = seen.iter().collect();
        assert_eq!((seen.len(), distinct.len()), (20, 20), "{query}: each user is on one page");
    }
    let large = create_group(&client, "large", &[]).await;
    let members: Vec<ResourceId> = (0..40_000).map(|_| directory::secrets::new_resource_id()).collect();
    seed::members(service(), &connector.id, ResourceId::parse(&large).unwrap(), &members).await;
    let path = format!("/Groups/{large}");
    for reply in [client.get(&path).await, client.get("/Groups").await] {
        assert_eq!((reply.status, &reply.json()["scimType"]), (400, &json!("tooMany")));
        assert!(reply.json()["detail"].as_str().unwrap().contains("excludedAttributes=members"));
    }
    for query in ["excludedAttributes=members", "attributes=displayName"] {
        assert_eq!(client.get(&format!("{path}?{query}")).await.json()["displayName"], "large");
        assert_eq!(client.get(&format!("/Groups?{query}")).await.json()["totalResults"], 1);
    }
    // RFC 7644 §3.5.2: the answer to a PATCH of a large group is 204 without a body, unless the request
    // selects attributes.
    let renamed = patch_body(json!([{ "op": "replace", "path": "displayName", "value": "larger" }]));
    assert_eq!(client.patch(&path, &renamed).await.status, 204);
    let with_attributes =
        client.patch(&format!("{path}?attributes=displayName,members.value"), &renamed).await;
    assert_eq!((with_attributes.status, &with_attributes.json()["displayName"]), (200, &json!("larger")));
    let compressed = client.send("GET", &path, &[("accept-encoding", "gzip")], "").await;
    assert_eq!(
        compressed.json()["members"].as_array().unwrap().len(),
        40_000,
        "the compressed group is below the limit"
    );
}
