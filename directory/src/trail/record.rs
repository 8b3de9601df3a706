//! A record, its item, and the entries that lead to it.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use shared::error::ScimError;
use shared::filter::fold_name;
use shared::resource::ResourceId;

use super::{KEPT, in_key};
use crate::connectors::ConnectorId;
use crate::dynamodb::attributes::{Item, get_text, number, text};
use crate::dynamodb::keys::{self, Key};

/// The stored attribute with the record as JSON.
const DOCUMENT: &str = "doc";
/// The most bytes of a name. A key holds as many.
const MAX_NAME_BYTES: usize = 512;
/// The most bytes of any other text. So a record takes at most a few write units.
const MAX_TEXT_BYTES: usize = 1_024;
/// The most ignored attributes that a record names, and the most bytes of each name.
const MAX_IGNORED: (usize, usize) = (20, 100);

/// A request, or an operation of a Bulk request.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct Record {
    /// When its response was ready, in milliseconds.
    pub time: Timestamp,
    /// The id of the request, as in the log, in audit records and in the header `x-request-id` of the response.
    pub request: String,
    /// The position of the operation in its Bulk request, counted from 1. `None` for a request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<usize>,
    /// The method.
    pub method: String,
    /// The path without the query. Segments that are neither part of a route nor an id are `…`.
    pub path: String,
    /// The HTTP status.
    pub status: u16,
    /// The `scimType` of the error, or the error code of the token endpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scim_type: Option<String>,
    /// What the client was told. What could be a secret or the value of a filter is `…`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// How long the request took, in milliseconds. 0 for an operation.
    pub ms: u64,
    /// The id of the credential with which the request came.
    pub credential: String,
    /// The kind of resource: `User` or `Group`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The id of the resource.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
    /// The userName or displayName of the resource, or the one in the body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The attributes and schemas of the body that the service does not know and so ignored, up to 20.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ignored: Vec<String>,
    /// What mapping and rules made of the user that was written. `None` if no user was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shown: Option<Shown>,
    /// The number of operations of a Bulk request that failed.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub failed_operations: usize,
    /// How many of them have no record of their own, because there were too many.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unrecorded_operations: usize,
    /// How many records about this connector the same process lost before this one.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub dropped_before: usize,
}

/// What the platform sees of a user that was written.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct Shown {
    /// The username.
    pub username: String,
    /// Why the user is hidden. `None` if it is shown, unless an earlier user has the same username: that is not looked up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hidden: Option<String>,
}

/// What a request is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// The resource with this userName or displayName, in any case.
    Name(String),
    /// The resource with this id.
    Id(ResourceId),
    /// The request with this id, with its operations.
    Request(String),
}

fn is_zero(count: &usize) -> bool {
    *count == 0
}

impl Subject {
    /// The subject as it is in keys.
    pub(super) fn in_key(&self) -> String {
        match self {
            Self::Name(name) => {
                let name = cut(name.trim(), MAX_NAME_BYTES);
                format!("name/{}", keys::index_value(&fold_name(name, false)))
            }
            Self::Id(id) => format!("id/{id}"),
            Self::Request(request) => format!("request/{}", cut(request, MAX_NAME_BYTES)),
        }
    }
}

impl Record {
    /// Whether the request or operation failed.
    pub fn is_failure(&self) -> bool {
        self.status >= 400
    }

    /// The same record with texts of limited lengths, and a time without parts of milliseconds.
    pub(super) fn bounded(mut self) -> Self {
        self.time = Timestamp::from_millisecond(self.time.as_millisecond()).unwrap_or(self.time);
        let (most, longest) = MAX_IGNORED;
        self.ignored.truncate(most);
        self.ignored.iter_mut().for_each(|name| shorten(name, longest));
        self.name.iter_mut().for_each(|name| shorten(name, MAX_NAME_BYTES));
        if let Some(Shown { username, hidden }) = &mut self.shown {
            shorten(username, MAX_NAME_BYTES);
            hidden.iter_mut().for_each(|hidden| shorten(hidden, MAX_NAME_BYTES));
        }
        self.detail.iter_mut().for_each(|detail| shorten(detail, MAX_TEXT_BYTES));
        shorten(&mut self.path, MAX_TEXT_BYTES);
        self
    }

    /// The sort key of the record.
    pub(super) fn sk(&self) -> String {
        keys::trail_sk(&in_key(self.time), &self.request, self.operation)
    }

    /// The items of the record and of the entries that lead to it.
    pub(super) fn items(&self, connector: &ConnectorId) -> Result<Vec<Item>, ScimError> {
        let (time, sk) = (in_key(self.time), self.sk());
        let expires = (self.time + KEPT + SignedDuration::from_hours(1)).as_second();
        let with_expiry = |key: Key| {
            let mut item = key.attributes();
            item.insert("expires".to_owned(), number(expires));
            item
        };
        let mut record = with_expiry(Key { pk: keys::trail(connector, &time), sk: sk.clone() });
        record.insert(DOCUMENT.to_owned(), text(serde_json::to_string(self).map_err(ScimError::internal)?));
        let subjects = [
            Some(Subject::Request(self.request.clone())),
            self.name.clone().map(Subject::Name),
            self.resource.as_deref().and_then(ResourceId::parse).map(Subject::Id),
        ];
        let entry = |subject: Subject| {
            let sk = keys::trail_entry(&subject.in_key(), &sk);
            with_expiry(Key { pk: keys::trail_entries(connector, &time), sk })
        };
        Ok([record].into_iter().chain(subjects.into_iter().flatten().map(entry)).collect())
    }

    /// Reads a record from its item.
    pub(super) fn from_item(item: &Item) -> Option<Self> {
        serde_json::from_str(get_text(item, DOCUMENT)?).ok()
    }
}

fn shorten(text: &mut String, longest: usize) {
    if text.len() > longest {
        *text = format!("{}…", cut(text, longest - '…'.len_utf8()));
    }
}

fn cut(text: &str, longest: usize) -> &str {
    text.get(..text.floor_char_boundary(longest)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_subjects_in_any_case_and_texts_are_cut() {
        let subject = |name: &str| Subject::Name(name.to_owned()).in_key();
        assert_eq!(subject(" Ann@Example.com "), "name/ann@example.com");
        assert_eq!(subject(&"x".repeat(600)), subject(&"x".repeat(512)));
        let record = Record {
            time: "2026-11-30T12:00:00.123Z".parse().unwrap(),
            request: "r".to_owned(),
            operation: None,
            method: "POST".to_owned(),
            path: "p".repeat(3_000),
            status: 409,
            scim_type: None,
            detail: Some("é".repeat(3_000)),
            ms: 1,
            credential: "c".to_owned(),
            kind: None,
            resource: None,
            name: Some("n".repeat(3_000)),
            ignored: vec!["a".repeat(300); 30],
            shown: Some(Shown { username: "u".repeat(3_000), hidden: None }),
            failed_operations: 0,
            unrecorded_operations: 0,
            dropped_before: 0,
        };
        let bounded = record.bounded();
        let lengths = [
            bounded.path.len(),
            bounded.detail.as_ref().unwrap().len(),
            bounded.name.as_ref().unwrap().len(),
            bounded.ignored.len(),
            bounded.ignored[0].len(),
            bounded.shown.as_ref().unwrap().username.len(),
        ];
        assert_eq!(lengths, [1_024, 1_023, 512, 20, 100, 512]);
    }
}
