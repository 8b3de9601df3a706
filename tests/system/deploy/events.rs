//! The events on file, each replayed through its binary; and the six places that say which routes there are.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};
use service::routes::{FALLBACK, ROUTES};
use shared::resource::ResourceId;
use tests::invariants::assert_invariants;
use tests::pattern::differences;
use tests::rights::functions_of;
use tests::seed;
use tests::service::Service;

const HOST: &str = "https://rollcall000.execute-api.us-east-1.amazonaws.com/default/scim/v2";
const USER: &str = "11111111-1111-4111-8111-111111111111";
const GROUP: &str = "22222222-2222-4222-8222-222222222222";

/// The events in an order in which each finds what it needs, with the status and the body of its answer.
fn expected() -> Vec<(&'static str, u64, Value)> {
    let user = format!("{HOST}/Users/{USER}");
    let list = |total: u64, resources: Value| {
        json!({
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"],
            "totalResults": total, "startIndex": 1, "Resources": resources
        })
    };
    vec![
        (
            "service-provider-config-get",
            200,
            json!({ "patch": { "supported": true }, "bulk": { "supported": true } }),
        ),
        ("resource-types-list", 200, list(2, json!([{ "id": "User" }, { "id": "Group" }]))),
        ("resource-types-get", 200, json!({ "id": "User", "endpoint": "/Users" })),
        ("schemas-list", 200, list(3, json!("<3 items>"))),
        (
            "schemas-get",
            200,
            json!({ "id": "urn:ietf:params:scim:schemas:core:2.0:User", "attributes": "<any>" }),
        ),
        ("fallback", 501, json!({ "status": "501", "detail": "<contains /Me>" })),
        ("users-list", 200, list(0, json!([]))),
        (
            "users-create",
            201,
            json!({ "id": "<uuid>", "userName": "test.user@okta.local", "active": true, "password": "<absent>" }),
        ),
        ("users-list", 200, list(1, json!([{ "userName": "test.user@okta.local" }]))),
        (
            "users-get",
            200,
            json!({ "id": USER, "userName": "user000000@example.com", "meta": { "location": user } }),
        ),
        (
            "users-replace",
            200,
            json!({ "id": USER, "userName": "jane.doe@okta.local", "title": "<absent>", "name": { "familyName": "Roe" } }),
        ),
        ("users-search", 200, json!({ "totalResults": "<number>", "Resources": "<any>" })),
        ("groups-get", 200, json!({ "id": GROUP, "displayName": "Analysts", "members": "<absent>" })),
        (
            "groups-create",
            201,
            json!({ "displayName": "Data Stewards", "members": [{ "value": USER, "display": "Jane Doe" }] }),
        ),
        ("groups-patch", 200, json!({ "displayName": "Senior Analysts", "members": [{ "value": USER }] })),
        (
            "groups-replace",
            200,
            json!({ "displayName": "Analysts", "members": [{ "value": USER, "display": "Jane Doe" }] }),
        ),
        ("groups-list", 200, list(2, json!("<2 items>"))),
        ("groups-search", 200, json!({ "totalResults": "<number>" })),
        (
            "root-search",
            200,
            list(
                2,
                json!(["<in any order>", { "userName": "jane.doe@okta.local", "name": "<absent>" }, { "displayName": "Analysts", "members": "<absent>" }]),
            ),
        ),
        (
            "bulk-process",
            200,
            json!({ "Operations": [{ "status": "201", "bulkId": "qwerty" }, { "status": "201", "bulkId": "ytrewq" }] }),
        ),
        ("users-patch", 200, json!({ "id": USER, "active": false, "groups": "<absent>" })),
        ("groups-delete", 204, json!("<absent>")),
        ("users-delete", 204, json!("<absent>")),
        ("users-get", 404, json!({ "status": "404", "detail": format!("Resource {USER} not found") })),
    ]
}

#[tokio::test]
async fn every_event_on_file_is_answered_by_its_binary() {
    let service = Service::start();
    let connector = service.connector_named("default", "okta", "correct horse battery staple").await;
    seed::user_with_id(&service, &connector.id, ResourceId::parse(USER).unwrap()).await;
    seed::group_with_id(&service, &connector.id, ResourceId::parse(GROUP).unwrap(), "Analysts").await;
    let mut seen = BTreeSet::new();
    for (name, status, pattern) in expected() {
        let file = root().join("events").join(format!("{name}.json"));
        let event: Value = serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap();
        let answer = service.gateway().lambda().invoke(name, &event).await.unwrap();
        let body = match (answer["body"].as_str(), answer["isBase64Encoded"].as_bool()) {
            (Some(body), Some(true)) => Some(tests::client::gunzip(&BASE64.decode(body).unwrap())),
            (Some(body), _) => Some(body.as_bytes().to_vec()),
            (None, _) => None,
        };
        let body: Option<Value> = body.map(|body| serde_json::from_slice(&body).unwrap());
        assert_eq!(answer["statusCode"], status, "{name}: {body:?}");
        let found = differences("the body", &pattern, body.as_ref());
        assert!(found.is_empty(), "{name}: {found:#?}\n{body:#?}");
        seen.insert(name.to_owned());
    }
    assert_eq!(seen, files("events", "json"), "each event on file is replayed");
    assert_invariants(&service, &connector.id).await;
}

#[test]
fn six_places_name_the_same_routes() {
    let prefix = "/{connector}/scim/v2";
    let mut table: BTreeSet<(String, String, String)> = ROUTES
        .iter()
        .map(|route| (route.method.to_owned(), format!("{prefix}{}", route.path), route.function.to_owned()))
        .collect();
    assert_eq!(watch_router(), table, "the router of cargo lambda watch");
    let behind = |path: &str| path.strip_prefix(prefix).unwrap().to_owned();
    assert_eq!(
        readme(),
        table.iter().map(|(m, p, f)| (m.clone(), behind(p), f.clone())).collect(),
        "README.md"
    );
    table.insert((String::new(), "$default".to_owned(), FALLBACK.to_owned()));
    assert_eq!(template(), table, "template.yaml");
    let functions: BTreeSet<String> = table.into_iter().map(|(_, _, function)| function).collect();
    assert_eq!(files("functions/src/bin", "rs"), functions, "src/bin");
    assert_eq!(files("events", "json"), functions, "events");
}

#[test]
fn a_function_that_reads_has_no_right_to_write() {
    let text = fs::read_to_string(root().join("template.yaml")).unwrap();
    for (function, block) in functions_of(&text) {
        let policies = block.lines().find(|line| line.trim().starts_with("Policies:")).unwrap();
        let writes = ["create", "replace", "patch", "delete", "process", "fallback"]
            .iter()
            .any(|verb| function.ends_with(verb));
        assert_eq!(policies.contains("WriteDirectory"), writes, "{function}");
    }
    assert!(
        !text.contains("dynamodb:Scan") && !text.contains("dynamodb:*"),
        "no function may read all of the table"
    );
}

/// The routes in template.yaml: of each function its binary, and the method and path of its events.
fn template() -> BTreeSet<(String, String, String)> {
    let text = fs::read_to_string(root().join("template.yaml")).unwrap();
    let mut routes = BTreeSet::new();
    for (function, block) in functions_of(&text) {
        for event in block.lines().filter(|line| line.contains("Type: HttpApi")) {
            let value = |name: &str| {
                let rest = event.split_once(name).unwrap().1;
                rest.trim_start()
                    .trim_start_matches('"')
                    .split(['"', ',', ' ', '}'])
                    .next()
                    .unwrap()
                    .to_owned()
            };
            if event.contains("$default") {
                routes.insert((String::new(), "$default".to_owned(), function.clone()));
            } else {
                let path = event.split_once("Path: \"").unwrap().1.split_once('"').unwrap().0;
                routes.insert((value("Method:"), path.to_owned(), function.clone()));
            }
        }
    }
    routes
}

/// The routes of `cargo lambda watch`, whose last one is whatever no other is.
fn watch_router() -> BTreeSet<(String, String, String)> {
    let text = fs::read_to_string(root().join("functions/Cargo.toml")).unwrap();
    let manifest: toml::Table = text.parse().unwrap();
    let router = manifest["package"]["metadata"]["lambda"]["watch"]["router"].as_table().unwrap();
    let mut routes = BTreeSet::new();
    for (path, functions) in router {
        for function in functions.as_array().unwrap_or(&Vec::new()) {
            let text = |name: &str| function[name].as_str().unwrap().to_owned();
            routes.insert((text("method"), path.clone(), text("function")));
        }
    }
    assert_eq!(router["/{connector}/{*path}"].as_str(), Some(FALLBACK));
    routes
}

/// The rows of the README's table of routes, but for the last, which is whatever no other is.
fn readme() -> BTreeSet<(String, String, String)> {
    let text = fs::read_to_string(root().join("README.md")).unwrap();
    let table = text.split_once("| method | path | function |").unwrap().1;
    let rows = table.lines().skip(2).take_while(|line| line.starts_with("| "));
    let cells = |row: &str| row.split('|').map(|cell| cell.trim().replace('`', "")).collect::<Vec<_>>();
    let mut rows: Vec<_> = rows.map(cells).collect();
    assert_eq!(rows.pop().unwrap()[1..4], ["any other", "any other", FALLBACK]);
    let path = |cell: &str| if cell == "/" { String::new() } else { cell.to_owned() };
    rows.iter().map(|row| (row[1].clone(), path(&row[2]), row[3].clone())).collect()
}

/// The names of the files in a folder, without their extension.
fn files(folder: &str, extension: &str) -> BTreeSet<String> {
    let paths = fs::read_dir(root().join(folder)).unwrap().map(|entry| entry.unwrap().path());
    let paths = paths.filter(|path| path.extension().is_some_and(|found| found == extension));
    paths.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}
