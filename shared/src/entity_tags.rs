//! The entity tags in If-Match and If-None-Match (RFC 7644 §3.14, RFC 9110 §13.1).

/// The entity tags in a request header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EntityTags {
    /// `*`: any entity tag matches.
    Any,
    /// One of these must match. They are stored without `W/` and without quotes.
    OneOf(Vec<String>),
}

impl EntityTags {
    /// Reads the value of a header.
    pub fn parse(header: &str) -> Self {
        let mut tags = Vec::new();
        for tag in header.split(',').map(str::trim) {
            if tag == "*" {
                return Self::Any;
            }
            tags.push(opaque_part(tag).to_owned());
        }
        Self::OneOf(tags)
    }

    /// Whether this entity tag matches. SCIM's tags are weak (RFC 7643 §3.1), so `W/"1"` and `"1"` match.
    pub fn matches(&self, entity_tag: &str) -> bool {
        match self {
            Self::Any => true,
            Self::OneOf(tags) => tags.iter().any(|tag| tag == opaque_part(entity_tag)),
        }
    }
}

/// Returns an entity tag without `W/` and without quotes.
fn opaque_part(entity_tag: &str) -> &str {
    accepts_an_entity_tag_without_quotes(entity_tag.strip_prefix("W/").unwrap_or(entity_tag))
}

/// Some clients send the tag without quotes.
fn accepts_an_entity_tag_without_quotes(tag: &str) -> &str {
    tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"')).unwrap_or(tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entity_tags_are_compared_weakly() {
        for (header, entity_tag, expected) in [
            ("W/\"3\"", "W/\"3\"", true),
            ("\"3\"", "W/\"3\"", true),
            ("3", "W/\"3\"", true),
            ("*", "W/\"3\"", true),
            ("W/\"1\", W/\"3\"", "W/\"3\"", true),
            ("W/\"1\"", "W/\"3\"", false),
            ("", "W/\"3\"", false),
        ] {
            assert_eq!(EntityTags::parse(header).matches(entity_tag), expected, "{header}");
        }
    }
}
