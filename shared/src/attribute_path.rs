//! Attribute paths: `userName`, `name.givenName`, `urn:…:User:manager.value` (RFC 7644 §3.10).
//!
//! ```text
//! attribute-path = [ URN ":" ] name [ "." name ]
//! name           = ALPHA *( ALPHA / DIGIT / "-" / "_" / "$" )
//! ```
//!
//! A URN can contain dots (`…:2.0:User`), so the parser looks for a sub-attribute only after the last colon.
//! A path can also be the URN of an extension, and then means the whole extension. The parser does not know
//! the schemas, so [`ResourceSchema::resolve`](crate::schema::ResourceSchema::resolve) decides this.

use std::fmt;

/// An attribute path as the client wrote it. The comparison of names ignores upper and lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttributePath {
    /// The URN of the schema, without the colon that follows it.
    pub urn: Option<String>,
    /// The name of the attribute.
    pub name: String,
    /// The name of the sub-attribute.
    pub sub_attribute: Option<String>,
}

impl AttributePath {
    /// Parses an attribute path. Returns `None` if the text does not match the grammar.
    pub fn parse(text: &str) -> Option<Self> {
        let (urn, rest) = match text.rfind(':') {
            Some(colon) if text.get(..4)?.eq_ignore_ascii_case("urn:") => {
                (text.get(..colon), text.get(colon + 1..)?)
            }
            Some(_) => return None,
            None => (None, text),
        };
        if let Some(urn) = urn
            && !urn.chars().all(|c| c.is_ascii_graphic() && !matches!(c, '[' | ']' | '(' | ')' | '"'))
        {
            return None;
        }
        // `urn:…:enterprise:2.0` is split at the dot as well. It is not a path, because a name cannot begin
        // with a digit.
        let (name, sub_attribute) = match rest.split_once('.') {
            Some((name, sub_attribute)) => (name, Some(sub_attribute)),
            None => (rest, None),
        };
        let is_path = is_name(name) && sub_attribute.is_none_or(is_name);
        is_path.then(|| Self {
            urn: urn.map(str::to_owned),
            name: name.to_owned(),
            sub_attribute: sub_attribute.map(str::to_owned),
        })
    }

    /// Returns the URN and the name joined by a colon. If the path names a whole extension, this is its URN.
    pub fn as_urn(&self) -> Option<String> {
        match (&self.urn, &self.sub_attribute) {
            (Some(urn), None) => Some(format!("{urn}:{}", self.name)),
            _ => None,
        }
    }
}

/// Whether this is the name of an attribute (RFC 7643 §2.1). It can begin with `$`, as `$ref` does.
fn is_name(text: &str) -> bool {
    let mut chars = text.chars();
    chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '$')
        && chars.all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '$'))
}

impl fmt::Display for AttributePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(urn) = &self.urn {
            write!(f, "{urn}:")?;
        }
        f.write_str(&self.name)?;
        if let Some(sub_attribute) = &self.sub_attribute {
            write!(f, ".{sub_attribute}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn valid_path_is_parsed_and_printed_unchanged() {
        let enterprise = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
        for (text, urn, name, sub_attribute) in [
            ("userName", None, "userName", None),
            ("name.givenName", None, "name", Some("givenName")),
            ("members.$ref", None, "members", Some("$ref")),
            ("x-y_1", None, "x-y_1", None),
            (
                "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager.value",
                Some(enterprise),
                "manager",
                Some("value"),
            ),
            (enterprise, Some("urn:ietf:params:scim:schemas:extension:enterprise:2.0"), "User", None),
            ("URN:a:b", Some("URN:a"), "b", None),
        ] {
            let path = AttributePath::parse(text).unwrap();
            assert_eq!(path.urn.as_deref(), urn, "{text}");
            assert_eq!(path.name, name, "{text}");
            assert_eq!(path.sub_attribute.as_deref(), sub_attribute, "{text}");
            assert_eq!(path.to_string(), text);
        }
    }

    #[test]
    fn invalid_path_is_rejected() {
        for text in [
            "",
            ".",
            "a.",
            ".a",
            "a.b.c",
            "1a",
            "a b",
            "a[b]",
            "a:b",
            "urn:",
            "urn:a:",
            "urn:a b:c",
            "é",
            "urn:a:b.1",
        ] {
            assert_eq!(AttributePath::parse(text), None, "{text:?}");
        }
    }
}
