//! The requests of the clients: the SCIM message of each, and the changes that it asks for.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::history::{Change, Kind, Removal};
use crate::provisioning::{GROUP, USER, member_values, patch_body, percent_encoded};

/// The schema of a Bulk request (RFC 7644 §3.7).
const BULK_REQUEST: &str = "urn:ietf:params:scim:api:messages:2.0:BulkRequest";

/// What the answer to a request shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shows {
    /// The resource with this id.
    Resource(Kind, String),
    /// A page of resources.
    Page(Kind),
    /// The resources with this name.
    Lookup(Kind, String),
    /// The result of the only change.
    Change,
    /// The result of each change of a Bulk request.
    Bulk,
}

/// A request.
#[derive(Clone, Debug)]
pub struct Request {
    /// The method.
    pub method: &'static str,
    /// The path and query after the base URL.
    pub target: String,
    /// The body.
    pub body: Option<Value>,
    /// The value of If-Match.
    pub if_match: Option<String>,
    /// The changes that it asks for.
    pub changes: Vec<Change>,
    /// What its answer shows.
    pub shows: Shows,
    /// The place of the resource that it creates.
    pub place: Option<usize>,
}

impl Request {
    fn reading(target: String, shows: Shows) -> Self {
        Self { method: "GET", target, body: None, if_match: None, changes: Vec::new(), shows, place: None }
    }

    fn writing(method: &'static str, change: Change, body: Option<Value>) -> Self {
        let target = match &change.id {
            Some(id) => format!("{}/{id}", change.kind.endpoint()),
            None => change.kind.endpoint().to_owned(),
        };
        Self {
            method,
            target,
            body,
            if_match: None,
            changes: vec![change],
            shows: Shows::Change,
            place: None,
        }
    }

    /// Reads a resource.
    pub fn get(kind: Kind, id: &str) -> Self {
        Self::reading(format!("{}/{id}", kind.endpoint()), Shows::Resource(kind, id.to_owned()))
    }

    /// Finds the resource with this name. The filter has the name in upper case: the comparison ignores case.
    pub fn lookup(kind: Kind, name: &str) -> Self {
        let filter = format!("{} eq \"{}\"", kind.name_attribute(), name.to_uppercase());
        let target = format!("{}?filter={}", kind.endpoint(), percent_encoded(&filter));
        Self::reading(target, Shows::Lookup(kind, name.to_owned()))
    }

    /// Reads a page. `query` has its parameters.
    pub fn page(kind: Kind, query: &str) -> Self {
        Self::reading(format!("{}?{query}", kind.endpoint()), Shows::Page(kind))
    }

    /// Creates a user.
    pub fn create_user(name: &str, active: bool, tag: &str) -> Self {
        let change = Change {
            name: Some(name.to_owned()),
            active: Some(active),
            creation: Some(tag.to_owned()),
            tag: Some(tag.to_owned()),
            ..Change::creation_of(Kind::User)
        };
        Self::writing("POST", change, Some(user_body(name, active, tag, tag)))
    }

    /// Replaces a user.
    pub fn put_user(id: &str, name: &str, active: bool, creation: &str, tag: &str) -> Self {
        let change = Change {
            name: Some(name.to_owned()),
            active: Some(active),
            tag: Some(tag.to_owned()),
            ..Change::of(Kind::User, id)
        };
        Self::writing("PUT", change, Some(user_body(name, active, creation, tag)))
    }

    /// Changes some attributes of a user.
    pub fn patch_user(id: &str, name: Option<&str>, active: Option<bool>, tag: &str) -> Self {
        let mut values = json!({ "displayName": tag });
        if let Some(name) = name {
            values["userName"] = name.into();
        }
        if let Some(active) = active {
            values["active"] = active.into();
        }
        let change = Change {
            name: name.map(str::to_owned),
            active,
            tag: Some(tag.to_owned()),
            ..Change::of(Kind::User, id)
        };
        Self::writing("PATCH", change, Some(patch_body(json!([{ "op": "replace", "value": values }]))))
    }

    /// Deletes a resource.
    pub fn delete(kind: Kind, id: &str) -> Self {
        Self::writing("DELETE", Change { deletes: true, ..Change::of(kind, id) }, None)
    }

    /// Creates a group with members.
    pub fn create_group(name: &str, members: &[String], tag: &str) -> Self {
        let change = Change {
            name: Some(name.to_owned()),
            creation: Some(tag.to_owned()),
            tag: Some(tag.to_owned()),
            members: named(members, true),
            ..Change::creation_of(Kind::Group)
        };
        Self::writing("POST", change, Some(group_body(name, members, tag, tag)))
    }

    /// Replaces a group with its members.
    pub fn put_group(id: &str, name: &str, members: &[String], creation: &str, tag: &str) -> Self {
        let change = Change {
            name: Some(name.to_owned()),
            tag: Some(tag.to_owned()),
            removal: Removal::All,
            members: named(members, true),
            ..Change::of(Kind::Group, id)
        };
        Self::writing("PUT", change, Some(group_body(name, members, creation, tag)))
    }

    /// Changes the name of a group, its members, or both.
    pub fn patch_group(id: &str, document: Option<GroupPatch<'_>>, members: &[MemberPatch]) -> Self {
        let mut change = Change::of(Kind::Group, id);
        let mut operations = Vec::new();
        if let Some(GroupPatch { name, creation, tag }) = document {
            let mut values = json!({ "externalId": external_id(creation, tag) });
            if let Some(name) = name {
                values["displayName"] = name.into();
            }
            operations.push(json!({ "op": "replace", "value": values }));
            (change.name, change.tag) = (name.map(str::to_owned), Some(tag.to_owned()));
        }
        for patch in members {
            operations.push(patch.operation());
            patch.apply(&mut change);
        }
        Self::writing("PATCH", change, Some(patch_body(Value::Array(operations))))
    }

    /// Requires this entity tag, which the resource had when its document had this tag.
    pub fn if_match(mut self, entity_tag: &str, tag: &str) -> Self {
        self.if_match = Some(entity_tag.to_owned());
        for change in &mut self.changes {
            change.required_tag = Some(tag.to_owned());
        }
        self
    }

    /// Puts the resource that it creates in this place.
    pub fn at(self, place: usize) -> Self {
        Self { place: Some(place), ..self }
    }

    /// Sends these requests as one Bulk request. Each must have one change and no If-Match.
    pub fn bulk(requests: Vec<Self>) -> Self {
        let operation = |(number, request): (usize, &Self)| {
            let mut operation = json!({ "method": request.method, "path": request.target });
            if request.method == "POST" {
                operation["bulkId"] = format!("b{number}").into();
            }
            if let Some(body) = &request.body {
                operation["data"] = body.clone();
            }
            operation
        };
        let operations: Vec<Value> = requests.iter().enumerate().map(operation).collect();
        Self {
            method: "POST",
            target: "/Bulk".to_owned(),
            body: Some(json!({ "schemas": [BULK_REQUEST], "Operations": operations })),
            if_match: None,
            changes: requests.into_iter().flat_map(|request| request.changes).collect(),
            shows: Shows::Bulk,
            place: None,
        }
    }
}

/// A change of the document of a group.
#[derive(Clone, Copy, Debug)]
pub struct GroupPatch<'a> {
    /// The new name.
    pub name: Option<&'a str>,
    /// The tag of the group's creation.
    pub creation: &'a str,
    /// The new tag.
    pub tag: &'a str,
}

/// A PATCH operation on the members of a group.
#[derive(Clone, Debug)]
pub enum MemberPatch {
    /// Adds members.
    Add(Vec<String>),
    /// Removes members, each by a filter in a path or all by a list, as Entra ID does.
    Remove(Vec<String>, RemovalForm),
    /// Replaces all members.
    Replace(Vec<String>),
    /// Replaces one member by others, with a filter in the path.
    ReplaceOne(String, Vec<String>),
    /// Removes all members of a kind.
    RemoveKind(Kind),
}

/// How a client names the members that it removes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RemovalForm {
    /// `members[value eq "…" or value eq "…"]`
    Path,
    /// The path `members` with a value.
    Value,
}

impl MemberPatch {
    /// Whether it names a member.
    pub fn names_members(&self) -> bool {
        match self {
            Self::Add(ids) | Self::Remove(ids, _) | Self::Replace(ids) => !ids.is_empty(),
            Self::ReplaceOne(..) => true,
            Self::RemoveKind(_) => false,
        }
    }

    fn operation(&self) -> Value {
        let filter = |ids: &[String]| {
            let parts: Vec<String> = ids.iter().map(|id| format!("value eq \"{id}\"")).collect();
            format!("members[{}]", parts.join(" or "))
        };
        match self {
            Self::Add(ids) => json!({ "op": "add", "path": "members", "value": member_values(ids) }),
            Self::Remove(ids, RemovalForm::Value) => {
                json!({ "op": "remove", "path": "members", "value": member_values(ids) })
            }
            Self::Remove(ids, RemovalForm::Path) => json!({ "op": "remove", "path": filter(ids) }),
            Self::Replace(ids) => json!({ "op": "replace", "path": "members", "value": member_values(ids) }),
            Self::ReplaceOne(id, ids) => json!({
                "op": "replace", "path": filter(std::slice::from_ref(id)), "value": member_values(ids)
            }),
            Self::RemoveKind(kind) => {
                json!({ "op": "remove", "path": format!("members[type eq \"{kind:?}\"]") })
            }
        }
    }

    /// Adds its effect to those of the operations before it.
    fn apply(&self, change: &mut Change) {
        match self {
            Self::Add(ids) => change.members.extend(named(ids, true)),
            Self::Remove(ids, _) => change.members.extend(named(ids, false)),
            Self::Replace(ids) => {
                change.removal = Removal::All;
                change.members = named(ids, true);
            }
            Self::ReplaceOne(id, ids) => {
                change.members.insert(id.clone(), false);
                change.members.extend(named(ids, true));
            }
            // The kinds of named members are not known here, so it is used only as the only operation.
            Self::RemoveKind(kind) => change.removal = Removal::OfKind(*kind),
        }
    }
}

fn named(ids: &[String], is_member: bool) -> BTreeMap<String, bool> {
    ids.iter().map(|id| (id.clone(), is_member)).collect()
}

fn user_body(name: &str, active: bool, creation: &str, tag: &str) -> Value {
    json!({
        "schemas": [USER], "userName": name, "active": active, "externalId": creation, "displayName": tag
    })
}

fn group_body(name: &str, members: &[String], creation: &str, tag: &str) -> Value {
    let external_id = external_id(creation, tag);
    json!({ "schemas": [GROUP], "displayName": name, "externalId": external_id, "members": member_values(members) })
}

/// The externalId of a group: it has both tags.
fn external_id(creation: &str, tag: &str) -> String {
    format!("{creation}/{tag}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn effect_of_operations_is_that_of_the_last_one_for_each_member() {
        let ids = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>();
        let request = Request::patch_group(
            "g",
            None,
            &[
                MemberPatch::Add(ids(&["a"])),
                MemberPatch::Replace(ids(&["b", "c"])),
                MemberPatch::Remove(ids(&["c"]), RemovalForm::Path),
                MemberPatch::ReplaceOne("b".to_owned(), ids(&["d"])),
            ],
        );
        let change = &request.changes[0];
        for (member, expected) in [("a", false), ("b", false), ("c", false), ("d", true), ("other", false)] {
            assert_eq!(change.membership(Kind::User, member), Some(expected), "{member}");
        }
        let removal = Request::patch_group("g", None, &[MemberPatch::RemoveKind(Kind::Group)]);
        assert_eq!(removal.changes[0].membership(Kind::User, "a"), None);
        assert_eq!(removal.changes[0].membership(Kind::Group, "a"), Some(false));
    }
}
