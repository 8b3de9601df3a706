//! An endpoint of DynamoDB with TLS, as AWS's: it decrypts what a function sends, and passes it on to an engine without TLS.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;
use tokio_rustls::TlsAcceptor;

use crate::certificate::LocalhostCertificate;
use crate::folder::Folder;

/// The certificates that this machine trusts: on Debian, and on Fedora and Amazon Linux.
const BUNDLES: [&str; 2] = ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt"];

/// A running endpoint. It ends when it is dropped.
pub struct TlsEndpoint {
    /// Its URL, for `DYNAMODB_ENDPOINT`.
    pub url: String,
    /// A file with the certificates that this machine trusts and the one that signed the endpoint's, for `SSL_CERT_FILE`. A
    /// function reads as many certificates as in AWS.
    pub certificates: String,
    connections: Arc<AtomicUsize>,
    server: AbortHandle,
    _folder: Folder,
}

impl TlsEndpoint {
    /// Starts an endpoint for the engine with this URL.
    ///
    /// # Panics
    /// When no port is free.
    pub async fn start(engine: &str) -> Self {
        let engine = engine.trim_start_matches("http://").trim_end_matches('/').to_owned();
        let LocalhostCertificate { authority, config } = LocalhostCertificate::new();
        let folder = Folder::new();
        let certificates = folder.file_path("certificates.pem");
        let bundle = BUNDLES.iter().find(|file| Path::new(file).exists());
        let trusted = bundle.map(|file| std::fs::read_to_string(file).expect("the bundle can be read"));
        std::fs::write(&certificates, trusted.unwrap_or_default() + &authority)
            .expect("the folder can be written");
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let port = listener.local_addr().expect("the listener has an address").port();
        let connections = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&connections);
        let server = tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::SeqCst);
                let (acceptor, engine) = (acceptor.clone(), engine.clone());
                tokio::spawn(async move {
                    let _ = connection.set_nodelay(true);
                    // A client that does not trust the authority ends the connection.
                    let Ok(mut connection) = acceptor.accept(connection).await else { return };
                    let mut engine = TcpStream::connect(engine).await.expect("the engine runs");
                    let _ = engine.set_nodelay(true);
                    // The function ends with its connections open.
                    let _ = tokio::io::copy_bidirectional(&mut connection, &mut engine).await;
                });
            }
        });
        let url = format!("https://localhost:{port}");
        Self { url, certificates, connections, server: server.abort_handle(), _folder: folder }
    }

    /// The number of connections so far.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

impl Drop for TlsEndpoint {
    fn drop(&mut self) {
        self.server.abort();
    }
}
