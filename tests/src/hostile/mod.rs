//! Hostile requests: bodies, queries and headers of any size that try to cause much work.
//!
//! A request is a frame with parts in it. Each part has about the size that the caller wants. [`Kind::run`] does the work
//! that the service does for a request of this kind, without the table.

mod parts;

use std::hint::black_box;

use jiff::Timestamp;
use serde_json::{Value, json};
use service::request::parameters;
use shared::bulk::{BulkOperation, BulkRequest, ResolvedBulkIds, Schedule};
use shared::credential::PresentedCredentials;
use shared::entity_tags::EntityTags;
use shared::error::ScimError;
use shared::filter::Filter;
use shared::limits::MAX_BULK_BYTES;
use shared::message::SearchRequest;
use shared::patch::{Patch, members_of_body};
use shared::projection::Projection;
use shared::resource::{
    self, Document, Origin, Resource, ResourceId, ResourceKind, normalise, parse_object, represent,
};
use shared::schema::{ResourceSchema, Schemas};
use shared::sort::Sort;

/// The largest body of a request.
pub const MAX_BODY_BYTES: usize = service::MAX_BODY_BYTES;

/// A part of a request: a text of about this many bytes.
#[derive(Clone, Copy)]
pub struct Part {
    /// What the part has many of.
    pub name: &'static str,
    /// Writes the text.
    pub text: fn(usize) -> String,
}

impl std::fmt::Debug for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// A kind of request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// POST or PUT of a user.
    User,
    /// POST or PUT of a group.
    Group,
    /// PATCH of a user.
    UserPatch,
    /// PATCH of a group.
    GroupPatch,
    /// A query in a body.
    Search,
    /// A query in a URL.
    Query,
    /// A Bulk request.
    Bulk,
    /// The headers that are parsed.
    Headers,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 8] = [
        Self::User,
        Self::Group,
        Self::UserPatch,
        Self::GroupPatch,
        Self::Search,
        Self::Query,
        Self::Bulk,
        Self::Headers,
    ];

    /// The parts that a request of this kind can have.
    pub fn parts(self) -> &'static [Part] {
        match self {
            Self::User | Self::Group => parts::RESOURCE,
            Self::UserPatch => parts::USER_PATCH,
            Self::GroupPatch => parts::GROUP_PATCH,
            Self::Search => parts::SEARCH,
            Self::Query => parts::QUERY,
            Self::Bulk => parts::BULK,
            Self::Headers => parts::HEADERS,
        }
    }

    /// The most bytes that a request of this kind can have. Servers limit URLs and headers.
    pub fn max_bytes(self) -> usize {
        match self {
            Self::Bulk => MAX_BULK_BYTES,
            Self::Query | Self::Headers => 64 * 1024,
            _ => MAX_BODY_BYTES,
        }
    }

    /// Writes a request with these parts, of about this many bytes.
    pub fn write(self, parts: &[Part], bytes: usize) -> Vec<u8> {
        let (open, between, close) = match self {
            Self::User => (r#"{"schemas":[],"userName":"ann","#, ",", "}"),
            Self::Group => (r#"{"schemas":[],"displayName":"all","#, ",", "}"),
            Self::UserPatch | Self::GroupPatch => {
                (r#"{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":["#, ",", "]}")
            }
            Self::Search => {
                (r#"{"schemas":["urn:ietf:params:scim:api:messages:2.0:SearchRequest"],"#, ",", "}")
            }
            Self::Query => ("count=10&", "&", ""),
            Self::Bulk => (
                r#"{"schemas":["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],"Operations":["#,
                ",",
                "]}",
            ),
            Self::Headers => ("", ",", ""),
        };
        let share = bytes.saturating_sub(open.len() + close.len()) / parts.len().max(1);
        let mut out = String::with_capacity(bytes + 1024);
        out.push_str(open);
        for (number, part) in parts.iter().enumerate() {
            if number > 0 {
                out.push_str(between);
            }
            out.push_str(&(part.text)(share));
        }
        out.push_str(close);
        out.into_bytes()
    }

    /// Does the work of a request.
    ///
    /// # Errors
    /// Every error that the service would return before it uses the table.
    pub fn run(self, request: &[u8]) -> Result<(), ScimError> {
        match self {
            Self::User => replace(request, ResourceKind::User),
            Self::Group => replace(request, ResourceKind::Group),
            Self::UserPatch => patch(request, ResourceKind::User),
            Self::GroupPatch => patch(request, ResourceKind::Group),
            Self::Search => search(&SearchRequest::from_body(&parse_object(request)?)?),
            Self::Query => {
                search(&SearchRequest::from_query(&parameters(&String::from_utf8_lossy(request)))?)
            }
            Self::Bulk => bulk(request),
            Self::Headers => {
                let header = String::from_utf8_lossy(request);
                black_box(PresentedCredentials::parse(&header).is_some());
                black_box(EntityTags::parse(&header).matches("W/\"1\""));
                Ok(())
            }
        }
    }
}

fn schema(kind: ResourceKind) -> &'static ResourceSchema {
    Schemas::built_in().of(kind)
}

/// The document of a stored resource.
fn stored(kind: ResourceKind) -> Document {
    let document = match kind {
        ResourceKind::User => json!({
            "userName": "ann",
            "name": { "givenName": "Ann" },
            "emails": [{ "value": "ann@example.com", "type": "work", "primary": true }],
            "entitlements": [{ "value": "one", "type": "a" }, { "value": "two" }],
        }),
        _ => json!({ "displayName": "all" }),
    };
    normalise(document.as_object().unwrap_or(&Document::new()), schema(kind)).unwrap_or_default()
}

fn replace(request: &[u8], kind: ResourceKind) -> Result<(), ScimError> {
    let body = parse_object(request)?;
    let document = normalise(&body, schema(kind))?;
    black_box(members_of_body(&body, schema(kind))?);
    respond(resource::replace(&stored(kind), document.clone(), schema(kind))?, kind)
}

fn patch(request: &[u8], kind: ResourceKind) -> Result<(), ScimError> {
    let patch = Patch::parse(parse_object(request)?, schema(kind))?;
    black_box(patch.member_operations());
    respond(patch.apply(&stored(kind), schema(kind))?, kind)
}

fn respond(document: Document, kind: ResourceKind) -> Result<(), ScimError> {
    let now = Timestamp::UNIX_EPOCH;
    let id = ResourceId::from_random_bytes([7; 16]);
    let resource =
        Resource { kind, id, version: 1, created: now, last_modified: now, origin: Origin::Scim, document };
    let mut out = represent(&resource, &[], None, "https://scim.example.com/okta/scim/v2");
    Projection::new(None, None, schema(kind))?.apply(&mut out, schema(kind));
    black_box(Value::Object(out).to_string());
    Ok(())
}

fn search(request: &SearchRequest) -> Result<(), ScimError> {
    let schema = schema(ResourceKind::User);
    let user = stored(ResourceKind::User);
    let projection =
        Projection::new(request.attributes.as_deref(), request.excluded_attributes.as_deref(), schema)?;
    let filter = request.filter.as_deref().map(Filter::parse).transpose()?;
    let filter = filter.map(|filter| filter.resolve(schema)).transpose()?;
    let sort =
        request.sort_by.as_deref().map(|by| Sort::parse(by, request.sort_order.as_deref())).transpose()?;
    let sort_by = match &sort {
        Some(sort) => sort.resolve(schema)?,
        None => None,
    };
    // A page of resources.
    for _ in 0..10 {
        black_box(filter.as_ref().is_none_or(|filter| filter.matches(&user)));
        black_box(sort_by.as_ref().and_then(|sort_by| sort_by.key(&user)));
        projection.apply(&mut user.clone(), schema);
    }
    Ok(())
}

fn bulk(request: &[u8]) -> Result<(), ScimError> {
    let request = BulkRequest::parse(parse_object(request)?)?;
    let mut schedule = Schedule::new(&request.operations);
    let mut resolved = ResolvedBulkIds::new();
    loop {
        let wave: Vec<usize> = schedule.ready().collect();
        let next = if wave.is_empty() { schedule.not_run().take(1).collect() } else { wave };
        if next.is_empty() {
            return Ok(());
        }
        for index in next {
            if let Some(operation) = request.operations.get(index) {
                let _ = black_box(run_operation(operation, &resolved));
                if let Some(bulk_id) = &operation.bulk_id {
                    resolved.insert(bulk_id.clone(), "2819c223-7f76-453a-919d-413861904646".to_owned());
                }
            }
            schedule.run(index);
            schedule.complete(index);
        }
    }
}

fn run_operation(operation: &BulkOperation, resolved: &ResolvedBulkIds) -> Result<(), ScimError> {
    operation.check()?;
    black_box(operation.without_unresolved(resolved));
    let operation = operation.resolve(resolved)?;
    let is_user = operation.path.first().is_some_and(|endpoint| endpoint == "Users");
    let kind = if is_user { ResourceKind::User } else { ResourceKind::Group };
    let body = operation.data.to_string().into_bytes();
    if operation.method == "PATCH" { patch(&body, kind) } else { replace(&body, kind) }
}
