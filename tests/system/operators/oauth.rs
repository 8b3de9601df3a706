//! `scimctl credential create --oauth` and `--federation`, `auth explain`, and the warnings before credentials expire.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tests::folder::Folder;
use tests::oauth::{
    SigningKey, connector_url, get_with_token, request_token_by_assertion, request_token_by_secret, token_of,
};
use tests::scimctl::{Done, run, scimctl, scimctl_with};
use tests::service::{TestConnector, service};

const TENANT: &str = "ce5f061f-abe6-4e40-9615-301f87bcb7f0";
const APP: &str = "b5ba7a93-4452-4522-aeb4-a2b5da870c16";

/// The credentials of a connector for the token endpoint, as `credential list --json` prints them.
fn oauth_credentials(connector: &TestConnector) -> Vec<Value> {
    let listed = run(connector, &["credential", "list", "--json"]).ok();
    let credentials = listed.lines().map(|line| serde_json::from_str(line).unwrap());
    credentials.filter(|credential: &Value| !credential["client_id"].is_null()).collect()
}

fn create(connector: &TestConnector, arguments: &[&str]) -> Done {
    run(connector, &[&["credential", "create"], arguments].concat())
}

fn explain(connector: &TestConnector, token: &str) -> Done {
    let id = connector.id.to_string();
    let url = service().origin();
    scimctl_with(service(), &["auth", "explain", &id, "--url", url], &format!("{token}\n"))
}

/// The names of the checks that failed.
fn failures(explained: &Done) -> Vec<&str> {
    let failed = explained.out.lines().filter_map(|line| line.strip_prefix("FAILED  "));
    failed.map(|line| line.split_once(':').map_or(line, |(name, _)| name)).collect()
}

#[tokio::test]
async fn operator_creates_an_oauth_client_and_rotates_its_secret() {
    let connector = service().connector().await;
    let client = connector.local(service());
    let (id, url) = (connector.id.to_string(), service().origin());
    let first = create(&connector, &["--oauth", "--url", url]);
    assert_eq!(first.value("Token URL:"), format!("{url}/{id}/oauth2/token"));
    assert_eq!(first.value("Endpoint URL:"), format!("{url}/{id}/scim/v2"));
    assert_eq!(first.value("Scope:"), "scim");
    let (client_id, secret) = (first.value("Client id:"), first.value("Client secret:"));
    let token = token_of(&request_token_by_secret(&client, &client_id, &secret).await);
    assert_eq!(get_with_token(&client, "/Users", &token).await.status, 200);

    let second = create(&connector, &["--oauth", "--expires", "2999-01-31"]);
    assert_eq!(second.value("Client id:"), client_id, "a rotation keeps the id of the client");
    assert_eq!(second.value("Token URL:"), format!("https://HOST/{id}/oauth2/token"));
    assert!(second.err.contains("Replace https://HOST"), "{}", second.err);
    token_of(&request_token_by_secret(&client, &client_id, &second.value("Client secret:")).await);
    let listed = oauth_credentials(&connector);
    let shown = |credential: &Value| {
        json!([credential["scheme"], credential["scope"], credential["client_id"], credential["expires"]])
    };
    let expected = [
        json!(["OAuth secret", "scim", client_id, null]),
        json!(["OAuth secret", "scim", client_id, "2999-01-31T00:00:00Z"]),
    ];
    assert_eq!(listed.iter().map(shown).collect::<Vec<_>>(), expected);
    let third = create(&connector, &["--oauth"]).failed();
    assert!(third.starts_with("2 OAuth secret credentials of scope scim are live ("), "{third}");

    let old = listed[0]["id"].as_str().unwrap();
    run(&connector, &["connector", "retire", old]).ok();
    let reader = create(&connector, &["--oauth", "--scope", "directory", "--url", url]);
    assert_eq!(reader.value("Endpoint URL:"), format!("{url}/{id}/directory/v1"));
    assert_ne!(reader.value("Client id:"), client_id);
    let audit = run(&connector, &["audit", "--json"]).ok();
    assert!(!audit.contains(&secret) && audit.contains(&client_id), "{audit}");
}

#[tokio::test]
async fn operator_registers_the_key_of_a_client() {
    let connector = service().connector().await;
    let client = connector.local(service());
    let (key, folder) = (SigningKey::new_ec(), Folder::new());
    let write = |name: &str, key: &Value| {
        let path = folder.file_path(name);
        std::fs::write(&path, key.to_string()).unwrap();
        path
    };
    let public = write("public.json", &key.jwk("1"));
    let created = create(&connector, &["--oauth", "--jwk", &public, "--url", service().origin()]);
    let client_id = created.value("Client id:");
    assert!(!created.out.contains("Client secret:"), "{}", created.out);
    let now = Timestamp::now().as_second();
    let issuer = connector_url(&client);
    let claims = json!({ "iss": client_id, "sub": client_id, "aud": issuer, "exp": now + 60 });
    token_of(&request_token_by_assertion(&client, &key.sign("1", &claims)).await);
    let mut private = key.jwk("1");
    private["d"] = "secret".into();
    let private = write("private.json", &private);
    let refused = create(&connector, &["--oauth", "--jwk", &private]).failed();
    assert_eq!(refused, format!("{private}: the key is a private or secret key; enter the public key"));
}

#[tokio::test]
async fn operator_trusts_an_issuer_and_the_preset_of_entra_fills_in_its_forms() {
    let connector = service().connector().await;
    let subject = ["--subject", "d2f8ee76-c549-45b8-a143-f5b640669704"];
    create(&connector, &[&["--federation", "--entra", TENANT, APP][..], &subject].concat()).ok();
    let issuer = "https://login.microsoftonline.com";
    let own = ["--issuer", "https://a.example.com", "--issuer", "https://b.example.com", "--audience", "x"];
    let keys = ["--jwks", "https://a.example.com/keys", "--tenant", "t"];
    create(&connector, &[&["--federation"][..], &own, &keys, &subject].concat()).ok();
    let stored = service().table().connector(&connector.id).await.unwrap().unwrap();
    let kinds: Vec<Value> = stored
        .credentials
        .iter()
        .filter(|one| one.is_oauth())
        .map(|one| serde_json::to_value(&one.kind).unwrap()["federation"].clone())
        .collect();
    let client_id = kinds[0]["client_id"].clone();
    let expected = [
        json!({
            "client_id": client_id,
            "issuers": [format!("{issuer}/{TENANT}/v2.0"), format!("{issuer}/{TENANT}")],
            "subject": subject[1],
            "audiences": [format!("api://{APP}"), APP, format!("api://{APP}/.default")],
            "tenant": TENANT,
            "jwks": format!("{issuer}/{TENANT}/discovery/v2.0/keys"),
        }),
        json!({
            "client_id": client_id,
            "issuers": ["https://a.example.com", "https://b.example.com"],
            "subject": subject[1],
            "audiences": ["x"],
            "tenant": "t",
            "jwks": "https://a.example.com/keys",
        }),
    ];
    assert_eq!(kinds, expected);
    for (arguments, error) in [
        (&["--entra", TENANT, APP][..], "--federation needs --subject, the claim `sub` of the tokens"),
        (&subject, "--federation needs --issuer, the claim `iss` of the tokens, or --entra"),
        (
            &["--subject", "x", "--issuer", "x", "--audience", "x", "--jwks", "http://a.example.com"],
            "--jwks is \"http://a.example.com\"; enter an https:// URL, such as https://login.example.com/keys",
        ),
    ] {
        let refused = create(&connector, &[&["--federation"], arguments].concat()).failed();
        assert_eq!(refused, error);
    }
    let not_a_tenant = create(&connector, &["--federation", "--entra", "contoso.com", APP]);
    assert_eq!(not_a_tenant.code, 2, "{not_a_tenant:?}");
}

#[tokio::test]
async fn access_token_is_explained_check_by_check() {
    let connector = service().connector().await;
    let client = connector.local(service());
    let created = create(&connector, &["--oauth"]);
    let (client_id, secret) = (created.value("Client id:"), created.value("Client secret:"));
    let token = token_of(&request_token_by_secret(&client, &client_id, &secret).await);
    let explained = explain(&connector, &token);
    assert_eq!((explained.code, failures(&explained)), (0, vec![]), "{explained:?}");
    let url = connector_url(&client);
    let aud = format!("ok      aud: received [\"{url}/scim/v2\"]; expected {url}/scim/v2\n");
    assert!(explained.out.contains(&aud), "{}", explained.out);
    // Without --url, the one that the token names is expected.
    let id = connector.id.to_string();
    let without_url = scimctl_with(service(), &["auth", "explain", &id], &token);
    assert_eq!((without_url.code, failures(&without_url)), (0, vec![]), "{without_url:?}");

    let other = service().connector().await;
    create(&other, &["--oauth"]);
    let elsewhere = explain(&other, &token);
    let expected = vec!["kid", "signature", "iss", "credential", "credential expires", "aud"];
    assert_eq!((elsewhere.code, failures(&elsewhere)), (1, expected), "{elsewhere:?}");
    let credential = oauth_credentials(&connector)[0]["id"].as_str().unwrap().to_owned();
    run(&connector, &["connector", "retire", &credential]).ok();
    let retired = explain(&connector, &token);
    assert_eq!(failures(&retired), ["credential", "credential expires", "aud"], "{retired:?}");
    let refused = explain(&connector, "opaque").failed();
    assert!(refused.starts_with("the text is no signed JWT"), "{refused}");
}

#[tokio::test]
async fn assertion_is_explained_for_each_credential_that_accepts_assertions() {
    let connector = service().connector().await;
    let (key, folder) = (SigningKey::new_ec(), Folder::new());
    let public = folder.file_path("key.json");
    std::fs::write(&public, key.jwk("1").to_string()).unwrap();
    let client_id = create(&connector, &["--oauth", "--jwk", &public]).value("Client id:");
    let issuer = format!("{}/{}", service().origin(), connector.id);
    let now = Timestamp::now().as_second();
    let claims = |aud: &str| json!({ "iss": client_id, "sub": client_id, "aud": aud, "exp": now + 60 });
    let right = explain(&connector, &key.sign("1", &claims(&issuer)));
    assert_eq!((right.code, failures(&right)), (0, vec![]), "{right:?}");
    let wrong = explain(&connector, &key.sign("1", &claims("other")));
    assert_eq!((wrong.code, failures(&wrong)), (1, vec!["aud"]), "{wrong:?}");
    let expected = format!("FAILED  aud: received other; expected {issuer}/oauth2/token or {issuer}\n");
    assert!(wrong.out.contains(&expected), "{}", wrong.out);
    // The host of these keys cannot be reached, and the service has stored none.
    let subject =
        ["--subject", "s", "--issuer", "i", "--audience", "a", "--jwks", "https://127.0.0.1:1/keys"];
    create(&connector, &[&["--federation"][..], &subject].concat()).ok();
    let both = explain(&connector, &key.sign("1", &claims(&issuer)));
    assert_eq!((both.code, both.out.matches("Assertion, with the credential").count()), (0, 2), "{both:?}");
    assert!(
        both.err.contains("https://127.0.0.1:1/keys cannot be fetched from this machine"),
        "{}",
        both.err
    );
    let none = service().connector().await;
    let refused = explain(&none, &key.sign("1", &claims(&issuer))).failed();
    assert!(refused.contains("has no credential that accepts assertions"), "{refused}");
}

#[tokio::test]
async fn doctor_gets_a_token_and_uses_it() {
    let connector = service().connector().await;
    let id = connector.id.to_string();
    let created = create(&connector, &["--oauth"]);
    let (client_id, secret) = (created.value("Client id:"), created.value("Client secret:"));
    let doctor = |secret: &str| {
        let arguments =
            ["doctor", &id, "--url", service().origin(), "--client-id", &client_id, "--password", "-"];
        scimctl_with(service(), &arguments, &format!("{secret}\n")).out
    };
    let token_url = format!("{}/{id}/oauth2/token", service().origin());
    let right = doctor(&secret);
    assert!(right.contains(&format!("ok      {token_url} issues a token\n")), "{right}");
    assert!(right.contains("ok      the service accepts the credential\n"), "{right}");
    let wrong = doctor("wrong");
    let problem = format!("FAILED  {token_url} issues no token: 401 Unauthorized, invalid_client: ");
    assert!(wrong.contains(&problem), "{wrong}");
}

#[tokio::test]
async fn operators_are_warned_thirty_days_before_a_credential_expires() {
    let connector = service().connector().await;
    let id = connector.id.to_string();
    let in_days = |days: i64| (Timestamp::now() + SignedDuration::from_hours(24 * days)).to_string();
    let (soon, late) = (in_days(29), in_days(31));
    create(&connector, &["--oauth", "--expires", &late]).ok();
    create(&connector, &["--bearer", "--scope", "directory", "--expires", &soon]).ok();
    let lines = || {
        let doctor = scimctl(service(), &["doctor", &id]).out;
        let lines = doctor.lines().filter(|line| line.contains("expires at")).map(str::to_owned);
        lines.collect::<Vec<_>>()
    };
    let listed = || {
        let connectors = scimctl(service(), &["connector", "list", "--json"]).ok();
        let connectors = connectors.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let own = connectors.into_iter().find(|connector| connector["id"] == id.as_str()).unwrap();
        own["expiring"].as_array().unwrap().iter().map(|one| one["expires"].clone()).collect::<Vec<_>>()
    };
    let failed = lines();
    assert_eq!(failed.len(), 1, "{failed:?}");
    assert!(
        failed[0].starts_with("FAILED  credential ") && failed[0].contains(" (Bearer, scope directory) ")
    );
    assert_eq!(listed(), [soon.as_str()]);
    // With a successor it is only a note.
    create(&connector, &["--bearer", "--scope", "directory"]).ok();
    let noted = lines();
    assert!(noted.len() == 1 && noted[0].starts_with("note    credential "), "{noted:?}");
    assert_eq!(listed(), [soon.as_str()]);
    let past = create(&connector, &["--oauth", "--expires", "2020-01-01"]).failed();
    assert!(past.starts_with("the credential would expire at 2020-01-01"), "{past}");
}
