//! Responses: media type, Location, ETag, Allow, compression, and SCIM error messages.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use http::header::{
    ACCEPT_ENCODING, ALLOW, CONTENT_ENCODING, CONTENT_TYPE, ETAG, HeaderName, LOCATION, RETRY_AFTER, VARY,
    WWW_AUTHENTICATE,
};
use http::{HeaderValue, StatusCode};
use serde::Serialize;
use shared::error::{ErrorKind, Schemes, ScimError};

use crate::api::{Api, SCIM};

/// The media type of every body of the SCIM API (RFC 7644 §3.1).
pub const MEDIA_TYPE: &str = "application/scim+json";

/// The largest body in a Lambda function's response, in bytes: Lambda's limit of 6 MiB, less room for status
/// and headers.
pub const MAX_RESPONSE_BYTES: usize = 6 * 1024 * 1024 - 64 * 1024;

/// The most bytes of the resources on a page. A page ends before it is larger than this, which leaves room for the escaping
/// of a JSON string in Lambda's response.
pub const MAX_PAGE_BYTES: usize = 4_500_000;

/// The smallest body that is compressed, in bytes. A smaller one fits in one network packet anyway.
const MIN_COMPRESSED_BYTES: usize = 1_400;

/// A response with its whole body.
pub type Response = http::Response<Vec<u8>>;

/// How a body is written into the JSON document that a Lambda function returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packing {
    /// As a JSON string.
    Text,
    /// As a JSON string in base64.
    Base64,
}

/// How a query found its results. It is an extension of the response, for the log.
#[derive(Clone, Copy, Debug)]
pub struct Plan(pub &'static str);

/// Creates a response with a JSON body.
///
/// # Errors
/// If the body cannot be written as JSON.
pub fn json(status: StatusCode, body: &impl Serialize) -> Result<Response, ScimError> {
    json_of(MEDIA_TYPE, status, body)
}

/// Creates a response with a JSON body of this media type.
///
/// # Errors
/// If the body cannot be written as JSON.
pub fn json_of(
    media_type: &'static str,
    status: StatusCode,
    body: &impl Serialize,
) -> Result<Response, ScimError> {
    let body = serde_json::to_vec(body).map_err(ScimError::internal)?;
    let mut response = Response::new(body);
    *response.status_mut() = status;
    set(&mut response, CONTENT_TYPE, media_type);
    Ok(response)
}

/// Creates a response without a body.
pub fn empty(status: StatusCode) -> Response {
    let mut response = Response::new(Vec::new());
    *response.status_mut() = status;
    response
}

/// Adds the ETag header.
pub fn with_etag(mut response: Response, etag: &str) -> Response {
    set(&mut response, ETAG, etag);
    response
}

/// Adds the Location header: the URL of the resource in the response.
pub fn with_location(mut response: Response, location: &str) -> Response {
    set(&mut response, LOCATION, location);
    response
}

/// Adds the Allow header: the methods that the path supports (RFC 9110 §10.2.1).
pub fn with_allow(mut response: Response, methods: &[&str]) -> Response {
    set(&mut response, ALLOW, &methods.join(", "));
    response
}

/// The error for a resource that fits into no response.
pub fn too_large() -> ScimError {
    ScimError::new(
        ErrorKind::TooMany,
        format!(
            "The resource is larger than {MAX_PAGE_BYTES} bytes, the maximum of a response; ask with \
             excludedAttributes=members"
        ),
    )
}

/// Creates the SCIM error message for an error (RFC 7644 §3.12), with the headers that HTTP requires for its
/// status, but not Allow: the error does not know the methods of its path.
pub fn error(error: &ScimError) -> Response {
    error_with_body(error, SCIM, MEDIA_TYPE, error.to_json().to_string())
}

/// Creates the response of an API for an error with this body, as [`error`] does.
pub(crate) fn error_with_body(error: &ScimError, api: Api, media_type: &str, body: String) -> Response {
    let mut response = Response::new(body.into_bytes());
    *response.status_mut() = status(error);
    set(&mut response, CONTENT_TYPE, media_type);
    match error.kind {
        ErrorKind::Unauthorized(schemes) => {
            set(&mut response, WWW_AUTHENTICATE, &challenges(schemes, api.scope.name()));
        }
        ErrorKind::UnsupportedMediaType => set(&mut response, ACCEPT_ENCODING, "identity"),
        ErrorKind::TooManyRequests(seconds) => set(&mut response, RETRY_AFTER, &seconds.to_string()),
        _ => {}
    }
    response
}

/// The HTTP status of an error.
pub(crate) fn status(error: &ScimError) -> StatusCode {
    StatusCode::from_u16(error.kind.status().0).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// Returns one challenge for each scheme (RFC 9110 §11.6.1).
fn challenges(schemes: Schemes, realm: &str) -> String {
    let names = [("Basic", schemes.basic), ("Bearer", schemes.bearer || schemes.oauth)];
    let challenge = |(name, is_usable): (&str, bool)| is_usable.then(|| format!("{name} realm=\"{realm}\""));
    names.into_iter().filter_map(challenge).collect::<Vec<_>>().join(", ")
}

/// Compresses the body if it is large enough and the client accepts gzip.
pub fn compress(mut response: Response, accepts_gzip: bool) -> Response {
    if response.body().len() < MIN_COMPRESSED_BYTES {
        return response;
    }
    set(&mut response, VARY, ACCEPT_ENCODING.as_str());
    if !accepts_gzip {
        return response;
    }
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    // Writing to memory does not fail. If it did, the response would keep its uncompressed body.
    if encoder.write_all(response.body()).is_ok()
        && let Ok(compressed) = encoder.finish()
    {
        *response.body_mut() = compressed;
        set(&mut response, CONTENT_ENCODING, "gzip");
    }
    response
}

/// Decides how a body is written into the JSON document that a Lambda function returns, and how many bytes it
/// takes there. A body is written as text, where each quote and backslash takes two bytes. It is written in
/// base64 if it is not text, or if it would be too large as text and is smaller in base64.
pub fn packed(body: &[u8], is_text: bool) -> (Packing, usize) {
    let as_text = body.len() + body.iter().filter(|byte| matches!(byte, b'"' | b'\\')).count();
    let as_base64 = body.len().div_ceil(3) * 4;
    if is_text && as_text <= MAX_RESPONSE_BYTES.max(as_base64) {
        (Packing::Text, as_text)
    } else {
        (Packing::Base64, as_base64)
    }
}

/// Sets the id of the request, which the log and the request trail have too, in the header `x-request-id`.
pub fn with_request_id(mut response: Response, id: &str) -> Response {
    set(&mut response, HeaderName::from_static("x-request-id"), id);
    response
}

/// Sets a header.
pub(crate) fn set(response: &mut Response, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_body_with_many_quotes_is_packed_as_base64() {
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
    fn error_has_the_headers_of_its_status() {
        let header = |kind, name: &str| {
            error(&ScimError::new(kind, ""))
                .headers()
                .get(name)
                .map(|value| value.to_str().unwrap().to_owned())
        };
        for (basic, bearer, oauth, expected) in [
            (true, false, false, "Basic realm=\"scim\""),
            (false, true, false, "Bearer realm=\"scim\""),
            (false, false, true, "Bearer realm=\"scim\""),
            (true, true, true, "Basic realm=\"scim\", Bearer realm=\"scim\""),
        ] {
            let kind = ErrorKind::Unauthorized(Schemes { basic, bearer, oauth });
            assert_eq!(header(kind, "www-authenticate").as_deref(), Some(expected));
        }
        assert_eq!(header(ErrorKind::TooManyRequests(2), "retry-after").as_deref(), Some("2"));
        assert_eq!(header(ErrorKind::NotFound, "content-type").as_deref(), Some("application/scim+json"));
    }
}
