//! The routes. An entry of [`ROUTES`] declares everything about a route. `make routes` writes the rest from it:
//! the functions in `template.yaml`, the router of `cargo lambda watch`, the binaries, and the table in
//! docs/reference/routes.md.

use std::sync::Arc;

use http::Method;
use shared::error::{ErrorKind, ScimError};

use crate::api::{APIS, Api, DIRECTORY, EVENTS, KEYS, METADATA, METADATA_BELOW, OAUTH, SCIM};
use crate::call::{Call, Handler, PublicCall, ResponseFuture};
use crate::directory;
use crate::events::{jwks, poll};
use crate::oauth::{metadata, token};
use crate::scim::{bulk, discovery, groups, search, users};

use TableRights::{FollowFeeds, IssueTokens, ReadConnector, ReadDirectory, ReadView, WriteDirectory};

/// One method of one path.
#[derive(Clone, Copy, Debug)]
pub struct Route {
    /// The API, which decides whose credentials the route requires and how its errors look.
    pub api: Api,
    /// The method.
    pub method: &'static str,
    /// The path after the base of the API. A part in braces such as `{id}` matches one segment.
    pub path: &'static str,
    /// The name of the Lambda function and of its binary. Several routes can share a function.
    pub function: &'static str,
    /// Answers the requests, and decides who may send them.
    pub handler: Handler,
    /// The rights of the function on the table.
    pub rights: TableRights,
}

/// The rights of a function on the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableRights {
    /// Read connectors and their credentials, and write records of the request trail, which every request needs.
    ReadConnector,
    /// The same, and read users, groups and memberships.
    ReadDirectory,
    /// Read users, groups and memberships, and also roles and the groups of operators.
    ReadView,
    /// Read and write users, groups and memberships.
    WriteDirectory,
    /// Read connectors, read and acknowledge the changes that wait in a feed, and sign tokens.
    FollowFeeds,
    /// Read connectors and the keys of issuers, and sign access tokens. The function fetches keys from the internet.
    IssueTokens,
}

impl TableRights {
    /// The managed policies in `template.yaml` that give these rights.
    pub const fn policies(self) -> &'static [&'static str] {
        match self {
            Self::ReadConnector => &["ReadConnector"],
            Self::ReadDirectory => &["ReadConnector", "ReadDirectory"],
            Self::ReadView => &["ReadConnector", "ReadView"],
            Self::WriteDirectory => &["ReadConnector", "ReadDirectory", "WriteDirectory"],
            Self::FollowFeeds => &["ReadConnector", "FollowFeeds"],
            Self::IssueTokens => &["ReadConnector", "IssueTokens"],
        }
    }
}

/// The function for every request that API Gateway matches to no route. API Gateway compares paths literally, so it also
/// gets the requests that have a doubled or trailing slash, and HEAD.
pub const FALLBACK: &str = "fallback";
/// The handler of [`FALLBACK`], which answers a request by its route, or with an error if it has none.
pub const BY_ROUTE: Handler = Handler::ByRoute(find);

/// The functions with other triggers than requests, such as a stream or a schedule. `make routes` does not write
/// their binaries, events and resources in `template.yaml`, which are outside the generated block.
pub const OTHER_FUNCTIONS: &[&str] = &["directory-sweep", "feeds-deliver"];

/// All routes.
pub const ROUTES: &[Route] = &[
    // RFC 7644 §3.2
    scim("GET", "/Users", "users-list", users::list, ReadDirectory),
    scim("POST", "/Users", "users-create", users::create, WriteDirectory),
    scim("POST", "/Users/.search", "users-search", search::users, ReadDirectory),
    scim("GET", "/Users/{id}", "users-get", users::get, ReadDirectory),
    scim("PUT", "/Users/{id}", "users-replace", users::replace, WriteDirectory),
    scim("PATCH", "/Users/{id}", "users-patch", users::patch, WriteDirectory),
    scim("DELETE", "/Users/{id}", "users-delete", users::delete, WriteDirectory),
    scim("GET", "/Groups", "groups-list", groups::list, ReadDirectory),
    scim("POST", "/Groups", "groups-create", groups::create, WriteDirectory),
    scim("POST", "/Groups/.search", "groups-search", search::groups, ReadDirectory),
    scim("GET", "/Groups/{id}", "groups-get", groups::get, ReadDirectory),
    scim("PUT", "/Groups/{id}", "groups-replace", groups::replace, WriteDirectory),
    scim("PATCH", "/Groups/{id}", "groups-patch", groups::patch, WriteDirectory),
    scim("DELETE", "/Groups/{id}", "groups-delete", groups::delete, WriteDirectory),
    scim("GET", "", "root-search", search::root, ReadDirectory),
    scim("POST", "/.search", "root-search", search::root, ReadDirectory),
    scim("POST", "/Bulk", "bulk-process", bulk_process, WriteDirectory),
    // RFC 7643 §5: a client reads how to authenticate before it has credentials.
    public("/ServiceProviderConfig", "service-provider-config-get", discovery::service_provider_config),
    public("/ResourceTypes", "resource-types-list", discovery::resource_types),
    public("/ResourceTypes/{id}", "resource-types-get", discovery::resource_type),
    public("/Schemas", "schemas-list", discovery::schemas),
    public("/Schemas/{id}", "schemas-get", discovery::schema),
    // How the platform reads the directory.
    view("/users", "directory-users-list", directory::users::list),
    view("/users/{id}", "directory-users-get", directory::users::get),
    view("/groups", "directory-groups-list", directory::groups::list),
    view("/groups/{id}", "directory-groups-get", directory::groups::get),
    view("/groups/{id}/members", "directory-members-list", directory::groups::members),
    view("/groups/{id}/members/{user}", "directory-members-get", directory::groups::member),
    view("/roles", "directory-roles-list", directory::roles::list),
    view("/roles/{id}", "directory-roles-get", directory::roles::get),
    view("/roles/{id}/members", "directory-role-members-list", directory::roles::members),
    // RFC 8936
    Route {
        api: EVENTS,
        method: "POST",
        path: "/{id}/poll",
        function: "feeds-poll",
        handler: Handler::Client(poll::poll),
        rights: FollowFeeds,
    },
    // RFC 7517 §5
    Route {
        api: KEYS,
        method: "GET",
        path: "",
        function: "jwks-get",
        handler: Handler::OfConnector(jwks::get),
        rights: ReadConnector,
    },
    // RFC 6749 §3.2
    Route {
        api: OAUTH,
        method: "POST",
        path: "/token",
        function: "oauth-token",
        handler: Handler::Token(token::token),
        rights: IssueTokens,
    },
    // RFC 8414 §3.1
    metadata_route(METADATA),
    metadata_route(METADATA_BELOW),
];

/// A route of the token endpoint's metadata.
const fn metadata_route(api: Api) -> Route {
    let handler = Handler::Anyone(metadata::get);
    Route { api, method: "GET", path: "", function: "oauth-metadata-get", handler, rights: ReadConnector }
}

const fn scim(
    method: &'static str,
    path: &'static str,
    function: &'static str,
    handler: fn(Arc<Call>) -> ResponseFuture,
    rights: TableRights,
) -> Route {
    Route { api: SCIM, method, path, function, handler: Handler::Client(handler), rights }
}

/// A route of the directory API.
const fn view(path: &'static str, function: &'static str, handler: fn(Arc<Call>) -> ResponseFuture) -> Route {
    Route {
        api: DIRECTORY,
        method: "GET",
        path,
        function,
        handler: Handler::Client(handler),
        rights: ReadView,
    }
}

/// A route of the SCIM API that answers GET to anyone.
const fn public(
    path: &'static str,
    function: &'static str,
    handler: fn(PublicCall) -> ResponseFuture,
) -> Route {
    Route {
        api: SCIM,
        method: "GET",
        path,
        function,
        handler: Handler::Anyone(handler),
        rights: ReadConnector,
    }
}

impl Route {
    /// The path as API Gateway writes it: `/{connector}/scim/v2/Users/{id}`.
    pub fn full_path(&self) -> String {
        format!("{}{}", self.api.url("", "{connector}"), self.path)
    }

    const fn endpoint(&self) -> Endpoint {
        Endpoint { api: self.api, method: self.method, path: self.path, function: self.function }
    }
}

/// The part of a route that decides which requests it matches, and its name.
#[derive(Clone, Copy)]
struct Endpoint {
    api: Api,
    method: &'static str,
    path: &'static str,
    function: &'static str,
}

/// The routes without their handlers. Every function reads these, and a function that read [`ROUTES`] would
/// link the handlers of all others.
const ENDPOINTS: [Endpoint; ROUTES.len()] = {
    let mut endpoints = [Endpoint { api: SCIM, method: "", path: "", function: "" }; ROUTES.len()];
    let (mut routes, mut unset) = (ROUTES, endpoints.as_mut_slice());
    while let ([route, more_routes @ ..], [endpoint, more_endpoints @ ..]) = (routes, unset) {
        *endpoint = route.endpoint();
        (routes, unset) = (more_routes, more_endpoints);
    }
    endpoints
};

/// The handler of a function. Call it in a `const` block: the function's binary then links no other handler.
///
/// # Panics
/// If no route has this function, which does not compile in a `const` block.
#[expect(clippy::panic, reason = "a binary without a route must not compile")]
pub const fn handler(function: &str) -> Handler {
    if is_equal(function, FALLBACK) {
        return BY_ROUTE;
    }
    let mut routes = ROUTES;
    while let [route, rest @ ..] = routes {
        if is_equal(route.function, function) {
            return route.handler;
        }
        routes = rest;
    }
    panic!("no route has this function")
}

/// Compares at compile time, where `==` cannot compare strings.
const fn is_equal(left: &str, right: &str) -> bool {
    let (mut left, mut right) = (left.as_bytes(), right.as_bytes());
    while let ([first, left_rest @ ..], [second, right_rest @ ..]) = (left, right) {
        if *first != *second {
            return false;
        }
        (left, right) = (left_rest, right_rest);
    }
    left.is_empty() && right.is_empty()
}

fn bulk_process(call: Arc<Call>) -> ResponseFuture {
    bulk::process(call, find)
}

/// Finds the handler for a method and for the segments after the base of the API. HEAD has the handler of GET
/// (RFC 9110 §9.3.2).
///
/// # Errors
/// 404 for an unknown path; 405 for a method that the path does not support; 501 for /Me (RFC 7644 §3.11).
pub fn find(api: Api, method: &Method, path: &[String]) -> Result<Handler, ScimError> {
    Ok(route(api, method, path)?.handler)
}

/// The name of the function of a route; [`FALLBACK`] if there is none.
pub(crate) fn function(api: Api, method: &Method, path: &[String]) -> &'static str {
    let method = routed_method(method);
    let is_match = |endpoint: &&Endpoint| endpoint.method == method && endpoint.matches(api, path);
    ENDPOINTS.iter().find(is_match).map_or(FALLBACK, |endpoint| endpoint.function)
}

fn routed_method(method: &Method) -> &str {
    if method == Method::HEAD { "GET" } else { method.as_str() }
}

fn route(api: Api, method: &Method, path: &[String]) -> Result<&'static Route, ScimError> {
    let routed_method = routed_method(method);
    let is_match = |route: &&Route| route.method == routed_method && route.endpoint().matches(api, path);
    if let Some(route) = ROUTES.iter().find(is_match) {
        return Ok(route);
    }
    if api == SCIM && path.first().is_some_and(|first| first == "Me") {
        return Err(ScimError::new(
            ErrorKind::NotImplemented,
            "/Me is not supported, because a connector is not a user",
        ));
    }
    let (shown, methods) = (format!("/{}", path.join("/")), methods(api, path));
    if methods.is_empty() {
        return Err(ScimError::new(ErrorKind::NotFound, format!("Unknown path {shown}")));
    }
    let detail = format!("{shown} does not support {method}; use {}", methods.join(", "));
    Err(ScimError::new(ErrorKind::MethodNotAllowed, detail))
}

/// Whether a segment of a path is part of a route, in any case.
pub(crate) fn is_literal(segment: &str) -> bool {
    let bases = APIS.iter().map(|api| api.base);
    let parts = bases.chain(ENDPOINTS.iter().map(|endpoint| endpoint.path)).chain(["Me"]);
    parts.flat_map(|part| part.split('/')).any(|part| !part.is_empty() && part.eq_ignore_ascii_case(segment))
}

/// The methods of a path, with HEAD after GET. None if there is no such path.
pub fn methods(api: Api, path: &[String]) -> Vec<&'static str> {
    let here = ENDPOINTS.iter().filter(|endpoint| endpoint.matches(api, path));
    here.flat_map(|endpoint| match endpoint.method {
        "GET" => ["GET", "HEAD"].iter(),
        _ => std::slice::from_ref(&endpoint.method).iter(),
    })
    .copied()
    .collect()
}

impl Endpoint {
    /// Whether the path is of this form. `.search` is never an id (RFC 7644 §3.4.3).
    fn matches(&self, api: Api, path: &[String]) -> bool {
        let mut pattern = self.path.split('/').filter(|segment| !segment.is_empty());
        let is_like = path.iter().all(|segment| match pattern.next() {
            Some(part) if part.starts_with('{') => segment != ".search",
            Some(literal) => segment == literal,
            None => false,
        });
        self.api == api && is_like && pattern.next().is_none()
    }
}

#[cfg(test)]
mod tests {
    use std::ptr::fn_addr_eq;

    use super::*;
    use crate::request::decoded_segments;

    #[test]
    fn each_method_and_path_has_a_route_or_an_error() {
        for (method, path, expected) in [
            ("GET", "/Users", Ok("users-list")),
            ("HEAD", "/Users", Ok("users-list")),
            ("GET", "//Users/", Ok("users-list")),
            ("POST", "/Users", Ok("users-create")),
            ("POST", "/Users/.search", Ok("users-search")),
            ("GET", "/Users/.search", Err((405, "POST"))),
            ("GET", "/Users/1", Ok("users-get")),
            ("DELETE", "/Users/1", Ok("users-delete")),
            ("POST", "/Users/1", Err((405, "GET, HEAD, PUT, PATCH, DELETE"))),
            ("DELETE", "/Users", Err((405, "GET, HEAD, POST"))),
            ("PATCH", "/Groups/1", Ok("groups-patch")),
            ("POST", "/Groups/1", Err((405, "GET, HEAD, PUT, PATCH, DELETE"))),
            ("GET", "/Users/1/x", Err((404, ""))),
            ("GET", "/users", Err((404, ""))),
            ("GET", "/Me", Err((501, ""))),
            ("PATCH", "/Me", Err((501, ""))),
            ("GET", "", Ok("root-search")),
            ("POST", "/.search", Ok("root-search")),
            ("POST", "/Bulk", Ok("bulk-process")),
            ("GET", "/Bulk", Err((405, "POST"))),
            ("HEAD", "/Bulk", Err((405, "POST"))),
            ("POST", "/ServiceProviderConfig", Err((405, "GET, HEAD"))),
            ("GET", "/Schemas/urn:x", Ok("schemas-get")),
            ("GET", "/groups/1/members/2", Err((404, ""))),
        ] {
            let segments = decoded_segments(path);
            let found = match route(SCIM, &method.parse().unwrap(), &segments) {
                Ok(route) => Ok(route.function),
                Err(error) => Err((error.kind.status().0, methods(SCIM, &segments).join(", "))),
            };
            let expected = expected.map_err(|(status, allow)| (status, allow.to_owned()));
            assert_eq!(found, expected, "{method} {path}");
            let name = function(SCIM, &method.parse().unwrap(), &segments);
            assert_eq!(name, expected.unwrap_or(FALLBACK), "{method} {path}");
        }
    }

    #[test]
    fn directory_api_has_its_own_paths() {
        for (method, path, expected) in [
            ("GET", "/users", Ok("directory-users-list")),
            ("HEAD", "/groups/1/members", Ok("directory-members-list")),
            ("GET", "/groups/1/members/2", Ok("directory-members-get")),
            ("GET", "/roles/1/members", Ok("directory-role-members-list")),
            ("POST", "/users", Err((405, "GET, HEAD"))),
            ("GET", "/Users", Err((404, ""))),
            ("GET", "/Me", Err((404, ""))),
        ] {
            let segments = decoded_segments(path);
            let found = match route(DIRECTORY, &method.parse().unwrap(), &segments) {
                Ok(route) => Ok(route.function),
                Err(error) => Err((error.kind.status().0, methods(DIRECTORY, &segments).join(", "))),
            };
            let expected = expected.map_err(|(status, allow)| (status, allow.to_owned()));
            assert_eq!(found, expected, "{method} {path}");
        }
    }

    #[test]
    fn routes_of_one_function_share_its_handler() {
        for route in ROUTES {
            let is_same = match (handler(route.function), route.handler) {
                (Handler::Client(one), Handler::Client(other)) => fn_addr_eq(one, other),
                (Handler::Anyone(one), Handler::Anyone(other)) => fn_addr_eq(one, other),
                (Handler::OfConnector(one), Handler::OfConnector(other)) => fn_addr_eq(one, other),
                (Handler::Token(one), Handler::Token(other)) => fn_addr_eq(one, other),
                _ => false,
            };
            assert!(is_same, "{}", route.function);
        }
        assert!(matches!(handler(FALLBACK), Handler::ByRoute(_)));
    }

    #[test]
    fn only_discovery_answers_anyone() {
        let is_public = |route: &&Route| matches!(route.handler, Handler::Anyone(_));
        let public: Vec<&str> = ROUTES.iter().filter(is_public).map(|route| route.function).collect();
        let discovery = [
            "service-provider-config-get",
            "resource-types-list",
            "resource-types-get",
            "schemas-list",
            "schemas-get",
            "oauth-metadata-get",
            "oauth-metadata-get",
        ];
        assert_eq!(public, discovery);
    }

    #[test]
    fn full_path_begins_with_connector_and_base() {
        let paths: Vec<String> = ROUTES.iter().map(Route::full_path).collect();
        assert!(paths.contains(&"/{connector}/scim/v2".to_owned()));
        assert!(paths.contains(&"/{connector}/scim/v2/Users/{id}".to_owned()));
        assert!(paths.contains(&"/.well-known/oauth-authorization-server/{connector}".to_owned()));
        assert!(paths.contains(&"/{connector}/.well-known/oauth-authorization-server".to_owned()));
    }
}
