//! The route table: which binary answers which method and path. `template.yaml`, the router of `cargo lambda watch`,
//! `src/bin` and `events/` say the same; a test holds them to this.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use http::Method;
use shared::error::{ErrorKind, ScimError};

use crate::response::Response;
use crate::scim::{bulk, discovery, groups, search, users};
use crate::service::{Call, Handler};

/// One route.
#[derive(Clone, Copy, Debug)]
pub struct Route {
    /// The method.
    pub method: &'static str,
    /// The path behind the endpoint URL; `{id}` stands for any one segment.
    pub path: &'static str,
    /// The binary.
    pub function: &'static str,
    /// What answers.
    pub handler: Handler,
}

/// The binary for everything that no route answers, and for every spelling that API Gateway does not match: trailing
/// and doubled slashes, HEAD. It reaches all routes.
pub const FALLBACK: &str = "fallback";

const fn route(method: &'static str, path: &'static str, function: &'static str, handler: Handler) -> Route {
    Route { method, path, function, handler }
}

/// All routes (RFC 7644 §3.2).
pub const ROUTES: &[Route] = &[
    route("GET", "/Users", "users-list", users::list),
    route("POST", "/Users", "users-create", users::create),
    route("POST", "/Users/.search", "users-search", search::users),
    route("GET", "/Users/{id}", "users-get", users::get),
    route("PUT", "/Users/{id}", "users-replace", users::replace),
    route("PATCH", "/Users/{id}", "users-patch", users::patch),
    route("DELETE", "/Users/{id}", "users-delete", users::delete),
    route("GET", "/Groups", "groups-list", groups::list),
    route("POST", "/Groups", "groups-create", groups::create),
    route("POST", "/Groups/.search", "groups-search", search::groups),
    route("GET", "/Groups/{id}", "groups-get", groups::get),
    route("PUT", "/Groups/{id}", "groups-replace", groups::replace),
    route("PATCH", "/Groups/{id}", "groups-patch", groups::patch),
    route("DELETE", "/Groups/{id}", "groups-delete", groups::delete),
    route("GET", "", "root-search", search::root),
    route("POST", "/.search", "root-search", search::root),
    route("POST", "/Bulk", "bulk-process", bulk::process),
    route("GET", "/ServiceProviderConfig", "service-provider-config-get", discovery::service_provider_config),
    route("GET", "/ResourceTypes", "resource-types-list", discovery::resource_types),
    route("GET", "/ResourceTypes/{id}", "resource-types-get", discovery::resource_type),
    route("GET", "/Schemas", "schemas-list", discovery::schemas),
    route("GET", "/Schemas/{id}", "schemas-get", discovery::schema),
];

/// Answers any request: by its route, or by saying why there is none.
pub fn fallback(call: Arc<Call>) -> BoxFuture<'static, Result<Response, ScimError>> {
    match find(&call.request.method, &call.path) {
        Ok(route) => (route.handler)(call),
        Err(error) => Box::pin(async move { Err(error) }),
    }
}

/// The route of a method and of the path behind the endpoint URL. HEAD is where GET is (RFC 9110 §9.3.2).
///
/// # Errors
/// 404; 405 with the methods that there are; 501 for /Me (RFC 7644 §3.11).
pub fn find(method: &Method, path: &[String]) -> Result<&'static Route, ScimError> {
    let method = if method == Method::HEAD { "GET" } else { method.as_str() };
    let here: Vec<&Route> = ROUTES.iter().filter(|route| matches(route.path, path)).collect();
    if let Some(route) = here.iter().find(|route| route.method == method) {
        return Ok(route);
    }
    let shown = format!("/{}", path.join("/"));
    if path.first().is_some_and(|first| first == "Me") {
        return Err(ScimError::new(
            ErrorKind::NotImplemented,
            "/Me is not implemented: a connector is not a user",
        ));
    }
    if here.is_empty() {
        return Err(ScimError::new(ErrorKind::NotFound, format!("There is no endpoint {shown}")));
    }
    let allowed = allowed(&here);
    let detail = format!("{shown} takes {allowed}, and not {method}");
    Err(ScimError::new(ErrorKind::MethodNotAllowed(allowed), detail))
}

/// The Allow header for the routes of one path.
fn allowed(here: &[&Route]) -> &'static str {
    let has = |method: &str| here.iter().any(|route| route.method == method);
    match (has("GET"), has("POST"), has("DELETE")) {
        (true, _, true) => "GET, HEAD, PUT, PATCH, DELETE",
        (true, true, _) => "GET, HEAD, POST",
        (true, false, _) => "GET, HEAD",
        _ => "POST",
    }
}

/// A literal segment comes before `{id}` in the table, and `.search` is no id.
fn matches(pattern: &str, path: &[String]) -> bool {
    let mut pattern = pattern.split('/').filter(|segment| !segment.is_empty());
    let is_like = path.iter().all(|segment| match pattern.next() {
        Some("{id}") => segment != ".search",
        Some(literal) => segment == literal,
        None => false,
    });
    is_like && pattern.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look_up(method: &str, path: &str) -> Result<&'static str, (u16, String)> {
        let path = crate::request::decoded_segments(path);
        match find(&method.parse().unwrap(), &path) {
            Ok(route) => Ok(route.function),
            Err(ScimError { kind: ErrorKind::MethodNotAllowed(allow), .. }) => Err((405, allow.to_owned())),
            Err(error) => Err((error.kind.status().0, String::new())),
        }
    }

    #[test]
    fn every_method_and_path_has_one_answer() {
        let item = "GET, HEAD, PUT, PATCH, DELETE".to_owned();
        for (method, path, expected) in [
            ("GET", "/Users", Ok("users-list")),
            ("HEAD", "/Users", Ok("users-list")),
            ("GET", "//Users/", Ok("users-list")),
            ("POST", "/Users", Ok("users-create")),
            ("POST", "/Users/.search", Ok("users-search")),
            ("GET", "/Users/.search", Err((405, "POST".to_owned()))),
            ("GET", "/Users/1", Ok("users-get")),
            ("DELETE", "/Users/1", Ok("users-delete")),
            ("POST", "/Users/1", Err((405, item.clone()))),
            ("DELETE", "/Users", Err((405, "GET, HEAD, POST".to_owned()))),
            ("PATCH", "/Groups/1", Ok("groups-patch")),
            ("POST", "/Groups/1", Err((405, item))),
            ("GET", "/Users/1/x", Err((404, String::new()))),
            ("GET", "/users", Err((404, String::new()))),
            ("GET", "/Me", Err((501, String::new()))),
            ("PATCH", "/Me", Err((501, String::new()))),
            ("GET", "", Ok("root-search")),
            ("POST", "/.search", Ok("root-search")),
            ("POST", "/Bulk", Ok("bulk-process")),
            ("GET", "/Bulk", Err((405, "POST".to_owned()))),
            ("POST", "/ServiceProviderConfig", Err((405, "GET, HEAD".to_owned()))),
            ("GET", "/Schemas/urn:x", Ok("schemas-get")),
        ] {
            assert_eq!(look_up(method, path), expected, "{method} {path}");
        }
    }

    #[test]
    fn the_allow_header_of_every_path_names_its_methods() {
        for route in ROUTES {
            let path = crate::request::decoded_segments(&route.path.replace("{id}", "1"));
            let Err(error) = find(&Method::TRACE, &path) else { panic!("TRACE {}", route.path) };
            let ErrorKind::MethodNotAllowed(allow) = error.kind else { panic!("{error}") };
            let mut expected: Vec<&str> = ROUTES
                .iter()
                .filter(|other| matches(other.path, &path))
                .flat_map(
                    |other| if other.method == "GET" { vec!["GET", "HEAD"] } else { vec![other.method] },
                )
                .collect();
            let mut allowed: Vec<&str> = allow.split(", ").collect();
            expected.sort_unstable();
            allowed.sort_unstable();
            assert_eq!(allowed, expected, "{}", route.path);
        }
    }
}
