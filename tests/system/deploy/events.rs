//! Each example event in `events/` gets the right answer from its function. The template, docs/reference/routes.md, the
//! router of cargo lambda, the binaries and the events match the table of routes, and only functions that
//! write may write.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use directory::secrets::credential_of_generated;
use jiff::Timestamp;
use serde_json::{Value, json};
use service::routes::{FALLBACK, OTHER_FUNCTIONS, ROUTES};
use shared::credential::CredentialKind;
use shared::resource::ResourceId;
use tests::invariants::assert_invariants;
use tests::pattern::differences;
use tests::service::{Service, TestConnector, service};
use tests::{seed, template, workspace};

const HOST: &str = "https://rollcall000.execute-api.us-east-1.amazonaws.com/default/scim/v2";
const USER_ID: &str = "11111111-1111-4111-8111-111111111111";
const GROUP_ID: &str = "22222222-2222-4222-8222-222222222222";
/// The id of no role.
const ROLE_ID: &str = "33333333-3333-4333-8333-333333333333";
const PASSWORD: &str = "correct horse battery staple";

/// The names of the events, each with the status and the body of its answer. The order matters: later events
/// use what earlier ones create.
pub fn expected_answers() -> Vec<(&'static str, u64, Value)> {
    let user = format!("{HOST}/Users/{USER_ID}");
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
            json!({ "id": USER_ID, "userName": "user000000@example.com", "meta": { "location": user } }),
        ),
        (
            "users-replace",
            200,
            json!({ "id": USER_ID, "userName": "jane.doe@okta.local", "title": "<absent>", "name": { "familyName": "Roe" } }),
        ),
        ("users-search", 200, json!({ "totalResults": "<number>", "Resources": "<any>" })),
        ("groups-get", 200, json!({ "id": GROUP_ID, "displayName": "Analysts", "members": "<absent>" })),
        (
            "groups-create",
            201,
            json!({ "displayName": "Data Stewards", "members": [{ "value": USER_ID, "display": "Jane Doe" }] }),
        ),
        ("groups-patch", 200, json!({ "displayName": "Senior Analysts", "members": [{ "value": USER_ID }] })),
        (
            "groups-replace",
            200,
            json!({ "displayName": "Analysts", "members": [{ "value": USER_ID, "display": "Jane Doe" }] }),
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
        (
            "directory-users-list",
            200,
            json!({ "entries": [{ "id": USER_ID, "username": "jane.doe@okta.local", "hidden": "<absent>" }], "next": null }),
        ),
        (
            "directory-users-get",
            200,
            json!({ "id": USER_ID, "groups": [{ "id": GROUP_ID, "name": "Analysts" }, { "name": "Data Stewards" }] }),
        ),
        ("feeds-poll", 404, json!({ "err": "invalid_request", "description": "<contains no feed>" })),
        ("jwks-get", 200, json!({ "keys": [] })),
        (
            "oauth-token",
            200,
            json!({ "access_token": "<any>", "token_type": "Bearer", "expires_in": 3600, "scope": "scim" }),
        ),
        (
            "oauth-metadata-get",
            200,
            json!({ "issuer": "https://rollcall000.execute-api.us-east-1.amazonaws.com/default", "token_endpoint": "<contains /default/oauth2/token>" }),
        ),
        ("directory-groups-list", 200, json!({ "entries": "<any>", "next": null })),
        ("directory-groups-get", 200, json!({ "id": GROUP_ID, "name": "Analysts", "origin": "scim" })),
        (
            "directory-members-list",
            200,
            json!({ "entries": [{ "type": "user", "id": USER_ID, "name": "jane.doe@okta.local" }], "next": null }),
        ),
        ("directory-members-get", 200, json!({ "direct": true, "path": [] })),
        ("directory-roles-list", 200, json!({ "entries": [], "next": null })),
        (
            "directory-roles-get",
            404,
            json!({ "title": "Not Found", "detail": format!("Resource {ROLE_ID} not found") }),
        ),
        ("directory-role-members-list", 404, json!({ "title": "Not Found", "instance": "<any>" })),
        ("users-patch", 200, json!({ "id": USER_ID, "active": false, "groups": "<absent>" })),
        ("groups-delete", 204, json!("<absent>")),
        ("users-delete", 204, json!("<absent>")),
        ("users-get", 404, json!({ "status": "404", "detail": format!("Resource {USER_ID} not found") })),
    ]
}

/// Creates the connector, its credentials, the user and the group that the events name.
pub async fn create_event_fixtures(service: &Service) -> TestConnector {
    let connector = service.connector_named("default", "okta", PASSWORD).await;
    connector.reader_with_password(service, PASSWORD).await;
    let kind = CredentialKind::ClientSecret { client_id: "client".to_owned() };
    let client = credential_of_generated(kind, PASSWORD, Timestamp::now()).unwrap();
    service.connectors().add_credential(&connector.id, &client).await.unwrap();
    seed::user_with_id(service, &connector.id, ResourceId::parse(USER_ID).unwrap()).await;
    seed::group_with_id(service, &connector.id, ResourceId::parse(GROUP_ID).unwrap(), "Analysts").await;
    connector
}

/// Asserts that a function's answer has this status and a body that matches the pattern. `name` is the name
/// of the event.
pub fn assert_answer(name: &str, answer: &Value, status: u64, pattern: &Value) {
    let body = match (answer["body"].as_str(), answer["isBase64Encoded"].as_bool()) {
        (Some(body), Some(true)) => Some(tests::client::gunzip(&BASE64.decode(body).unwrap())),
        (Some(body), _) => Some(body.as_bytes().to_vec()),
        (None, _) => None,
    };
    let body: Option<Value> = body.map(|body| serde_json::from_slice(&body).unwrap());
    assert_eq!(answer["statusCode"], status, "{name}: {body:?}");
    let found = differences("the body", pattern, body.as_ref());
    assert!(found.is_empty(), "{name}: {found:#?}\n{body:#?}");
}

#[tokio::test]
async fn every_example_event_is_answered_by_its_function() {
    let service = Service::start();
    let connector = create_event_fixtures(&service).await;
    let mut seen = BTreeSet::new();
    for (name, status, pattern) in expected_answers() {
        let file = workspace().join("events").join(format!("{name}.json"));
        let event: Value = serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap();
        let answer = service.gateway().lambda().invoke(name, &event).await.unwrap();
        assert_answer(name, &answer, status, &pattern);
        seen.insert(name.to_owned());
    }
    let other = OTHER_FUNCTIONS.iter().map(|name| (*name).to_owned());
    seen.extend(other);
    assert_eq!(seen, file_names("events", "json"), "every file in events/ is replayed");
    assert_invariants(&service, &connector.id).await;
}

#[tokio::test]
async fn unreadable_event_is_400_with_the_id_of_the_request() {
    let file = workspace().join("events/users-create.json");
    let mut event: Value = serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap();
    (event["body"], event["isBase64Encoded"]) = (json!("!"), json!(true));
    let answer = service().gateway().lambda().invoke("users-create", &event).await.unwrap();
    let detail = "The event's isBase64Encoded is true, but its body is not base64";
    let expected = json!({ "status": "400", "scimType": "invalidSyntax", "detail": detail });
    assert_answer("unreadable", &answer, 400, &expected);
    let id = answer["headers"]["x-request-id"].as_str().unwrap();
    assert!(uuid::Uuid::parse_str(id).is_ok(), "{id}");
}

#[test]
fn template_router_documentation_binaries_and_events_match_the_routes() {
    let mut routes: BTreeSet<(String, String, String)> = ROUTES
        .iter()
        .map(|route| (route.method.to_owned(), route.full_path(), route.function.to_owned()))
        .collect();
    assert_eq!(watch_routes(), routes, "the router of cargo lambda watch");
    assert_eq!(documented_routes(), routes, "docs/reference/routes.md");
    routes.insert(("ANY".to_owned(), "$default".to_owned(), FALLBACK.to_owned()));
    assert_eq!(template_routes(), routes, "template.yaml");
    let other = OTHER_FUNCTIONS.iter().map(|name| (*name).to_owned());
    let functions: BTreeSet<String> =
        routes.into_iter().map(|(_, _, function)| function).chain(other).collect();
    assert_eq!(file_names("functions/src/bin", "rs"), functions, "src/bin");
    assert_eq!(file_names("events", "json"), functions, "events");
}

#[test]
fn only_functions_that_write_may_write_to_the_table() {
    let template = template::read();
    let functions = template::functions(&template);
    let routed = ROUTES.iter().map(|route| route.function).collect::<BTreeSet<_>>().len();
    assert_eq!(functions.len(), routed + 1 + OTHER_FUNCTIONS.len());
    for (function, properties) in functions {
        let writes = ["create", "replace", "patch", "delete", "process", "fallback"]
            .iter()
            .any(|verb| function.ends_with(verb));
        assert_eq!(template::policies(properties).contains(&"WriteDirectory"), writes, "{function}");
    }
}

/// The method and path of each event in template.yaml, with the binary of its function.
fn template_routes() -> BTreeSet<(String, String, String)> {
    let template = template::read();
    let mut routes = BTreeSet::new();
    let functions = template::functions(&template).into_iter();
    for (function, properties) in functions.filter(|(function, _)| !OTHER_FUNCTIONS.contains(function)) {
        for event in properties["Events"].as_object().unwrap().values() {
            assert_eq!(event["Type"], "HttpApi", "{function}");
            let text = |name: &str| event["Properties"][name].as_str().unwrap().to_owned();
            routes.insert((text("Method"), text("Path"), function.to_owned()));
        }
    }
    routes
}

/// The routes of `cargo lambda watch`, without those to the fallback. Asserts that every path names each
/// method once.
fn watch_routes() -> BTreeSet<(String, String, String)> {
    let text = fs::read_to_string(workspace().join("Cargo.toml")).unwrap();
    let manifest: toml::Table = text.parse().unwrap();
    let router = manifest["workspace"]["metadata"]["lambda"]["watch"]["router"].as_array().unwrap();
    let mut methods: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut routes = BTreeSet::new();
    for route in router {
        let text = |name: &str| route[name].as_str().unwrap().to_owned();
        let Some(named) = route.get("methods") else {
            assert_eq!((&*text("path"), &*text("function")), ("/{connector}/{*path}", FALLBACK));
            continue;
        };
        for method in named.as_array().unwrap().iter().map(|method| method.as_str().unwrap().to_owned()) {
            methods.entry(text("path")).or_default().push(method.clone());
            if text("function") != FALLBACK {
                routes.insert((method, text("path"), text("function")));
            }
        }
    }
    for (path, mut methods) in methods {
        methods.sort();
        assert_eq!(methods, ["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"], "{path}");
    }
    routes
}

/// The rows of the table in docs/reference/routes.md, without the last row for all other requests.
fn documented_routes() -> BTreeSet<(String, String, String)> {
    let text = fs::read_to_string(workspace().join("docs/reference/routes.md")).unwrap();
    let table = text.split_once("| method | path | function |").unwrap().1;
    let rows = table.lines().skip(2).take_while(|line| line.starts_with("| "));
    let cells = |row: &str| row.split('|').map(|cell| cell.trim().replace('`', "")).collect::<Vec<_>>();
    let mut rows: Vec<_> = rows.map(cells).collect();
    assert_eq!(rows.pop().unwrap()[1..4], ["any other", "any other", FALLBACK]);
    rows.into_iter().map(|row| (row[1].clone(), row[2].clone(), row[3].clone())).collect()
}

/// The names of the files in a folder, without their extension.
fn file_names(folder: &str, extension: &str) -> BTreeSet<String> {
    let paths = fs::read_dir(workspace().join(folder)).unwrap().map(|entry| entry.unwrap().path());
    let paths = paths.filter(|path| path.extension().is_some_and(|found| found == extension));
    paths.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect()
}
