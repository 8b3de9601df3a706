//! Pages of the directory API.

use directory::Position;
use directory::query::cursor;
use directory::view::EntryPage;
use serde::Serialize;
use serde_json::json;
use serde_json::value::{RawValue, to_raw_value};
use shared::error::{ErrorKind, ScimError};
use shared::resource::ResourceId;

use super::json as json_response;
use super::parameters::Parameters;
use crate::call::Call;
use crate::response::{MAX_PAGE_BYTES, Response};

/// The page size is no part of a cursor: each request chooses its own.
const ANY_LIMIT: usize = 0;

/// Where a page begins, and how many entries it can have.
pub(super) struct PageRequest<'c> {
    call: &'c Call,
    identity: String,
    /// The id after which the page begins.
    pub after: Option<ResourceId>,
    /// The most entries.
    pub limit: usize,
}

impl<'c> PageRequest<'c> {
    /// Reads the parameters `limit` and `cursor`.
    ///
    /// # Errors
    /// 400 if one of them is not valid.
    pub fn new(call: &'c Call, parameters: &Parameters<'_>) -> Result<Self, ScimError> {
        let (limit, identity) = (parameters.limit()?, parameters.identity(&call.path));
        let key = call.connector.record.cursor_key.as_bytes();
        let after = match parameters.text("cursor")? {
            None => None,
            Some(text) => cursor::open(key, &identity, ANY_LIMIT, text, call.now)?.id(),
        };
        Ok(Self { call, identity, after, limit })
    }

    /// Creates the response with a page. The page ends before it is too large for a response.
    ///
    /// # Errors
    /// 400 if the first entry alone is too large.
    pub fn response<T: Serialize>(&self, page: EntryPage<T>) -> Result<Response, ScimError> {
        let (mut entries, mut bytes, mut last) = (Vec::<Box<RawValue>>::new(), 0, None);
        let mut next = page.next;
        for (id, entry) in page.entries {
            let entry = to_raw_value(&entry).map_err(ScimError::internal)?;
            bytes += entry.get().len() + 1;
            if bytes > MAX_PAGE_BYTES {
                if last.is_none() {
                    let detail = format!(
                        "Entry {id} is larger than {MAX_PAGE_BYTES} bytes, the maximum of a response"
                    );
                    return Err(ScimError::new(ErrorKind::TooMany, detail));
                }
                next = last;
                break;
            }
            last = Some(id);
            entries.push(entry);
        }
        let key = self.call.connector.record.cursor_key.as_bytes();
        let seal = |id| cursor::seal(key, &self.identity, ANY_LIMIT, &Position::of(id), self.call.now);
        let next = next.map(seal).transpose()?;
        json_response(&json!({ "entries": entries, "next": next }))
    }
}
