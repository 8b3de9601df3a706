//! The load generator: several connections, each of which sends one request after another.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use http::{Method, Request};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tests::client::SCIM_JSON;
use tokio::net::TcpStream;

/// The number of connections.
pub const CONNECTIONS: usize = 16;

/// The server that receives the requests.
#[derive(Clone, Debug)]
pub struct Target {
    /// `127.0.0.1:PORT`.
    pub address: String,
    /// The path before `/Users`, for example `/default/scim/v2`.
    pub base: String,
    /// The Authorization header.
    pub authorization: String,
}

/// A request.
#[derive(Clone, Debug)]
pub struct Call {
    /// The method.
    pub method: Method,
    /// The path and query after the base, for example `/Users?count=1`.
    pub path: String,
    /// The body. It is empty if the request has none.
    pub body: Bytes,
}

/// The rate and the latency of requests.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Timing {
    /// Responses per second.
    pub per_second: f64,
    /// The median latency, in seconds.
    pub p50: f64,
    /// The 90th percentile of the latency, in seconds.
    pub p90: f64,
    /// The 99th percentile of the latency, in seconds.
    pub p99: f64,
}

impl Call {
    /// Creates a GET.
    pub fn get(path: impl Into<String>) -> Self {
        Self { method: Method::GET, path: path.into(), body: Bytes::new() }
    }

    /// Creates a POST.
    pub fn post(path: impl Into<String>, body: &Value) -> Self {
        Self { method: Method::POST, path: path.into(), body: body.to_string().into() }
    }

    /// Creates a PATCH.
    pub fn patch(path: impl Into<String>, body: &Value) -> Self {
        Self { method: Method::PATCH, path: path.into(), body: body.to_string().into() }
    }
}

/// A connection that reconnects after the server closes it.
pub struct Connection {
    target: Target,
    sender: Option<SendRequest<Full<Bytes>>>,
}

impl Connection {
    /// Creates a connection that connects at the first request.
    pub fn new(target: &Target) -> Self {
        Self { target: target.clone(), sender: None }
    }

    /// Sends a request and reads the whole response.
    ///
    /// # Errors
    /// If the server closes the connection before the end of the response.
    pub async fn send(&mut self, call: &Call) -> Result<(u16, Bytes), String> {
        if let Some(sender) = &mut self.sender
            && sender.ready().await.is_err()
        {
            self.sender = None;
        }
        if self.sender.is_none() {
            let stream = TcpStream::connect(&self.target.address).await.expect("the server listens");
            stream.set_nodelay(true).expect("a socket");
            let (sender, connection) = handshake(TokioIo::new(stream)).await.expect("a connection");
            // The next request notices if the connection was closed.
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
        let sender = self.sender.as_mut().expect("the connection was created above");
        let failed = |error: hyper::Error| format!("{} {} got no response: {error}", call.method, call.path);
        let response = sender.send_request(request).await.map_err(failed)?;
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.map_err(failed)?.to_bytes();
        Ok((status, body))
    }

    /// Sends a request and returns the body of the response.
    ///
    /// # Errors
    /// If there is no response, or its status is not 2xx: the status and the start of the body.
    pub async fn send_successfully(&mut self, call: &Call) -> Result<Bytes, String> {
        let (status, body) = self.send(call).await?;
        if (200..300).contains(&status) {
            return Ok(body);
        }
        let start = String::from_utf8_lossy(body.get(..300).unwrap_or(&body)).into_owned();
        Err(format!("{} {} returned {status}: {start}", call.method, call.path))
    }
}

/// Sends these requests over [`CONNECTIONS`] connections until all are sent or `time` is over. Requests that are then in
/// progress are cancelled after the same time again.
///
/// # Errors
/// If a response is not a success, or if there is no response in time.
pub async fn send_all(target: &Target, calls: Vec<Call>, time: Duration) -> Result<Timing, String> {
    let calls = Arc::new(Mutex::new(calls.into_iter()));
    let began = Instant::now();
    let clients = (0..CONNECTIONS).map(|_| {
        let (calls, mut connection) = (Arc::clone(&calls), Connection::new(target));
        tokio::spawn(async move {
            let mut latencies = Vec::new();
            while began.elapsed() < time {
                let Some(call) = calls.lock().expect("no thread panicked with the lock").next() else {
                    break;
                };
                let sent = Instant::now();
                match tokio::time::timeout_at((began + 2 * time).into(), connection.send_successfully(&call))
                    .await
                {
                    Ok(response) => response?,
                    Err(_) => break,
                };
                latencies.push(sent.elapsed());
            }
            Ok::<_, String>(latencies)
        })
    });
    let mut latencies = Vec::new();
    for client in clients.collect::<Vec<_>>() {
        latencies.extend(client.await.expect("a client does not panic")?);
    }
    if latencies.is_empty() {
        Err(format!("no response in {:?}", 2 * time))
    } else {
        Ok(timing(latencies, began.elapsed()))
    }
}

/// Summarises the latencies of requests that were sent within `elapsed`.
pub fn timing(mut latencies: Vec<Duration>, elapsed: Duration) -> Timing {
    latencies.sort_unstable();
    let percentile = |fraction: f64| {
        let rank = (fraction * latencies.len() as f64).ceil() as usize;
        latencies.get(rank.saturating_sub(1)).copied().unwrap_or_default().as_secs_f64()
    };
    Timing {
        per_second: latencies.len() as f64 / elapsed.as_secs_f64(),
        p50: percentile(0.5),
        p90: percentile(0.9),
        p99: percentile(0.99),
    }
}
