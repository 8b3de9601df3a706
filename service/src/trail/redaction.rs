//! Takes out of a record what could be a secret, or the value of a filter.
//!
//! A client can send a secret anywhere, also in a path or in a filter, and errors repeat parts of them. So a record has no segment
//! of a path that is neither part of a route nor an id. In the text of an error, these are left out:
//!
//! - the credentials of the request
//! - the segments of the path that the record does not have
//! - what a filter compares with, the values of other parameters, and words in a filter that are unlike the name of an attribute
//! - words that look like tokens: at least 24 characters with digits, capital and small letters

use http::HeaderValue;
use shared::credential::PresentedCredentials;
use shared::resource::ResourceId;

use crate::routes;

/// What stands for a text that was left out.
const OMITTED: &str = "…";
/// A shorter value is not looked for in texts: it could be a part of another word.
const SHORTEST_VALUE: usize = 4;
/// The length of a word that can be a token. Base64 of 16 bytes without padding has 22 characters; words in texts seldom have more.
const SHORTEST_TOKEN: usize = 24;
/// The operators after which a filter has a value (RFC 7644 §3.4.2.2).
const COMPARISONS: [&str; 9] = ["eq", "ne", "co", "sw", "ew", "gt", "ge", "lt", "le"];
/// The parameters whose values are names of attributes.
const PARAMETERS_WITH_NAMES: [&str; 4] = ["attributes", "excludedattributes", "sortby", "sortorder"];

/// The texts of one request that its records must not have.
#[derive(Debug)]
pub struct Redaction {
    /// Further segments of paths that are shown: names that operators chose.
    names: Vec<String>,
    credentials: Vec<String>,
    values: Vec<String>,
}

impl Redaction {
    /// Finds these texts in a request.
    pub fn of(
        path: &[String],
        query: &[(String, String)],
        authorization: Option<&HeaderValue>,
        names: Vec<String>,
    ) -> Self {
        let header = authorization.and_then(|value| value.to_str().ok()).unwrap_or_default();
        let mut credentials: Vec<String> =
            header.split_once(' ').map(|(_, rest)| rest.to_owned()).into_iter().collect();
        match PresentedCredentials::parse(header) {
            Some(PresentedCredentials::Basic { password, .. }) => credentials.push(password),
            Some(PresentedCredentials::Bearer { token }) => credentials.push(token),
            None => {}
        }
        let mut values: Vec<String> =
            path.iter().filter(|segment| !is_shown(segment, &names)).cloned().collect();
        for (name, value) in query {
            let name = name.to_ascii_lowercase();
            if name == "filter" {
                values.extend(compared(value));
            } else if PARAMETERS_WITH_NAMES.contains(&name.as_str()) {
                values.extend(
                    value.split(is_delimiter).filter(|word| !is_like_a_name(word)).map(str::to_owned),
                );
            } else {
                values.push(value.clone());
            }
        }
        credentials.retain(|text| !text.is_empty());
        values.retain(|text| text.len() >= SHORTEST_VALUE);
        // A longer text can contain a shorter one.
        values.sort_by_key(|text| std::cmp::Reverse(text.len()));
        Self { names, credentials, values }
    }

    /// The path as a record has it.
    pub fn path(&self, path: &[String]) -> String {
        let segments = path.iter().map(|segment| match is_shown(segment, &self.names) {
            true => segment.as_str(),
            false => OMITTED,
        });
        segments.fold(String::new(), |path, segment| format!("{path}/{segment}"))
    }

    /// A name that the client sent, without credentials.
    pub fn name(&self, name: &str) -> String {
        self.credentials.iter().fold(name.to_owned(), |name, text| name.replace(text, OMITTED))
    }

    /// The text of an error.
    pub fn detail(&self, detail: &str) -> String {
        let known = self.values.iter().fold(self.name(detail), |detail, text| detail.replace(text, OMITTED));
        let mut cleaned = String::with_capacity(known.len());
        for word in known.split_inclusive(|character: char| !is_of_token(character)) {
            let token = word.trim_end_matches(|character: char| !is_of_token(character));
            match looks_like_a_token(token) {
                true => cleaned.extend([OMITTED, word.get(token.len()..).unwrap_or_default()]),
                false => cleaned.push_str(word),
            }
        }
        cleaned
    }
}

/// Whether a record shows this segment of a path: part of a route, an id, or one of these names.
fn is_shown(segment: &str, names: &[String]) -> bool {
    ResourceId::parse(segment).is_some()
        || routes::is_literal(segment)
        || names.iter().any(|name| name == segment)
}

/// What the comparisons of a filter compare with: quoted texts, and words after an operator; and words that are unlike the name of an
/// attribute. The filter can be malformed.
fn compared(filter: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (position, part) in filter.split('"').enumerate() {
        if position % 2 == 1 {
            found.push(part.to_owned());
            // An error can repeat one word of a text.
            found.extend(part.split_whitespace().map(str::to_owned));
            continue;
        }
        let mut is_value = false;
        for word in part.split(is_delimiter).filter(|word| !word.is_empty()) {
            if is_value || !is_like_a_name(word) {
                found.push(word.to_owned());
            }
            is_value = COMPARISONS.iter().any(|operator| word.eq_ignore_ascii_case(operator));
        }
    }
    found
}

fn is_delimiter(character: char) -> bool {
    character.is_whitespace() || "()[],".contains(character)
}

/// Whether a word has only what names of attributes usually have. Those with digits, such as `x509Certificates`, are left out too.
fn is_like_a_name(word: &str) -> bool {
    let is_urn = word.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("urn:"));
    is_urn || word.chars().all(|character| character.is_ascii_alphabetic() || ".$".contains(character))
}

fn is_of_token(character: char) -> bool {
    character.is_ascii_alphanumeric() || "+/=_~-".contains(character)
}

fn looks_like_a_token(word: &str) -> bool {
    let has = |is_of: fn(&u8) -> bool| word.as_bytes().iter().any(is_of);
    word.len() >= SHORTEST_TOKEN
        && has(u8::is_ascii_digit)
        && has(u8::is_ascii_uppercase)
        && has(u8::is_ascii_lowercase)
        && ResourceId::parse(word).is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redaction(path: &[&str], query: &[(&str, &str)], authorization: &str) -> Redaction {
        let path: Vec<String> = path.iter().map(|segment| (*segment).to_owned()).collect();
        let query: Vec<(String, String)> =
            query.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Redaction::of(&path, &query, Some(&authorization.parse().unwrap()), vec!["okta".to_owned()])
    }

    #[test]
    fn path_has_only_parts_of_routes_and_ids() {
        let id = "11111111-1111-4111-8111-111111111111";
        for (path, expected) in [
            (&["okta", "scim", "v2", "Users", id][..], format!("/okta/scim/v2/Users/{id}")),
            (&["scim", "v2", "users", "hunter2"], "/scim/v2/users/…".to_owned()),
            (&["scim", "v2", "Users", ".search"], "/scim/v2/Users/.search".to_owned()),
            (&["scim", "v2", "Me"], "/scim/v2/Me".to_owned()),
        ] {
            let path: Vec<String> = path.iter().map(|segment| (*segment).to_owned()).collect();
            assert_eq!(redaction(&[], &[], "").path(&path), expected);
        }
    }

    #[test]
    fn detail_has_no_credentials_values_or_tokens() {
        // "okta:secret-password"
        let basic = "Basic b2t0YTpzZWNyZXQtcGFzc3dvcmQ=";
        let token = "eyJhbGciOiJFUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0abc.QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo0";
        for (path, query, detail, expected) in [
            (
                &["hunter2-hunter2"][..],
                &[][..],
                "Unknown path /Users/hunter2-hunter2".to_owned(),
                "Unknown path /Users/…",
            ),
            (
                &[],
                &[("filter", "userName xx \"ann\"")],
                "the filter: found \"xx\" at position 10".to_owned(),
                "the filter: found \"xx\" at position 10",
            ),
            (&[], &[("filter", "password eq hunter2")], "found \"hunter2\"".to_owned(), "found \"…\""),
            (
                &[],
                &[("filter", "password eq \"hunter2 hunter3")],
                "found \"hunter3\"".to_owned(),
                "found \"…\"",
            ),
            (&[], &[("filter", "hunter2-of-ann")], "found \"hunter2-of-ann\"".to_owned(), "found \"…\""),
            (&[], &[("filter", "usernam eq 1")], "there is no usernam".to_owned(), "there is no usernam"),
            (&[], &[("count", "hunter2")], "count is \"hunter2\"".to_owned(), "count is \"…\""),
            (&[], &[("sortBy", "usernam")], "sortBy is usernam".to_owned(), "sortBy is usernam"),
            (&[], &[], "secret-password is not a name".to_owned(), "… is not a name"),
            (&[], &[], format!("there is no {token}!"), "there is no …!"),
            (
                &[],
                &[],
                "User 11111111-1111-4111-8111-111111111111".to_owned(),
                "User 11111111-1111-4111-8111-111111111111",
            ),
        ] {
            let redaction = redaction(path, query, basic);
            let cleaned = redaction.detail(&detail);
            // Each part of a token is left out.
            assert_eq!(cleaned.replace("….….…", "…"), expected, "{detail}");
        }
        assert_eq!(redaction(&[], &[], basic).name("secret-password"), "…");
    }
}
