//! A request as handlers see it, whether it came from a socket or from a Lambda event.

use std::net::IpAddr;

use http::header::ACCEPT_ENCODING;
use http::{HeaderMap, Method};
use percent_encoding::percent_decode_str;
use tokio::time::Instant;

use crate::trace::TraceId;

/// An HTTP request.
#[derive(Clone, Debug)]
pub struct Request {
    /// The id of the request in the log.
    pub id: String,
    /// The trace that it belongs to.
    pub trace: Option<TraceId>,
    /// The method.
    pub method: Method,
    /// The segments of the path, decoded. Empty segments are omitted, because some clients double slashes or
    /// add one at the end.
    pub path: Vec<String>,
    /// The parameters of the query, decoded.
    pub query: Vec<(String, String)>,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Vec<u8>,
    /// The scheme and authority of the service provider's URLs: `https://scim.example.com`.
    pub origin: String,
    /// When the response must be ready.
    pub deadline: Instant,
    /// The address of the client, from the connection and not from a header. `None` if it is unknown.
    pub address: Option<IpAddr>,
}

impl Request {
    /// The value of a header. `None` if it is missing or not text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The value of a header that is a list. If it has several lines, they are joined (RFC 9110 §5.3). `None`
    /// if it is missing.
    pub fn list(&self, name: &str) -> Option<String> {
        let lines: Vec<&str> =
            self.headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect();
        (!lines.is_empty()).then(|| lines.join(", "))
    }

    /// Creates a request of the same client with the same deadline, and with no path, query, headers or body.
    /// Each operation of a Bulk request is one.
    pub fn part(&self, method: Method) -> Self {
        Self {
            id: self.id.clone(),
            trace: self.trace.clone(),
            method,
            path: Vec::new(),
            query: Vec::new(),
            headers: HeaderMap::new(),
            body: Vec::new(),
            origin: self.origin.clone(),
            deadline: self.deadline,
            address: self.address,
        }
    }

    /// Whether the client accepts a response that is compressed with gzip.
    pub fn accepts_gzip(&self) -> bool {
        let header = self.list(ACCEPT_ENCODING.as_str()).unwrap_or_default();
        let is_accepted = |coding: &str| {
            let mut parts =
                header.split(',').map(|part| part.split(';').map(str::trim)).find_map(|mut part| {
                    part.next().filter(|name| name.eq_ignore_ascii_case(coding)).map(|_| part)
                })?;
            Some(!parts.any(|weight| matches!(weight, "q=0" | "q=0.0" | "q=0.00" | "q=0.000")))
        };
        // RFC 9110 §12.5.3: `*` matches every coding that the header does not name.
        is_accepted("gzip").or_else(|| is_accepted("*")).unwrap_or(false)
    }
}

/// Splits a percent-encoded path into decoded segments, and omits empty ones.
pub fn encoded_segments(path: &str) -> Vec<String> {
    path.split('/').filter(|segment| !segment.is_empty()).map(decode).collect()
}

/// Splits a decoded path into segments, and omits empty ones.
pub fn decoded_segments(path: &str) -> Vec<String> {
    path.split('/').filter(|segment| !segment.is_empty()).map(str::to_owned).collect()
}

/// Splits a percent-encoded query into decoded parameters. A plus sign is a space.
pub fn parameters(query: &str) -> Vec<(String, String)> {
    let decode = |text: &str| decode(&text.replace('+', " "));
    let parameters = query.split('&').filter(|parameter| !parameter.is_empty());
    parameters
        .map(|parameter| {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            (decode(name), decode(value))
        })
        .collect()
}

fn decode(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_segments_are_omitted_and_the_others_decoded() {
        assert_eq!(
            encoded_segments("//default/scim/v2//Users/a%2Fb/"),
            ["default", "scim", "v2", "Users", "a/b"]
        );
        assert_eq!(decoded_segments("/default/a%2Fb"), ["default", "a%2Fb"]);
        assert_eq!(encoded_segments("/"), [""; 0]);
    }

    #[test]
    fn gzip_is_accepted_by_name_or_wildcard_unless_its_weight_is_zero() {
        for (header, expected) in [
            ("gzip,deflate", true),
            ("deflate, gzip;q=0.5", true),
            ("*", true),
            ("gzip;q=0", false),
            ("gzip;q=0, *", false),
            ("*;q=0, gzip", true),
            ("identity", false),
            ("", false),
        ] {
            let request = Request {
                id: String::new(),
                trace: None,
                method: Method::GET,
                path: Vec::new(),
                query: Vec::new(),
                headers: HeaderMap::from_iter([(ACCEPT_ENCODING, header.parse().unwrap())]),
                body: Vec::new(),
                origin: String::new(),
                deadline: Instant::now(),
                address: None,
            };
            assert_eq!(request.accepts_gzip(), expected, "{header}");
        }
    }

    #[test]
    fn query_is_decoded_once_and_plus_is_a_space() {
        let parameters = parameters("filter=userName+eq%20%22a%2Bb%40c%22&&count=5&flag&x=%25&");
        let expected = [("filter", "userName eq \"a+b@c\""), ("count", "5"), ("flag", ""), ("x", "%")];
        assert_eq!(parameters, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }
}
