//! Writes everything that follows from the list of routes in `service/src/routes.rs`:
//!
//! | what | where |
//! | --- | --- |
//! | the functions, with the least rights each | the generated block of `template.yaml` |
//! | the router of `cargo lambda watch` | the generated block of `Cargo.toml` |
//! | the table of routes | the generated block of `docs/reference/routes.md` |
//! | the binary of each function | `functions/src/bin/`, and the generated block of `functions/Cargo.toml` |
//! | an example event for a new function, to complete by hand | `events/` |

mod event;
mod text;

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::Path;

use serde_json::Value;
use service::routes::{FALLBACK, OTHER_FUNCTIONS, Route};

/// What an HTTP API calls the route for requests that match no other.
const DEFAULT_ROUTE: &str = "$default";

/// A Lambda function with its routes. The fallback has none.
struct Function<'a> {
    name: &'static str,
    routes: Vec<&'a Route>,
    /// The managed policies with the rights of all its routes.
    policies: Vec<&'static str>,
}

/// The functions in the order of their first routes, then the fallback, which calls the handlers of all of
/// them.
fn functions(routes: &[Route]) -> Vec<Function<'_>> {
    let mut functions: Vec<Function> = Vec::new();
    for route in routes {
        match functions.iter_mut().find(|function| function.name == route.function) {
            Some(function) => function.routes.push(route),
            None => {
                functions.push(Function { name: route.function, routes: vec![route], policies: Vec::new() })
            }
        }
    }
    for function in &mut functions {
        function.policies = policies(function.routes.iter().copied());
    }
    functions.push(Function { name: FALLBACK, routes: Vec::new(), policies: policies(routes) });
    functions
}

/// The policies that give the rights of all these routes.
fn policies<'a>(routes: impl IntoIterator<Item = &'a Route>) -> Vec<&'static str> {
    let mut policies = Vec::new();
    for policy in routes.into_iter().flat_map(|route| route.rights.policies()) {
        if !policies.contains(policy) {
            policies.push(policy);
        }
    }
    policies
}

impl Function<'_> {
    /// The route keys of the events that the function gets: `GET /{connector}/scim/v2/Users`.
    fn route_keys(&self) -> Vec<String> {
        if self.routes.is_empty() {
            return vec![DEFAULT_ROUTE.to_owned()];
        }
        self.routes.iter().map(|route| format!("{} {}", route.method, route.full_path())).collect()
    }
}

/// Returns the path, relative to the root of the repository, and the new text of every file that does not
/// agree with the routes.
///
/// # Errors
/// If a file cannot be read, or has no generated block.
pub fn outdated_files(root: &Path, routes: &[Route]) -> io::Result<Vec<(String, String)>> {
    let functions = functions(routes);
    let mut files = Vec::new();
    let blocks = [
        ("template.yaml", text::template(&functions)),
        ("Cargo.toml", text::watch_router(routes)),
        ("docs/reference/routes.md", text::table(routes)),
        ("functions/Cargo.toml", text::binary_targets(&functions)),
    ];
    for (path, block) in blocks {
        let present = fs::read_to_string(root.join(path))?;
        let text = text::replace_block(&present, &block).ok_or_else(|| {
            let message = format!("{path} has no lines {:?} and {:?}", text::BLOCK_START, text::BLOCK_END);
            io::Error::new(io::ErrorKind::InvalidData, message)
        })?;
        if text != present {
            files.push((path.to_owned(), text));
        }
    }
    for function in &functions {
        let path = format!("functions/src/bin/{}.rs", function.name);
        let text = text::binary(function);
        if fs::read_to_string(root.join(&path)).ok().as_deref() != Some(&text) {
            files.push((path, text));
        }
    }
    let mut number = names(root, "events", "json")?.len();
    for function in &functions {
        let path = format!("events/{}.json", function.name);
        if !root.join(&path).exists() {
            number += 1;
            let event = event::example(function.routes.first().copied(), number);
            files.push((path, format!("{event:#}\n")));
        }
    }
    Ok(files)
}

/// Returns a line for each thing that does not agree with the routes and that only a person can fix: binaries
/// and events of functions that have no route, and events for a route of another function.
///
/// # Errors
/// If a folder or an event cannot be read.
pub fn problems(root: &Path, routes: &[Route]) -> io::Result<Vec<String>> {
    let functions = functions(routes);
    let mut problems = Vec::new();
    for (folder, extension) in [("functions/src/bin", "rs"), ("events", "json")] {
        for name in names(root, folder, extension)? {
            let is_other = OTHER_FUNCTIONS.contains(&name.as_str());
            if !is_other && functions.iter().all(|function| function.name != name) {
                problems.push(format!(
                    "{folder}/{name}.{extension}: no route has this function. Delete the file."
                ));
            }
        }
    }
    for function in &functions {
        let path = format!("events/{}.json", function.name);
        let Ok(text) = fs::read_to_string(root.join(&path)) else { continue };
        let event: Value = serde_json::from_str(&text)?;
        let key = event.get("routeKey").and_then(Value::as_str).unwrap_or_default();
        let keys = function.route_keys();
        if !keys.iter().any(|expected| expected == key) {
            problems.push(format!("{path}: routeKey is {key:?}; use {}.", keys.join(" or ")));
        }
    }
    Ok(problems)
}

/// The names of the files in a folder that have this extension, without it.
fn names(root: &Path, folder: &str, extension: &str) -> io::Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    for entry in fs::read_dir(root.join(folder))? {
        let path = entry?.path();
        if let (Some(name), true) =
            (path.file_stem(), path.extension().is_some_and(|other| other == extension))
        {
            names.insert(name.to_string_lossy().into_owned());
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use service::routes::{ROUTES, TableRights};

    use super::*;

    fn root() -> &'static Path {
        Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
    }

    #[test]
    fn every_file_agrees_with_the_routes() {
        let outdated: Vec<String> =
            outdated_files(root(), ROUTES).unwrap().into_iter().map(|(path, _)| path).collect();
        assert_eq!(outdated, [""; 0], "run `make routes` and commit what it writes");
        assert_eq!(problems(root(), ROUTES).unwrap(), [""; 0]);
    }

    #[test]
    fn a_new_route_changes_every_place() {
        let mut routes = ROUTES.to_vec();
        routes.push(Route {
            method: "PUT",
            path: "/Users/{id}/photo",
            function: "photos-replace",
            ..ROUTES[0]
        });
        let outdated = outdated_files(root(), &routes).unwrap();
        let expected = [
            ("template.yaml", "Method: PUT, Path: \"/{connector}/scim/v2/Users/{id}/photo\" }"),
            ("Cargo.toml", "/Users/{id}/photo\", methods = [\"PUT\"], function = \"photos-replace\" }"),
            (
                "docs/reference/routes.md",
                "| PUT | `/{connector}/scim/v2/Users/{id}/photo` | `photos-replace` |",
            ),
            ("functions/Cargo.toml", "name = \"photos-replace\""),
            ("functions/src/bin/photos-replace.rs", "handler(\"photos-replace\")"),
            ("events/photos-replace.json", "\"routeKey\": \"PUT /{connector}/scim/v2/Users/{id}/photo\""),
        ];
        let paths: Vec<&str> = outdated.iter().map(|(path, _)| path.as_str()).collect();
        assert_eq!(paths, expected.map(|(path, _)| path));
        for ((path, text), (_, part)) in outdated.iter().zip(expected) {
            assert!(text.contains(part), "{path} has no {part}");
        }
    }

    #[test]
    fn a_removed_route_leaves_problems_for_a_person() {
        let routes: Vec<Route> =
            ROUTES.iter().filter(|route| route.function != "bulk-process").copied().collect();
        let expected = ["functions/src/bin/bulk-process.rs", "events/bulk-process.json"]
            .map(|path| format!("{path}: no route has this function. Delete the file."));
        assert_eq!(problems(root(), &routes).unwrap(), expected);
    }

    #[test]
    fn an_event_for_another_function_is_a_problem() {
        let mut routes = ROUTES.to_vec();
        let list = routes.iter_mut().find(|route| route.function == "schemas-list").unwrap();
        list.path = "/AllSchemas";
        let expected = "events/schemas-list.json: routeKey is \"GET /{connector}/scim/v2/Schemas\"; \
                        use GET /{connector}/scim/v2/AllSchemas.";
        assert_eq!(problems(root(), &routes).unwrap(), [expected]);
    }

    #[test]
    fn a_function_has_the_rights_of_all_its_routes_and_the_fallback_of_all_functions() {
        let with = |rights| Route { function: "a", rights, ..ROUTES[0] };
        let other = Route { function: "b", rights: TableRights::ReadView, ..ROUTES[0] };
        let routes = [with(TableRights::ReadConnector), with(TableRights::WriteDirectory), other];
        let functions = functions(&routes);
        let found: Vec<_> =
            functions.iter().map(|function| (function.name, function.policies.join(" "))).collect();
        let expected = [
            ("a", "ReadConnector ReadDirectory WriteDirectory"),
            ("b", "ReadConnector ReadView"),
            (FALLBACK, "ReadConnector ReadDirectory WriteDirectory ReadView"),
        ];
        assert_eq!(found, expected.map(|(name, policies)| (name, policies.to_owned())));
    }
}
