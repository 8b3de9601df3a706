//! A request for an access token (RFC 6749 §4.4.2), in a form or in JSON.

use serde_json::Value;
use shared::credential::PresentedCredentials;

use super::error::{Code, Failure};
use crate::request::{Request, parameters};

/// The largest body, in bytes. An assertion has a few thousand.
const MAX_BODY_BYTES: usize = 64 * 1024;
/// The value of `grant_type`.
const GRANT_TYPE: &str = "client_credentials";
/// The value of `client_assertion_type` (RFC 7523 §2.2).
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
const CONTENT_TYPES: &str = "application/x-www-form-urlencoded or application/json";

/// A request for a token.
pub struct TokenRequest {
    /// How the client proves who it is.
    pub proof: Proof,
    /// The scopes that it wants, with spaces between them. Empty if it does not say.
    pub scope: String,
}

/// How a client proves who it is.
pub enum Proof {
    /// By its secret (RFC 6749 §2.3.1).
    Secret {
        /// The id of the client.
        client_id: String,
        /// The secret.
        secret: String,
    },
    /// By a signed assertion (RFC 7523 §2.2).
    Assertion {
        /// The id of the client, which the request can leave out (RFC 7521 §4.2).
        client_id: Option<String>,
        /// The JWT.
        assertion: String,
    },
}

impl TokenRequest {
    /// Reads a request.
    ///
    /// # Errors
    /// The errors of RFC 6749 §5.2. They do not contain what the client sent, except the names of parameters.
    pub fn parse(request: &Request) -> Result<Self, Failure> {
        let mut parameters = read_body(request)?;
        let mut take = |name: &str| {
            let position = parameters.iter().position(|(other, _)| other == name);
            position.map(|position| parameters.swap_remove(position).1).filter(|value| !value.is_empty())
        };
        match take("grant_type").as_deref() {
            Some(GRANT_TYPE) => {}
            Some(_) => {
                return Err(Failure::refused(
                    Code::UnsupportedGrantType,
                    "grant_type must be client_credentials",
                ));
            }
            None => return Err(invalid("grant_type is missing; it must be client_credentials")),
        }
        let scope = take("scope").or_else(|| accepts_scope_in_the_query(request)).unwrap_or_default();
        let (client_id, secret, assertion) =
            (take("client_id"), take("client_secret"), take("client_assertion"));
        let assertion_type = take("client_assertion_type");
        let proof = match (request.header("authorization"), secret, assertion) {
            (Some(header), secret, None) => {
                let proof = of_header(header, client_id.as_deref())?;
                accepts_the_same_secret_twice(&proof, secret.as_deref())?;
                proof
            }
            (None, Some(secret), None) => {
                let client_id = client_id.ok_or_else(|| invalid("client_id is missing"))?;
                Proof::Secret { client_id, secret }
            }
            (None, None, Some(assertion)) => {
                if assertion_type.as_deref() != Some(ASSERTION_TYPE) {
                    return Err(invalid(format!("client_assertion_type must be {ASSERTION_TYPE}")));
                }
                Proof::Assertion { client_id, assertion }
            }
            (None, None, None) => {
                let how = "authenticate with client_id and client_secret, or with client_assertion";
                return Err(Failure::refused(Code::InvalidClient, how));
            }
            _ => return Err(two_ways()),
        };
        Ok(Self { proof, scope })
    }
}

/// Okta puts the scopes into the query of the token URL.
fn accepts_scope_in_the_query(request: &Request) -> Option<String> {
    let scope = request.query.iter().find(|(name, _)| name == "scope");
    scope.map(|(_, scope)| scope.clone())
}

/// Entra ID can send the secret in the header and in the body.
fn accepts_the_same_secret_twice(proof: &Proof, in_body: Option<&str>) -> Result<(), Failure> {
    match (proof, in_body) {
        (_, None) => Ok(()),
        (Proof::Secret { secret, .. }, Some(in_body)) if secret == in_body => Ok(()),
        _ => Err(two_ways()),
    }
}

/// RFC 6749 §2.3: a client uses one method in each request.
fn two_ways() -> Failure {
    invalid("the client authenticates in more than one way")
}

fn of_header(header: &str, client_id: Option<&str>) -> Result<Proof, Failure> {
    match PresentedCredentials::parse(header) {
        Some(PresentedCredentials::Basic { username, password }) => {
            if client_id.is_some_and(|client_id| client_id != username) {
                return Err(invalid("client_id is not the username of the Authorization header"));
            }
            Ok(Proof::Secret { client_id: username, secret: password })
        }
        _ => Err(Failure::refused(
            Code::InvalidClient,
            "the Authorization header must be Basic with id and secret",
        )),
    }
}

/// The parameters of the body.
fn read_body(request: &Request) -> Result<Vec<(String, String)>, Failure> {
    let length = request.body.len();
    if length > MAX_BODY_BYTES {
        return Err(invalid(format!("the body is {length} bytes; the maximum is {MAX_BODY_BYTES}")));
    }
    let media_type = request.header("content-type").unwrap_or_default();
    let media_type = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let parameters = match media_type.as_str() {
        "application/x-www-form-urlencoded" => {
            let text = std::str::from_utf8(&request.body).map_err(|_| invalid("the body is not UTF-8"))?;
            parameters(text)
        }
        "application/json" => accepts_json(&request.body)?,
        _ => return Err(invalid(format!("Content-Type must be {CONTENT_TYPES}"))),
    };
    let mut names: Vec<&str> = parameters.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    // RFC 6749 §3.2: parameters must not be repeated.
    if let Some([name, _]) = names.array_windows().find(|[one, other]| one == other) {
        let name: String = name.chars().take(40).collect();
        return Err(invalid(format!("the parameter {name} is repeated")));
    }
    Ok(parameters)
}

/// Some clients send the parameters as a JSON object.
fn accepts_json(body: &[u8]) -> Result<Vec<(String, String)>, Failure> {
    let wrong = || invalid("the body is not a JSON object of texts");
    let Ok(Value::Object(members)) = serde_json::from_slice(body) else { return Err(wrong()) };
    let text = |(name, value)| match value {
        Value::String(text) => Ok((name, text)),
        _ => Err(wrong()),
    };
    members.into_iter().map(text).collect()
}

fn invalid(description: impl Into<String>) -> Failure {
    Failure::refused(Code::InvalidRequest, description)
}
