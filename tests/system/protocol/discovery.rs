//! Discovery (RFC 7643 §5, RFC 7644 §4): who can read it, and what each reader gets.

use directory::secrets::generate_credential;
use jiff::Timestamp;
use serde_json::{Value, json};
use shared::credential::{CredentialKind, CredentialScope};
use tests::client::{Client, Reply};
use tests::faults::FaultyDynamoDb;
use tests::in_process::InProcess;
use tests::oauth::create_client;
use tests::provisioning::USER;
use tests::service::{TIME_LIMIT, service};

fn documents() -> [String; 5] {
    let user = format!("/Schemas/{USER}");
    ["/ServiceProviderConfig", "/ResourceTypes", "/ResourceTypes/User", "/Schemas", &user].map(str::to_owned)
}

async fn without_credentials(client: &Client, method: &str, target: &str) -> Reply {
    client.send(method, target, &[("authorization", "")], "").await
}

/// The names of the authentication schemes, and whether each is the primary one.
fn schemes(config: &Value) -> Vec<(&str, bool)> {
    let schemes = config["authenticationSchemes"].as_array().unwrap().iter();
    schemes.map(|one| (one["type"].as_str().unwrap(), one["primary"].as_bool().unwrap())).collect()
}

const BASIC: &str = "httpbasic";
const BEARER: &str = "oauthbearertoken";
const OAUTH: &str = "oauth2";

#[tokio::test]
async fn discovery_needs_no_credentials_and_looks_the_same_for_an_unknown_connector() {
    let service = service();
    let connector = service.connector().await;
    let disabled = service.connector().await;
    service.connectors().disable(&disabled.id).await.unwrap();
    create_client(service, &connector.id, CredentialScope::Scim).await;
    let client = connector.local(service);
    let unknown = Client::new(&format!("{}/unknown/scim/v2", service.origin()), "okta", "x");
    for target in documents() {
        let own = client.get(&target).await;
        let text_of = |reply: Reply, client: &Client| {
            assert_eq!(reply.status, 200, "{target}");
            let has_location = reply.header("location").is_some();
            let body = String::from_utf8(reply.body).unwrap();
            (body.replace(&client.base_url, "BASE_URL"), has_location)
        };
        let known = text_of(without_credentials(&client, "GET", &target).await, &client);
        assert_eq!(text_of(without_credentials(&unknown, "GET", &target).await, &unknown), known, "{target}");
        let disabled = disabled.local(service);
        assert_eq!(text_of(without_credentials(&disabled, "GET", &target).await, &disabled), known);
        // This connector has all kinds of credentials, so its own documents are the same.
        assert_eq!(text_of(own, &client), known, "{target}");
        let with_slashes = without_credentials(&client, "GET", &format!("/{target}/")).await;
        assert_eq!(text_of(with_slashes, &client), known);
        assert_eq!(without_credentials(&client, "HEAD", &target).await.status, 200);
    }
}

#[tokio::test]
async fn only_discovery_answers_without_credentials() {
    let client = service().client().await;
    for (method, target, status) in [
        ("GET", "/Schemas/urn:none", 404),
        ("GET", "/ResourceTypes/Device", 404),
        ("GET", "/Schemas?filter=id%20pr", 403),
        ("POST", "/Schemas", 401),
        ("GET", "/Schemas/urn:x/y", 401),
        ("GET", "/Users", 401),
        ("GET", "/Nothing", 401),
        ("GET", "", 401),
    ] {
        let reply = without_credentials(&client, method, target).await;
        assert_eq!(reply.status, status, "{method} {target}");
    }
}

#[tokio::test]
async fn discovery_without_credentials_sends_no_request_to_dynamodb() {
    let service = service();
    let faulty = FaultyDynamoDb::start(service.endpoint()).await;
    let dynamodb = runtime::dynamodb::client_at(&faulty.endpoint).await;
    let connector = service.connector().await;
    for client in
        [connector.local(service), Client::new(&format!("{}/unknown/scim/v2", service.origin()), "okta", "x")]
    {
        let requests = InProcess::uncached(dynamodb.clone(), client);
        for target in documents() {
            let reply = requests.send_without_credentials("GET", &target, TIME_LIMIT).await;
            assert_eq!(reply.status().as_u16(), 200, "{target}");
        }
    }
    assert_eq!(faulty.heal(), 0);
    let requests = InProcess::uncached(dynamodb, connector.local(service));
    assert_eq!(requests.send("GET", "/Schemas", None, TIME_LIMIT).await.status().as_u16(), 200);
    assert!(faulty.heal() > 0, "right credentials are read from the table");
}

#[tokio::test]
async fn wrong_credentials_for_discovery_get_401() {
    let service = service();
    let client = service.client().await;
    let unknown = Client::new(&format!("{}/unknown/scim/v2", service.origin()), "okta", "x");
    for target in documents() {
        for wrong in ["Basic !", "Bearer wrong", "Digest x"] {
            assert_eq!(client.send("GET", &target, &[("authorization", wrong)], "").await.status, 401);
        }
        assert_eq!(unknown.get(&target).await.status, 401, "{target}");
    }
}

#[tokio::test]
async fn config_lists_the_schemes_of_the_connector_with_the_primary_one_first() {
    let service = service();
    let now = Timestamp::now();
    let (basic, bearer) = (CredentialKind::Basic { username: "okta".to_owned() }, CredentialKind::Bearer);
    let oauth = CredentialKind::ClientSecret { client_id: "client".to_owned() };
    let all = [(BASIC, true), (BEARER, false), (OAUTH, false)];
    for (kinds, expected) in [
        (vec![basic.clone()], vec![(BASIC, true)]),
        (vec![bearer.clone()], vec![(BEARER, true)]),
        (vec![oauth.clone(), basic.clone()], vec![(BASIC, true), (OAUTH, false)]),
        (vec![oauth, bearer, basic], all.to_vec()),
    ] {
        let connector = service.connector().await;
        let generated: Vec<_> =
            kinds.into_iter().map(|kind| generate_credential(kind, now).unwrap()).collect();
        let credentials: Vec<_> = generated.iter().map(|(credential, _)| credential.clone()).collect();
        service.connectors().replace_credentials(&connector.id, &credentials).await.unwrap();
        let client = connector.local(service);
        for (credential, secret) in generated {
            let authorization = match credential.kind {
                CredentialKind::Bearer => format!("Bearer {secret}"),
                CredentialKind::Basic { username } => {
                    Client::new(&client.base_url, &username, &secret).basic()
                }
                // The other credentials show the schemes.
                _ => continue,
            };
            let reply =
                client.send("GET", "/ServiceProviderConfig", &[("authorization", &authorization)], "").await;
            assert_eq!((reply.status, schemes(&reply.json())), (200, expected.clone()));
        }
        let anyone = without_credentials(&client, "GET", "/ServiceProviderConfig").await.json();
        assert_eq!(schemes(&anyone), all);
        assert_eq!(
            anyone["meta"],
            json!({
                "resourceType": "ServiceProviderConfig", "location": format!("{}/ServiceProviderConfig", client.base_url)
            })
        );
    }
}
