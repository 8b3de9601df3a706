//! An Amazon EventBridge: it takes the events of `PutEvents` requests. A test says which of them it refuses.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use delivery::EventBuses;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, Response, StatusCode};
use runtime::dynamodb::aws_loader;
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// An HTTP server, and the entries that it accepted.
pub struct EventBridge {
    /// Its URL.
    pub url: String,
    accepted: Arc<Mutex<Vec<Value>>>,
    errors: Arc<Mutex<VecDeque<Option<&'static str>>>>,
}

impl EventBridge {
    /// Starts a server that accepts every entry.
    ///
    /// # Panics
    /// When no port is free.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let url = format!("http://{}", listener.local_addr().expect("the listener has an address"));
        let accepted: Arc<Mutex<Vec<Value>>> = Arc::default();
        let errors: Arc<Mutex<VecDeque<Option<&'static str>>>> = Arc::default();
        let (kept, scripted) = (Arc::clone(&accepted), Arc::clone(&errors));
        let answer = move |headers: HeaderMap, body: Bytes| async move {
            assert_eq!(headers["x-amz-target"], "AWSEvents.PutEvents");
            let request: Value = serde_json::from_slice(&body).expect("a request is JSON");
            let entries = request["Entries"].as_array().expect("a request has entries");
            assert!((1..=10).contains(&entries.len()), "{} entries", entries.len());
            let mut results = Vec::new();
            for entry in entries {
                let error = scripted.lock().expect("no request panicked").pop_front().flatten();
                results.push(match error {
                    Some("AccessDeniedException") => return denied(),
                    Some(code) => json!({ "ErrorCode": code, "ErrorMessage": "as the test says" }),
                    None => {
                        kept.lock().expect("no request panicked").push(entry.clone());
                        json!({ "EventId": "e1" })
                    }
                });
            }
            let failed = results.iter().filter(|result| result.get("ErrorCode").is_some()).count();
            answer(StatusCode::OK, &json!({ "FailedEntryCount": failed, "Entries": results }))
        };
        tokio::spawn(axum::serve(listener, Router::new().fallback(answer)).into_future());
        Self { url, accepted, errors }
    }

    /// Says which of the next entries are refused, and with which code. After these, every entry is accepted.
    ///
    /// # Panics
    /// When a request panicked.
    pub fn refuse(&self, errors: impl IntoIterator<Item = Option<&'static str>>) {
        self.errors.lock().expect("no request panicked").extend(errors);
    }

    /// The entries that were accepted, with their details as JSON.
    ///
    /// # Panics
    /// When a detail is no JSON.
    pub fn accepted(&self) -> Vec<Value> {
        let mut entries = self.accepted.lock().expect("no request panicked").clone();
        for entry in &mut entries {
            let detail = entry["Detail"].as_str().expect("an entry has a detail");
            entry["Detail"] = serde_json::from_str(detail).expect("a detail is JSON");
        }
        entries
    }

    /// A client of this server.
    pub fn client(&self) -> EventBuses {
        let url = self.url.clone();
        EventBuses::new(move || {
            aws_loader().endpoint_url(url.clone()).region("local").test_credentials().load()
        })
    }
}

fn answer(status: StatusCode, body: &Value) -> Response<String> {
    let answer = Response::builder().status(status).header(CONTENT_TYPE, "application/x-amz-json-1.1");
    answer.body(body.to_string()).expect("the answer is valid")
}

fn denied() -> Response<String> {
    answer(
        StatusCode::BAD_REQUEST,
        &json!({ "__type": "AccessDeniedException", "message": "User is not authorized to perform: events:PutEvents" }),
    )
}
