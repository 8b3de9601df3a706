//! The catalogue of errors, which `docs/reference/errors.md` shows. Every error that a client of the tests receives must be in it
//! ([`assert_known`]), and every text in it must be in the code.

mod other_statuses;
mod paths;
mod token_endpoint;
mod values;

use std::fmt::Write as _;

use shared::error::{ErrorKind, Schemes};

use super::GENERATED;

/// The errors of one kind.
pub struct Group {
    /// The kind, which decides the status and the `scimType`.
    pub kind: ErrorKind,
    /// Each `detail`, with braces around what differs, then its cause, and what to do.
    pub errors: &'static [(&'static str, &'static str, &'static str)],
}

/// The values of a kind do not matter here: they are in headers.
const UNAUTHORIZED: ErrorKind =
    ErrorKind::Unauthorized(Schemes { basic: false, bearer: false, oauth: false });
const TOO_MANY_REQUESTS: ErrorKind = ErrorKind::TooManyRequests(0);

fn groups() -> impl Iterator<Item = &'static Group> {
    values::GROUPS.iter().chain(paths::GROUPS).chain(other_statuses::GROUPS)
}

/// Every text of the catalogue, with braces around what differs.
pub fn details() -> Vec<&'static str> {
    let of_groups = groups().flat_map(|group| group.errors).map(|(detail, ..)| *detail);
    of_groups.chain(token_endpoint::ERRORS.iter().map(|(_, detail, ..)| *detail)).collect()
}

/// Asserts that the catalogue has an error with this status and text.
///
/// # Panics
/// When it has none.
pub fn assert_known(status: u16, detail: &str) {
    let of_groups = groups().filter(|group| group.kind.status().0 == status);
    let mut of_groups = of_groups.flat_map(|group| group.errors).map(|(detail, ..)| *detail);
    let mut of_endpoint = token_endpoint::ERRORS.iter().filter(|(code, ..)| code.0 == status);
    // The middle of a long text is left out.
    let is_known = detail.contains(" … ")
        || of_groups.any(|pattern| matches(pattern, detail))
        || of_endpoint.any(|(_, pattern, ..)| matches(pattern, detail));
    assert!(
        is_known,
        "the catalogue has no error {status} {detail:?}: add it to tests/src/reference/errors/, then run `make reference`"
    );
}

/// Whether a text is what a pattern describes. Errors of one operation begin with its number.
fn matches(pattern: &str, text: &str) -> bool {
    let begins = |text: &str| {
        let mut parts = literals(pattern).into_iter();
        let first = parts.next().unwrap_or_default();
        let Some(mut rest) = text.strip_prefix(first.as_str()) else { return false };
        let mut last = first;
        for part in parts {
            let Some(at) = rest.find(part.as_str()) else { return false };
            rest = rest.get(at + part.len()..).unwrap_or_default();
            last = part;
        }
        last.is_empty() || rest.is_empty() || text.ends_with(last.as_str())
    };
    let without_number = text.strip_prefix("Operation ").and_then(|rest| rest.split_once(": "));
    begins(text) || without_number.is_some_and(|(_, text)| begins(text))
}

/// The parts of a pattern outside braces, from its beginning to its end. An empty last part means that it ends with braces.
pub fn literals(pattern: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut is_inside = false;
    for character in pattern.chars() {
        match (character, is_inside) {
            ('{', false) => is_inside = true,
            ('}', true) => {
                is_inside = false;
                parts.push(String::new());
            }
            (_, true) => {}
            (character, false) => parts.last_mut().expect("there is a part").push(character),
        }
    }
    parts
}

/// The page.
pub fn page() -> String {
    let mut page = format!(
        "# Errors\n\n{GENERATED}\n\nEvery error that the service sends to a client, by status and `scimType`, with its cause and what to do. \
        Braces stand for what differs. An operator\nsees the same texts in the messages of `scimctl`.\n\n\
        | API | form of the error | where the text is |\n| --- | --- | --- |\n\
        | SCIM | `application/scim+json` (RFC 7644 §3.12) | `detail`, with `scimType` |\n\
        | directory API | `application/problem+json` (RFC 9457) | `detail`. It has no `scimType`; `instance` is the id of the request in the log |\n\
        | feeds | `application/json` with `err` (RFC 8935 §2.3) | `description`, after the status and the `scimType` |\n\
        | token endpoint | `application/json` with `error` (RFC 6749 §5.2) | `error_description`: see [Token endpoint](#token-endpoint) |\n\n\
        - The text of an error in a PATCH or Bulk request begins with the number of the operation: `Operation 2: …`.\n\
        - The text of an error in a setting begins with the name of the setting: `mapping.email: …`.\n\
        - An answer without such a body, such as `{{\"message\":\"Too Many Requests\"}}`, comes from AWS: see \
        [Troubleshoot](../troubleshoot.md#429).\n"
    );
    for group in groups() {
        let (status, scim_type) = group.kind.status();
        let title = scim_type.map_or_else(|| reason(status).to_owned(), |name| format!("`{name}`"));
        let _ = write!(page, "\n## {status} {title}\n\n| text | cause | what to do |\n| --- | --- | --- |\n");
        for (detail, cause, cure) in group.errors {
            let _ = writeln!(page, "| `{detail}` | {cause} | {cure} |");
        }
    }
    page.push_str(
        "\n## Token endpoint\n\nIt also sends the errors 413, 415, 429, 500 and 503 above. For 429 and 503, `error` is `temporarily_unavailable`, and for 500 it is `server_error`.\n\n\
        | status, `error` | text | cause | what to do |\n| --- | --- | --- | --- |\n",
    );
    for ((status, error), detail, cause, cure) in token_endpoint::ERRORS {
        let _ = writeln!(page, "| {status} `{error}` | `{detail}` | {cause} | {cure} |");
    }
    page
}

fn reason(status: u16) -> &'static str {
    http::StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[should_panic(expected = "the catalogue has no error 404 \"A new text\"")]
    fn an_error_that_the_catalogue_lacks_fails() {
        assert_known(404, "Unknown path /Nothing");
        assert_known(404, "A new text");
    }

    #[test]
    fn a_text_matches_its_pattern_only() {
        for (pattern, text, expected) in [
            ("op is {found}; it must be add", "op is \"x\"; it must be add", true),
            ("op is {found}; it must be add", "Operation 3: op is missing; it must be add", true),
            ("op is {found}; it must be add", "op is \"x\"; it must be addition", false),
            ("op is {found}; it must be add", "the op is x; it must be add", false),
            ("{name} is missing; it is required", "userName is missing; it is required", true),
            ("Unknown path {path}", "Unknown path /Nothing", true),
            ("remove requires a path", "remove requires a path!", false),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }
}
