//! The query parameters of the directory API.

use shared::error::ScimError;

use crate::call::Call;

/// The most entries of a page.
const MAX_LIMIT: usize = 1_000;
/// The entries of a page if the request does not say how many.
const DEFAULT_LIMIT: usize = 100;

/// The query parameters of a request that its route knows.
pub(super) struct Parameters<'c>(&'c [(String, String)]);

impl<'c> Parameters<'c> {
    /// Takes the parameters of a request.
    ///
    /// # Errors
    /// 400 for a parameter that the route does not know, or that occurs twice. If it was ignored, a misspelled filter would show
    /// all users.
    pub fn of(call: &'c Call, known: &[&str]) -> Result<Self, ScimError> {
        let query = call.request.query.as_slice();
        for (position, (name, _)) in query.iter().enumerate() {
            if !known.contains(&name.as_str()) {
                let choices = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
                return Err(ScimError::invalid_value(format!(
                    "Unknown query parameter {name:?}; this path knows: {choices}"
                )));
            }
            if query.iter().take(position).any(|(other, _)| other == name) {
                return Err(ScimError::invalid_value(format!(
                    "Query parameter {name} occurs more than once"
                )));
            }
        }
        Ok(Self(query))
    }

    /// A parameter that is text.
    ///
    /// # Errors
    /// 400 if it is empty.
    pub fn text(&self, name: &str) -> Result<Option<&'c str>, ScimError> {
        match self.0.iter().find(|(known, _)| known == name) {
            Some((_, value)) if value.trim().is_empty() => {
                Err(ScimError::invalid_value(format!("Query parameter {name} is empty")))
            }
            found => Ok(found.map(|(_, value)| value.as_str())),
        }
    }

    /// A parameter that is `true` or `false`. `false` if it is missing.
    ///
    /// # Errors
    /// 400 for another value.
    pub fn flag(&self, name: &str) -> Result<bool, ScimError> {
        match self.text(name)? {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(other) => {
                Err(ScimError::invalid_value(format!("{name} is {other:?}; it must be true or false")))
            }
        }
    }

    /// The page size.
    ///
    /// # Errors
    /// 400 if it is not a number from 1 to 1,000.
    pub fn limit(&self) -> Result<usize, ScimError> {
        let Some(text) = self.text("limit")? else { return Ok(DEFAULT_LIMIT) };
        let limit = text.parse().ok().filter(|limit| (1..=MAX_LIMIT).contains(limit));
        limit.ok_or_else(|| {
            ScimError::invalid_value(format!("limit is {text:?}; it must be from 1 to {MAX_LIMIT}"))
        })
    }

    /// The query that a cursor of these parameters is valid for: all but the cursor and the page size.
    pub fn identity(&self, path: &[String]) -> String {
        let mut parts: Vec<String> = path.to_vec();
        let mut query: Vec<&(String, String)> = self.0.iter().collect();
        query.sort_unstable();
        for (name, value) in query {
            if name != "cursor" && name != "limit" {
                parts.push(format!("{name}={value}"));
            }
        }
        // A line break can also be in a value, so each part has its length.
        parts.iter().map(|part| format!("{}:{part}\n", part.len())).collect()
    }
}
