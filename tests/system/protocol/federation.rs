//! Client assertions (RFC 7523 §2.2): federation with another issuer, whose keys an HTTPS server has, and keys of the client itself.
//! Also the conversations of Entra and Okta at the token endpoint.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{LazyLock, Mutex};

use directory::oauth::MAX_KEY_SET_AGE;
use directory::secrets::credential_without_secret;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use service::oauth::Fetched;
use shared::credential::{ClientKey, Credential, CredentialKind, CredentialScope, Federation};
use tests::client::Client;
use tests::fixture::oauth_conversation;
use tests::gateway::Gateway;
use tests::in_process::InProcess;
use tests::issuer::{Answer, Issuer};
use tests::oauth::{
    ASSERTION_TYPE, CLIENT_ID, SigningKey, connector_url, create_client, get_with_token,
    request_token_by_assertion, token_of, unsigned,
};
use tests::service::{TestConnector, service};

const TENANT: &str = "ce5f061f-abe6-4e40-9615-301f87bcb7f0";
const APP: &str = "b5ba7a93-4452-4522-aeb4-a2b5da870c16";
const SUBJECT: &str = "d2f8ee76-c549-45b8-a143-f5b640669704";

fn issuer(version: &str) -> String {
    format!("https://login.microsoftonline.com/{TENANT}{version}")
}

/// A connector that trusts the keys at a URL, as `--entra` sets it up.
async fn connector_with_federation(jwks: &str) -> TestConnector {
    let connector = service().connector().await;
    let federation = Federation {
        client_id: CLIENT_ID.to_owned(),
        issuers: vec![issuer("/v2.0"), issuer("")],
        subject: SUBJECT.to_owned(),
        audiences: vec![format!("api://{APP}"), APP.to_owned()],
        tenant: Some(TENANT.to_owned()),
        jwks: jwks.to_owned(),
    };
    add(&connector, CredentialKind::Federation(federation)).await;
    connector
}

async fn add(connector: &TestConnector, kind: CredentialKind) -> Credential {
    let credential = credential_without_secret(kind, Timestamp::now()).unwrap();
    service().connectors().add_credential(&connector.id, &credential).await.unwrap();
    credential
}

/// The claims of Entra's assertions, which live for 65 minutes.
fn claims() -> Value {
    let now = Timestamp::now().as_second();
    json!({
        "aud": format!("api://{APP}"),
        "iss": issuer("/v2.0"),
        "iat": now,
        "nbf": now,
        "exp": now + 65 * 60,
        "appid": APP,
        "oid": SUBJECT,
        "sub": SUBJECT,
        "tid": TENANT,
        "ver": "2.0",
    })
}

fn with(name: &str, value: impl Into<Value>) -> Value {
    let mut claims = claims();
    claims[name] = value.into();
    claims
}

fn without(name: &str) -> Value {
    let mut claims = claims();
    claims.as_object_mut().unwrap().remove(name);
    claims
}

/// Functions that trust the authority of an issuer's server.
async fn functions_that_trust(issuer: &Issuer) -> Gateway {
    // The functions of tests may reach this machine.
    service().gateway_with(&[("SSL_CERT_FILE", &issuer.authority)]).await
}

fn client_of(connector: &TestConnector, gateway: &Gateway) -> Client {
    Client::new(&gateway.base_url(&connector.id.to_string()), CLIENT_ID, "")
}

#[tokio::test]
async fn conversations_of_entra_and_okta_with_a_secret() {
    for file in ["entra-client-credentials.json", "okta-client-credentials.json"] {
        let connector = service().connector().await;
        let (_, secret) = create_client(service(), &connector.id, CredentialScope::Scim).await;
        for client in [connector.local(service()), connector.functions(service())] {
            let client = Client::new(connector_url(&client), CLIENT_ID, &secret);
            let known = [("client_id", CLIENT_ID), ("client_secret", secret.as_str())];
            oauth_conversation(file).replay_with(&client, &known).await.unwrap();
        }
    }
}

#[tokio::test]
async fn conversation_of_entra_with_both_forms_of_its_assertions() {
    let key = SigningKey::rsa();
    let server = Issuer::start(Answer::Keys(vec![key.jwk("1")])).await;
    let connector = connector_with_federation(&server.jwks).await;
    let gateway = functions_that_trust(&server).await;
    let client = client_of(&connector, &gateway);
    let client = client.at(connector_url(&client));
    let mut older = with("iss", issuer(""));
    older["aud"] = APP.into();
    for claims in [claims(), older] {
        let assertion = key.sign("1", &claims);
        let known = [("client_id", CLIENT_ID), ("assertion", assertion.as_str())];
        oauth_conversation("entra-federation.json").replay_with(&client, &known).await.unwrap();
    }
    assert_eq!(server.requests(), 1, "the process has the keys in its cache");
}

#[tokio::test]
async fn new_process_uses_the_stored_keys_while_the_host_is_away() {
    let key = SigningKey::new_ec();
    let server = Issuer::start(Answer::Keys(vec![key.jwk("1")])).await;
    let connector = connector_with_federation(&server.jwks).await;
    let status = async |gateway: &Gateway| {
        let client = client_of(&connector, gateway);
        request_token_by_assertion(&client, &key.sign("1", &claims())).await.status
    };
    let first = functions_that_trust(&server).await;
    assert_eq!(status(&first).await, 200);
    server.stop();
    let second = functions_that_trust(&server).await;
    assert_eq!(status(&second).await, 200);
    let missing = connector_with_federation("https://localhost:1/keys").await;
    let reply = request_token_by_assertion(&client_of(&missing, &second), &key.sign("1", &claims())).await;
    assert_eq!((reply.status, &reply.json()["error"]), (503, &json!("temporarily_unavailable")));
}

#[tokio::test]
async fn keys_are_fetched_only_from_the_registered_url_over_verified_tls_and_within_limits() {
    let key = SigningKey::new_ec();
    let keys = vec![key.jwk("1")];
    let other = Issuer::start(Answer::Keys(keys.clone())).await;
    let server = Issuer::start(Answer::Keys(keys.clone())).await;
    let gateway = functions_that_trust(&server).await;
    let status = async |jwks: &str| {
        let connector = connector_with_federation(jwks).await;
        let client = client_of(&connector, &gateway);
        request_token_by_assertion(&client, &key.sign("1", &claims())).await.status
    };
    for (answer, expected) in [
        (Answer::Keys(keys.clone()), 200),
        (Answer::Padded(1_000_000, keys.clone()), 200),
        (Answer::Padded(1_100_000, keys.clone()), 503),
        (Answer::Padded(20_000_000, keys.clone()), 503),
        (Answer::Status(302, other.jwks.clone()), 503),
        (Answer::Status(500, String::new()), 503),
    ] {
        server.answer(answer.clone());
        let shown = match &answer {
            Answer::Padded(bytes, _) => format!("{bytes} bytes"),
            answer => format!("{answer:?}"),
        };
        assert_eq!(status(&server.jwks).await, expected, "{shown}");
    }
    // These functions do not trust the certificate of the other server.
    assert_eq!((status(&other.jwks).await, other.requests()), (503, 0));
    let plain = server.jwks.replace("https://", "http://");
    assert_eq!(status(&plain).await, 503);
    // Without ALLOW_PRIVATE_TARGETS nothing is sent to this machine.
    let before = server.requests();
    let environment = [("SSL_CERT_FILE", server.authority.as_str()), ("ALLOW_PRIVATE_TARGETS", "false")];
    let careful = service().gateway_with(&environment).await;
    server.answer(Answer::Keys(keys));
    let connector = connector_with_federation(&server.jwks).await;
    let client = client_of(&connector, &careful);
    let reply = request_token_by_assertion(&client, &key.sign("1", &claims())).await;
    assert_eq!((reply.status, server.requests()), (503, before));
}

/// What [`fetch`] returns for a URL.
#[derive(Default)]
struct Published {
    /// `None` if the host is away.
    document: Option<Value>,
    fetches: usize,
}

static PUBLISHED: LazyLock<Mutex<HashMap<String, Published>>> = LazyLock::new(Mutex::default);

/// Sets the keys of a URL; `None` makes the host go away.
fn publish(url: &str, keys: Option<Vec<Value>>) {
    let mut published = PUBLISHED.lock().unwrap();
    published.entry(url.to_owned()).or_default().document = keys.map(|keys| json!({ "keys": keys }));
}

fn fetches(url: &str) -> usize {
    PUBLISHED.lock().unwrap().get(url).map_or(0, |published| published.fetches)
}

fn fetch(url: String) -> Fetched {
    let mut published = PUBLISHED.lock().unwrap();
    let published = published.entry(url).or_default();
    published.fetches += 1;
    let answer = published.document.as_ref().map(|document| document.to_string().into_bytes());
    Box::pin(async move { answer.ok_or_else(|| "the host is away".to_owned()) })
}

/// A process that has read nothing.
fn process(connector: &TestConnector, clock: fn() -> Timestamp) -> InProcess {
    InProcess::with_clock(service().dynamodb(), connector.local(service()), clock).with_fetch(fetch)
}

async fn send(process: &InProcess, assertion: &str) -> (u16, Value, Value) {
    let body = json!({
        "grant_type": "client_credentials",
        "client_assertion_type": ASSERTION_TYPE,
        "client_assertion": assertion,
    });
    let (status, body) = process.request_token_with(&body).await;
    (status, body["error"].clone(), body["error_description"].clone())
}

#[tokio::test]
async fn assertion_is_refused_if_anything_is_wrong() {
    let url = "https://keys.test/table";
    let (rsa, ec) = (SigningKey::rsa(), SigningKey::new_ec());
    publish(url, Some(vec![rsa.jwk("rsa"), ec.jwk("ec")]));
    let connector = connector_with_federation(url).await;
    let now = Timestamp::now().as_second();
    let header = |alg: &str, kid: &str| json!({ "typ": "JWT", "alg": alg, "kid": kid });
    let sign = |claims: &Value| rsa.sign("rsa", claims);
    let refused_because = |claim: &str| {
        format!(
            "The assertion is refused because of its {claim}; with `scimctl auth explain {}` an operator sees what is expected",
            connector.id
        )
    };
    let signature = "The client id is unknown, or its secret or assertion is wrong";
    let public = rsa.jwk("rsa")["n"].as_str().unwrap().to_owned();
    let hs256 = {
        let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, public.as_bytes());
        let unsigned = unsigned(&header("HS256", "rsa"), &claims());
        let signed = unsigned.trim_end_matches('.');
        let tag = ring::hmac::sign(&key, signed.as_bytes());
        use base64::Engine as _;
        format!("{signed}.{}", base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(tag))
    };
    let mut audience_and_more = claims();
    audience_and_more["aud"] = json!([format!("api://{APP}/more"), format!("api://{APP}.evil")]);
    let cases = [
        ("right with RS256", sign(&claims()), None),
        ("right with ES256", ec.sign("ec", &claims()), None),
        ("right with a list of audiences", sign(&with("aud", json!(["other", APP]))), None),
        ("right with the skew of clocks", sign(&with("nbf", now + 50)), None),
        (
            "right without nbf and iat",
            sign(&{
                let mut claims = without("nbf");
                claims.as_object_mut().unwrap().remove("iat");
                claims
            }),
            None,
        ),
        ("no algorithm", unsigned(&header("none", "rsa"), &claims()), Some(signature.to_owned())),
        ("HS256 with the public key", hs256, Some(signature.to_owned())),
        (
            "RS256 with an EC key",
            rsa.sign_with(&header("RS256", "ec"), &claims()),
            Some(signature.to_owned()),
        ),
        ("PS256", rsa.sign_with(&header("PS256", "rsa"), &claims()), Some(signature.to_owned())),
        ("unknown kid", rsa.sign("other", &claims()), Some(signature.to_owned())),
        ("no kid", rsa.sign_with(&json!({ "alg": "RS256" }), &claims()), Some(signature.to_owned())),
        ("another key", SigningKey::new_ec().sign("ec", &claims()), Some(signature.to_owned())),
        (
            "own key in the header",
            {
                let own = SigningKey::new_ec();
                own.sign_with(&json!({ "alg": "ES256", "kid": "own", "jwk": own.jwk("own") }), &claims())
            },
            Some(signature.to_owned()),
        ),
        (
            "another issuer",
            sign(&with("iss", "https://login.microsoftonline.com/x/v2.0")),
            Some(signature.to_owned()),
        ),
        ("longer issuer", sign(&with("iss", issuer("/v2.0/"))), Some(signature.to_owned())),
        ("another subject", sign(&with("sub", APP)), Some(refused_because("sub"))),
        ("another audience", sign(&with("aud", "api://other")), Some(refused_because("aud"))),
        ("longer audiences", sign(&audience_and_more), Some(refused_because("aud"))),
        ("no audience", sign(&without("aud")), Some(refused_because("aud"))),
        ("another tenant", sign(&with("tid", "other")), Some(refused_because("tid"))),
        ("no tenant", sign(&without("tid")), Some(refused_because("tid"))),
        ("expired", sign(&with("exp", now - 61)), Some(refused_because("exp"))),
        ("no end", sign(&without("exp")), Some(refused_because("exp"))),
        ("end is text", sign(&with("exp", "2999-01-01")), Some(refused_because("exp"))),
        ("not yet valid", sign(&with("nbf", now + 90)), Some(refused_because("nbf"))),
        ("begin is text", sign(&with("nbf", "soon")), Some(refused_because("nbf"))),
        ("issued in the future", sign(&with("iat", now + 90)), Some(refused_because("iat"))),
        ("too long", sign(&with("exp", now + 3 * 3_600)), Some(refused_because("lifetime"))),
        ("issued long ago", sign(&with("iat", now - 3 * 3_600)), Some(refused_because("lifetime"))),
    ];
    for (number, (name, assertion, refused)) in (0..).zip(cases) {
        let mut process = process(&connector, Timestamp::now);
        // Each case comes from an address of its own, because an address may send only 10 wrong ones.
        process.address = [192, 0, 2, number].into();
        let expected = match refused {
            None => (200, Value::Null, Value::Null),
            Some(description) => (401, "invalid_client".into(), description.into()),
        };
        assert_eq!(send(&process, &assertion).await, expected, "{name}");
    }
}

#[tokio::test]
async fn wrong_assertions_share_the_rate_limit_of_wrong_passwords() {
    let url = "https://keys.test/limit";
    let key = SigningKey::new_ec();
    publish(url, Some(vec![key.jwk("1")]));
    let connector = connector_with_federation(url).await;
    let wrong = key.sign("1", &with("sub", "other"));
    for expected in [[401; 10].as_slice(), &[429]].concat() {
        assert_eq!(send(&process(&connector, Timestamp::now), &wrong).await.0, expected);
    }
    assert_eq!(send(&process(&connector, Timestamp::now), &key.sign("1", &claims())).await.0, 200);
}

/// The seconds by which the clock of [`later`] is ahead.
static AHEAD: AtomicI64 = AtomicI64::new(0);

fn later() -> Timestamp {
    Timestamp::now() + SignedDuration::from_secs(AHEAD.load(Ordering::SeqCst))
}

/// One test changes the clock, so that it can tell what a process does after minutes, hours and a day.
#[tokio::test]
async fn keys_rotate_and_are_fetched_once_a_minute_at_most() {
    let url = "https://keys.test/rotation";
    let (old, new) = (SigningKey::new_ec(), SigningKey::new_ec());
    publish(url, Some(vec![old.jwk("old")]));
    let connector = connector_with_federation(url).await;
    let process = process(&connector, later);
    let at = |key: &SigningKey, kid: &str| {
        let now = later().as_second();
        let mut claims = with("exp", now + 600);
        (claims["iat"], claims["nbf"]) = (now.into(), now.into());
        key.sign(kid, &claims)
    };
    let status = async |key: &SigningKey, kid: &str| send(&process, &at(key, kid)).await.0;
    let pass = |time: SignedDuration| AHEAD.fetch_add(time.as_secs(), Ordering::SeqCst);

    assert_eq!((status(&old, "old").await, fetches(url)), (200, 1));
    // A flood of unknown ids fetches nothing within the minute.
    for number in 0..5 {
        assert_eq!(status(&new, &format!("unknown-{number}")).await, 401);
    }
    assert_eq!(fetches(url), 1);
    publish(url, Some(vec![old.jwk("old"), new.jwk("new")]));
    assert_eq!((status(&new, "new").await, fetches(url)), (401, 1), "not within the minute");
    pass(SignedDuration::from_secs(61));
    assert_eq!((status(&new, "new").await, fetches(url)), (200, 2));
    for number in 0..3 {
        assert_eq!(status(&new, &format!("unknown-{number}")).await, 401);
    }
    assert_eq!((status(&old, "old").await, fetches(url)), (200, 2));
    // After an hour the keys are fetched again, and a withdrawn one is refused.
    publish(url, Some(vec![new.jwk("new")]));
    pass(SignedDuration::from_hours(1));
    assert_eq!((status(&new, "new").await, fetches(url)), (200, 3));
    assert_eq!(status(&old, "old").await, 401);
    // While the host is away, the keys are used for a day.
    publish(url, None);
    pass(MAX_KEY_SET_AGE - SignedDuration::from_mins(5));
    assert_eq!((status(&new, "new").await, fetches(url)), (200, 4));
    assert_eq!((status(&new, "new").await, fetches(url)), (200, 4));
    pass(SignedDuration::from_mins(5));
    assert_eq!(status(&new, "new").await, 503);
    publish(url, Some(vec![new.jwk("new")]));
    pass(SignedDuration::from_secs(61));
    assert_eq!(status(&new, "new").await, 200);
}

#[tokio::test]
async fn assertion_with_a_jti_is_used_once() {
    let url = "https://keys.test/replay";
    let key = SigningKey::new_ec();
    publish(url, Some(vec![key.jwk("1")]));
    let connector = connector_with_federation(url).await;
    let once = key.sign("1", &with("jti", "first"));
    let again = key.sign("1", &with("jti", "second"));
    let status = async |assertion: &str| send(&process(&connector, Timestamp::now), assertion).await.0;
    assert_eq!((status(&once).await, status(&once).await, status(&again).await), (200, 401, 200));
    let without_id = key.sign("1", &claims());
    assert_eq!((status(&without_id).await, status(&without_id).await), (200, 200));
}

#[tokio::test]
async fn client_with_a_key_of_its_own_signs_assertions() {
    let connector = service().connector().await;
    let client = connector.functions(service());
    let public_url = client.public_url.strip_suffix("/scim/v2").unwrap().to_owned();
    let (rsa, ec) = (SigningKey::rsa(), SigningKey::new_ec());
    for (key, kid) in [(&rsa, "rsa"), (&ec, "ec")] {
        let key = ClientKey { client_id: CLIENT_ID.to_owned(), key: key.jwk(kid) };
        add(&connector, CredentialKind::ClientKey(key)).await;
    }
    let token_url = format!("{public_url}/oauth2/token");
    let claims = |audience: &str, client_id: &str| {
        let now = Timestamp::now().as_second();
        json!({ "iss": client_id, "sub": client_id, "aud": audience, "iat": now, "exp": now + 300 })
    };
    for (assertion, expected) in [
        (rsa.sign("rsa", &claims(&token_url, CLIENT_ID)), 200),
        (ec.sign("ec", &claims(&public_url, CLIENT_ID)), 200),
        (ec.sign("rsa", &claims(&token_url, CLIENT_ID)), 401),
        (ec.sign("ec", &claims(&format!("{public_url}/scim/v2"), CLIENT_ID)), 401),
        (ec.sign("ec", &claims(&token_url, "other")), 401),
    ] {
        let reply = request_token_by_assertion(&client, &assertion).await;
        assert_eq!(reply.status, expected, "{}", reply.json());
        if expected == 200 {
            assert_eq!(get_with_token(&client, "/Users", &token_of(&reply)).await.status, 200);
        }
    }
}

#[tokio::test]
async fn tokens_end_when_the_trust_in_the_issuer_is_removed() {
    let url = "https://keys.test/removed";
    let key = SigningKey::new_ec();
    publish(url, Some(vec![key.jwk("1")]));
    let connector = connector_with_federation(url).await;
    let body = json!({
        "grant_type": "client_credentials",
        "client_assertion_type": ASSERTION_TYPE,
        "client_assertion": key.sign("1", &claims()),
    });
    let (_, body) = process(&connector, Timestamp::now).request_token_with(&body).await;
    let token = body["access_token"].as_str().unwrap();
    let status = async || {
        let cold = process(&connector, Timestamp::now);
        cold.send_with_token("GET", "/Users", token).await.status().as_u16()
    };
    assert_eq!(status().await, 200);
    let stored = service().table().connector(&connector.id).await.unwrap().unwrap();
    let credential = stored.credentials.iter().find(|one| one.is_oauth()).unwrap();
    service().connectors().retire_credential(&connector.id, &credential.id).await.unwrap();
    assert_eq!(status().await, 401);
}
