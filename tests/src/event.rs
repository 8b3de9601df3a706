//! Converts an HTTP request to an event of API Gateway (HTTP API, payload format 2.0), and the function's
//! answer to an HTTP response. These are pure functions without I/O or a clock.
//!
//! They also do what is easily forgotten: bodies of `application/scim+json` become base64, `rawPath` is
//! decoded, `rawQueryString` is not decoded, and `WWW-Authenticate` is renamed.

use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, COOKIE, HOST, SET_COOKIE, USER_AGENT, WWW_AUTHENTICATE};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Response};
use jiff::Timestamp;
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value, json};

/// The domain in every event. The Host header does not change it.
pub const DOMAIN: &str = "abcdef1234.execute-api.eu-central-1.amazonaws.com";

/// What API Gateway knows besides the request.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// The key of the route: `METHOD /template` or `$default`.
    pub route_key: String,
    /// The values of the variables in the route's template.
    pub path_parameters: Map<String, Value>,
    /// The client's address.
    pub source_ip: IpAddr,
    /// The id of the request.
    pub request_id: String,
    /// The time of the request.
    pub time: Timestamp,
}

/// The percent-decoded path. Routes are matched against it, and `rawPath` contains it.
pub fn decoded_path(path: &str) -> String {
    percent_decode_str(path).decode_utf8_lossy().into_owned()
}

/// The event of a request.
pub fn event(request: &Parts, body: &[u8], arrival: &Arrival) -> Value {
    let path = decoded_path(request.uri.path());
    let query = request.uri.query().unwrap_or_default();
    let mut event = json!({
        "version": "2.0",
        "routeKey": arrival.route_key,
        "rawPath": path,
        "rawQueryString": query,
        "headers": joined_headers(&request.headers, arrival.source_ip),
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "abcdef1234",
            "domainName": DOMAIN,
            "domainPrefix": "abcdef1234",
            "http": {
                "method": request.method.as_str(),
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": arrival.source_ip.to_string(),
                "userAgent": request.headers.get(USER_AGENT).map(text).unwrap_or_default(),
            },
            "requestId": arrival.request_id,
            "routeKey": arrival.route_key,
            "stage": "$default",
            "time": arrival.time.strftime("%d/%b/%Y:%H:%M:%S +0000").to_string(),
            "timeEpoch": arrival.time.as_millisecond(),
        },
        "isBase64Encoded": false,
    });
    let cookies = cookies(&request.headers);
    if !cookies.is_empty() {
        event["cookies"] = cookies.into();
    }
    if !query.is_empty() {
        event["queryStringParameters"] = query_parameters(query).into();
    }
    if !arrival.path_parameters.is_empty() {
        event["pathParameters"] = arrival.path_parameters.clone().into();
    }
    if !body.is_empty() {
        let is_text = request.headers.get(CONTENT_TYPE).is_some_and(|value| is_text(&text(value)));
        event["isBase64Encoded"] = (!is_text).into();
        event["body"] =
            if is_text { String::from_utf8_lossy(body).into() } else { BASE64.encode(body).into() };
    }
    event
}

/// Whether a body of this media type stays text in the event. A body of SCIM's media type does not.
fn is_text(content_type: &str) -> bool {
    let media_type = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    media_type.starts_with("text/")
        || ["application/json", "application/javascript", "application/xml"].contains(&media_type.as_str())
}

/// Headers with lower-case names. The values of repeated headers are joined by commas, and API Gateway adds
/// some headers.
fn joined_headers(headers: &HeaderMap, source_ip: IpAddr) -> Map<String, Value> {
    let mut joined = Map::new();
    for name in headers.keys().filter(|name| *name != COOKIE) {
        let values: Vec<String> = headers.get_all(name).iter().map(text).collect();
        joined.insert(name.to_string(), values.join(",").into());
    }
    joined.entry(HOST.as_str()).or_insert_with(|| DOMAIN.into());
    joined.insert("x-forwarded-for".into(), source_ip.to_string().into());
    joined.insert("x-forwarded-port".into(), "443".into());
    joined.insert("x-forwarded-proto".into(), "https".into());
    joined
}

fn cookies(headers: &HeaderMap) -> Vec<String> {
    let cookies = headers.get_all(COOKIE).iter().map(text);
    cookies.flat_map(|line| line.split("; ").map(str::to_owned).collect::<Vec<_>>()).collect()
}

/// Decoded parameters. The values of repeated parameters are joined by commas. This is ambiguous, so
/// functions read `rawQueryString` instead.
fn query_parameters(query: &str) -> Map<String, Value> {
    let decode = |text: &str| percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned();
    let mut parameters = Map::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let value = match parameters.get(&decode(name)).and_then(Value::as_str) {
            Some(earlier) => format!("{earlier},{}", decode(value)),
            None => decode(value),
        };
        parameters.insert(decode(name), value.into());
    }
    parameters
}

fn text(value: &HeaderValue) -> String {
    String::from_utf8_lossy(value.as_bytes()).into_owned()
}

/// The HTTP response for a function's answer, or `None` when the answer does not have payload format 2.0.
pub fn response(answer: &Value) -> Option<Response<Bytes>> {
    let Some(status) = answer.get("statusCode") else {
        // For API Gateway, an answer without a status code is the body of a 200.
        let response = Response::builder().header(CONTENT_TYPE, "application/json");
        return response.body(answer.to_string().into()).ok();
    };
    let mut response = Response::builder().status(u16::try_from(status.as_u64()?).ok()?);
    let headers = response.headers_mut()?;
    for (name, value) in answer.get("headers").and_then(Value::as_object).into_iter().flatten() {
        let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
        headers.append(renamed(name), HeaderValue::from_str(value.as_str()?).ok()?);
    }
    for cookie in answer.get("cookies").and_then(Value::as_array).into_iter().flatten() {
        headers.append(SET_COOKIE, HeaderValue::from_str(cookie.as_str()?).ok()?);
    }
    let body = answer.get("body").and_then(Value::as_str).unwrap_or_default();
    let body = match answer.get("isBase64Encoded").and_then(Value::as_bool) {
        Some(true) => BASE64.decode(body).ok()?.into(),
        _ => Bytes::from(body.to_owned()),
    };
    if !body.is_empty() {
        headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static("text/plain; charset=utf-8"));
    }
    response.body(body).ok()
}

/// API Gateway renames `WWW-Authenticate`.
fn renamed(name: HeaderName) -> HeaderName {
    if name == WWW_AUTHENTICATE { HeaderName::from_static("x-amzn-remapped-www-authenticate") } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event_of(method: &str, target: &str, headers: &[(&str, &str)], body: &str) -> Value {
        let mut request = http::Request::builder().method(method).uri(target);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let arrival = Arrival {
            route_key: "POST /{connector}/scim/v2/Users".into(),
            path_parameters: Map::from_iter([("connector".to_owned(), "okta".into())]),
            source_ip: "192.0.2.1".parse().unwrap(),
            request_id: "request-1".into(),
            time: "2026-03-12T19:03:58.123Z".parse().unwrap(),
        };
        event(&request.body(()).unwrap().into_parts().0, body.as_bytes(), &arrival)
    }

    #[test]
    fn event_has_every_field_of_payload_format_2_0() {
        let headers = [
            ("Host", "scim.example"),
            ("User-Agent", "a client"),
            ("X-Twice", "1"),
            ("X-Twice", "2"),
            ("Cookie", "a=1; b=2"),
            ("Content-Type", "application/scim+json"),
        ];
        let event = event_of("POST", "/okta/scim/v2/Users?a=1&a=%40+b&c", &headers, "{}");
        assert_eq!(
            event,
            json!({
                "version": "2.0",
                "routeKey": "POST /{connector}/scim/v2/Users",
                "rawPath": "/okta/scim/v2/Users",
                "rawQueryString": "a=1&a=%40+b&c",
                "cookies": ["a=1", "b=2"],
                "headers": {
                    "host": "scim.example",
                    "user-agent": "a client",
                    "x-twice": "1,2",
                    "content-type": "application/scim+json",
                    "x-forwarded-for": "192.0.2.1",
                    "x-forwarded-port": "443",
                    "x-forwarded-proto": "https"
                },
                "queryStringParameters": { "a": "1,@ b", "c": "" },
                "requestContext": {
                    "accountId": "123456789012",
                    "apiId": "abcdef1234",
                    "domainName": "abcdef1234.execute-api.eu-central-1.amazonaws.com",
                    "domainPrefix": "abcdef1234",
                    "http": {
                        "method": "POST",
                        "path": "/okta/scim/v2/Users",
                        "protocol": "HTTP/1.1",
                        "sourceIp": "192.0.2.1",
                        "userAgent": "a client"
                    },
                    "requestId": "request-1",
                    "routeKey": "POST /{connector}/scim/v2/Users",
                    "stage": "$default",
                    "time": "12/Mar/2026:19:03:58 +0000",
                    "timeEpoch": 1773342238123_i64
                },
                "pathParameters": { "connector": "okta" },
                "body": "e30=",
                "isBase64Encoded": true
            })
        );
    }

    #[test]
    fn media_type_decides_between_text_and_base64() {
        for (content_type, base64) in [
            ("application/scim+json", true),
            ("application/scim+json; charset=utf-8", true),
            ("application/octet-stream", true),
            ("application/json", false),
            ("Application/JSON; charset=utf-8", false),
            ("application/xml", false),
            ("text/plain", false),
        ] {
            let event = event_of("POST", "/", &[("content-type", content_type)], "{}");
            assert_eq!(event["isBase64Encoded"], base64, "{content_type}");
            assert_eq!(event["body"], if base64 { "e30=" } else { "{}" }, "{content_type}");
        }
        assert_eq!(event_of("POST", "/", &[], "{}")["isBase64Encoded"], true);
    }

    #[test]
    fn absent_parts_of_a_request_are_absent_in_the_event() {
        let event = event_of("GET", "/Users", &[], "");
        for name in ["body", "cookies", "queryStringParameters"] {
            assert_eq!(event.get(name), None, "{name}");
        }
        assert_eq!((&event["rawQueryString"], &event["isBase64Encoded"]), (&json!(""), &json!(false)));
    }

    #[test]
    fn path_is_decoded_and_query_is_not() {
        let event = event_of("GET", "/okta//Users/a%2Fb%20c/?filter=a%20eq%20%22b%22&", &[], "");
        assert_eq!(event["rawPath"], "/okta//Users/a/b c/");
        assert_eq!(event["rawQueryString"], "filter=a%20eq%20%22b%22&");
    }

    #[test]
    fn answer_becomes_a_response() {
        let answer = json!({
            "statusCode": 401,
            "headers": { "WWW-Authenticate": "Basic realm=\"scim\"", "content-type": "application/scim+json" },
            "multiValueHeaders": { "ignored": ["by HTTP API"] },
            "cookies": ["a=1", "b=2"],
            "body": "e30=",
            "isBase64Encoded": true
        });
        let response = response(&answer).unwrap();
        assert_eq!(response.status(), 401);
        assert_eq!(response.body().as_ref(), b"{}");
        let headers = response.headers();
        assert_eq!(headers.get("www-authenticate"), None);
        assert_eq!(headers["x-amzn-remapped-www-authenticate"], "Basic realm=\"scim\"");
        assert_eq!(headers["content-type"], "application/scim+json");
        assert_eq!(headers.get_all("set-cookie").iter().count(), 2);
        assert!(!headers.contains_key("ignored"));
    }

    #[test]
    fn answer_without_a_status_code_becomes_the_body_of_a_200() {
        let response = response(&json!({ "hello": "there" })).unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "application/json");
        assert_eq!(response.body().as_ref(), br#"{"hello":"there"}"#);
    }

    #[test]
    fn malformed_answer_gives_no_response() {
        for answer in [
            json!({ "statusCode": "200" }),
            json!({ "statusCode": 200, "headers": { "a": 1 } }),
            json!({ "statusCode": 200, "body": "!", "isBase64Encoded": true }),
        ] {
            assert!(response(&answer).is_none(), "{answer}");
        }
    }
}
