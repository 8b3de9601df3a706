//! A request as the handlers see it, wherever it came from.

use std::net::IpAddr;

use http::header::ACCEPT_ENCODING;
use http::{HeaderMap, Method};
use percent_encoding::percent_decode_str;
use tokio::time::Instant;

/// A request, read from a socket or from an event.
#[derive(Clone, Debug)]
pub struct Request {
    /// What the log calls it.
    pub id: String,
    /// The method.
    pub method: Method,
    /// The segments of the path, decoded. Empty ones are left out: some clients double slashes, or end with one.
    pub path: Vec<String>,
    /// The parameters of the query, decoded.
    pub query: Vec<(String, String)>,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Vec<u8>,
    /// The scheme and authority that the service provider is known by: `https://scim.example.com`.
    pub origin: String,
    /// When it must be answered.
    pub deadline: Instant,
    /// Where it came from, as the network knows it.
    pub address: Option<IpAddr>,
}

impl Request {
    /// A header's value, if it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The values of a header that is a list, one behind the other however many lines they came in (RFC 9110 §5.3).
    pub fn list(&self, name: &str) -> Option<String> {
        let lines: Vec<&str> =
            self.headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect();
        (!lines.is_empty()).then(|| lines.join(", "))
    }

    /// A request that is a part of this one: of the same client, until the same time, and otherwise empty.
    pub fn part(&self, method: Method) -> Self {
        Self {
            id: self.id.clone(),
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

    /// Whether the client takes its answer compressed.
    pub fn accepts_gzip(&self) -> bool {
        let header = self.list(ACCEPT_ENCODING.as_str()).unwrap_or_default();
        let is_accepted = |coding: &str| {
            let mut parts =
                header.split(',').map(|part| part.split(';').map(str::trim)).find_map(|mut part| {
                    part.next().filter(|name| name.eq_ignore_ascii_case(coding)).map(|_| part)
                })?;
            Some(!parts.any(|weight| matches!(weight, "q=0" | "q=0.0" | "q=0.00" | "q=0.000")))
        };
        // RFC 9110 §12.5.3: the asterisk stands for what is not named.
        is_accepted("gzip").or_else(|| is_accepted("*")).unwrap_or(false)
    }
}

/// The segments of a path that is still percent-encoded.
pub fn encoded_segments(path: &str) -> Vec<String> {
    path.split('/').filter(|segment| !segment.is_empty()).map(decode).collect()
}

/// The segments of a path that was decoded already.
pub fn decoded_segments(path: &str) -> Vec<String> {
    path.split('/').filter(|segment| !segment.is_empty()).map(str::to_owned).collect()
}

/// The parameters of a query that is still percent-encoded, in which a plus is a space.
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
    fn empty_segments_are_left_out_and_the_others_decoded() {
        assert_eq!(
            encoded_segments("//default/scim/v2//Users/a%2Fb/"),
            ["default", "scim", "v2", "Users", "a/b"]
        );
        assert_eq!(decoded_segments("/default/a%2Fb"), ["default", "a%2Fb"]);
        assert_eq!(encoded_segments("/"), [""; 0]);
    }

    #[test]
    fn gzip_is_used_where_it_is_accepted() {
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
    fn a_query_is_decoded_once_and_a_plus_is_a_space() {
        let parameters = parameters("filter=userName+eq%20%22a%2Bb%40c%22&&count=5&flag&x=%25&");
        let expected = [("filter", "userName eq \"a+b@c\""), ("count", "5"), ("flag", ""), ("x", "%")];
        assert_eq!(parameters, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }
}
