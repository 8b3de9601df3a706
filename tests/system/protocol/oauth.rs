//! The token endpoint for clients with a secret (RFC 6749 §4.4), its access tokens (RFC 9068) and its metadata (RFC 8414).

use std::sync::atomic::{AtomicI64, Ordering};

use directory::connectors::ConnectorId;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use shared::credential::CredentialScope;
use tests::client::{Client, Reply};
use tests::consumer::Consumer;
use tests::faults::FaultyDynamoDb;
use tests::in_process::InProcess;
use tests::oauth::{
    ASSERTION_TYPE, CLIENT_ID, SigningKey, connector_url, create_client, get_with_token, request_token,
    request_token_by_secret, token_of, unsigned,
};
use tests::scimctl::run;
use tests::service::{TIME_LIMIT, TestConnector, service};
use tests::token::parts;

const GRANT: (&str, &str) = ("grant_type", "client_credentials");
const WRONG_CLIENT: &str = "The client id is unknown, or its secret or assertion is wrong";

/// The status, the error code and the text of an answer of the token endpoint.
fn error(reply: &Reply) -> (u16, Value, Value) {
    let body = reply.json();
    (reply.status, body["error"].clone(), body["error_description"].clone())
}

async fn has_access(client: &Client, target: &str, token: &str) -> u16 {
    get_with_token(client, target, token).await.status
}

/// A connector with an OAuth client, and the secret.
async fn connector_with_client() -> (TestConnector, Client, String) {
    let connector = service().connector().await;
    let (_, secret) = create_client(service(), &connector.id, CredentialScope::Scim).await;
    let client = connector.local(service());
    (connector, client, secret)
}

#[tokio::test]
async fn client_gets_a_token_in_each_way_to_authenticate_and_uses_it() {
    let (_, client, secret) = connector_with_client().await;
    let basic = Client::new(&client.base_url, CLIENT_ID, &secret).basic();
    let in_form = [GRANT, ("client_id", CLIENT_ID), ("client_secret", &secret)];
    let url = client.at(connector_url(&client));
    let json = json!({ "grant_type": "client_credentials", "client_id": CLIENT_ID, "client_secret": secret });
    let headers = [("content-type", "application/json; charset=utf-8"), ("authorization", "")];
    for reply in [
        request_token(&client, "", &[GRANT], &basic).await,
        request_token(&client, "", &[GRANT, ("client_id", CLIENT_ID), ("scope", "scim")], &basic).await,
        // Okta puts the scope into the query.
        request_token(&client, "?scope=scim", &[GRANT], &basic).await,
        request_token(&client, "", &in_form, "").await,
        // Entra ID can send the secret in the header and in the body.
        request_token(&client, "", &in_form, &basic).await,
        url.send("POST", "/oauth2/token", &headers, json.to_string()).await,
    ] {
        let body = reply.json();
        let token = token_of(&reply);
        let expected =
            json!({ "access_token": token, "token_type": "Bearer", "expires_in": 3600, "scope": "scim" });
        assert_eq!(body, expected);
        let header = |name| reply.header(name).unwrap_or_default().to_owned();
        let headers = ["content-type", "cache-control", "pragma"].map(header);
        assert_eq!(headers, ["application/json", "no-store", "no-cache"]);
        assert_eq!(has_access(&client, "/Users", &token).await, 200);
        // The process remembers the token now.
        assert_eq!(has_access(&client, "/Users", &token).await, 200);
    }
}

#[tokio::test]
async fn functions_issue_and_accept_tokens_with_the_rights_of_the_template() {
    let connector = service().connector().await;
    let (credential, secret) = create_client(service(), &connector.id, CredentialScope::Scim).await;
    let client = connector.functions(service());
    let token = token_of(&request_token_by_secret(&client, CLIENT_ID, &secret).await);
    let (_, claims) = parts(&token);
    assert_eq!(claims["aud"], json!([client.public_url]));
    assert_eq!(has_access(&client, "/Users", &token).await, 200);
    let used = service().table().credential_usage(&connector.id).last_used(&credential.id).await.unwrap();
    assert!(used.is_some_and(|used| Timestamp::now() - used < SignedDuration::from_mins(10)), "{used:?}");
}

#[tokio::test]
async fn access_token_has_the_claims_of_rfc_9068() {
    let (connector, client, secret) = connector_with_client().await;
    let changed = run(&connector, &["connector", "set", "token-minutes=120"]);
    assert_eq!(changed.code, 0, "{changed:?}");
    let before = Timestamp::now().as_second();
    let reply = request_token_by_secret(&client, CLIENT_ID, &secret).await;
    assert_eq!(reply.json()["expires_in"], 7200);
    let (header, mut claims) = parts(&token_of(&reply));
    let stored = service().table().connector(&connector.id).await.unwrap().unwrap();
    let [key] = stored.record.token_keys.as_slice() else { panic!("{:?}", stored.record.token_keys) };
    assert_eq!(header, json!({ "alg": "ES256", "kid": key.kid, "typ": "at+jwt" }));
    let iat = claims["iat"].as_i64().unwrap();
    assert!((before..=Timestamp::now().as_second()).contains(&iat), "{iat}");
    let jti = claims.as_object_mut().unwrap().remove("jti").unwrap();
    assert!(jti.as_str().is_some_and(|jti| jti.len() == 43), "{jti}");
    let credential = stored.credentials.iter().find(|one| one.is_oauth()).unwrap();
    let issuer = connector_url(&client);
    let expected = json!({
        "iss": issuer,
        "aud": [format!("{issuer}/scim/v2")],
        "sub": CLIENT_ID,
        "client_id": CLIENT_ID,
        "scope": "scim",
        "iat": iat,
        "exp": iat + 7200,
        "credential": credential.id,
    });
    assert_eq!(claims, expected);
}

#[tokio::test]
async fn refused_requests_have_the_errors_of_rfc_6749_5_2() {
    let (_, client, secret) = connector_with_client().await;
    let basic = |id: &str, secret: &str| Client::new(&client.base_url, id, secret).basic();
    let right = basic(CLIENT_ID, &secret);
    let missing = "authenticate with client_id and client_secret, or with client_assertion";
    for (form, authorization, expected) in [
        (&[][..], "", (400, "invalid_request", "grant_type is missing; it must be client_credentials")),
        (
            &[("grant_type", "password")],
            &right,
            (400, "unsupported_grant_type", "grant_type must be client_credentials"),
        ),
        (&[GRANT, GRANT], &right, (400, "invalid_request", "the parameter grant_type is repeated")),
        (&[GRANT], "", (401, "invalid_client", missing)),
        (
            &[GRANT],
            "Bearer x",
            (401, "invalid_client", "the Authorization header must be Basic with id and secret"),
        ),
        (&[GRANT], &basic(CLIENT_ID, "wrong"), (401, "invalid_client", WRONG_CLIENT)),
        (&[GRANT], &basic("other", &secret), (401, "invalid_client", WRONG_CLIENT)),
        (&[GRANT, ("client_secret", "x")], "", (400, "invalid_request", "client_id is missing")),
        (
            &[GRANT, ("client_id", CLIENT_ID), ("client_secret", "x")],
            &right,
            (400, "invalid_request", "the client authenticates in more than one way"),
        ),
        (
            &[GRANT, ("client_id", "x")],
            &right,
            (400, "invalid_request", "client_id is not the username of the Authorization header"),
        ),
        (
            &[GRANT, ("client_assertion", "x")],
            "",
            (400, "invalid_request", &format!("client_assertion_type must be {ASSERTION_TYPE}")),
        ),
        (
            &[GRANT, ("client_assertion_type", ASSERTION_TYPE), ("client_assertion", "x.y.z")],
            "",
            (401, "invalid_client", WRONG_CLIENT),
        ),
        (
            &[GRANT, ("scope", "directory")],
            &right,
            (400, "invalid_scope", "The scope of this client is scim"),
        ),
        (
            &[GRANT, ("scope", "scim admin")],
            &right,
            (400, "invalid_scope", "The scope of this client is scim"),
        ),
    ] {
        let reply = request_token(&client, "", form, authorization).await;
        let (status, code, description) = expected;
        assert_eq!(error(&reply), (status, code.into(), description.into()), "{form:?}");
        assert_eq!(reply.header("cache-control"), Some("no-store"));
        let challenge = (status == 401).then_some("Basic realm=\"scim\"");
        assert_eq!(reply.header("www-authenticate"), challenge, "{form:?}");
    }
    let url = client.at(connector_url(&client));
    for (content_type, body, description) in [
        ("text/plain", "{}", "Content-Type must be application/x-www-form-urlencoded or application/json"),
        ("application/json", "{\"grant_type\":1}", "the body is not a JSON object of texts"),
        ("application/json", "[]", "the body is not a JSON object of texts"),
        ("application/json", &"x".repeat(70_000), "the body is 70000 bytes; the maximum is 65536"),
    ] {
        let headers = [("content-type", content_type), ("authorization", right.as_str())];
        let reply = url.send("POST", "/oauth2/token", &headers, body.to_owned()).await;
        assert_eq!(error(&reply), (400, "invalid_request".into(), description.into()));
    }
    let reply = url.send("GET", "/oauth2/token", &[], "").await;
    assert_eq!((reply.status, reply.header("allow")), (405, Some("POST")));
}

#[tokio::test]
async fn unknown_connector_looks_like_a_wrong_secret() {
    let (_, client, _) = connector_with_client().await;
    let answer = async |url: &str| {
        let other = client.at(&format!("{url}/scim/v2"));
        let reply = request_token_by_secret(&other, CLIENT_ID, "wrong").await;
        let challenge = reply.header("www-authenticate").map(str::to_owned);
        (error(&reply), challenge, reply.header("cache-control").map(str::to_owned))
    };
    let known = answer(connector_url(&client)).await;
    assert_eq!(known.0, (401, "invalid_client".into(), WRONG_CLIENT.into()));
    for unknown in ["unknown", "no%20id"] {
        assert_eq!(answer(&format!("{}/{unknown}", service().origin())).await, known, "{unknown}");
    }
}

#[tokio::test]
async fn token_is_valid_for_the_apis_of_its_scope_only() {
    let connector = service().connector().await;
    let client = connector.local(service());
    let (_, scim) = create_client(service(), &connector.id, CredentialScope::Scim).await;
    let (_, directory) = create_client(service(), &connector.id, CredentialScope::Directory).await;
    let url = connector_url(&client).to_owned();
    let [on_directory, on_events] =
        ["/directory/v1", "/events/v1"].map(|path| client.at(&format!("{url}{path}")));
    Consumer::create(service().table(), &connector.id, "platform").await;
    let [scim, directory] = [scim, directory].map(async |secret| {
        let reply = request_token_by_secret(&client, CLIENT_ID, &secret).await;
        (reply.json()["scope"].clone(), token_of(&reply))
    });
    let ((scim_scope, scim), (directory_scope, directory)) = (scim.await, directory.await);
    assert_eq!((scim_scope, directory_scope), ("scim".into(), "directory".into()));
    let poll = async |token: &str| {
        let headers =
            [("authorization", format!("Bearer {token}")), ("content-type", "application/json".into())];
        let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
        on_events.send("POST", "/platform/poll", &headers, r#"{"returnImmediately":true}"#).await.status
    };
    let statuses = async |token: &str| {
        let scim = has_access(&client, "/Users", token).await;
        (scim, has_access(&on_directory, "/users", token).await, poll(token).await)
    };
    assert_eq!(statuses(&scim).await, (200, 403, 403));
    assert_eq!(statuses(&directory).await, (403, 200, 200));
}

#[tokio::test]
async fn tokens_end_with_the_secret_that_bought_them() {
    let service = service();
    let (connector, client, secret) = connector_with_client().await;
    let id: &ConnectorId = &connector.id;
    // A process that has just read the connector.
    let status = async |token: &str| {
        let process = InProcess::uncached(service.dynamodb(), client.clone());
        process.send_with_token("GET", "/Users", token).await.status().as_u16()
    };
    let stored = service.table().connector(id).await.unwrap().unwrap();
    let credential = stored.credentials.iter().find(|one| one.is_oauth()).unwrap().id.clone();
    let token = token_of(&request_token_by_secret(&client, CLIENT_ID, &secret).await);
    let connectors = || service.connectors();
    assert_eq!(status(&token).await, 200);

    connectors().disable(id).await.unwrap();
    assert_eq!(status(&token).await, 403);
    let cold = InProcess::uncached(service.dynamodb(), client.clone());
    let disabled = cold.request_token(CLIENT_ID, &secret).await;
    assert_eq!(disabled.0, 400);
    assert_eq!(disabled.1["error"], "unauthorized_client");
    connectors().enable(id).await.unwrap();
    assert_eq!(status(&token).await, 200);

    // A second secret is for rotation: tokens of the first one stay valid until it is retired.
    let (second, new_secret) = create_client(service, id, CredentialScope::Scim).await;
    let new_token = token_of(&request_token_by_secret(&client, CLIENT_ID, &new_secret).await);
    assert_eq!((status(&token).await, status(&new_token).await), (200, 200));
    connectors().retire_credential(id, &credential).await.unwrap();
    assert_eq!((status(&token).await, status(&new_token).await), (401, 200));
    let cold = InProcess::uncached(service.dynamodb(), client.clone());
    assert_eq!(cold.request_token(CLIENT_ID, &secret).await.0, 401);

    let soon = Timestamp::now() + SignedDuration::from_secs(600);
    connectors().set_expiry(id, &second.id, Some(soon)).await.unwrap();
    let cold = InProcess::uncached(service.dynamodb(), client.clone());
    let (_, short) = cold.request_token(CLIENT_ID, &new_secret).await;
    let lifetime = short["expires_in"].as_i64().unwrap();
    assert!((1..=600).contains(&lifetime), "a token does not outlive its secret: {lifetime}");
    connectors().set_expiry(id, &second.id, Some(Timestamp::now())).await.unwrap();
    assert_eq!(status(&new_token).await, 401);
    let cold = InProcess::uncached(service.dynamodb(), client.clone());
    assert_eq!(cold.request_token(CLIENT_ID, &new_secret).await.0, 401);
}

/// The seconds by which the clock of [`later`] is ahead.
static AHEAD: AtomicI64 = AtomicI64::new(0);

fn later() -> Timestamp {
    Timestamp::now() + SignedDuration::from_secs(AHEAD.load(Ordering::SeqCst))
}

/// Only this test changes the clock.
#[tokio::test]
async fn token_ends_after_its_lifetime_also_in_a_process_that_remembers_it() {
    let (_, client, secret) = connector_with_client().await;
    let token = token_of(&request_token_by_secret(&client, CLIENT_ID, &secret).await);
    let process = InProcess::with_clock(service().dynamodb(), client.clone(), later);
    for (ahead, expected) in [(0, 200), (3_500, 200), (3_601, 401)] {
        AHEAD.store(ahead, Ordering::SeqCst);
        let cold = InProcess::with_clock(service().dynamodb(), client.clone(), later);
        for process in [&process, &cold] {
            let status = process.send_with_token("GET", "/Users", &token).await.status();
            assert_eq!(status, expected, "after {ahead} seconds");
        }
    }
}

#[tokio::test]
async fn forged_tokens_are_refused() {
    let (connector, client, secret) = connector_with_client().await;
    let (header, claims) = parts(&token_of(&request_token_by_secret(&client, CLIENT_ID, &secret).await));
    let own = SigningKey::new_ec();
    let with = |value: &Value, name: &str, other: Value| {
        let mut value = value.clone();
        value[name] = other;
        value
    };
    let whole = token_of(&request_token_by_secret(&client, CLIENT_ID, &secret).await);
    let (signed, signature) = whole.rsplit_once('.').unwrap();
    let (head, _) = signed.split_once('.').unwrap();
    let other_claims = unsigned(&header, &with(&claims, "scope", json!("directory")));
    let (_, body) = other_claims.trim_end_matches('.').split_once('.').unwrap();
    // Another connector signs with a key of its own.
    let foreign = service().connector().await;
    let (_, foreign_secret) = create_client(service(), &foreign.id, CredentialScope::Scim).await;
    let foreign_client = foreign.local(service());
    let foreign_token = token_of(&request_token_by_secret(&foreign_client, CLIENT_ID, &foreign_secret).await);
    // This process has verified the token before its key is dropped.
    let process = InProcess::uncached(service().dynamodb(), client.clone());
    assert_eq!(process.send_with_token("GET", "/Users", &whole).await.status(), 200);
    let retired_key = {
        run(&connector, &["credential", "rotate-key"]).ok();
        run(&connector, &["credential", "rotate-key"]).ok();
        whole.clone()
    };
    for (name, token) in [
        ("no signature", unsigned(&with(&header, "alg", json!("none")), &claims)),
        ("empty signature", unsigned(&header, &claims)),
        ("another key", own.sign_with(&header, &claims)),
        ("HS256", own.sign_with(&with(&header, "alg", json!("HS256")), &claims)),
        ("other claims", format!("{head}.{body}.{signature}")),
        ("other connector", foreign_token),
        ("dropped key", retired_key),
        ("not base64", format!("{signed}.!")),
        ("too long", format!("{signed}{}.x", "a".repeat(20_000))),
        ("four parts", format!("{whole}.x")),
    ] {
        let status = process.send_with_token("GET", "/Users", &token).await.status();
        assert_eq!(status, 401, "{name}");
    }
}

#[tokio::test]
async fn token_of_the_key_before_stays_valid_after_a_rotation() {
    let (connector, client, secret) = connector_with_client().await;
    let token = token_of(&request_token_by_secret(&client, CLIENT_ID, &secret).await);
    run(&connector, &["credential", "rotate-key"]).ok();
    let cold = InProcess::uncached(service().dynamodb(), client.clone());
    let (status, body) = cold.request_token(CLIENT_ID, &secret).await;
    assert_eq!(status, 200);
    let new = body["access_token"].as_str().unwrap().to_owned();
    assert_ne!(parts(&new).0["kid"], parts(&token).0["kid"]);
    assert_eq!(has_access(&client, "/Users", &token).await, 200);
    // This process has read the connector before the rotation, so it reads it again.
    assert_eq!(has_access(&client, "/Users", &new).await, 200);
}

#[tokio::test]
async fn wrong_secrets_share_the_rate_limit_of_wrong_passwords_and_right_ones_always_work() {
    let (connector, client, secret) = connector_with_client().await;
    let answer = async |secret: &str| {
        // Each request reaches a process that has read nothing yet.
        let cold = InProcess::uncached(service().dynamodb(), client.clone());
        let (status, body) = cold.request_token(CLIENT_ID, secret).await;
        (status, body["error"].clone())
    };
    for _ in 0..10 {
        assert_eq!(answer("wrong").await, (401, "invalid_client".into()));
    }
    assert_eq!(answer("wrong").await, (429, "temporarily_unavailable".into()));
    assert_eq!(answer(&secret).await.0, 200);
    let (table, now) = (service().table(), Timestamp::now());
    let counts =
        table.failed_sign_ins(&connector.id).counts(now - SignedDuration::from_hours(24), now).await.unwrap();
    assert_eq!(counts.iter().map(|count| count.count).sum::<u64>(), 10);
}

#[tokio::test]
async fn token_costs_no_more_requests_to_dynamodb_than_a_password() {
    let service = service();
    let (_, client, secret) = connector_with_client().await;
    let token = token_of(&request_token_by_secret(&client, CLIENT_ID, &secret).await);
    let faulty = FaultyDynamoDb::start(service.endpoint()).await;
    let process = InProcess::uncached(runtime::dynamodb::client_at(&faulty.endpoint).await, client);
    let count = async || {
        let reply = process.send_with_token("GET", "/Schemas", &token).await;
        assert_eq!(reply.status(), 200);
        faulty.heal()
    };
    let cold = count().await;
    assert!(cold <= 3, "the record, the credentials, and the last use: {cold}");
    // If the machine is slow, recording the last use can time out, and the next request tries again.
    let mut warm = usize::MAX;
    for _ in 0..20 {
        warm = warm.min(count().await);
    }
    assert_eq!(warm, 0);
}

#[tokio::test]
async fn unknown_client_causes_the_same_requests_to_dynamodb_as_a_wrong_secret() {
    let faulty = FaultyDynamoDb::start(service().endpoint()).await;
    let dynamodb = runtime::dynamodb::client_at(&faulty.endpoint).await;
    let refuse = async |client_id: &str, secret: Option<&str>| {
        // A connector of its own: failures of the others do not count here.
        let (_, client, right) = connector_with_client().await;
        let process = InProcess::uncached(dynamodb.clone(), client);
        faulty.heal();
        let (status, body) = process.request_token(client_id, secret.unwrap_or(&right)).await;
        assert_eq!(
            (status, &body["error"], &body["error_description"]),
            (401, &json!("invalid_client"), &json!(WRONG_CLIENT))
        );
        faulty.heal()
    };
    let mut counts = Vec::new();
    for (client_id, secret) in [(CLIENT_ID, Some("wrong")), ("unknown", Some("wrong")), ("unknown", None)] {
        // If the machine is slow, a request can be repeated.
        let mut least = usize::MAX;
        for _ in 0..5 {
            least = least.min(refuse(client_id, secret).await);
        }
        counts.push(least);
    }
    assert!(counts[0] > 1, "the connector is read, and the failure is counted");
    assert_eq!(counts, [counts[0]; 3]);
}

#[tokio::test]
async fn metadata_is_the_same_for_unknown_connectors_and_reads_nothing() {
    let service = service();
    let faulty = FaultyDynamoDb::start(service.endpoint()).await;
    let dynamodb = runtime::dynamodb::client_at(&faulty.endpoint).await;
    let known = service.connector().await;
    for id in [known.id.to_string(), "unknown".to_owned()] {
        let issuer = format!("{}/{id}", service.origin());
        let expected = json!({
            "issuer": issuer,
            "token_endpoint": format!("{issuer}/oauth2/token"),
            "grant_types_supported": ["client_credentials"],
            "scopes_supported": ["scim", "directory"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "private_key_jwt"],
            "token_endpoint_auth_signing_alg_values_supported": ["RS256", "ES256"],
            "response_types_supported": [],
        });
        for path in [
            format!("/.well-known/oauth-authorization-server/{id}"),
            format!("/{id}/.well-known/oauth-authorization-server"),
        ] {
            let client = Client::new(service.origin(), "", "");
            let reply = client.send("GET", &path, &[("authorization", "")], "").await;
            assert_eq!((reply.status, reply.json()), (200, expected.clone()), "{path}");
            assert_eq!(reply.header("content-type"), Some("application/json"));
            let requests =
                InProcess::uncached(dynamodb.clone(), client.at(&format!("{}/", service.origin())));
            let reply =
                requests.send_without_credentials("GET", path.trim_start_matches('/'), TIME_LIMIT).await;
            assert_eq!(reply.status().as_u16(), 200, "{path}");
            let wrong = client.send("POST", &path, &[("authorization", "")], "").await;
            assert_eq!(wrong.status, 401, "only GET answers without credentials");
        }
    }
    assert_eq!(faulty.heal(), 0);
}
