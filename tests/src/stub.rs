//! Substitutes for servers of AWS: each answers every request alike.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use http::StatusCode;
use tokio::net::TcpListener;

use crate::service::ACCESS_KEY;

/// The ARN that [`Stub::sts_of_ada`] says.
pub const ARN: &str = "arn:aws:sts::123456789012:assumed-role/Operators/ada@example.com";

/// A server that answers every request alike, and the requests that it got.
pub struct Stub {
    /// Its URL.
    pub url: String,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Stub {
    /// Starts a server that answers every request with this status and body.
    ///
    /// # Panics
    /// When no port is free.
    pub async fn start(status: StatusCode, body: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let url = format!("http://{}", listener.local_addr().expect("the listener has an address"));
        let requests: Arc<Mutex<Vec<String>>> = Arc::default();
        let seen = Arc::clone(&requests);
        let answer = move |request: Bytes| {
            let request = String::from_utf8(request.to_vec()).expect("a request is UTF-8");
            seen.lock().expect("no request panicked").push(request);
            async move { (status, [("content-type", "text/xml")], body) }
        };
        tokio::spawn(axum::serve(listener, Router::new().fallback(answer)).into_future());
        Self { url, requests }
    }

    /// Starts a substitute for AWS STS that says that the caller is [`ARN`].
    ///
    /// # Panics
    /// When no port is free.
    pub async fn sts_of_ada() -> Self {
        Self::start(
            StatusCode::OK,
            format!(
                "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetCallerIdentityResult>\
                 <Arn>{ARN}</Arn><UserId>AROAEXAMPLE:ada@example.com</UserId><Account>123456789012</Account>\
                 </GetCallerIdentityResult></GetCallerIdentityResponse>"
            ),
        )
        .await
    }

    /// Starts a substitute for AWS STS that issues credentials of a role with the operation `AssumeRole` or `AssumeRoleWithWebIdentity`.
    ///
    /// # Panics
    /// When no port is free.
    pub async fn sts_of_role(operation: &str) -> Self {
        Self::start(
            StatusCode::OK,
            format!(
                "<{operation}Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><{operation}Result><Credentials>\
                 <AccessKeyId>{ACCESS_KEY}</AccessKeyId><SecretAccessKey>test</SecretAccessKey>\
                 <SessionToken>test</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials>\
                 <AssumedRoleUser><Arn>{ARN}</Arn><AssumedRoleId>AROAEXAMPLE:ada</AssumedRoleId></AssumedRoleUser>\
                 </{operation}Result></{operation}Response>"
            ),
        )
        .await
    }

    /// The bodies of the requests so far.
    ///
    /// # Panics
    /// When a request panicked.
    pub fn requests(&self) -> Vec<String> {
        self.requests.lock().expect("no request panicked").clone()
    }
}
