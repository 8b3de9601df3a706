//! What must be true of a directory after any requests and faults. It reads the items with Scan and shares no
//! code with the crate `directory`, so it also finds mistakes in that crate's keys, indexes and counts.
//!
//! ARCHITECTURE.md describes the items in "The table". `c` is the connector:
//!
//! | item | pk | sk |
//! | --- | --- | --- |
//! | user, group, local group, role | `c#user`, `c#group`, `c#local`, `c#role` | `id` |
//! | member's side of a membership | `c#user`, `c#group`, `c#local` | `member/group` |
//! | group's side of a membership | `c#group/group` | `member` |
//! | index item of a unique attribute | `c#user.userName` | folded value without spaces at both ends |
//! | index item of another attribute | `c#user.emails.value` | folded value, `\0`, id |
//! | index item of a username, if the mapping makes it of another attribute than userName | `c#user.username(nickName)` | folded value without spaces at both ends, `\0`, id |
//! | index item of a local user | `c#user.local` | `true` or `false` (active), `\0`, id |
//! | count of the resources whose ids begin with one byte | `c#count` | `user/00` to `user/ff` |
//! | guard of nesting | `c#count` | `nesting` |
//! | audit record | `c#audit/…` | any |
//! | credential for the SCIM API | `c#connector` | `credential/`, id |
//! | credential for the directory API | `c#connector` | `credential-directory/`, id |
//! | custom schema | `c#connector` | `schema/`, URN in lower case |

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use directory::connectors::ConnectorId;
use serde_json::Value;
use uuid::Uuid;

use crate::layout::indexed_value;
use crate::service::Service;
use crate::table::{Item, Items, read_items, read_record, text_of};

/// One thing that must be true of every directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Invariant {
    /// An attribute that repeats a fact agrees with it: `active`, `userName`, `displayName`, a member's
    /// `kind`.
    CopiesAgree,
    /// A count equals the number of resources that it counts.
    CountsAreExact,
    /// Every deletion that began is complete.
    DeletionsAreComplete,
    /// The group of a membership exists.
    GroupsExist,
    /// An index item names a resource that has its value.
    IndexItemsHaveResources,
    /// The key of every item belongs to a known kind of item.
    ItemsAreKnown,
    /// The member of a membership is active, unless the connector keeps the groups of deactivated users.
    MembersAreActive,
    /// The member of a membership exists.
    MembersExist,
    /// A membership has its group's side and its member's side.
    MembershipsHaveBothSides,
    /// Two users do not share a userName, and two groups do not share a displayName. The comparison ignores upper and lower case.
    NamesAreUnique,
    /// A group that is in another group is marked as nested.
    NestedGroupsAreMarked,
    /// No group contains itself through other groups.
    NestingHasNoCycle,
    /// The document and the metadata of a resource can be parsed.
    ResourcesAreReadable,
    /// A resource has an index item for each value of an indexed attribute.
    ResourcesHaveIndexItems,
    /// No change of more than one transaction is unfinished.
    WorkIsFinished,
}

/// An invariant that does not hold, and its items.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Violation {
    /// The invariant.
    pub invariant: Invariant,
    /// The items that break the invariant, for the message of a failed test.
    pub place: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.invariant, self.place)
    }
}

/// Fails unless every invariant holds in the directory of a connector.
///
/// # Panics
/// When an invariant does not hold. The message lists each violation.
pub async fn assert_invariants(service: &Service, connector: &ConnectorId) {
    let violations = find_violations(service, connector).await;
    let lines: Vec<String> = violations.iter().map(ToString::to_string).collect();
    assert!(lines.is_empty(), "the directory of {connector} breaks invariants:\n{}", lines.join("\n"));
}

/// Reads the directory of a connector and returns every violation.
///
/// # Panics
/// When the engine does not answer.
pub async fn find_violations(service: &Service, connector: &ConnectorId) -> Vec<Violation> {
    let record = read_record(service, connector).await.unwrap_or_default();
    let keeps_groups = record["settings"]["on-deactivate"] == "keep-groups";
    let has_local_index = record["indexes"]["User.local"] == "ready";
    let states = record["indexes"].as_object().cloned().unwrap_or_default();
    let ready = states.into_iter().filter(|(_, state)| state == "ready");
    let username_paths = ready.filter_map(|(name, _)| username_path(name.strip_prefix("User.")?)).collect();
    let items = read_items(service, connector).await;
    let custom_indexes = custom_indexes(&record, &items);
    let directory = Directory { has_local_index, username_paths, custom_indexes, ..Directory::default() };
    violations(directory, &connector.to_string(), &items, keeps_groups)
}

/// The path of the attribute whose values an index of usernames holds.
fn username_path(index: &str) -> Option<String> {
    Some(index.strip_prefix("username(")?.strip_suffix(')')?.to_owned())
}

/// The violations among the items of one connector.
fn violations(
    mut directory: Directory,
    connector: &str,
    items: &Items,
    keeps_groups: bool,
) -> Vec<Violation> {
    for ((pk, sk), item) in items {
        directory.add(connector, pk, sk, item);
    }
    directory.check_resources();
    directory.check_indexes(connector);
    directory.check_memberships(keeps_groups);
    directory.check_nesting();
    directory.check_counts();
    directory.found.sort();
    directory.found
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    User,
    Group,
    LocalGroup,
    Role,
}

impl Kind {
    const ALL: [Self; 4] = [Self::User, Self::Group, Self::LocalGroup, Self::Role];

    /// The word for it in partitions and counts.
    fn word(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Group => "group",
            Self::LocalGroup => "local",
            Self::Role => "role",
        }
    }

    fn unique_attribute(self) -> &'static str {
        if self == Self::User { "userName" } else { "displayName" }
    }

    /// The indexes of the built-in schemas.
    fn indexes(self) -> Vec<Index> {
        let name = Index { is_unique: true, ..index(&[self.unique_attribute()]) };
        let external_id = Index { is_case_exact: true, ..index(&["externalId"]) };
        let mut indexes = vec![name, external_id];
        if self == Self::User {
            indexes.extend([
                index(&["emails", "value"]),
                index(&["name", "givenName"]),
                index(&["name", "familyName"]),
                index(&["displayName"]),
            ]);
        }
        indexes
    }
}

/// An index: its name, the path of its attribute, and how values are compared.
struct Index {
    name: String,
    path: Vec<String>,
    is_case_exact: bool,
    is_unique: bool,
}

fn index(path: &[&str]) -> Index {
    let path: Vec<String> = path.iter().map(|name| (*name).to_owned()).collect();
    Index { name: path.join("."), path, is_case_exact: false, is_unique: false }
}

/// The indexes of the custom schemas that the record of a connector lists as active.
fn custom_indexes(record: &Value, items: &Items) -> Vec<(Kind, Index)> {
    let mut indexes = Vec::new();
    for ((_, sk), item) in items {
        let Some(key) = sk.strip_prefix("schema/").filter(|key| record["schemas"][key]["state"] == "active")
        else {
            continue;
        };
        let schema: Value = serde_json::from_str(&text_of(item, "doc")).expect("a custom schema is JSON");
        let text = |value: &Value| value.as_str().expect("a custom schema has texts").to_owned();
        assert_eq!(*key, text(&schema["id"]).to_ascii_lowercase());
        let kind = if schema["resourceType"] == "User" { Kind::User } else { Kind::Group };
        for path in schema["indexes"].as_array().into_iter().flatten().map(text) {
            let mut leaf = &schema;
            for (name, member) in path.split('.').zip(["attributes", "subAttributes"]) {
                let attributes = leaf[member].as_array().into_iter().flatten();
                leaf = attributes
                    .into_iter()
                    .find(|attribute| attribute["name"] == *name)
                    .expect("it is defined");
            }
            let urn = text(&schema["id"]);
            let names = std::iter::once(urn.as_str()).chain(path.split('.'));
            let index = Index {
                name: format!("{urn}:{path}"),
                path: names.map(str::to_owned).collect(),
                is_case_exact: leaf["caseExact"] == true,
                is_unique: leaf["uniqueness"] == "server",
            };
            indexes.push((kind, index));
        }
    }
    indexes
}

/// The index of deactivated users has this name and this one value.
const INACTIVE: (&str, &str) = ("active", "false");

/// The index of local users has this name. Its values say whether a user is active.
const LOCAL: &str = "local";

struct Resource {
    kind: Kind,
    document: Value,
    item: Item,
}

impl Resource {
    fn is_set(&self, mark: &str) -> bool {
        self.item.get(mark).is_some_and(|value| value.as_bool() == Ok(&true))
    }

    /// Whether clients can see it: its deletion has not begun.
    fn is_present(&self) -> bool {
        !self.is_set("going")
    }

    /// A user without `active` is active (RFC 7643 §4.1.1).
    fn is_active(&self) -> bool {
        self.kind != Kind::User || self.document["active"] != Value::Bool(false)
    }
}

/// The items of a directory, by kind.
#[derive(Default)]
struct Directory {
    resources: BTreeMap<String, Resource>,
    unreadable: BTreeSet<String>,
    index_items: BTreeMap<(String, String), String>,
    /// The group's side of each membership, with its attribute `kind`.
    group_sides: BTreeMap<(String, String), String>,
    /// The member's side of each membership, with the kind of its partition.
    member_sides: BTreeMap<(String, String), Kind>,
    counts: BTreeMap<(Kind, String), (i64, i64)>,
    /// Whether each local user must have an index item. In a table of an earlier version, some have none.
    has_local_index: bool,
    custom_indexes: Vec<(Kind, Index)>,
    /// The paths of the attributes whose values are in an index of usernames.
    username_paths: BTreeSet<String>,
    found: Vec<Violation>,
}

impl Directory {
    fn report(&mut self, invariant: Invariant, place: String) {
        self.found.push(Violation { invariant, place });
    }

    /// Adds one item to the field of its kind.
    fn add(&mut self, connector: &str, pk: &str, sk: &str, item: &Item) {
        let space = pk.strip_prefix(connector).and_then(|rest| rest.strip_prefix('#')).unwrap_or_default();
        let kind = Kind::ALL.into_iter().find(|kind| kind.word() == space);
        let is_known = if let Some(kind) = kind {
            match sk.split_once('/') {
                None if is_id(sk) => {
                    self.add_resource(kind, sk, item);
                    true
                }
                Some((member, group)) if is_id(member) && is_id(group) => {
                    self.member_sides.insert((group.to_owned(), member.to_owned()), kind);
                    true
                }
                _ => false,
            }
        } else if let Some(group) = space.strip_prefix("group/") {
            self.group_sides.insert((group.to_owned(), sk.to_owned()), text_of(item, "kind"));
            is_id(group) && is_id(sk)
        } else if space == "count" {
            sk == "nesting" || self.add_count(sk, item)
        } else if space.contains('.') {
            self.index_items.insert((pk.to_owned(), sk.to_owned()), text_of(item, "id"));
            true
        } else {
            if space == "intent" {
                self.report(Invariant::WorkIsFinished, format!("the intent {sk}"));
            }
            space.starts_with("audit/")
                || space == "intent"
                || space.starts_with("intent/")
                || (space == "connector"
                    && ["credential/", "credential-directory/", "schema/"]
                        .iter()
                        .any(|prefix| sk.starts_with(prefix)))
        };
        if !is_known {
            self.report(Invariant::ItemsAreKnown, format!("{sk:?} of {pk}"));
        }
    }

    fn add_resource(&mut self, kind: Kind, id: &str, item: &Item) {
        let document = serde_json::from_str::<Value>(&text_of(item, "doc")).ok();
        match document.filter(|document| document.is_object() && has_metadata(item)) {
            Some(document) => {
                self.resources.insert(id.to_owned(), Resource { kind, document, item: item.clone() });
            }
            None => {
                self.unreadable.insert(id.to_owned());
                self.report(Invariant::ResourcesAreReadable, format!("{kind:?} {id}"));
            }
        }
    }

    fn add_count(&mut self, sk: &str, item: &Item) -> bool {
        let Some((word, byte)) = sk.split_once('/') else { return false };
        let Some(kind) = Kind::ALL.into_iter().find(|kind| kind.word() == word) else { return false };
        self.counts.insert((kind, byte.to_owned()), (number_of(item, "n"), number_of(item, "active")));
        byte.len() == 2 && u8::from_str_radix(byte, 16).is_ok()
    }

    /// Copies in an item agree with its document, and deletions are complete.
    fn check_resources(&mut self) {
        let mut found = Vec::new();
        for (id, resource) in &self.resources {
            let place = |what: &str| format!("{what} of {:?} {id}", resource.kind);
            for mark in ["intent", "leaving", "creating"] {
                if resource.item.contains_key(mark) {
                    found.push((Invariant::WorkIsFinished, place(mark)));
                }
            }
            if !resource.is_present() {
                if !resource.is_set("kept") {
                    found.push((Invariant::DeletionsAreComplete, place("the deletion")));
                }
                continue;
            }
            let name = resource.kind.unique_attribute();
            if resource.document[name] != text_of(&resource.item, name) {
                found.push((Invariant::CopiesAgree, place(name)));
            }
            let says_active = resource.item.get("active").and_then(|value| value.as_bool().ok());
            if resource.kind == Kind::User && says_active != Some(&resource.is_active()) {
                found.push((Invariant::CopiesAgree, place("active")));
            }
        }
        found.into_iter().for_each(|(invariant, place)| self.report(invariant, place));
    }

    /// Each value of an indexed attribute has one index item, and each index item has its value.
    fn check_indexes(&mut self, connector: &str) {
        let mut expected: BTreeMap<(String, String), BTreeSet<String>> = BTreeMap::new();
        let mut group_names: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (id, resource) in self.resources.iter().filter(|(_, resource)| resource.is_present()) {
            let word = resource.kind.word();
            let mut expect = |index: &str, sk: String| {
                expected.entry((format!("{connector}#{word}.{index}"), sk)).or_default().insert(id.clone());
            };
            let custom = self.custom_indexes.iter().filter(|(kind, _)| *kind == resource.kind);
            for index in resource.kind.indexes().iter().chain(custom.map(|(_, index)| index)) {
                for value in
                    texts_at(&resource.document, &index.path.iter().map(String::as_str).collect::<Vec<_>>())
                {
                    let compared = if index.is_unique { value.trim() } else { value };
                    let value = indexed_value(compared, index.is_case_exact);
                    if !value.is_empty() {
                        expect(&index.name, if index.is_unique { value } else { format!("{value}\0{id}") });
                    }
                }
            }
            for path in self.username_paths.iter().filter(|_| resource.kind == Kind::User) {
                let value = indexed_value(username_source(&resource.document, path).trim(), false);
                if !value.is_empty() {
                    expect(&format!("username({path})"), format!("{value}\0{id}"));
                }
            }
            if !resource.is_active() {
                expect(INACTIVE.0, format!("{}\0{id}", INACTIVE.1));
            }
            if resource.kind == Kind::User && text_of(&resource.item, "origin") == "local" {
                expect(LOCAL, format!("{}\0{id}", resource.is_active()));
            }
            if let (Kind::Group | Kind::LocalGroup, Some(name)) =
                (resource.kind, resource.document["displayName"].as_str())
            {
                group_names.entry(indexed_value(name, false)).or_default().insert(id.clone());
            }
        }
        let shared = expected.iter().map(|((pk, sk), ids)| (format!("{sk:?} of {pk}"), ids));
        // A local group and a group of the identity provider have different indexes, and must differ in name
        // too.
        let shared =
            shared.chain(group_names.iter().map(|(name, ids)| (format!("groups named {name:?}"), ids)));
        let shared: BTreeSet<String> =
            shared.filter(|(_, ids)| ids.len() > 1).map(|(what, ids)| format!("{what}: {ids:?}")).collect();
        let actual = std::mem::take(&mut self.index_items);
        let mut found = Vec::new();
        for ((pk, sk), ids) in &expected {
            let holder = actual.get(&(pk.clone(), sk.clone()));
            let is_optional = !self.has_local_index && pk.ends_with(&format!("#user.{LOCAL}"));
            if !holder.is_some_and(|id| ids.contains(id)) && !is_optional {
                found.push((Invariant::ResourcesHaveIndexItems, format!("{sk:?} of {pk} for {ids:?}")));
            }
        }
        for ((pk, sk), id) in &actual {
            // While such an index is built or removed, it can have any of its items.
            let of_usernames = pk.split_once("#user.").and_then(|(_, index)| username_path(index));
            if of_usernames.is_some_and(|path| !self.username_paths.contains(&path)) {
                continue;
            }
            let has_value = expected.get(&(pk.clone(), sk.clone())).is_some_and(|ids| ids.contains(id));
            // The values of a resource that cannot be read are unknown.
            if !has_value && !self.unreadable.contains(id) {
                found.push((
                    Invariant::IndexItemsHaveResources,
                    format!("{sk:?} of {pk}, which names {id:?}"),
                ));
            }
        }
        shared.into_iter().for_each(|place| self.report(Invariant::NamesAreUnique, place));
        found.into_iter().for_each(|(invariant, place)| self.report(invariant, place));
    }

    /// Memberships have two sides, and their groups and members exist and are active.
    fn check_memberships(&mut self, keeps_groups: bool) {
        let memberships: BTreeSet<(String, String)> =
            self.group_sides.keys().chain(self.member_sides.keys()).cloned().collect();
        for (group, member) in memberships {
            let place = format!("member {member} of group {group}");
            let sides = (group.clone(), member.clone());
            let (stated_kind, partition) = (self.group_sides.get(&sides), self.member_sides.get(&sides));
            let kind_of = |id: &str| {
                let resource = self.resources.get(id).filter(|resource| resource.is_present());
                resource.map(|resource| resource.kind)
            };
            let is_group = kind_of(&group).is_some_and(|kind| kind != Kind::User);
            // Only a role has local groups as members.
            let is_of_role = kind_of(&group) == Some(Kind::Role);
            let can_be_member = |kind: &Kind| match kind {
                Kind::User | Kind::Group => true,
                Kind::LocalGroup => is_of_role,
                Kind::Role => false,
            };
            let kind = kind_of(&member).filter(can_be_member);
            let is_active = self.resources.get(&member).is_none_or(Resource::is_active);
            let is_marked = self.resources.get(&member).is_none_or(|resource| resource.is_set("nested"));
            let mut broken = Vec::new();
            if !is_group && !self.unreadable.contains(&group) {
                broken.push(Invariant::GroupsExist);
            }
            if kind.is_none() && !self.unreadable.contains(&member) {
                broken.push(Invariant::MembersExist);
            }
            if kind.is_some() && !is_active && !keeps_groups {
                broken.push(Invariant::MembersAreActive);
            }
            if kind == Some(Kind::Group) && !is_marked {
                broken.push(Invariant::NestedGroupsAreMarked);
            }
            if stated_kind.is_none() || partition.is_none() {
                broken.push(Invariant::MembershipsHaveBothSides);
            }
            if let Some(kind) = kind {
                let name = match kind {
                    Kind::User => "User",
                    Kind::LocalGroup => "LocalGroup",
                    Kind::Group | Kind::Role => "Group",
                };
                if stated_kind.is_some_and(|stated| stated != name)
                    || partition.is_some_and(|found| *found != kind)
                {
                    broken.push(Invariant::CopiesAgree);
                }
            }
            broken.into_iter().for_each(|invariant| self.report(invariant, place.clone()));
        }
    }

    /// No group contains itself through other groups.
    fn check_nesting(&mut self) {
        let mut inner: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        let groups = self.group_sides.iter().filter(|(_, kind)| *kind == "Group");
        for (group, member) in groups.map(|(sides, _)| sides) {
            inner.entry(group).or_default().push(member);
        }
        let mut cycles = Vec::new();
        for start in inner.keys() {
            let (mut seen, mut left) = (BTreeSet::new(), inner[start].clone());
            while let Some(group) = left.pop() {
                if seen.insert(group) {
                    left.extend(inner.get(group).into_iter().flatten());
                }
            }
            if seen.contains(start) {
                cycles.push(format!("group {start}"));
            }
        }
        cycles.into_iter().for_each(|place| self.report(Invariant::NestingHasNoCycle, place));
    }

    /// Each count equals the number of its resources. A missing count is 0.
    fn check_counts(&mut self) {
        let mut expected: BTreeMap<(Kind, String), (i64, i64)> = BTreeMap::new();
        for (id, resource) in self.resources.iter().filter(|(_, resource)| resource.is_present()) {
            let count = expected.entry((resource.kind, id[..2].to_owned())).or_default();
            count.0 += 1;
            count.1 += i64::from(resource.kind == Kind::User && resource.is_active());
        }
        let places: BTreeSet<(Kind, String)> = expected.keys().chain(self.counts.keys()).cloned().collect();
        for place in places {
            let (actual, expected) = (self.counts.get(&place), expected.get(&place));
            let (actual, expected) =
                (actual.copied().unwrap_or_default(), expected.copied().unwrap_or_default());
            let has_unreadable = self.unreadable.iter().any(|id| id[..2] == place.1);
            if actual != expected && !has_unreadable {
                let what = format!("{:?}s whose ids begin with {}", place.0, place.1);
                self.report(Invariant::CountsAreExact, format!("{what}: {actual:?}, counted {expected:?}"));
            }
        }
    }
}

/// Whether a text is a UUID in canonical form.
fn is_id(text: &str) -> bool {
    Uuid::try_parse(text).is_ok_and(|id| id.to_string() == text)
}

/// Whether an item has the attributes for `meta` and the origin.
fn has_metadata(item: &Item) -> bool {
    let is_time = |name: &str| text_of(item, name).parse::<jiff::Timestamp>().is_ok();
    number_of(item, "version") >= 1
        && is_time("created")
        && is_time("modified")
        && ["scim", "local"].contains(&text_of(item, "origin").as_str())
}

fn number_of(item: &Item, name: &str) -> i64 {
    item.get(name).and_then(|value| value.as_n().ok()?.parse().ok()).unwrap_or_default()
}

/// The texts at a path of a document, through arrays.
/// The value of which a username is made: at a path of names, or the primary email address.
fn username_source<'d>(document: &'d Value, path: &str) -> &'d str {
    if path == "emails[primary eq true].value" {
        let mut emails = document["emails"].as_array().into_iter().flatten();
        let primary = emails.find(|email| email["primary"] == Value::Bool(true));
        return primary.and_then(|email| email["value"].as_str()).unwrap_or_default();
    }
    let path = path.strip_prefix("urn:ietf:params:scim:schemas:core:2.0:User:").unwrap_or(path);
    let names: Vec<&str> = path.split('.').collect();
    texts_at(document, &names).first().copied().unwrap_or_default()
}

fn texts_at<'d>(document: &'d Value, path: &[&str]) -> Vec<&'d str> {
    match (document, path) {
        (Value::Array(elements), _) => elements.iter().flat_map(|element| texts_at(element, path)).collect(),
        (value, [name, rest @ ..]) => value.get(name).map(|value| texts_at(value, rest)).unwrap_or_default(),
        (value, []) => value.as_str().into_iter().collect(),
    }
}
