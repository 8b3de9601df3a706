//! Executable fixtures: conversations that provisioning clients have with a service provider.
//!
//! A file under `fixtures/clients/{client}/` is one conversation, held with a connector of its own whose directory
//! is empty at first, so that totals are exact and conversations can be replayed side by side:
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
//! - `target` is sent byte for byte behind the base URL. `body` is sent as JSON, `raw` instead of it as it stands.
//! - `headers` are those of the client: the conversation's are sent with every request, Content-Type with those that
//!   have a body; a request's own go before them, null being none. Every request has Basic credentials, or the
//!   bearer token where the conversation says `"credentials": "bearer"`, unless it names an Authorization.
//! - `status` is a number, or a list of numbers that will all do. `headers` and `body` are
//!   [patterns](crate::pattern); what they do not name is not looked at.
//! - `capture` keeps parts of the answer's body, each by a JSON pointer, for `${name}` in this step's expectations
//!   and in all later steps ([captures](crate::captures)). A name that ends in `[]` is a list, and is appended to. Known
//!   from the start are `base` (the URL that resources' locations start with), `username` and `password`.
//! - `"repeat": 10` does a step ten times, `${n}` being 1 to 10.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::captures::Captures;
use crate::client::{Client, Reply};
use crate::pattern;

/// A conversation: what one client does, step by step.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Conversation {
    /// The file that it is in, below `fixtures/clients`.
    #[serde(skip)]
    pub file: String,
    /// What happens, in a sentence.
    pub name: String,
    /// What the client does, and what is done for it.
    pub why: String,
    /// How the client authenticates.
    #[serde(default)]
    pub credentials: Credentials,
    /// The headers that it sends with every request.
    #[serde(default)]
    pub headers: Map<String, Value>,
    /// One request after another.
    pub steps: Vec<Step>,
}

/// How a client authenticates.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Credentials {
    /// With a username and a password (RFC 7617).
    #[default]
    Basic,
    /// With a token (RFC 6750).
    Bearer,
}

/// A request, and what is expected of its answer.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// What the client does here, as the end of a sentence.
    pub does: String,
    /// How often.
    #[serde(default = "once")]
    pub repeat: usize,
    /// The request.
    pub request: Request,
    /// The answer.
    pub expect: Expectation,
    /// What to remember of the answer: JSON pointers by name.
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
    /// What follows the base URL.
    pub target: String,
    /// The headers; null for one that is not to be sent.
    #[serde(default)]
    pub headers: Map<String, Value>,
    /// A JSON body.
    pub body: Option<Value>,
    /// A body as it stands.
    pub raw: Option<String>,
}

/// What an answer must be.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expectation {
    /// The status, or several that will do.
    pub status: Status,
    /// Patterns by name, in any case.
    #[serde(default)]
    pub headers: Map<String, Value>,
    /// The pattern of the body; anything where there is none.
    pub body: Option<Value>,
}

/// One status code or several.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum Status {
    /// This one.
    One(u16),
    /// Any of these.
    AnyOf(Vec<u16>),
}

impl Conversation {
    /// Reads a conversation, and checks what can be checked without a service: that markers are markers, and that
    /// nothing is said before it was captured.
    ///
    /// # Errors
    /// What is wrong with the text.
    pub fn parse(file: &str, text: &str) -> Result<Self, String> {
        let mut conversation: Self =
            serde_json::from_str(text).map_err(|error| format!("{file}: {error}"))?;
        file.clone_into(&mut conversation.file);
        conversation.rehearse().map_err(|error| format!("{file}: {error}"))?;
        Ok(conversation)
    }

    /// Goes through the steps with a made-up value for everything that an answer would give.
    fn rehearse(&self) -> Result<(), String> {
        let mut captures = Captures::default();
        for known in ["base", "username", "password", "n"] {
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

    /// Has the conversation with a service.
    ///
    /// # Errors
    /// The step that went another way, its request, its answer and each difference.
    pub async fn hold(&self, client: &Client) -> Result<(), String> {
        let mut captures = Captures::default();
        captures.set("base", client.public_url.as_str());
        captures.set("username", client.username.as_str());
        captures.set("password", client.password.as_str());
        for (index, step) in self.steps.iter().enumerate() {
            for n in 1..=step.repeat {
                captures.set("n", n.to_string());
                step.take(client, self, &mut captures)
                    .await
                    .map_err(|failure| format!("{}, step {}: {failure}", self.file, index + 1))?;
            }
        }
        Ok(())
    }
}

impl Step {
    async fn take(
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
            // Already said: what was to be captured is not there.
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
            cut(&sent),
            reply.status,
            cut(&answered)
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
        let usual = conversation.headers.iter().filter(|(name, _)| !is_left_out(name));
        // Null is no header, which the client writes as an empty one.
        let mut headers: Vec<(&str, &str)> = usual
            .chain(&self.headers)
            .map(|(name, value)| (name.as_str(), value.as_str().unwrap_or_default()))
            .collect();
        let bearer;
        if conversation.credentials == Credentials::Bearer && !is_own("authorization") {
            bearer = format!("Bearer {}", client.token.as_deref().expect("a client with a token"));
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

/// What fits a terminal.
fn cut(text: &str) -> String {
    const LENGTH: usize = 2000;
    match text.char_indices().nth(LENGTH) {
        Some((end, _)) => format!("{}… ({} bytes)", &text[..end], text.len()),
        None => text.to_owned(),
    }
}

/// Has a conversation with a service.
///
/// # Panics
/// When it goes another way than the file says: with the file, the step, and each difference.
pub async fn replay(client: &Client, conversation: &Conversation) {
    if let Err(failure) = conversation.hold(client).await {
        panic!("{}\n{failure}", conversation.name);
    }
}

/// The clients that there are conversations of, in the order of their names.
///
/// # Panics
/// When the folder cannot be read.
pub fn clients() -> Vec<String> {
    entries(&folder()).iter().map(|path| name_of(path)).collect()
}

/// All conversations of a client, in the order of their files' names.
///
/// # Panics
/// When there are none, or one of them is malformed.
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
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/clients")
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let listing = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<PathBuf> = listing.map(|entry| entry.expect("a folder's entry").path()).collect();
    paths.sort();
    paths
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
