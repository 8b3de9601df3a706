//! Checks the service over HTTP, as an identity provider calls it.

use std::time::Duration;

use bytes::Bytes;
use http::request::Builder;
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use serde_json::Value;
use shared::error::chain;

use super::{CheckResult, failed, passed};
use crate::https::{self, basic};

/// The longest time that a response can take.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(30);

/// What the identity provider sends to authenticate.
pub enum Login {
    /// A username and a password.
    Basic {
        /// The username.
        username: String,
        /// The password.
        secret: String,
    },
    /// A bearer token.
    Bearer {
        /// The token.
        token: String,
    },
    /// An OAuth client, which first asks for a token.
    Client {
        /// The id of the client.
        client_id: String,
        /// Its secret.
        secret: String,
        /// The URL of the token endpoint.
        token_url: String,
    },
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
    let authorization = match login {
        None => return results,
        Some(Login::Basic { username, secret }) => basic(username, secret),
        Some(Login::Bearer { token }) => format!("Bearer {token}"),
        Some(Login::Client { client_id, secret, token_url }) => {
            match request_token(token_url, &basic(client_id, secret)).await {
                Ok(token) => {
                    results.push(passed(format!("{token_url} issues a token")));
                    format!("Bearer {token}")
                }
                Err(error) => {
                    results.push(failed(
                        format!("{token_url} issues no token: {error}"),
                        "Enter the client id and the secret that `scimctl credential create --oauth` prints. A new one works at once.",
                    ));
                    return results;
                }
            }
        }
    };
    results.push(check_login(url, &authorization).await);
    results
}

/// Asks for an access token (RFC 6749 §4.4.2).
async fn request_token(url: &str, authorization: &str) -> Result<String, String> {
    let request = Request::post(url)
        .header("authorization", authorization)
        .header("content-type", "application/x-www-form-urlencoded");
    let (status, body) = send(request, b"grant_type=client_credentials").await?;
    let body: Value = serde_json::from_slice(&body).map_err(|_| format!("{status}, without a JSON body"))?;
    let text = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or_default();
    match body.get("access_token").and_then(Value::as_str) {
        Some(token) if status == StatusCode::OK => Ok(token.to_owned()),
        _ => Err(format!("{status}, {}: {}", text("error"), text("error_description"))),
    }
}

async fn check_login(url: &str, authorization: &str) -> CheckResult {
    match request_status(url, Some(authorization)).await {
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
    let mut request = Request::get(url);
    if let Some(authorization) = authorization {
        request = request.header("authorization", authorization);
    }
    send(request, b"").await.map(|(status, _)| status)
}

async fn send(request: Builder, body: &'static [u8]) -> Result<(StatusCode, Bytes), String> {
    let client = https::client().map_err(|error| error.to_string())?;
    let request = request.header("user-agent", "scimctl").body(Full::new(Bytes::from_static(body)));
    let request = request.map_err(|error| error.to_string())?;
    let response = async {
        let response = client.request(request).await.map_err(|error| chain(&error))?;
        let status = response.status();
        let body = response.into_body().collect().await.map_err(|error| chain(&error))?;
        Ok((status, body.to_bytes()))
    };
    match tokio::time::timeout(RESPONSE_TIMEOUT, response).await {
        Ok(response) => response,
        Err(_) => Err(format!("no response within {} seconds", RESPONSE_TIMEOUT.as_secs())),
    }
}
