//! An example event for a function: what an HTTP API sends it, in payload format 2.0.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Map, Value, json};
use service::routes::Route;
use shared::credential::CredentialScope;

use crate::DEFAULT_ROUTE;

const CONNECTOR: &str = "default";
const ID: &str = "11111111-1111-4111-8111-111111111111";
const DOMAIN: &str = "rollcall000.execute-api.us-east-1.amazonaws.com";
const USER_AGENT: &str = "Okta SCIM Client 1.0.0";
const READER_USER_AGENT: &str = "curl/8.11.1";
/// `make lambda` creates a connector with these credentials for the SCIM API. For the directory API, an operator creates them:
/// `scimctl credential create default --scope directory --username reader --password -`.
const CREDENTIALS: [(CredentialScope, &str); 2] = [
    (CredentialScope::Scim, "okta:correct horse battery staple"),
    (CredentialScope::Directory, "reader:correct horse battery staple"),
];

/// An event for a route, or for the fallback. A request that can have a body has an empty JSON object as its
/// body.
pub fn example(route: Option<&Route>, number: usize) -> Value {
    let key = route
        .map_or_else(|| DEFAULT_ROUTE.to_owned(), |route| format!("{} {}", route.method, route.full_path()));
    let method = route.map_or("GET", |route| route.method);
    let template = route.map_or_else(|| "/{connector}".to_owned(), Route::full_path);
    let path = template.replace("{connector}", CONNECTOR).replace("{id}", ID).replace("{user}", ID);
    let is_scim = route.is_none_or(|route| route.api.scope == CredentialScope::Scim);
    let scope = route.map_or(CredentialScope::Scim, |route| route.api.scope);
    let credentials =
        CREDENTIALS.iter().find(|(of, _)| *of == scope).map_or("", |(_, credentials)| credentials);
    let body = matches!(method, "POST" | "PUT" | "PATCH").then_some("{}");

    let mut headers = Map::new();
    let mut set = |name: &str, value: String| headers.insert(name.to_owned(), value.into());
    set("accept", if is_scim { "application/scim+json" } else { "application/json" }.to_owned());
    set("accept-charset", "utf-8".to_owned());
    set("accept-encoding", "gzip,deflate".to_owned());
    set("authorization", format!("Basic {}", BASE64.encode(credentials)));
    if let Some(body) = body {
        set("content-length", body.len().to_string());
        set("content-type", "application/scim+json; charset=utf-8".to_owned());
    }
    set("host", DOMAIN.to_owned());
    let user_agent = if is_scim { USER_AGENT } else { READER_USER_AGENT };
    set("user-agent", user_agent.to_owned());
    set("x-amzn-trace-id", format!("Root=1-6955b900-{number:024x}"));
    set("x-forwarded-for", "192.0.2.10".to_owned());
    set("x-forwarded-port", "443".to_owned());
    set("x-forwarded-proto", "https".to_owned());

    let mut event = json!({
        "version": "2.0",
        "routeKey": key,
        "rawPath": path,
        "rawQueryString": "",
        "headers": headers,
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "rollcall000",
            "domainName": DOMAIN,
            "domainPrefix": "rollcall000",
            "http": {
                "method": method,
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": "192.0.2.10",
                "userAgent": user_agent,
            },
            "requestId": format!("rollcall{number:07}="),
            "routeKey": key,
            "stage": "$default",
            "time": "01/Jan/2026:00:00:00 +0000",
            "timeEpoch": 1_767_225_600_000_i64,
        },
    });
    if let Some(event) = event.as_object_mut() {
        if route.is_some() {
            let mut parameters = Map::from_iter([("connector".to_owned(), CONNECTOR.into())]);
            for name in ["id", "user"].into_iter().filter(|name| template.contains(&format!("{{{name}}}"))) {
                parameters.insert(name.to_owned(), ID.into());
            }
            event.insert("pathParameters".to_owned(), parameters.into());
        }
        if let Some(body) = body {
            event.insert("body".to_owned(), BASE64.encode(body).into());
        }
        event.insert("isBase64Encoded".to_owned(), body.is_some().into());
    }
    event
}

#[cfg(test)]
mod tests {
    use service::routes::ROUTES;

    use super::*;

    /// The events in the repository that have neither a query nor a body are what this module writes.
    #[test]
    fn an_example_is_like_the_events_in_the_repository() {
        for (function, number) in [("schemas-list", 20), ("users-delete", 6)] {
            let path = format!("{}/../../events/{function}.json", env!("CARGO_MANIFEST_DIR"));
            let route = ROUTES.iter().find(|route| route.function == function);
            let expected = std::fs::read_to_string(path).unwrap();
            assert_eq!(format!("{:#}\n", example(route, number)), expected);
        }
    }

    #[test]
    fn a_request_that_can_have_a_body_has_one() {
        let route = ROUTES.iter().find(|route| route.function == "users-create");
        let event = example(route, 1);
        assert_eq!((&event["body"], &event["isBase64Encoded"]), (&json!("e30="), &json!(true)));
        assert_eq!(event["headers"]["content-length"], "2");
    }
}
