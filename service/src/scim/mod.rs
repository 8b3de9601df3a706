//! The handlers of the SCIM API.

pub mod bulk;
pub mod discovery;
pub mod groups;
pub mod search;
pub mod users;

use shared::error::ScimError;
use shared::patch::Patch;
use shared::resource::parse_object;
use shared::schema::ResourceSchema;

use crate::call::Call;

/// The maximum number of unknown schemas that the log names, and the maximum length of each, in bytes.
const MAX_NAMED: (usize, usize) = (10, 200);

/// Parses the body of a PATCH. The log names the schemas whose operations are ignored.
fn parse_patch<'s>(call: &Call, schema: &'s ResourceSchema) -> Result<Patch<'s>, ScimError> {
    let patch = Patch::parse(parse_object(&call.request.body)?, schema)?;
    call.notes.ignored(patch.unknown_schemas().chain(patch.unknown_attributes()));
    let (count, length) = MAX_NAMED;
    let shortened = |urn: &'_ str| urn.get(..urn.floor_char_boundary(length)).unwrap_or_default().to_owned();
    let named = patch.unknown_schemas().take(count).map(shortened);
    let named: Vec<String> = named.collect();
    if !named.is_empty() {
        let id = &call.request.id;
        tracing::info!(id, unknown_schemas = named.join(" "), "ignored operations in unknown schemas");
    }
    Ok(patch)
}
