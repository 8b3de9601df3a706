//! An issuer of assertions: an HTTPS server with its keys. A certificate authority of its own, which a process trusts if
//! `SSL_CERT_FILE` names its file, signs the server's certificate.

use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::Full;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::AbortHandle;
use tokio_rustls::TlsAcceptor;

use crate::certificate::LocalhostCertificate;
use crate::folder::Folder;

/// What the server answers.
#[derive(Clone, Debug)]
pub enum Answer {
    /// These keys.
    Keys(Vec<Value>),
    /// This status, with a Location.
    Status(u16, String),
    /// A JWK set with this many bytes of white space before it.
    Padded(usize, Vec<Value>),
}

/// A running server. It ends when it is dropped.
pub struct Issuer {
    /// The URL of the keys.
    pub jwks: String,
    /// The file of the certificate authority.
    pub authority: String,
    answer: Arc<Mutex<Answer>>,
    requests: Arc<AtomicUsize>,
    server: AbortHandle,
    _folder: Folder,
}

impl Issuer {
    /// Starts a server.
    ///
    /// # Panics
    /// When no port is free.
    pub async fn start(answer: Answer) -> Self {
        let folder = Folder::new();
        let authority = folder.file_path("authority.pem");
        let certificate = LocalhostCertificate::new();
        std::fs::write(&authority, &certificate.authority).expect("the folder can be written");
        let acceptor = TlsAcceptor::from(Arc::new(certificate.config));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let port = listener.local_addr().expect("the listener has an address").port();
        let (answer, requests) = (Arc::new(Mutex::new(answer)), Arc::new(AtomicUsize::new(0)));
        let (scripted, counted) = (Arc::clone(&answer), Arc::clone(&requests));
        let server = tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                let (acceptor, scripted, counted) =
                    (acceptor.clone(), Arc::clone(&scripted), Arc::clone(&counted));
                tokio::spawn(async move {
                    // A client that does not trust the authority ends the connection.
                    let Ok(connection) = acceptor.accept(connection).await else { return };
                    let answer = service_fn(|_| {
                        counted.fetch_add(1, Ordering::SeqCst);
                        let answer = scripted.lock().expect("no request panicked").clone();
                        async move { Ok::<_, Infallible>(respond(answer)) }
                    });
                    let _ = http1::Builder::new().serve_connection(TokioIo::new(connection), answer).await;
                });
            }
        });
        let jwks = format!("https://localhost:{port}/keys");
        Self { jwks, authority, answer, requests, server: server.abort_handle(), _folder: folder }
    }

    /// Says what the server answers from now on.
    ///
    /// # Panics
    /// When a request panicked.
    pub fn answer(&self, answer: Answer) {
        *self.answer.lock().expect("no request panicked") = answer;
    }

    /// The number of requests so far.
    pub fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }

    /// Stops the server: connections are refused.
    pub fn stop(&self) {
        self.server.abort();
    }
}

impl Drop for Issuer {
    fn drop(&mut self) {
        self.stop();
    }
}

fn respond(answer: Answer) -> Response<Full<Bytes>> {
    let document = |keys: Vec<Value>| json!({ "keys": keys }).to_string();
    let (status, location, body) = match answer {
        Answer::Keys(keys) => (200, String::new(), document(keys)),
        Answer::Status(status, location) => (status, location, String::new()),
        Answer::Padded(bytes, keys) => (200, String::new(), " ".repeat(bytes) + &document(keys)),
    };
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = StatusCode::from_u16(status).expect("the status is valid");
    if let Ok(location) = location.parse() {
        response.headers_mut().insert("location", location);
    }
    response
}
