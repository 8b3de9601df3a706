//! The versions that a client names in If-Match and If-None-Match (RFC 7644 §3.14, RFC 9110 §13.1).

/// A list of ETags, or any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Versions {
    /// `*`: whatever the version is.
    Any,
    /// One of these, without `W/` and quotes.
    OneOf(Vec<String>),
}

impl Versions {
    /// Reads the value of a header. Versions are weak (RFC 7643 §3.1), and compared so: `W/"1"` and `"1"` are alike.
    pub fn parse(header: &str) -> Self {
        let mut versions = Vec::new();
        for version in header.split(',').map(str::trim) {
            if version == "*" {
                return Self::Any;
            }
            versions.push(opaque(version).to_owned());
        }
        Self::OneOf(versions)
    }

    /// Whether this is one of them.
    pub fn matches(&self, etag: &str) -> bool {
        match self {
            Self::Any => true,
            Self::OneOf(versions) => versions.iter().any(|version| version == opaque(etag)),
        }
    }
}

fn opaque(etag: &str) -> &str {
    accepts_a_version_without_quotes(etag.strip_prefix("W/").unwrap_or(etag))
}

/// Some clients send what is in the quotes.
fn accepts_a_version_without_quotes(etag: &str) -> &str {
    etag.strip_prefix('"').and_then(|etag| etag.strip_suffix('"')).unwrap_or(etag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_weakly() {
        for (header, etag, expected) in [
            ("W/\"3\"", "W/\"3\"", true),
            ("\"3\"", "W/\"3\"", true),
            ("3", "W/\"3\"", true),
            ("*", "W/\"3\"", true),
            ("W/\"1\", W/\"3\"", "W/\"3\"", true),
            ("W/\"1\"", "W/\"3\"", false),
            ("", "W/\"3\"", false),
        ] {
            assert_eq!(Versions::parse(header).matches(etag), expected, "{header}");
        }
    }
}
