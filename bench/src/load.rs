//! Load: requests over so many connections at a time, one request after another on each.

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

/// How many clients ask at the same time.
pub const CONNECTIONS: usize = 16;

/// Where requests go.
#[derive(Clone, Debug)]
pub struct Target {
    /// `127.0.0.1:PORT`.
    pub address: String,
    /// What stands before `/Users`: `/default/scim/v2`.
    pub base: String,
    /// The Authorization header.
    pub authorization: String,
}

/// A request.
#[derive(Clone, Debug)]
pub struct Call {
    /// The method.
    pub method: Method,
    /// What stands behind the base: `/Users?count=1`.
    pub path: String,
    /// The body, empty for none.
    pub body: Bytes,
}

/// How long requests took.
#[derive(Clone, Copy, Debug, Default)]
pub struct Timing {
    /// Requests answered in a second.
    pub per_second: f64,
    /// Half of the requests took no longer, in seconds.
    pub p50: f64,
    /// 99 of 100 requests took no longer, in seconds.
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

/// One connection, made again when the server has closed it.
pub struct Connection {
    target: Target,
    sender: Option<SendRequest<Full<Bytes>>>,
}

impl Connection {
    /// A connection that is made when it is first needed.
    pub fn new(target: &Target) -> Self {
        Self { target: target.clone(), sender: None }
    }

    /// Sends a request and reads its whole answer.
    ///
    /// # Panics
    /// When there is none.
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
            // Its end is seen at the next request.
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

    /// Sends a request that is to succeed, and gives the body.
    ///
    /// # Errors
    /// The status and the body, when it does not.
    pub async fn ask(&mut self, call: &Call) -> Result<Bytes, String> {
        let (status, body) = self.send(call).await;
        if (200..300).contains(&status) {
            return Ok(body);
        }
        let start = String::from_utf8_lossy(body.get(..300).unwrap_or(&body)).into_owned();
        Err(format!("{} {} was answered {status}: {start}", call.method, call.path))
    }
}

/// Sends these requests over [`CONNECTIONS`], until there are no more or the time is over. What runs then may take as
/// long again, and is given up after that.
///
/// # Errors
/// What was answered, when it was no success; or that there was no answer in time.
pub async fn drive(target: &Target, calls: Vec<Call>, time: Duration) -> Result<Timing, String> {
    let calls = Arc::new(Mutex::new(calls.into_iter()));
    let began = Instant::now();
    let clients = (0..CONNECTIONS).map(|_| {
        let (calls, mut connection) = (Arc::clone(&calls), Connection::new(target));
        tokio::spawn(async move {
            let mut took = Vec::new();
            while began.elapsed() < time {
                let Some(call) = calls.lock().expect("nobody panics over it").next() else { break };
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

/// Sums up what requests took.
pub fn timing(mut took: Vec<Duration>, all: Duration) -> Timing {
    took.sort_unstable();
    let at = |part: f64| {
        let place = (part * took.len() as f64).ceil() as usize;
        took.get(place.saturating_sub(1)).copied().unwrap_or_default().as_secs_f64()
    };
    Timing { per_second: took.len() as f64 / all.as_secs_f64(), p50: at(0.5), p99: at(0.99) }
}
