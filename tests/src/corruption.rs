//! Faults that a test writes into the table of a small directory, to test the code that finds and repairs
//! them.

use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::{Value, json};
use shared::resource::{ResourceId, ResourceKind};
use uuid::Uuid;

use crate::client::Client;
use crate::layout::{self, Key};
use crate::provisioning::{GROUP, USER, create_group, create_user};
use crate::service::{Service, TestConnector};
use crate::table::{Item, put_item, set_attribute, take_item};

/// Two users, `member` and `other`, and the group `Tour Guides`, which `member` is in.
pub struct SmallDirectory {
    /// The connector of the directory.
    pub connector: TestConnector,
    /// A client of the connector.
    pub client: Client,
    /// The id of the user who is in the group.
    pub member: ResourceId,
    /// The id of the user who is in no group.
    pub other: ResourceId,
    /// The id of the group.
    pub group: ResourceId,
}

/// A fault in the items of a [`SmallDirectory`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Corruption {
    /// The count of users is too high.
    CountIsWrong,
    /// The item of a user whose deletion began still exists.
    DeletionIsUnfinished,
    /// A local group has the name of the identity provider's group.
    GroupNameIsShared,
    /// The group's item is missing.
    GroupIsMissing,
    /// The group's side of a membership is missing.
    GroupSideIsMissing,
    /// The index item of the member's userName names the other user.
    IndexItemNamesAnotherUser,
    /// The index item of the member's userName is missing.
    IndexItemIsMissing,
    /// An index item has a userName that no user has.
    IndexItemIsStray,
    /// An item has a key that no kind of item has.
    ItemIsUnknown,
    /// The member's document says that the user is deactivated.
    MemberIsDeactivated,
    /// The member's item is missing.
    MemberIsMissing,
    /// The group's side of a membership says that the user is a group.
    MemberKindIsWrong,
    /// The member's side of a membership is missing.
    MemberSideIsMissing,
    /// Two groups are members of each other.
    NestingHasCycle,
    /// The item of a group in another group lacks the attribute `nested`.
    NestingMarkIsMissing,
    /// The attribute `active` of a user's item differs from the document.
    ActiveCopyIsWrong,
    /// A user's document is not JSON.
    UserIsUnreadable,
    /// The documents of two users have the same userName.
    UserNameIsShared,
}

impl Corruption {
    /// All of them.
    pub const ALL: [Self; 18] = [
        Self::CountIsWrong,
        Self::DeletionIsUnfinished,
        Self::GroupNameIsShared,
        Self::GroupIsMissing,
        Self::GroupSideIsMissing,
        Self::IndexItemNamesAnotherUser,
        Self::IndexItemIsMissing,
        Self::IndexItemIsStray,
        Self::ItemIsUnknown,
        Self::MemberIsDeactivated,
        Self::MemberIsMissing,
        Self::MemberKindIsWrong,
        Self::MemberSideIsMissing,
        Self::NestingHasCycle,
        Self::NestingMarkIsMissing,
        Self::ActiveCopyIsWrong,
        Self::UserIsUnreadable,
        Self::UserNameIsShared,
    ];
}

fn text(value: &str) -> AttributeValue {
    AttributeValue::S(value.to_owned())
}

fn item_with(mut item: Item, attributes: &[(&str, AttributeValue)]) -> Item {
    item.extend(attributes.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
    item
}

impl SmallDirectory {
    /// Creates the users and the group over SCIM, for a new connector.
    pub async fn create(service: &Service) -> Self {
        let connector = service.connector().await;
        let client = connector.local(service);
        let member = create_user(&client, "member").await;
        let other = create_user(&client, "other").await;
        let group = create_group(&client, "Tour Guides", std::slice::from_ref(&member)).await;
        let [member, other, group] = [member, other, group].map(|id| parsed(&id));
        Self { connector, client, member, other, group }
    }

    /// The key of a user.
    pub fn user_key(&self, id: ResourceId) -> Key {
        layout::resource(&self.connector.id, ResourceKind::User, id)
    }

    /// The key of the index item of a userName.
    pub fn user_name_key(&self, name: &str) -> Key {
        layout::unique_index_item(&self.connector.id, ResourceKind::User, "userName", name)
    }

    /// The key of the group.
    pub fn group_key(&self) -> Key {
        layout::resource(&self.connector.id, ResourceKind::Group, self.group)
    }

    /// The key of the group's side of the membership.
    pub fn group_side(&self) -> Key {
        layout::group_side(&self.connector.id, self.group, self.member)
    }

    /// The key of the member's side of the membership.
    pub fn member_side(&self) -> Key {
        layout::member_side(&self.connector.id, ResourceKind::User, self.member, self.group)
    }

    /// The key of the count that includes the member.
    pub fn count_key(&self) -> Key {
        layout::count(&self.connector.id, ResourceKind::User, self.member.bucket())
    }

    /// Writes a fault into the table.
    ///
    /// # Panics
    /// When the directory is not as it was created.
    pub async fn corrupt(&self, service: &Service, corruption: Corruption) {
        let (member, other) = (self.member, self.other);
        match corruption {
            Corruption::CountIsWrong => {
                set_attribute(service, &self.count_key(), "n", AttributeValue::N("7".to_owned())).await;
            }
            Corruption::DeletionIsUnfinished => {
                let item = resource_item(&self.user_key(other), &json!({ "userName": "other" }));
                assert_eq!(self.client.delete(&format!("/Users/{other}")).await.status, 204);
                put_item(service, item_with(item, &[("going", AttributeValue::Bool(true))])).await;
            }
            Corruption::GroupNameIsShared => self.put_local_group(service, "TOUR GUIDES").await,
            Corruption::GroupIsMissing => drop(take_item(service, &self.group_key()).await),
            Corruption::GroupSideIsMissing => drop(take_item(service, &self.group_side()).await),
            Corruption::IndexItemNamesAnotherUser => {
                set_attribute(service, &self.user_name_key("member"), "id", text(&other.to_string())).await;
            }
            Corruption::IndexItemIsMissing => drop(take_item(service, &self.user_name_key("member")).await),
            Corruption::IndexItemIsStray => {
                let key = self.user_name_key("nobody").attributes();
                put_item(service, item_with(key, &[("id", text(&member.to_string()))])).await;
            }
            Corruption::ItemIsUnknown => {
                put_item(service, Key::new(format!("{}#nothing", self.connector.id), "x").attributes()).await;
            }
            Corruption::MemberIsDeactivated => {
                let document = json!({ "schemas": [USER], "userName": "member", "active": false });
                set_attribute(service, &self.user_key(member), "doc", text(&document.to_string())).await;
                set_attribute(service, &self.user_key(member), "active", AttributeValue::Bool(false)).await;
            }
            Corruption::MemberIsMissing => drop(take_item(service, &self.user_key(member)).await),
            Corruption::MemberKindIsWrong => {
                set_attribute(service, &self.group_side(), "kind", text("Group")).await;
            }
            Corruption::MemberSideIsMissing => drop(take_item(service, &self.member_side()).await),
            Corruption::NestingHasCycle => {
                let inner = parsed(&create_group(&self.client, "inner", &[]).await);
                self.put_nesting(service, self.group, inner).await;
                self.put_nesting(service, inner, self.group).await;
            }
            Corruption::NestingMarkIsMissing => {
                let outer = create_group(&self.client, "outer", &[self.group.to_string()]).await;
                let user = self.client.get(&format!("/Users/{member}")).await.json();
                assert_eq!(user["groups"][1]["value"], json!(outer), "the member is in the outer group");
                let mut item = take_item(service, &self.group_key()).await;
                item.remove("nested").expect("a group in a group has a mark");
                put_item(service, item).await;
            }
            Corruption::ActiveCopyIsWrong => {
                set_attribute(service, &self.user_key(other), "active", AttributeValue::Bool(false)).await;
            }
            Corruption::UserIsUnreadable => {
                set_attribute(service, &self.user_key(member), "doc", text("{1}")).await;
            }
            Corruption::UserNameIsShared => {
                let document = json!({ "schemas": [USER], "userName": "MEMBER" });
                set_attribute(service, &self.user_key(other), "doc", text(&document.to_string())).await;
                set_attribute(service, &self.user_key(other), "userName", text("MEMBER")).await;
            }
        }
    }

    /// Writes a local group with its index item and its count, although its name is taken.
    async fn put_local_group(&self, service: &Service, name: &str) {
        let (connector, kind) = (&self.connector.id, ResourceKind::LocalGroup);
        let id = parsed(&Uuid::new_v4().to_string());
        let document = json!({ "schemas": [GROUP], "displayName": name });
        let group = resource_item(&layout::resource(connector, kind, id), &document);
        put_item(service, item_with(group, &[("displayName", text(name))])).await;
        let index = layout::unique_index_item(connector, kind, "displayName", name).attributes();
        put_item(service, item_with(index, &[("id", text(&id.to_string()))])).await;
        let count = layout::count(connector, kind, id.bucket()).attributes();
        put_item(service, item_with(count, &[("n", AttributeValue::N("1".to_owned()))])).await;
    }

    /// Writes both sides of a membership of a group in a group, and the mark of the inner group.
    async fn put_nesting(&self, service: &Service, outer: ResourceId, inner: ResourceId) {
        let connector = &self.connector.id;
        let outer_side = layout::group_side(connector, outer, inner).attributes();
        put_item(service, item_with(outer_side, &[("kind", text("Group"))])).await;
        let inner_side = layout::member_side(connector, ResourceKind::Group, inner, outer).attributes();
        put_item(service, inner_side).await;
        let inner = layout::resource(connector, ResourceKind::Group, inner);
        set_attribute(service, &inner, "nested", AttributeValue::Bool(true)).await;
    }
}

fn parsed(id: &str) -> ResourceId {
    ResourceId::parse(id).expect("the id of a resource")
}

/// The item of a resource with this document.
fn resource_item(key: &Key, document: &Value) -> Item {
    item_with(
        key.attributes(),
        &[
            ("doc", text(&document.to_string())),
            ("version", AttributeValue::N("1".to_owned())),
            ("created", text("2026-01-01T00:00:00Z")),
            ("modified", text("2026-01-01T00:00:00Z")),
            ("origin", text("scim")),
        ],
    )
}
