//! Executable fixtures: the conversations of identity providers with a service provider.
//!
//! Each file in `fixtures/clients/{client}/` is one conversation. It runs with a new connector whose
//! directory is empty, so totals are exact and conversations can run at the same time:
//!
//! ```json
//! {
//!   "name": "Okta looks a user up before it creates one",
//!   "why": "What the client does, and what it needs of a service provider.",
//!   "headers": { "Accept": "application/scim+json", "Content-Type": "application/scim+json; charset=utf-8" },
//!   "steps": [
//!     {
//!       "does": "creates the user",
//!       "request": {
//!         "method": "POST",
//!         "target": "/Users",
//!         "body": { "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": "a@example.com" }
//!       },
//!       "expect": {
//!         "status": 201,
//!         "headers": { "Location": "${base}/Users/${id}" },
//!         "body": { "id": "<uuid>", "userName": "a@example.com", "groups": "<absent>" }
//!       },
//!       "capture": { "id": "/id" }
//!     }
//!   ]
//! }
//! ```
//!
//! - `name` describes in one sentence what happens, `why` what the client needs, and `does` what a step is for.
//! - `target` is sent unchanged after the base URL. `body` is sent as JSON. `raw` is sent unchanged in place
//!   of `body`.
//! - `settings` of the connector are as in `scimctl connector export`, in JSON: `{ "strict": true }`. Those that are missing
//!   have their defaults.
//! - `headers` of the conversation are sent with every request; its Content-Type only with requests that have
//!   a body. `headers` of a request replace them; `null` removes one. Every request has Basic credentials, or
//!   the bearer token if the conversation has `"credentials": "bearer"`, unless the request has its own
//!   Authorization.
//! - `status` is a number, or a list of accepted numbers. `headers` and `body` are
//!   [patterns](crate::pattern): only the parts that they name are compared.
//! - `capture` keeps parts of the answer's body, each by a JSON pointer. `${name}` inserts them in the
//!   expectations of the same step and in all later steps ([captures](crate::captures)). If a name ends in
//!   `[]`, the value is appended to a list. `base` (the beginning of every `meta.location`), `username` and
//!   `password` are known from the start.
//! - `"repeat": 10` runs a step ten times, with `${n}` from 1 to 10.

use std::fs;
use std::path::{Path, PathBuf};

use directory::settings::Settings;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::captures::Captures;
use crate::client::{Client, Reply};
use crate::{pattern, workspace};

/// A conversation: the requests of one client, and the answers that it needs.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Conversation {
    /// The path of its file in `fixtures/clients`.
    #[serde(skip)]
    pub file: String,
    /// What happens, in one sentence.
    pub name: String,
    /// What the client does, and what it needs from a service provider.
    pub why: String,
    /// How the client authenticates.
    #[serde(default)]
    pub credentials: Credentials,
    /// The settings of the connector.
    #[serde(default)]
    pub settings: Settings,
    /// The headers of every request.
    #[serde(default)]
    pub headers: Map<String, Value>,
    /// The requests, in their order.
    pub steps: Vec<Step>,
}

/// How a client authenticates.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Credentials {
    /// A username and a password (RFC 7617).
    #[default]
    Basic,
    /// A token (RFC 6750).
    Bearer,
}

/// A request and its expected answer.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// What the client does in this step: the end of a sentence that begins with "The client".
    pub does: String,
    /// How many times the step runs.
    #[serde(default = "once")]
    pub repeat: usize,
    /// The request.
    pub request: Request,
    /// The answer.
    pub expect: Expectation,
    /// The parts of the answer to keep: JSON pointers by name.
    #[serde(default)]
    pub capture: Map<String, Value>,
}

fn once() -> usize {
    1
}

/// A request, as the client sends it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// The method.
    pub method: String,
    /// The path and query after the base URL.
    pub target: String,
    /// The headers. `null` removes a header of the conversation.
    #[serde(default)]
    pub headers: Map<String, Value>,
    /// A JSON body.
    pub body: Option<Value>,
    /// A body that is sent unchanged.
    pub raw: Option<String>,
}

/// The expected answer.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expectation {
    /// The accepted status codes.
    pub status: Status,
    /// Patterns of headers. Their names are case-insensitive.
    #[serde(default)]
    pub headers: Map<String, Value>,
    /// The pattern of the body. `None` accepts any body.
    pub body: Option<Value>,
}

/// One status code or several.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum Status {
    /// One status.
    One(u16),
    /// One of these.
    AnyOf(Vec<u16>),
}

impl Conversation {
    /// Parses a conversation, and checks that all markers exist and that every `${name}` is captured before
    /// its use.
    ///
    /// # Errors
    /// A description of the first mistake.
    pub fn parse(file: &str, text: &str) -> Result<Self, String> {
        let mut conversation: Self =
            serde_json::from_str(text).map_err(|error| format!("{file}: {error}"))?;
        file.clone_into(&mut conversation.file);
        conversation.check().map_err(|error| format!("{file}: {error}"))?;
        Ok(conversation)
    }

    /// Checks the steps, with a placeholder for each value that an answer would give.
    fn check(&self) -> Result<(), String> {
        let mut captures = Captures::default();
        for known in ["base", "username", "password", "n", "client_id", "client_secret", "assertion"] {
            captures.set(known, known);
        }
        for step in &self.steps {
            let in_step = |error: String| format!("where the client {}: {error}", step.does);
            step.request.fill(&captures).map_err(in_step)?;
            for (name, pointer) in &step.capture {
                pointer
                    .as_str()
                    .filter(|pointer| pointer.is_empty() || pointer.starts_with('/'))
                    .ok_or_else(|| in_step(format!("{pointer} is not a JSON pointer")))?;
                captures.keep(name, "captured".into());
            }
            let expected = step.expect.fill(&captures).map_err(in_step)?;
            expected
                .headers
                .values()
                .chain(&expected.body)
                .try_for_each(pattern::validate)
                .map_err(in_step)?;
        }
        Ok(())
    }

    /// Sends the requests to a service and compares the answers.
    ///
    /// # Errors
    /// The first step with another answer: its request, its answer and each difference.
    pub async fn replay(&self, client: &Client) -> Result<(), String> {
        self.replay_with(client, &[]).await
    }

    /// The same as [`Conversation::replay`], with more known values.
    ///
    /// # Errors
    /// As for [`Conversation::replay`].
    pub async fn replay_with(&self, client: &Client, known: &[(&str, &str)]) -> Result<(), String> {
        let mut captures = Captures::default();
        for (name, value) in known {
            captures.set(name, *value);
        }
        captures.set("base", client.public_url.as_str());
        captures.set("username", client.username.as_str());
        captures.set("password", client.password.as_str());
        for (index, step) in self.steps.iter().enumerate() {
            for n in 1..=step.repeat {
                captures.set("n", n.to_string());
                step.run(client, self, &mut captures)
                    .await
                    .map_err(|failure| format!("{}, step {}: {failure}", self.file, index + 1))?;
            }
        }
        Ok(())
    }
}

impl Step {
    async fn run(
        &self,
        client: &Client,
        conversation: &Conversation,
        captures: &mut Captures,
    ) -> Result<(), String> {
        let request = self.request.fill(captures)?;
        let reply = request.send(client, conversation).await;
        let body = reply.try_json();
        let mut differences = Vec::new();
        for (name, pointer) in &self.capture {
            let pointer = pointer.as_str().unwrap_or_default();
            match body.as_ref().and_then(|body| body.pointer(pointer)) {
                Some(value) => captures.keep(name, value.clone()),
                None => differences
                    .push(format!("body{pointer}: expected a value to keep as {name}, got nothing")),
            }
        }
        match self.expect.fill(captures) {
            Ok(expected) => differences.extend(expected.differences(&reply, body.as_ref())),
            // The missing value is already among the differences.
            Err(_) if !differences.is_empty() => {}
            Err(error) => differences.push(error),
        }
        if differences.is_empty() {
            return Ok(());
        }
        let sent = request.body.map_or(request.raw, |body| Some(body.to_string())).unwrap_or_default();
        let answered = String::from_utf8_lossy(&reply.plain_body()).into_owned();
        Err(format!(
            "the client {}\n  {}\nrequest: {} {} {}\nanswer: {} {}",
            self.does,
            differences.join("\n  "),
            request.method,
            request.target,
            shortened(&sent),
            reply.status,
            shortened(&answered)
        ))
    }
}

impl Request {
    fn fill(&self, captures: &Captures) -> Result<Self, String> {
        Ok(Self {
            method: self.method.clone(),
            target: captures.fill_text(&self.target)?,
            headers: fill_members(&self.headers, captures)?,
            body: self.body.as_ref().map(|body| captures.fill(body)).transpose()?,
            raw: self.raw.as_ref().map(|raw| captures.fill_text(raw)).transpose()?,
        })
    }

    async fn send(&self, client: &Client, conversation: &Conversation) -> Reply {
        let body = match (&self.body, &self.raw) {
            (Some(body), _) => body.to_string(),
            (None, raw) => raw.clone().unwrap_or_default(),
        };
        let is_own = |name: &str| self.headers.keys().any(|own| own.eq_ignore_ascii_case(name));
        let is_left_out =
            |name: &str| is_own(name) || (body.is_empty() && name.eq_ignore_ascii_case("content-type"));
        let inherited = conversation.headers.iter().filter(|(name, _)| !is_left_out(name));
        // `null` becomes an empty value, and the client does not send a header with an empty value.
        let mut headers: Vec<(&str, &str)> = inherited
            .chain(&self.headers)
            .map(|(name, value)| (name.as_str(), value.as_str().unwrap_or_default()))
            .collect();
        let bearer;
        if conversation.credentials == Credentials::Bearer && !is_own("authorization") {
            bearer = format!("Bearer {}", client.token.as_deref().expect("the client has a token"));
            headers.push(("authorization", &bearer));
        }
        client.send(&self.method, &self.target, &headers, body).await
    }
}

impl Expectation {
    fn fill(&self, captures: &Captures) -> Result<Self, String> {
        Ok(Self {
            status: self.status.clone(),
            headers: fill_members(&self.headers, captures)?,
            body: self.body.as_ref().map(|body| captures.fill(body)).transpose()?,
        })
    }

    fn differences(&self, reply: &Reply, body: Option<&Value>) -> Vec<String> {
        let mut differences = Vec::new();
        let statuses = match &self.status {
            Status::One(status) => std::slice::from_ref(status),
            Status::AnyOf(statuses) => statuses,
        };
        if !statuses.contains(&reply.status) {
            differences.push(format!("status: expected {statuses:?}, got {}", reply.status));
        }
        for (name, pattern) in &self.headers {
            let value = reply.header(name).map(Value::from);
            differences.extend(pattern::differences(name, pattern, value.as_ref()));
        }
        differences.extend(self.body.iter().flat_map(|pattern| pattern::differences("body", pattern, body)));
        differences
    }
}

fn fill_members(members: &Map<String, Value>, captures: &Captures) -> Result<Map<String, Value>, String> {
    members.iter().map(|(name, value)| Ok((name.clone(), captures.fill(value)?))).collect()
}

/// The beginning of a long text.
fn shortened(text: &str) -> String {
    const LENGTH: usize = 2000;
    match text.char_indices().nth(LENGTH) {
        Some((end, _)) => format!("{}… ({} bytes)", &text[..end], text.len()),
        None => text.to_owned(),
    }
}

/// A conversation of an OAuth client, which is in `fixtures/oauth`. Its base URL is that of the connector. It also knows
/// `client_id`, `client_secret` and `assertion`.
///
/// # Panics
/// When it is malformed.
pub fn oauth_conversation(file: &str) -> Conversation {
    let path = workspace().join("tests/fixtures/oauth").join(file);
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    Conversation::parse(&format!("oauth/{file}"), &text).unwrap_or_else(|error| panic!("{error}"))
}

/// The names of the clients that have conversations, sorted.
///
/// # Panics
/// When the folder cannot be read.
pub fn clients() -> Vec<String> {
    entries(&folder()).iter().map(|path| name_of(path)).collect()
}

/// All conversations of a client, sorted by the names of their files.
///
/// # Panics
/// When the client has none, or one of them is malformed.
pub fn conversations(client: &str) -> Vec<Conversation> {
    let files = entries(&folder().join(client));
    assert!(!files.is_empty(), "no conversations of {client}");
    let read = |path: &PathBuf| {
        let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let file = format!("{client}/{}", name_of(path));
        Conversation::parse(&file, &text).unwrap_or_else(|error| panic!("{error}"))
    };
    files.iter().map(read).collect()
}

fn folder() -> PathBuf {
    workspace().join("tests/fixtures/clients")
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let listing = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<PathBuf> =
        listing.map(|entry| entry.expect("the folder can be read").path()).collect();
    paths.sort();
    paths
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
