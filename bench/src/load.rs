//! Load: requests over several connections at the same time, one after another on each.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use http::{Method, Request};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tests::client::SCIM_JSON;
use tokio::net::TcpStream;

/// The number of connections.
pub const CONNECTIONS: usize = 16;

/// The target of requests.
#[derive(Clone, Debug)]
pub struct Target {
    /// `127.0.0.1:PORT`.
    pub address: String,
    /// The path before `/Users`: `/default/scim/v2`.
    pub base: String,
    /// The Authorization header.
    pub authorization: String,
}

/// A request.
#[derive(Clone, Debug)]
pub struct Call {
    /// The method.
    pub method: Method,
    /// The target after the base path: `/Users?count=1`.
    pub path: String,
    /// The body; empty if there is none.
    pub body: Bytes,
}

/// The times of requests.
#[derive(Clone, Copy, Debug, Default)]
pub struct Timing {
    /// Responses per second.
    pub per_second: f64,
    /// The median, in seconds.
    pub p50: f64,
    /// The 99th percentile, in seconds.
    pub p99: f64,
}

impl Call {
    /// A GET.
    pub fn get(path: impl Into<String>) -> Self {
        Self { method: Method::GET, path: path.into(), body: Bytes::new() }
    }

    /// A POST.
    pub fn post(path: impl Into<String>, body: &Value) -> Self {
        Self { method: Method::POST, path: path.into(), body: body.to_string().into() }
    }

    /// A PATCH.
    pub fn patch(path: impl Into<String>, body: &Value) -> Self {
        Self { method: Method::PATCH, path: path.into(), body: body.to_string().into() }
    }
}

/// A connection, which is opened again if the server closes it.
pub struct Connection {
    target: Target,
    sender: Option<SendRequest<Full<Bytes>>>,
}

impl Connection {
    /// Makes a connection that is opened at its first request.
    pub fn new(target: &Target) -> Self {
        Self { target: target.clone(), sender: None }
    }

    /// Sends a request and reads its complete response.
    ///
    /// # Panics
    /// When there is no response.
    pub async fn send(&mut self, call: &Call) -> (u16, Bytes) {
        if let Some(sender) = &mut self.sender
            && sender.ready().await.is_err()
        {
            self.sender = None;
        }
        if self.sender.is_none() {
            let stream = TcpStream::connect(&self.target.address).await.expect("the server listens");
            stream.set_nodelay(true).expect("a socket");
            let (sender, connection) = handshake(TokioIo::new(stream)).await.expect("a connection");
            // If the connection ends, the next request finds out.
            tokio::spawn(async move { drop(connection.await) });
            self.sender = Some(sender);
        }
        let mut request = Request::builder()
            .method(&call.method)
            .uri(format!("{}{}", self.target.base, call.path))
            .header(HOST, &self.target.address)
            .header(AUTHORIZATION, &self.target.authorization);
        if !call.body.is_empty() {
            request = request.header(CONTENT_TYPE, SCIM_JSON);
        }
        let request = request.body(Full::new(call.body.clone())).expect("a request");
        let sender = self.sender.as_mut().expect("it was made just now");
        let response = sender.send_request(request).await.expect("an answer");
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.expect("the whole answer").to_bytes();
        (status, body)
    }

    /// Sends a request that must succeed, and returns the body.
    ///
    /// # Errors
    /// The status and the body if it fails.
    pub async fn ask(&mut self, call: &Call) -> Result<Bytes, String> {
        let (status, body) = self.send(call).await;
        if (200..300).contains(&status) {
            return Ok(body);
        }
        let start = String::from_utf8_lossy(body.get(..300).unwrap_or(&body)).into_owned();
        Err(format!("{} {} was answered {status}: {start}", call.method, call.path))
    }
}

/// Sends these requests over [`CONNECTIONS`] connections until all are sent or the time is over. Requests that run then get
/// the same time again, and are dropped after that.
///
/// # Errors
/// The response if a request fails, or a sentence if there is no response in time.
pub async fn drive(target: &Target, calls: Vec<Call>, time: Duration) -> Result<Timing, String> {
    let calls = Arc::new(Mutex::new(calls.into_iter()));
    let began = Instant::now();
    let clients = (0..CONNECTIONS).map(|_| {
        let (calls, mut connection) = (Arc::clone(&calls), Connection::new(target));
        tokio::spawn(async move {
            let mut took = Vec::new();
            while began.elapsed() < time {
                let Some(call) = calls.lock().expect("no thread panicked with the lock").next() else {
                    break;
                };
                let sent = Instant::now();
                match tokio::time::timeout_at((began + 2 * time).into(), connection.ask(&call)).await {
                    Ok(answer) => answer?,
                    Err(_) => break,
                };
                took.push(sent.elapsed());
            }
            Ok::<_, String>(took)
        })
    });
    let mut took = Vec::new();
    for client in clients.collect::<Vec<_>>() {
        took.extend(client.await.expect("a client does not panic")?);
    }
    if took.is_empty() {
        Err(format!("no answer in {:?}", 2 * time))
    } else {
        Ok(timing(took, began.elapsed()))
    }
}

/// Summarises the times of requests.
pub fn timing(mut took: Vec<Duration>, all: Duration) -> Timing {
    took.sort_unstable();
    let at = |part: f64| {
        let place = (part * took.len() as f64).ceil() as usize;
        took.get(place.saturating_sub(1)).copied().unwrap_or_default().as_secs_f64()
    };
    Timing { per_second: took.len() as f64 / all.as_secs_f64(), p50: at(0.5), p99: at(0.99) }
}
