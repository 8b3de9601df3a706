//! The id of a feed.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::connectors::is_id;

/// The id of a feed, which is a segment of its URL: 1 to 63 of `a`–`z`, `0`–`9` and `-`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(try_from = "String")]
pub struct FeedId(String);

impl FeedId {
    /// Reads an id; `None` when the text cannot be one.
    pub fn parse(text: &str) -> Option<Self> {
        is_id(text).then(|| Self(text.to_owned()))
    }
}

impl TryFrom<String> for FeedId {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text).ok_or_else(|| format!("{text:?} is no id of a feed"))
    }
}

impl fmt::Display for FeedId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
