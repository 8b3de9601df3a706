//! Answers: media type, Location, ETag, compression, and every error as a SCIM body.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use http::header::{
    ACCEPT_ENCODING, ALLOW, CONTENT_ENCODING, CONTENT_TYPE, ETAG, HeaderName, LOCATION, RETRY_AFTER, VARY,
    WWW_AUTHENTICATE,
};
use http::{HeaderValue, StatusCode};
use serde::Serialize;
use shared::error::{ErrorKind, ScimError};

/// The media type of every body (RFC 7644 §3.1).
pub const MEDIA_TYPE: &str = "application/scim+json";

/// What HTTP API passes on from a function, in bytes.
pub const MAX_RESPONSE_BYTES: usize = 6 * 1024 * 1024 - 64 * 1024;

/// Below this many bytes compression is not worth its while.
const SHORTEST_COMPRESSED: usize = 1_400;

/// An answer.
pub type Response = http::Response<Vec<u8>>;

/// How a body leaves a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packing {
    /// As a JSON string.
    Text,
    /// In base64.
    Base64,
}

/// How the answer to a query was found, for the log.
#[derive(Clone, Copy, Debug)]
pub struct Plan(pub &'static str);

/// An answer with a JSON body.
///
/// # Errors
/// When the body cannot be written as JSON.
pub fn json(status: StatusCode, body: &impl Serialize) -> Result<Response, ScimError> {
    let body = serde_json::to_vec(body).map_err(ScimError::internal)?;
    let mut response = Response::new(body);
    *response.status_mut() = status;
    set(&mut response, CONTENT_TYPE, MEDIA_TYPE);
    Ok(response)
}

/// An answer without a body.
pub fn empty(status: StatusCode) -> Response {
    let mut response = Response::new(Vec::new());
    *response.status_mut() = status;
    response
}

/// Adds the ETag of a resource's version.
pub fn with_etag(mut response: Response, etag: &str) -> Response {
    set(&mut response, ETAG, etag);
    response
}

/// Adds the URL of the resource that was made.
pub fn with_location(mut response: Response, location: &str) -> Response {
    set(&mut response, LOCATION, location);
    response
}

/// Adds the methods that a path supports (RFC 9110 §10.2.1).
pub fn with_allow(mut response: Response, methods: &[&str]) -> Response {
    set(&mut response, ALLOW, &methods.join(", "));
    response
}

/// The SCIM error message for an error (RFC 7644 §3.12), with the headers that HTTP requires for its status.
pub fn error(error: &ScimError) -> Response {
    let (status, _) = error.kind.status();
    let mut response = Response::new(error.to_json().to_string().into_bytes());
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    set(&mut response, CONTENT_TYPE, MEDIA_TYPE);
    match error.kind {
        ErrorKind::Unauthorized => set(&mut response, WWW_AUTHENTICATE, "Basic realm=\"scim\""),
        ErrorKind::TooManyRequests(seconds) => set(&mut response, RETRY_AFTER, &seconds.to_string()),
        _ => {}
    }
    response
}

/// Compresses the body when it is long enough and the client accepts gzip.
pub fn compress(mut response: Response, accepts_gzip: bool) -> Response {
    if response.body().len() < SHORTEST_COMPRESSED {
        return response;
    }
    set(&mut response, VARY, ACCEPT_ENCODING.as_str());
    if !accepts_gzip {
        return response;
    }
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    // Writing to memory does not fail; if it did, the plain body is as good.
    if encoder.write_all(response.body()).is_ok()
        && let Ok(compressed) = encoder.finish()
    {
        *response.body_mut() = compressed;
        set(&mut response, CONTENT_ENCODING, "gzip");
    }
    response
}

/// How a body leaves a function, inside a JSON document, and how many bytes it takes there: as text, in which quotes
/// and backslashes take two, unless it is no text, or would be too long so and is shorter in base64.
pub fn packed(body: &[u8], is_text: bool) -> (Packing, usize) {
    let as_text = body.len() + body.iter().filter(|byte| matches!(byte, b'"' | b'\\')).count();
    let as_base64 = body.len().div_ceil(3) * 4;
    if is_text && as_text <= MAX_RESPONSE_BYTES.max(as_base64) {
        (Packing::Text, as_text)
    } else {
        (Packing::Base64, as_base64)
    }
}

fn set(response: &mut Response, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_body_of_many_quotes_leaves_in_base64() {
        assert_eq!(packed(b"{\"a\":\"\\\"\"}", true), (Packing::Text, 10 + 6));
        assert_eq!(packed(b"plain text", false), (Packing::Base64, 16));
        let half = MAX_RESPONSE_BYTES / 2;
        assert_eq!(packed(&vec![b'"'; half], true), (Packing::Text, MAX_RESPONSE_BYTES));
        assert_eq!(packed(&vec![b'"'; half + 1], true), (Packing::Base64, (half + 1).div_ceil(3) * 4));
        assert_eq!(
            packed(&vec![b'x'; MAX_RESPONSE_BYTES + 1], true),
            (Packing::Text, MAX_RESPONSE_BYTES + 1)
        );
    }

    #[test]
    fn an_error_says_what_http_asks_it_to_say() {
        let header = |kind, name: &str| {
            error(&ScimError::new(kind, ""))
                .headers()
                .get(name)
                .map(|value| value.to_str().unwrap().to_owned())
        };
        assert_eq!(
            header(ErrorKind::Unauthorized, "www-authenticate").as_deref(),
            Some("Basic realm=\"scim\"")
        );
        assert_eq!(header(ErrorKind::TooManyRequests(2), "retry-after").as_deref(), Some("2"));
        assert_eq!(header(ErrorKind::NotFound, "content-type").as_deref(), Some("application/scim+json"));
    }
}
