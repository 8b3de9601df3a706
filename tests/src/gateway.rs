//! A local substitute for an HTTP API of API Gateway: it finds the route of a request, sends the event to the
//! function and returns the answer. With it, tests send HTTP requests to the same binaries that are deployed.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::connect_info::ConnectInfo;
use axum::extract::{Request, State};
use http::request::Parts;
use http::{Response, StatusCode};
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;
use tokio::task::AbortHandle;
use uuid::Uuid;

use crate::event::{self, Arrival, decoded_path};
use crate::lambda::{Lambda, PAYLOAD_LIMIT};

/// The path template of the route for all requests that no other route matches.
pub const DEFAULT_ROUTE: &str = "$default";

/// The maximum size of a request body, in bytes.
const BODY_LIMIT: usize = 10 * 1024 * 1024;

/// The maximum size of the request line and the headers together, in bytes.
const HEAD_LIMIT: usize = 10_240;

/// A running HTTP API. It and its functions end when it is dropped.
pub struct Gateway {
    address: SocketAddr,
    lambda: Arc<Lambda>,
    server: AbortHandle,
}

impl Gateway {
    /// Serves these routes. Each is a method, a path template such as `/{connector}/scim/v2/Users/{id}`, and
    /// the name of a function. The route with the template [`DEFAULT_ROUTE`] gets every request that no other
    /// route matches.
    ///
    /// # Panics
    /// When no port is free.
    pub async fn start(routes: &[(&str, &str, &str)], lambda: Lambda) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port is free");
        let address = listener.local_addr().expect("the listener has an address");
        let lambda = Arc::new(lambda);
        let api =
            Arc::new(Api { routes: routes.iter().map(Route::new).collect(), lambda: Arc::clone(&lambda) });
        let service = Router::new().fallback(Api::serve).with_state(api);
        let service = service.into_make_service_with_connect_info::<SocketAddr>();
        let server = tokio::spawn(async move {
            axum::serve(listener, service).await.expect("the gateway is served");
        });
        Self { address, lambda, server: server.abort_handle() }
    }

    /// The endpoint URL of a connector on this machine.
    pub fn base_url(&self, connector: &str) -> String {
        format!("http://{}/{connector}/scim/v2", self.address)
    }

    /// The endpoint URL of a connector as the events name it.
    pub fn public_url(&self, connector: &str) -> String {
        format!("https://{}/{connector}/scim/v2", event::DOMAIN)
    }

    /// The functions, for tests that send events directly.
    pub fn lambda(&self) -> &Lambda {
        &self.lambda
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.server.abort();
        self.lambda.end();
    }
}

struct Api {
    routes: Vec<Route>,
    lambda: Arc<Lambda>,
}

impl Api {
    async fn serve(
        State(api): State<Arc<Self>>,
        ConnectInfo(client): ConnectInfo<SocketAddr>,
        request: Request,
    ) -> Response<Body> {
        let (head, body) = request.into_parts();
        if head_size(&head) > HEAD_LIMIT {
            return message(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "Request Header Fields Too Large");
        }
        let Ok(body) = to_bytes(body, BODY_LIMIT).await else {
            return message(StatusCode::PAYLOAD_TOO_LARGE, "Request Entity Too Large");
        };
        let Some((route, path_parameters)) = api.find(head.method.as_str(), &decoded_path(head.uri.path()))
        else {
            return message(StatusCode::NOT_FOUND, "Not Found");
        };
        let arrival = Arrival {
            route_key: route.key(),
            path_parameters,
            source_ip: client.ip(),
            request_id: Uuid::new_v4().to_string(),
            time: Timestamp::now(),
        };
        let event = event::event(&head, &body, &arrival);
        if event.to_string().len() > PAYLOAD_LIMIT {
            return message(StatusCode::PAYLOAD_TOO_LARGE, "Request Entity Too Large");
        }
        let response = match api.lambda.invoke(&route.function, &event).await {
            Ok(answer) => event::response(&answer).ok_or_else(|| format!("not payload format 2.0: {answer}")),
            Err(error) => Err(error.to_string()),
        };
        match response {
            Ok(response) => response.map(Body::from),
            Err(cause) => {
                eprintln!("{} failed at {} {}: {cause}", route.function, head.method, head.uri);
                message(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error")
            }
        }
    }

    /// The route of a request. A template with fewer variables has precedence, and `$default` comes last.
    fn find(&self, method: &str, path: &str) -> Option<(&Route, Map<String, Value>)> {
        let matching =
            self.routes.iter().filter_map(|route| route.matches(method, path).map(|found| (route, found)));
        matching.min_by_key(|(route, parameters)| (route.path == DEFAULT_ROUTE, parameters.len()))
    }
}

struct Route {
    method: String,
    path: String,
    function: String,
}

impl Route {
    fn new((method, path, function): &(&str, &str, &str)) -> Self {
        Self { method: (*method).to_owned(), path: (*path).to_owned(), function: (*function).to_owned() }
    }

    fn key(&self) -> String {
        if self.path == DEFAULT_ROUTE { self.path.clone() } else { format!("{} {}", self.method, self.path) }
    }

    /// The values of the template's variables if the route matches. Segments match one to one, so a trailing
    /// or a double slash makes another path.
    fn matches(&self, method: &str, path: &str) -> Option<Map<String, Value>> {
        if self.path == DEFAULT_ROUTE {
            return Some(Map::new());
        }
        if self.method != method || self.path.split('/').count() != path.split('/').count() {
            return None;
        }
        let mut parameters = Map::new();
        for (expected, segment) in self.path.split('/').zip(path.split('/')) {
            match expected.strip_prefix('{').and_then(|name| name.strip_suffix('}')) {
                Some(name) if !segment.is_empty() => {
                    parameters.insert(name.to_owned(), segment.into());
                }
                None if expected == segment => {}
                _ => return None,
            }
        }
        Some(parameters)
    }
}

fn head_size(head: &Parts) -> usize {
    let line =
        head.method.as_str().len() + head.uri.path_and_query().map_or(0, |target| target.as_str().len());
    let headers: usize = head.headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    line + headers
}

/// An answer of API Gateway itself, which is not a SCIM answer.
fn message(status: StatusCode, message: &str) -> Response<Body> {
    let response = Response::builder().status(status).header("content-type", "application/json");
    response.body(json!({ "message": message }).to_string().into()).expect("the headers are valid")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_is_matched_to_the_most_specific_route() {
        let routes = [
            ("GET", "/{connector}/scim/v2/Users/{id}", "users-get"),
            ("GET", "/{connector}/scim/v2/Users/.search", "users-search"),
            ("POST", "/{connector}/scim/v2/Users", "users-create"),
            ("", DEFAULT_ROUTE, "default"),
        ];
        let api = Api {
            routes: routes.iter().map(Route::new).collect(),
            lambda: Arc::new(Lambda::new(|_| unreachable!("nothing is invoked"))),
        };
        for (method, path, function, key, parameters) in [
            (
                "GET",
                "/okta/scim/v2/Users/1",
                "users-get",
                "GET /{connector}/scim/v2/Users/{id}",
                json!({ "connector": "okta", "id": "1" }),
            ),
            (
                "GET",
                "/okta/scim/v2/Users/.search",
                "users-search",
                "GET /{connector}/scim/v2/Users/.search",
                json!({ "connector": "okta" }),
            ),
            (
                "POST",
                "/okta/scim/v2/Users",
                "users-create",
                "POST /{connector}/scim/v2/Users",
                json!({ "connector": "okta" }),
            ),
            ("POST", "/okta/scim/v2/Users/", "default", "$default", json!({})),
            ("POST", "/okta/scim/v2//Users", "default", "$default", json!({})),
            ("PUT", "/okta/scim/v2/Users", "default", "$default", json!({})),
            ("GET", "//scim/v2/Users/1", "default", "$default", json!({})),
        ] {
            let (route, found) = api.find(method, path).unwrap();
            assert_eq!(
                (route.function.as_str(), route.key().as_str(), Value::from(found)),
                (function, key, parameters),
                "{method} {path}"
            );
        }
    }
}
