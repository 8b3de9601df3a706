//! Checks the service over HTTP, as an identity provider calls it.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Empty};
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use shared::error::chain;

use super::{CheckResult, failed, passed};

/// The longest time that a response can take.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(30);

/// What the identity provider sends to authenticate.
pub struct Login {
    /// The username; `None` for a bearer token.
    pub username: Option<String>,
    /// The password or token.
    pub secret: String,
}

impl Login {
    fn header(&self) -> String {
        let Self { username, secret } = self;
        match username {
            Some(username) => format!("Basic {}", STANDARD.encode(format!("{username}:{secret}"))),
            None => format!("Bearer {secret}"),
        }
    }
}

/// Checks a URL that requires authentication: without credentials, and then with the login.
pub async fn check(url: &str, login: Option<&Login>) -> Vec<CheckResult> {
    let mut results = Vec::new();
    match request_status(url, None).await {
        Err(error) => {
            return vec![failed(
                format!("{url} does not respond: {error}"),
                "Check that --url is the stack's output BaseUrl, and that DNS, firewalls and proxies let the request pass.",
            )];
        }
        Ok(StatusCode::UNAUTHORIZED) => results.push(passed(format!("{url} requires authentication"))),
        Ok(status) => results.push(failed(
            format!("{url} responds to a request without credentials with {status} instead of 401"),
            "Check that --url is the stack's output BaseUrl. If it is, read the logs of the functions.",
        )),
    }
    if let Some(login) = login {
        results.push(check_login(url, login).await);
    }
    results
}

async fn check_login(url: &str, login: &Login) -> CheckResult {
    match request_status(url, Some(&login.header())).await {
        Ok(StatusCode::OK) => passed("the service accepts the credential"),
        Ok(StatusCode::UNAUTHORIZED) => failed(
            "the service refuses the credential with 401",
            "Enter the credential that `scimctl connector rotate` prints in the identity provider. A new one works at once.",
        ),
        Ok(StatusCode::TOO_MANY_REQUESTS) => failed(
            "the service refuses the password with 429, after too many wrong ones from this address",
            "Correct the password. Or use a generated one, as `scimctl connector rotate` prints it: a generated password or token is \
             never refused because of wrong ones. The limit of chosen passwords ends after 15 minutes.",
        ),
        Ok(status) => failed(
            format!("the service responds to the credential with {status} instead of 200"),
            "Read the logs of the functions.",
        ),
        Err(error) => failed(format!("the service does not respond: {error}"), "Check again."),
    }
}

async fn request_status(url: &str, authorization: Option<&str>) -> Result<StatusCode, String> {
    let https = HttpsConnectorBuilder::new().with_native_roots().map_err(|error| error.to_string())?;
    let connector = https.https_or_http().enable_http1().build();
    let client: Client<_, Empty<&[u8]>> = Client::builder(TokioExecutor::new()).build(connector);
    let mut request = Request::get(url).header("user-agent", "scimctl");
    if let Some(authorization) = authorization {
        request = request.header("authorization", authorization);
    }
    let request = request.body(Empty::new()).map_err(|error| error.to_string())?;
    let response = async {
        let response = client.request(request).await.map_err(|error| chain(&error))?;
        let status = response.status();
        response.into_body().collect().await.map_err(|error| chain(&error))?;
        Ok(status)
    };
    match tokio::time::timeout(RESPONSE_TIMEOUT, response).await {
        Ok(status) => status,
        Err(_) => Err(format!("no response within {} seconds", RESPONSE_TIMEOUT.as_secs())),
    }
}
