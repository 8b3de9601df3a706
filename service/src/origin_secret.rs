//! The origin secret: a proxy before the service, such as CloudFront, sends it with every request. So clients cannot
//! avoid the proxy by calling the API's own address.

use std::fmt;

use sha2::{Digest, Sha256};
use shared::error::{ErrorKind, ScimError};
use subtle::{Choice, ConstantTimeEq as _};

use crate::request::Request;

/// The header with the secret.
pub const ORIGIN_SECRET_HEADER: &str = "x-origin-secret";

/// The values of the origin secret, as hashes. A request must have one of them.
#[derive(Clone)]
pub struct OriginSecret(Vec<[u8; 32]>);

impl OriginSecret {
    /// Reads the accepted values, separated by commas. Several are needed while the secret is changed. If there are none,
    /// every request is refused.
    pub fn parse(text: &str) -> Self {
        Self(text.split(',').map(str::trim).filter(|value| !value.is_empty()).map(hash).collect())
    }

    /// Checks the header of a request. The time that this takes does not depend on the values of the secret.
    ///
    /// # Errors
    /// 403 if the header is missing or has another value.
    pub fn check(&self, request: &Request) -> Result<(), ScimError> {
        let presented = hash(request.header(ORIGIN_SECRET_HEADER).unwrap_or_default());
        let is_one = |found: Choice, value: &[u8; 32]| found | presented.ct_eq(value);
        if bool::from(self.0.iter().fold(Choice::from(0), is_one)) {
            return Ok(());
        }
        Err(ScimError::new(
            ErrorKind::Forbidden,
            format!(
                "The header {ORIGIN_SECRET_HEADER} is missing or wrong. Send requests to the endpoint URL of the \
                 connector, not to the address of the API itself"
            ),
        ))
    }
}

impl fmt::Debug for OriginSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OriginSecret")
    }
}

/// Hashes of equal length hide the length of the secret.
fn hash(value: &str) -> [u8; 32] {
    Sha256::digest(value).into()
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderName, Method};
    use tokio::time::Instant;

    use super::*;

    #[test]
    fn request_needs_one_of_the_values() {
        for (secret, header, expected) in [
            ("one", Some("one"), true),
            ("one,two", Some("one"), true),
            ("one, two", Some("two"), true),
            ("one,two", Some("one,two"), false),
            ("one,two", Some("three"), false),
            ("one", Some("on"), false),
            ("one", Some("One"), false),
            ("one", Some(""), false),
            ("one", None, false),
            // Text without a value: nothing can match, not even an empty header.
            (",", Some(""), false),
            (",", None, false),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(value) = header {
                headers.insert(HeaderName::from_static(ORIGIN_SECRET_HEADER), value.parse().unwrap());
            }
            let request = Request {
                id: String::new(),
                method: Method::GET,
                path: Vec::new(),
                query: Vec::new(),
                headers,
                body: Vec::new(),
                origin: String::new(),
                deadline: Instant::now(),
                address: None,
                trace: None,
            };
            let result = OriginSecret::parse(secret).check(&request);
            assert_eq!(result.is_ok(), expected, "{secret} {header:?}");
        }
    }

    #[test]
    fn debug_output_has_no_value() {
        assert_eq!(format!("{:?}", OriginSecret::parse("one")), "OriginSecret");
    }
}
