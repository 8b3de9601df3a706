//! Faults that a test writes into the table of a small, sound directory, to test the code that looks for them.

use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::client::Client;
use crate::provisioning::{GROUP, USER, create_group, create_user};
use crate::service::{Service, TestConnector};
use crate::table::{Item, key, put_item, set_attribute, take_item};

/// Two users, `member` and `other`, and the group `Tour Guides`, which `member` is in.
pub struct SmallDirectory {
    /// The connector.
    pub connector: TestConnector,
    /// A client of it.
    pub client: Client,
    /// The id of the user who is in the group.
    pub member: String,
    /// The id of the user who is in no group.
    pub other: String,
    /// The id of the group.
    pub group: String,
}

/// A fault in the items of a [`SmallDirectory`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Corruption {
    /// The count of users is too high.
    CountIsWrong,
    /// The item of a user whose deletion began is left.
    DeletionIsUnfinished,
    /// A local group has the name of the identity provider's group.
    GroupNameIsShared,
    /// The group's item is gone.
    GroupIsMissing,
    /// The group's side of a membership is gone.
    GroupSideIsMissing,
    /// The index item of the member's userName points at the other user.
    IndexItemIsOfAnother,
    /// The index item of the member's userName is gone.
    IndexItemIsMissing,
    /// An index item has a userName that no user has.
    IndexItemIsOfNobody,
    /// An item is of no kind that the table has.
    ItemIsUnknown,
    /// The member's document says that the user is deactivated.
    MemberIsDeactivated,
    /// The member's item is gone.
    MemberIsMissing,
    /// The group's side of a membership says that the user is a group.
    MemberKindIsWrong,
    /// The member's side of a membership is gone.
    MemberSideIsMissing,
    /// Two groups are in each other.
    NestingHasACircle,
    /// A group that is in another group has no mark of it.
    NestingMarkIsMissing,
    /// A user's `active` says otherwise than the document.
    ActiveCopyIsWrong,
    /// A user's document is no JSON.
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
        Self::IndexItemIsOfAnother,
        Self::IndexItemIsMissing,
        Self::IndexItemIsOfNobody,
        Self::ItemIsUnknown,
        Self::MemberIsDeactivated,
        Self::MemberIsMissing,
        Self::MemberKindIsWrong,
        Self::MemberSideIsMissing,
        Self::NestingHasACircle,
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
        Self { connector, client, member, other, group }
    }

    /// The name of one of its partitions: what follows `{connector}#`.
    fn partition(&self, name: &str) -> String {
        format!("{}#{name}", self.connector.id)
    }

    /// Writes a fault into the table.
    ///
    /// # Panics
    /// When the directory is not as it was created.
    pub async fn corrupt(&self, service: &Service, corruption: Corruption) {
        let (member, other, group) = (self.member.as_str(), self.other.as_str(), self.group.as_str());
        let [users, groups, names] = ["user", "group", "user.userName"].map(|name| self.partition(name));
        let group_sides = self.partition(&format!("group/{group}"));
        match corruption {
            Corruption::CountIsWrong => {
                let (pk, sk) = (self.partition("count"), format!("user/{}", &member[..2]));
                set_attribute(service, &pk, &sk, "n", AttributeValue::N("7".to_owned())).await;
            }
            Corruption::DeletionIsUnfinished => {
                let item = self.resource_item("user", other, &json!({ "userName": "other" }));
                assert_eq!(self.client.delete(&format!("/Users/{other}")).await.status, 204);
                put_item(service, item_with(item, &[("going", AttributeValue::Bool(true))])).await;
            }
            Corruption::GroupNameIsShared => self.put_group(service, "local", "TOUR GUIDES").await,
            Corruption::GroupIsMissing => drop(take_item(service, &groups, group).await),
            Corruption::GroupSideIsMissing => drop(take_item(service, &group_sides, member).await),
            Corruption::IndexItemIsOfAnother => {
                set_attribute(service, &names, "member", "id", text(other)).await;
            }
            Corruption::IndexItemIsMissing => drop(take_item(service, &names, "member").await),
            Corruption::IndexItemIsOfNobody => {
                put_item(service, item_with(key(&names, "nobody"), &[("id", text(member))])).await;
            }
            Corruption::ItemIsUnknown => put_item(service, key(&self.partition("nothing"), "x")).await,
            Corruption::MemberIsDeactivated => {
                let document = json!({ "schemas": [USER], "userName": "member", "active": false });
                set_attribute(service, &users, member, "doc", text(&document.to_string())).await;
                set_attribute(service, &users, member, "active", AttributeValue::Bool(false)).await;
            }
            Corruption::MemberIsMissing => drop(take_item(service, &users, member).await),
            Corruption::MemberKindIsWrong => {
                set_attribute(service, &group_sides, member, "kind", text("Group")).await;
            }
            Corruption::MemberSideIsMissing => {
                drop(take_item(service, &users, &format!("{member}/{group}")).await);
            }
            Corruption::NestingHasACircle => {
                let inner = create_group(&self.client, "inner", &[]).await;
                self.put_nesting(service, group, &inner).await;
                self.put_nesting(service, &inner, group).await;
            }
            Corruption::NestingMarkIsMissing => {
                create_group(&self.client, "outer", &[group.to_owned()]).await;
                let mut item = take_item(service, &groups, group).await;
                item.remove("nested").expect("a group in a group has a mark");
                put_item(service, item).await;
            }
            Corruption::ActiveCopyIsWrong => {
                set_attribute(service, &users, other, "active", AttributeValue::Bool(false)).await;
            }
            Corruption::UserIsUnreadable => set_attribute(service, &users, member, "doc", text("{1}")).await,
            Corruption::UserNameIsShared => {
                let document = json!({ "schemas": [USER], "userName": "MEMBER" });
                set_attribute(service, &users, other, "doc", text(&document.to_string())).await;
                set_attribute(service, &users, other, "userName", text("MEMBER")).await;
            }
        }
    }

    /// An item of a resource with this document, as the table holds it.
    fn resource_item(&self, word: &str, id: &str, document: &Value) -> Item {
        item_with(
            key(&self.partition(word), id),
            &[
                ("doc", text(&document.to_string())),
                ("version", AttributeValue::N("1".to_owned())),
                ("created", text("2026-01-01T00:00:00Z")),
                ("modified", text("2026-01-01T00:00:00Z")),
                ("origin", text("scim")),
            ],
        )
    }

    /// Writes a group with its index item and its count, as no request could.
    async fn put_group(&self, service: &Service, word: &str, name: &str) {
        let id = Uuid::new_v4().to_string();
        let group = self.resource_item(word, &id, &json!({ "schemas": [GROUP], "displayName": name }));
        put_item(service, item_with(group, &[("displayName", text(name))])).await;
        let index = key(&self.partition(&format!("{word}.displayName")), &name.to_lowercase());
        put_item(service, item_with(index, &[("id", text(&id))])).await;
        let count = key(&self.partition("count"), &format!("{word}/{}", &id[..2]));
        put_item(service, item_with(count, &[("n", AttributeValue::N("1".to_owned()))])).await;
    }

    /// Writes both sides of a membership of a group in a group, and the mark of the inner group.
    async fn put_nesting(&self, service: &Service, outer: &str, inner: &str) {
        let outer_side = key(&self.partition(&format!("group/{outer}")), inner);
        put_item(service, item_with(outer_side, &[("kind", text("Group"))])).await;
        put_item(service, key(&self.partition("group"), &format!("{inner}/{outer}"))).await;
        let groups = self.partition("group");
        set_attribute(service, &groups, inner, "nested", AttributeValue::Bool(true)).await;
    }
}
