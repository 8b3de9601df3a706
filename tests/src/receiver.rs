//! A consumer to which events are sent over HTTP. A test says what it answers.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::stream;
use http::{HeaderMap, Response};
use ring::hmac;
use serde_json::Value;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;
use tokio::sync::Notify;

use crate::token;

/// An HTTP server, and the requests that it got.
pub struct Receiver {
    /// Its URL.
    pub url: String,
    requests: Arc<Mutex<Vec<Received>>>,
    answers: Arc<Mutex<VecDeque<Answer>>>,
    arrival: Arc<Notify>,
}

/// A request.
#[derive(Clone, Debug)]
pub struct Received {
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: String,
}

/// What the consumer answers to one request.
#[derive(Clone, Debug)]
pub enum Answer {
    /// This status, with one header and a body.
    Status(u16, &'static str, &'static str, &'static str),
    /// This status, and a body of 10 MB.
    Long(u16),
    /// No answer.
    Never,
}

impl Answer {
    /// A status without more.
    pub fn status(status: u16) -> Self {
        Self::Status(status, "x-test", "1", "")
    }
}

impl Receiver {
    /// Starts a consumer that accepts every event.
    ///
    /// # Panics
    /// When no port is free.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let url = format!("http://{}/events", listener.local_addr().expect("the listener has an address"));
        let requests: Arc<Mutex<Vec<Received>>> = Arc::default();
        let answers: Arc<Mutex<VecDeque<Answer>>> = Arc::default();
        let arrival: Arc<Notify> = Arc::default();
        let (seen, scripted) = (Arc::clone(&requests), Arc::clone(&answers));
        let arrived = Arc::clone(&arrival);
        let answer = move |headers: HeaderMap, body: Bytes| {
            let body = String::from_utf8(body.to_vec()).expect("a request is UTF-8");
            seen.lock().expect("no request panicked").push(Received { headers, body });
            arrived.notify_waiters();
            let answer = scripted.lock().expect("no request panicked").pop_front();
            respond(answer.unwrap_or(Answer::status(202)))
        };
        tokio::spawn(axum::serve(listener, Router::new().fallback(answer)).into_future());
        Self { url, requests, answers, arrival }
    }

    /// Starts a consumer that reads each request and closes the connection, and returns its URL.
    ///
    /// # Panics
    /// When no port is free.
    pub async fn closing() -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let url = format!("http://{}/events", listener.local_addr().expect("the listener has an address"));
        tokio::spawn(async move {
            while let Ok((mut connection, _)) = listener.accept().await {
                let _ = connection.read(&mut [0; 64]).await;
            }
        });
        url
    }

    /// Says what the consumer answers to the next requests. After these, it accepts every event.
    ///
    /// # Panics
    /// When a request panicked.
    pub fn answer(&self, answers: impl IntoIterator<Item = Answer>) {
        self.answers.lock().expect("no request panicked").extend(answers);
    }

    /// The requests so far.
    ///
    /// # Panics
    /// When a request panicked.
    pub fn requests(&self) -> Vec<Received> {
        self.requests.lock().expect("no request panicked").clone()
    }

    /// Waits until there are this many requests.
    ///
    /// # Panics
    /// When a request panicked.
    pub async fn wait_for(&self, count: usize) {
        loop {
            let arrival = self.arrival.notified();
            if self.requests().len() >= count {
                return;
            }
            arrival.await;
        }
    }

    /// The URIs of the resources of the events so far, in order.
    ///
    /// # Panics
    /// When a request has no event.
    pub fn uris(&self) -> Vec<String> {
        let uri = |request: Received| {
            request.claims()["sub_id"]["uri"].as_str().expect("the event has a URI").to_owned()
        };
        let mut uris: Vec<String> = self.requests().into_iter().map(uri).collect();
        uris.sort();
        uris
    }
}

impl Received {
    /// The claims of the event.
    ///
    /// # Panics
    /// When there are none.
    pub fn claims(&self) -> Value {
        match serde_json::from_str::<Value>(&self.body) {
            Ok(message) => message["data"].clone(),
            Err(_) => token::parts(&self.body).1,
        }
    }

    /// The value of a header; empty if there is none.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// Whether one of the signatures is made with this secret (Standard Webhooks).
    ///
    /// # Panics
    /// When the secret is none.
    pub fn is_signed_with(&self, secret: &str) -> bool {
        let key = STANDARD
            .decode(secret.strip_prefix("whsec_").expect("a secret has a prefix"))
            .expect("it is base64");
        let signed =
            format!("{}.{}.{}", self.header("webhook-id"), self.header("webhook-timestamp"), self.body);
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key), signed.as_bytes());
        let expected = format!("v1,{}", STANDARD.encode(tag));
        self.header("webhook-signature").split(' ').any(|signature| signature == expected)
    }
}

async fn respond(answer: Answer) -> Response<Body> {
    let (status, header, value, body) = match answer {
        Answer::Status(status, header, value, body) => (status, header, value, Body::from(body)),
        Answer::Long(status) => {
            let part = Bytes::from_static(&[b'x'; 10_000]);
            let parts = (0..1_000).map(move |_| Ok::<_, std::io::Error>(part.clone()));
            (status, "x-test", "1", Body::from_stream(stream::iter(parts)))
        }
        Answer::Never => std::future::pending().await,
    };
    Response::builder().status(status).header(header, value).body(body).expect("the answer is valid")
}
