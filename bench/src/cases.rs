//! The work of the core, without I/O. `make bench` times these cases, and `make instructions` counts their instructions.

use std::hint::black_box;
use std::str::FromStr as _;

use jiff::Timestamp;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value, json};
use shared::filter::Filter;
use shared::message::ListResponse;
use shared::patch::Patch;
use shared::projection::Projection;
use shared::resource::{
    Document, Member, Origin, Resource, ResourceId, ResourceKind, normalise, parse_object, represent,
};
use shared::schema::Schemas;

use crate::directory;

/// The longest filter of a known client: Entra ID checks the manager of a user.
pub const LONGEST_FILTER: &str = "id eq \"2819c223-7f76-453a-919d-413861904646\" and \
    urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager eq \"26118915-6090-4610-87e4-49d8ca9f808d\"";

const BASE_URL: &str = "https://scim.example.com/default/scim/v2";

/// One operation of the core with its input.
pub struct Case {
    /// The name in the report and in `instructions.toml`.
    pub name: &'static str,
    /// Runs the operation once.
    pub run: Box<dyn Fn()>,
}

fn case<T>(name: &'static str, run: impl Fn() -> T + 'static) -> Case {
    let run = move || {
        black_box(run());
    };
    Case { name, run: Box::new(run) }
}

/// Returns the cases of Rollcall's core.
///
/// # Panics
/// If the core rejects the input of a case.
pub fn core() -> Vec<Case> {
    let schemas = Schemas::built_in();
    let (users, groups) = (schemas.of(ResourceKind::User), schemas.of(ResourceKind::Group));
    let body = directory::user(1).to_string().into_bytes();
    let user = user(1);
    let resolved = Filter::parse(LONGEST_FILTER).and_then(|filter| filter.resolve(users)).expect("a filter");
    let representation = represent(&user, &[], None, BASE_URL);
    let patch = entra_patch().to_string().into_bytes();
    let names = ["userName".to_owned(), "name.familyName".to_owned(), "emails.value".to_owned()];
    let three_attributes = Projection::new(Some(&names), None, users).expect("a projection");
    let all_attributes = || Projection::new(None, None, users).expect("a projection");
    let (user_projection, page_projection) = (all_attributes(), all_attributes());
    let page: Vec<Resource> = (0..100).map(self::user).collect();
    let group =
        resource(ResourceKind::Group, Document::from_iter([("displayName".into(), "Everyone".into())]));
    let members: Vec<Member> = (0..100_000)
        .map(|_| Member {
            id: ::directory::secrets::new_resource_id(),
            kind: ResourceKind::User,
            display: None,
        })
        .collect();
    let group_projection = Projection::new(None, None, groups).expect("a projection");
    let document = user.document.clone();
    vec![
        case("parse the longest filter", || Filter::parse(black_box(LONGEST_FILTER))),
        case("parse and resolve it", || {
            Filter::parse(LONGEST_FILTER).and_then(|filter| filter.resolve(users))
        }),
        case("evaluate it on a user", move || resolved.matches(black_box(&representation))),
        case("normalise a user", move || {
            normalise(&parse_object(&body).expect("an object"), users).expect("a user")
        }),
        case("apply a PATCH to a user", move || {
            let patch = Patch::parse(parse_object(&patch).expect("an object"), users).expect("a patch");
            patch.apply(black_box(&document), users).expect("a user")
        }),
        case("represent a user", {
            let user = user.clone();
            move || serialise(&user, &user_projection)
        }),
        case("project three attributes of a user", move || serialise(&user, &three_attributes)),
        case("serialise a page of 100 users", move || {
            let users: Vec<Box<RawValue>> =
                page.iter().map(|user| serialise(user, &page_projection)).collect();
            serde_json::to_vec(&ListResponse::by_index(100_000, 1, &users)).expect("JSON")
        }),
        case("serialise a group of 100,000 members", move || {
            let mut out = represent(&group, &[], Some(&members), BASE_URL);
            group_projection.apply(&mut out, groups);
            serde_json::to_vec(&out).expect("JSON")
        }),
    ]
}

/// Returns cases that parse the same filter with other crates.
///
/// # Panics
/// If one of the crates rejects the filter.
pub fn others() -> Vec<Case> {
    vec![
        case("scim_v2", || scim_v2::filter::Filter::from_str(black_box(LONGEST_FILTER)).expect("a filter")),
        case("scim-filter", || {
            scim_filter::scim_filter(black_box(LONGEST_FILTER), Vec::<Value>::new()).expect("a filter")
        }),
    ]
}

fn serialise(user: &Resource, projection: &Projection) -> Box<RawValue> {
    let mut out = represent(user, &[], None, BASE_URL);
    projection.apply(&mut out, Schemas::built_in().of(ResourceKind::User));
    to_raw_value(&out).expect("JSON")
}

fn user(number: usize) -> Resource {
    let body = directory::user(number);
    let body: &Map<String, Value> = body.as_object().expect("an object");
    let document = normalise(body, Schemas::built_in().of(ResourceKind::User)).expect("a user");
    resource(ResourceKind::User, document)
}

fn resource(kind: ResourceKind, document: Document) -> Resource {
    let now = Timestamp::UNIX_EPOCH;
    let id = ResourceId::parse("2819c223-7f76-453a-919d-413861904646").expect("an id");
    Resource { kind, id, version: 1, created: now, last_modified: now, origin: Origin::Scim, document }
}

/// Returns a PATCH as Entra ID sends it: dotted keys, value filters, a name and a department.
fn entra_patch() -> Value {
    json!({
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
        "Operations": [
            { "op": "Replace", "path": "displayName", "value": "Ann Ash" },
            { "op": "Add", "path": "emails[type eq \"work\"].value", "value": "ann@example.com" },
            { "op": "Replace", "value": { "name.familyName": "Ash", "title": "Head Guide", "active": true } },
            {
                "op": "Add",
                "path": "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department",
                "value": "Tours"
            }
        ]
    })
}
