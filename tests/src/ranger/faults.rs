//! What goes wrong on demand, and the record of calls.

use axum::body::Body;
use http::{Response, StatusCode};
use serde_json::Value;

/// What goes wrong with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The answer is this status, and nothing is done.
    Status(u16),
    /// The answer is the HTML of a sign-in page with status 200, and nothing is done.
    Html,
    /// The call is done, and the answer ends in the middle.
    Half,
    /// The call is done, and the answer is 503.
    Lost,
    /// The answer has half the entries of a page, and counts all of them.
    FewerEntries,
}

/// A fault that waits for its calls.
struct Waiting {
    method: &'static str,
    path: String,
    fault: Fault,
    times: usize,
}

/// The faults that wait for their calls.
#[derive(Default)]
pub(super) struct Faults {
    waiting: Vec<Waiting>,
    calls: Vec<String>,
}

impl Faults {
    /// Adds a fault for calls of a method (all if it is empty) whose path contains a text.
    pub fn add(&mut self, method: &'static str, path: &str, fault: Fault, times: usize) {
        self.waiting.push(Waiting { method, path: path.to_owned(), fault, times });
    }

    /// Records a call, and takes the fault that is for it.
    pub fn next(&mut self, method: &str, path: &str) -> Option<Fault> {
        self.calls.push(format!("{method} {path}"));
        let is_next = |waiting: &&mut Waiting| {
            waiting.times > 0 && method.starts_with(waiting.method) && path.contains(&waiting.path)
        };
        let next = self.waiting.iter_mut().find(is_next)?;
        next.times -= 1;
        Some(next.fault)
    }

    pub fn clear(&mut self) {
        self.waiting.clear();
    }

    pub fn take_calls(&mut self) -> Vec<String> {
        std::mem::take(&mut self.calls)
    }
}

impl Fault {
    /// The answer of a call that is not done.
    pub(super) fn response_before(&self) -> Option<Response<Body>> {
        match self {
            Self::Status(status) => {
                Some(response(*status, "application/json", "{\"msgDesc\":\"fault\"}".to_owned()))
            }
            Self::Html => {
                Some(response(200, "text/html", "<!doctype html><title>Ranger - Sign In</title>".to_owned()))
            }
            Self::Half | Self::Lost | Self::FewerEntries => None,
        }
    }

    /// The answer of a call that is done.
    pub(super) fn response_after(self, value: &Value) -> Response<Body> {
        match self {
            Self::Half => {
                let text = value.to_string();
                let half: String = text.chars().take(text.chars().count() / 2).collect();
                response(200, "application/json", half)
            }
            Self::FewerEntries => {
                let mut value = value.clone();
                for field in ["vXUsers", "vXGroups"] {
                    if let Some(entries) = value.get_mut(field).and_then(Value::as_array_mut) {
                        entries.truncate(entries.len() / 2);
                    }
                }
                response(200, "application/json", value.to_string())
            }
            _ => response(503, "text/plain", "gateway".to_owned()),
        }
    }
}

fn response(status: u16, kind: &str, body: String) -> Response<Body> {
    let status = StatusCode::from_u16(status).expect("the status is valid");
    let response = Response::builder().status(status).header("content-type", kind);
    response.body(Body::from(body)).expect("the response is valid")
}
