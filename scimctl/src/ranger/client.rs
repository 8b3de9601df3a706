//! Calls to the REST API of Ranger Admin.

use std::collections::HashSet;
use std::time::Duration;

use bytes::Bytes;
use clap::Args;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use shared::error::chain;

use crate::failure::{Failure, fail};
use crate::https::{self, HttpsClient};
use crate::prompt::read_secret;
use crate::service_url::parse_confidential;

/// The longest time that one call can take. Ranger writes 1,000 users one by one.
const CALL_TIMEOUT: Duration = Duration::from_secs(120);
/// The pauses before a failed call is sent again.
const PAUSES: [Duration; 2] = [Duration::from_millis(300), Duration::from_secs(2)];
/// The largest answer: the members of all groups are one answer.
const MAX_ANSWER_BYTES: usize = 256 * 1024 * 1024;
/// The entries of a page, and of a batch. It is usersync's default.
pub const PAGE_SIZE: usize = 1_000;

/// The account in Ranger that a command uses.
#[derive(Args)]
pub struct Login {
    /// Username in Ranger. The account needs ROLE_SYS_ADMIN
    #[arg(long, requires = "password")]
    username: Option<String>,
    /// Enter `-` to be asked for the password. It can also come from a pipe
    #[arg(long, value_name = "-", value_parser = ["-"], requires = "username")]
    password: Option<String>,
}

/// A client of one Ranger Admin.
pub struct RangerClient {
    url: String,
    /// The account that it authenticates as.
    pub username: String,
    authorization: String,
    http: HttpsClient,
    timeout: Duration,
    pauses: &'static [Duration],
}

/// Why a call failed.
struct CallError {
    sentence: String,
    /// Whether the same call may succeed later.
    is_transient: bool,
}

impl RangerClient {
    /// Makes a client for the URL that an option names. Reads the password from standard input.
    pub fn new(option: &str, url: &str, login: &Login) -> Result<Self, Failure> {
        let url = parse_confidential(option, url, "of Ranger Admin", "https://ranger.example.com:6182")?;
        let Some(username) = &login.username else {
            return fail(format!("{option} needs --username and --password: the account in Ranger"));
        };
        let password = read_secret(&format!("Enter the password of {username}:"))?;
        Self::with(url, username, &password, CALL_TIMEOUT, &PAUSES)
    }

    fn with(
        url: String,
        username: &str,
        password: &str,
        timeout: Duration,
        pauses: &'static [Duration],
    ) -> Result<Self, Failure> {
        Ok(Self {
            url,
            username: username.to_owned(),
            authorization: https::basic(username, password),
            http: https::client()?,
            timeout,
            pauses,
        })
    }

    /// Reads one resource.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        self.call(Method::GET, path, None).await
    }

    /// Sends a call that can be repeated: after a failure it is sent again, as often as there are pauses.
    pub async fn send<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, Failure> {
        self.call(method, path, Some(serde_json::to_vec(body)?.into())).await
    }

    /// Sends a call once, because its body was made from what was read before.
    pub async fn send_once(&self, method: Method, path: &str, body: &Value) -> Result<Value, Failure> {
        let body = serde_json::to_vec(body)?.into();
        self.call_once(&method, path, Some(&body)).await.map_err(|error| Failure(error.sentence))
    }

    /// Reads a list of which each answer has one page, until an answer has nothing new: a server can limit the size of pages, and some
    /// lists are not in pages, so that each answer has all elements. Each element has an `id`.
    pub async fn get_pages(&self, path: &str) -> Result<Vec<Value>, Failure> {
        let (mut all, mut ids): (Vec<Value>, HashSet<String>) = Default::default();
        loop {
            let start = all.len();
            let page: Vec<Value> =
                self.get(&format!("{path}?startIndex={start}&pageSize={PAGE_SIZE}")).await?;
            let is_new =
                |element: &Value| ids.insert(element.get("id").map(Value::to_string).unwrap_or_default());
            all.extend(page.into_iter().filter(is_new));
            if all.len() == start {
                return Ok(all);
            }
        }
    }

    async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<Bytes>,
    ) -> Result<T, Failure> {
        let mut pauses = self.pauses.iter();
        loop {
            match self.call_once(&method, path, body.as_ref()).await {
                Ok(answer) => return Ok(answer),
                Err(error) => match pauses.next().filter(|_| error.is_transient) {
                    Some(pause) => tokio::time::sleep(*pause).await,
                    None => return fail(error.sentence),
                },
            }
        }
    }

    async fn call_once<T: DeserializeOwned>(
        &self,
        method: &Method,
        path: &str,
        body: Option<&Bytes>,
    ) -> Result<T, CallError> {
        let call = format!("{method} {path}");
        let request = Request::builder()
            .method(method)
            .uri(format!("{}/service/{path}", self.url))
            .header("authorization", &self.authorization)
            .header("accept", "application/json")
            .header("content-type", "application/json")
            .header("user-agent", "scimctl")
            .body(Full::new(body.cloned().unwrap_or_default()));
        let request = request.map_err(|error| CallError::lasting(format!("{call}: {error}")))?;
        let answered = tokio::time::timeout(self.timeout, async {
            let response = self.http.request(request).await.map_err(|error| chain(&error))?;
            let (parts, body) = response.into_parts();
            let body =
                Limited::new(body, MAX_ANSWER_BYTES).collect().await.map_err(|error| error.to_string())?;
            Ok::<_, String>((parts.status, body.to_bytes()))
        });
        match answered.await {
            Err(_) => Err(CallError::transient(format!(
                "Ranger did not answer {call} within {} seconds",
                self.timeout.as_secs()
            ))),
            Ok(Err(error)) => {
                Err(CallError::transient(format!("Ranger at {} does not answer {call}: {error}", self.url)))
            }
            Ok(Ok((status, body))) => self.read(&call, status, &body),
        }
    }

    /// Reads an answer.
    fn read<T: DeserializeOwned>(
        &self,
        call: &str,
        status: StatusCode,
        body: &Bytes,
    ) -> Result<T, CallError> {
        let username = &self.username;
        match status {
            StatusCode::OK => serde_json::from_slice(body).map_err(|error| {
                CallError::transient(format!(
                    "the answer to {call} is not complete JSON of Ranger ({error}); check that {} is the URL of Ranger Admin",
                    self.url
                ))
            }),
            StatusCode::UNAUTHORIZED => Err(CallError::lasting(format!(
                "Ranger refuses the password of {username} (401); check --username and --password"
            ))),
            StatusCode::FORBIDDEN => Err(CallError::lasting(format!(
                "Ranger refuses {call} to {username} (403); give the account ROLE_SYS_ADMIN"
            ))),
            _ => {
                let message = serde_json::from_slice::<Value>(body).unwrap_or_default();
                let message = message.get("msgDesc").and_then(Value::as_str).unwrap_or("no message").to_owned();
                let is_transient = status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS;
                let sentence = format!("Ranger answered {call} with {status}: {message}");
                Err(CallError { sentence, is_transient })
            }
        }
    }
}

impl CallError {
    fn transient(sentence: String) -> Self {
        Self { sentence, is_transient: true }
    }

    fn lasting(sentence: String) -> Self {
        Self { sentence, is_transient: false }
    }
}

/// A name as a segment or a value of a URL.
pub fn encode(name: &str) -> String {
    utf8_percent_encode(name, NON_ALPHANUMERIC).to_string()
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn ranger_that_never_answers_is_an_error_after_the_retries() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        const PAUSES: [Duration; 2] = [Duration::from_millis(1); 2];
        let timeout = Duration::from_millis(50);
        let client = RangerClient::with(url, "admin", "x", timeout, &PAUSES).ok().unwrap();
        let error = client.get::<Value>("xusers/users/").await.err().unwrap().0;
        assert_eq!(error, "Ranger did not answer GET xusers/users/ within 0 seconds");
    }

    #[test]
    fn names_are_encoded_for_urls() {
        assert_eq!(encode("Tour & Guides/é"), "Tour%20%26%20Guides%2F%C3%A9");
    }
}
