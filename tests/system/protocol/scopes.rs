//! Scopes of credentials: which API each credential can use, and what earlier versions do with one that they do not know.

use directory::secrets::{credential_of_chosen, generate_credential};
use jiff::Timestamp;
use serde_json::json;
use shared::credential::{CredentialKind, CredentialScope};
use tests::client::Client;
use tests::in_process::{InProcess, json_of};
use tests::layout;
use tests::scimctl::scimctl;
use tests::service::{Service, TIME_LIMIT, TestConnector, service};
use tests::table::{read_items, set_attribute, take_item};

const PASSWORD: &str = "correct horse battery staple";

/// The base URL of the directory API of a connector.
fn directory_url(service: &Service, connector: &TestConnector) -> String {
    format!("{}/{}/directory/v1", service.origin(), connector.id)
}

fn needs(connector: &TestConnector, present: &str, needed: &str) -> String {
    format!(
        "The credential has the scope {present}, and this API needs the scope {needed}; an operator creates one with \
         `scimctl credential create {} --scope {needed}`",
        connector.id
    )
}

#[tokio::test]
async fn credential_of_another_scope_gives_403_in_the_error_format_of_the_api() {
    let service = service();
    let connector = service.connector().await;
    let (client, reader) = (connector.local(service), connector.reader(service).await);
    let on_scim = Client::new(&client.base_url, &reader.username, &reader.password);
    for (method, path) in
        [("GET", "/Users"), ("POST", "/Users"), ("DELETE", "/Groups/1"), ("GET", "/Schemas")]
    {
        let refused = on_scim.send(method, path, &[], "").await;
        let expected = json!({
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:Error"],
            "status": "403",
            "detail": needs(&connector, "directory", "scim"),
        });
        assert_eq!((refused.status, refused.json()), (403, expected), "{method} {path}");
    }
    let on_directory = Client::new(&reader.base_url, &client.username, &client.password);
    let refused = on_directory.get("/nothing").await;
    let mut body = refused.json();
    let instance = body.as_object_mut().unwrap().remove("instance").unwrap();
    assert!(instance.as_str().is_some_and(|id| !id.is_empty()), "{instance}");
    let expected = json!({
        "type": "about:blank",
        "title": "Forbidden",
        "status": 403,
        "detail": needs(&connector, "scim", "directory"),
    });
    assert_eq!((refused.status, body), (403, expected));
    assert_eq!(refused.header("content-type"), Some("application/problem+json"));
    // The right credential is refused only because there is no such path.
    let unknown = reader.get("/nothing").await;
    assert_eq!((unknown.status, &unknown.json()["detail"]), (404, &json!("Unknown path /nothing")));
    let wrong = Client::new(&reader.base_url, "reader", "wrong").get("/nothing").await;
    let challenge = wrong.header("www-authenticate");
    assert_eq!((wrong.status, challenge), (401, Some("Basic realm=\"directory\"")));
}

#[tokio::test]
async fn right_password_of_another_scope_is_not_counted_as_a_wrong_one() {
    let service = service();
    let connector = service.connector().await;
    let kind = CredentialKind::Basic { username: "okta".to_owned() };
    let chosen = credential_of_chosen(kind, PASSWORD, Timestamp::now()).unwrap();
    let chosen = chosen.with_scope(CredentialScope::Directory);
    service.connectors().replace_credentials(&connector.id, &[chosen]).await.unwrap();
    let client = Client::new(&connector.local(service).base_url, "okta", PASSWORD);
    // A process checks only 10 wrong passwords of an address in 15 minutes. None of these processes remembers the password.
    for _ in 0..12 {
        let process = InProcess::uncached(service.dynamodb(), client.clone());
        let refused = process.send("GET", "/Users", None, TIME_LIMIT).await;
        assert_eq!(refused.status(), 403);
    }
    let reader = Client::new(&directory_url(service, &connector), "okta", PASSWORD);
    let process = InProcess::uncached(service.dynamodb(), reader);
    assert_eq!(process.send("GET", "/nothing", None, TIME_LIMIT).await.status(), 404);
}

#[tokio::test]
async fn one_password_that_a_person_chose_for_both_scopes_works_in_both() {
    let service = service();
    let connector = service.connector().await;
    let chosen = |scope| {
        let kind = CredentialKind::Basic { username: "okta".to_owned() };
        credential_of_chosen(kind, PASSWORD, Timestamp::now()).unwrap().with_scope(scope)
    };
    for scopes in [
        [CredentialScope::Scim, CredentialScope::Directory],
        [CredentialScope::Directory, CredentialScope::Scim],
    ] {
        service.connectors().replace_credentials(&connector.id, &scopes.map(chosen)).await.unwrap();
        let on = |base_url: &str| Client::new(base_url, "okta", PASSWORD);
        let scim = InProcess::uncached(service.dynamodb(), on(&connector.local(service).base_url));
        let mut directory = InProcess::uncached(service.dynamodb(), on(&directory_url(service, &connector)));
        for _ in 0..2 {
            assert_eq!(scim.send("GET", "/Users", None, TIME_LIMIT).await.status(), 200);
            assert_eq!(directory.send("GET", "/nothing", None, TIME_LIMIT).await.status(), 404);
        }
        // The process that remembers the password for one API checks it again for the other.
        directory.client = on(&connector.local(service).base_url);
        assert_eq!(directory.send("GET", "/Users", None, TIME_LIMIT).await.status(), 200);
    }
}

#[tokio::test]
async fn earlier_versions_read_no_credential_of_the_directory_api() {
    let service = service();
    let connector = service.connector().await;
    connector.reader(service).await;
    let stored = service.table().connector(&connector.id).await.unwrap().unwrap();
    let (readers, clients): (Vec<_>, Vec<_>) =
        stored.credentials.iter().partition(|one| one.scope == CredentialScope::Directory);
    assert_eq!((readers.len(), clients.len()), (1, 2));
    // Earlier versions read the items whose sort keys begin with `credential/`, of those that `credential_ids` lists.
    let record = take_item(service, &layout::connector(&connector.id)).await;
    let mut listed: Vec<&String> =
        record["credential_ids"].as_l().unwrap().iter().map(|id| id.as_s().unwrap()).collect();
    let items = read_items(service, &connector.id).await;
    let of_connector = |(pk, _): &&(String, String)| *pk == format!("{}#connector", connector.id);
    let keys: Vec<&(String, String)> = items.keys().filter(of_connector).collect();
    let mut read: Vec<&str> = keys.iter().filter_map(|(_, sk)| sk.strip_prefix("credential/")).collect();
    let mut expected: Vec<&String> = clients.iter().map(|one| &one.id).collect();
    listed.sort_unstable();
    read.sort_unstable();
    expected.sort_unstable();
    assert_eq!((keys.len(), &listed), (3, &expected));
    assert_eq!(read, expected);
    // A credential for SCIM is stored as earlier versions stored it: without a scope.
    for key in keys {
        let (is_reader, doc) = (key.1.ends_with(&readers[0].id), items[key]["doc"].as_s().unwrap());
        assert_eq!(doc.contains("\"scope\""), is_reader, "{doc}");
    }
}

#[tokio::test]
async fn connector_of_format_1_gets_no_credential_of_the_directory_api() {
    let service = service();
    let connector = service.connector().await;
    let present = service.table().connector(&connector.id).await.unwrap().unwrap();
    let key = layout::connector(&connector.id);
    // The record of format 1 holds the credentials.
    let mut doc = serde_json::to_value(&present.record).unwrap();
    doc["credentials"] = serde_json::to_value(&present.credentials).unwrap();
    let text = aws_sdk_dynamodb::types::AttributeValue::S(doc.to_string());
    let format = aws_sdk_dynamodb::types::AttributeValue::N("1".to_owned());
    set_attribute(service, &key, "doc", text).await;
    set_attribute(service, &key, "stored_format", format).await;
    let (reader, _) = generate_credential(CredentialKind::Bearer, Timestamp::now()).unwrap();
    let reader = reader.with_scope(CredentialScope::Directory);
    let refused = service.connectors().add_credential(&connector.id, &reader).await.unwrap_err();
    assert_eq!(
        refused.detail,
        format!(
            "connector {} is stored in format 1, which has only credentials for the SCIM API; run `scimctl migrate` first",
            connector.id
        )
    );
}

#[tokio::test]
async fn operator_creates_rotates_and_retires_the_credentials_of_each_scope() {
    let service = service();
    let connector = service.connector().await;
    let id = connector.id.to_string();
    let run = |arguments: &[&str]| scimctl(service, arguments);
    let create = ["credential", "create", &id, "--scope", "directory"];
    let first = run(&create);
    assert!(first.err.ends_with("Enter it in the application that reads the directory\n"), "{first:?}");
    let second = run(&create);
    assert!(second.err.contains("the application that reads the directory. When"), "{second:?}");
    // A connector has at most two live credentials of a scheme in each scope. The kit has created two for SCIM.
    assert!(run(&create).failed().starts_with("2 Basic credentials of scope directory are live"));
    let token = run(&[&create[..], &["--bearer"]].concat()).value("Token:");
    run(&["credential", "create", &id, "--scope", "scim"]).ok();
    let url = directory_url(service, &connector);
    for password in [&first, &second].map(|created| created.value("Password:")) {
        assert_eq!(Client::new(&url, &id, &password).get("/nothing").await.status, 404);
    }
    let bearer = Client::new(&url, "", "").with_token(&token).bearer();
    let status = async || {
        let client = Client::new(&url, "", "");
        client.send("GET", "/nothing", &[("authorization", &bearer)], "").await.status
    };
    assert_eq!(status().await, 404);
    let listed = run(&["credential", "list", &id]).ok();
    let of = |scope: &str| {
        let lines = listed.lines().filter(|line| line.split_whitespace().nth(1) == Some(scope));
        lines.map(|line| line.split_whitespace().next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!((of("scim").len(), of("directory").len()), (3, 3), "{listed}");
    let json = run(&["credential", "list", &id, "--json"]).ok();
    assert_eq!(json.lines().filter(|line| line.contains("\"scope\":\"directory\"")).count(), 3, "{json}");
    let readers = of("directory");
    run(&["connector", "expires", &id, &readers[2], "2026-01-01"]).ok();
    run(&["connector", "retire", &id, &readers[0]]).ok();
    let last = run(&["connector", "retire", &id, &readers[1]]);
    assert!(
        last.err.contains("with the scope directory: without it, the application that reads"),
        "{last:?}"
    );
    run(&["connector", "retire", &id, &readers[1], "--yes"]).ok();
    let process = InProcess::uncached(service.dynamodb(), Client::new(&url, &id, &second.value("Password:")));
    let refused = process.send("GET", "/nothing", None, TIME_LIMIT).await;
    assert_eq!((refused.status().as_u16(), &json_of(&refused)["status"]), (401, &json!(401)));
    let audit = run(&["audit", &id]).ok();
    assert!(audit.lines().filter(|line| line.contains("credentials")).count() >= 6, "{audit}");
}
