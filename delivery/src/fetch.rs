//! Fetches the keys of an issuer over https, from the addresses that are allowed for the delivery of events.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use shared::error::chain;
use tokio::time::timeout;

use crate::send::{Connections, Http};
use crate::target::{Reach, Target};

/// The time for a request and its answer.
const TIMEOUT: Duration = Duration::from_secs(5);
/// The largest document, in bytes.
const MAX_BYTES: usize = 1024 * 1024;

/// Fetches a document. Redirects are not followed: they could lead to another host than the one that the operator registered.
///
/// # Errors
/// A sentence for operators.
pub async fn fetch(url: &str, reach: Reach) -> Result<Vec<u8>, String> {
    let target = Target::parse(url)?;
    target.check(reach)?;
    if target.uri().scheme_str() != Some("https") {
        return Err("keys are fetched over https only".to_owned());
    }
    let request =
        Request::get(target.uri()).header("accept", "application/json").header("user-agent", "rollcall");
    let request = request.body(Full::<Bytes>::default()).map_err(|error| error.to_string())?;
    let http = Connections::new(reach)?.open();
    match timeout(TIMEOUT, read(&http, request)).await {
        Ok(document) => document,
        Err(_) => Err(format!("no answer within {} seconds", TIMEOUT.as_secs())),
    }
}

async fn read(http: &Http, request: Request<Full<Bytes>>) -> Result<Vec<u8>, String> {
    let response = http.request(request).await.map_err(|error| chain(&error))?;
    match response.status() {
        StatusCode::OK => {}
        status if status.is_redirection() => return Err(format!("{status}: redirects are not followed")),
        status => return Err(status.to_string()),
    }
    match Limited::new(response.into_body(), MAX_BYTES).collect().await {
        Ok(body) => Ok(body.to_bytes().into()),
        Err(error) if error.is::<LengthLimitError>() => {
            Err(format!("the answer has more than {MAX_BYTES} bytes"))
        }
        Err(error) => Err(chain(error.as_ref())),
    }
}
