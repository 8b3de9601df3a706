//! The conditions of transactions. Each has a name, so that the error of a refused transaction names the conditions that failed.

use shared::resource::ResourceId;

use super::attributes::{boolean, number, text};
use super::expressions::Expression;

/// The stored attribute that marks a resource that clients cannot see: its deletion has begun, or its creation has not ended.
pub const DELETING: &str = "going";
/// The stored attribute that marks a user whom the client deleted and operators keep.
pub const RETAINED: &str = "kept";
/// The stored attribute that counts how often a member has joined a group.
pub const JOINS: &str = "joins";
/// The stored attribute with the id of the change because of which a member is leaving all its groups.
pub const LEAVING: &str = "leaving";
/// The stored attribute with the id of the intent that changes a group's members.
pub const INTENT: &str = "intent";
/// The stored attribute with the process that is carrying out the intent.
pub const OWNER: &str = "intent_owner";

/// The name of a condition: what must be true for the transaction to be applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// The item does not exist yet. Its key holds a random id, so this fails for a reused id only.
    IsNew,
    /// The resource has the expected version. Its deletion has not begun, unless the requirement allows that.
    IsUnchanged,
    /// This resource exists, and its deletion has not begun.
    Stays(ResourceId),
    /// This member exists and may be in groups: its deletion has not begun, and it is active.
    MayBeMember(ResourceId),
    /// This group exists.
    GroupExists(ResourceId),
    /// No other resource has this value in a unique index.
    IsUnique {
        /// The name of the index, which is the attribute's.
        index: String,
        /// The folded value.
        value: String,
    },
    /// The index entry points at the same resource as before.
    EntryIsUnchanged,
    /// No group of the other origin has the name: a client's group and an operator's group never share one.
    IsFreeInOtherOrigin,
    /// The nesting of groups did not change since the search for cycles.
    NestingIsUnchanged,
    /// The counter has the values that were read.
    CountIsUnchanged,
    /// The connector's record has the revision that was read.
    RecordIsUnchanged,
    /// The resource still names the intent, and the same process is carrying it out.
    OwnsIntent,
    /// The resource names no intent.
    IsSettled,
}

/// A condition's name and expression.
#[derive(Clone, Debug)]
pub struct Requirement {
    /// The name.
    pub condition: Condition,
    /// The expression that DynamoDB evaluates.
    pub expression: Expression,
}

impl Requirement {
    fn new(condition: Condition, expression: Expression) -> Self {
        Self { condition, expression }
    }

    /// Requires that no item has this key yet.
    pub fn is_absent(condition: Condition) -> Self {
        Self::new(condition, Expression::new("attribute_not_exists(pk)"))
    }

    /// Requires [`Condition::IsUnchanged`].
    pub fn is_unchanged(version: u64) -> Self {
        let expression = format!("version = :expected AND attribute_not_exists({DELETING})");
        Self::new(Condition::IsUnchanged, Expression::new(expression).with(":expected", number(version)))
    }

    /// Requires what this requires, and that the member has joined groups this many times: no group has been joined since the
    /// member was read.
    pub fn with_joins(self, joins: u64) -> Self {
        let expression = if joins == 0 {
            Expression::new(format!("attribute_not_exists({JOINS})"))
        } else {
            Expression::new(format!("{JOINS} = :joined")).with(":joined", number(joins))
        };
        Self { expression: self.expression.and(expression), ..self }
    }

    /// Requires what this requires, and that the group names no other intent than this one.
    pub fn with_intent(self, intent: Option<&str>) -> Self {
        let is_absent = format!("attribute_not_exists({INTENT})");
        let expression = match intent {
            None => Expression::new(is_absent),
            Some(intent) => Expression::new(format!("{is_absent} OR {INTENT} = :known_intent"))
                .with(":known_intent", text(intent)),
        };
        Self { expression: self.expression.and(expression), ..self }
    }

    /// Requires [`Condition::OwnsIntent`] of the group that this owner changes.
    pub fn owns_intent(owner: &str) -> Self {
        let expression = Expression::new(format!("{OWNER} = :known_owner")).with(":known_owner", text(owner));
        Self::new(Condition::OwnsIntent, expression)
    }

    /// Requires [`Condition::OwnsIntent`] of the member that leaves all groups because of this change.
    pub fn is_leaving(leaving: &str) -> Self {
        let expression = Expression::new(format!("{LEAVING} = :known")).with(":known", text(leaving));
        Self::new(Condition::OwnsIntent, expression)
    }

    /// Requires [`Condition::IsSettled`].
    pub fn is_settled() -> Self {
        let expression = format!(
            "attribute_not_exists({INTENT}) AND attribute_not_exists({LEAVING}) \
             AND (attribute_not_exists({DELETING}) OR attribute_exists({RETAINED}))"
        );
        Self::new(Condition::IsSettled, Expression::new(expression))
    }

    /// Requires that a resource has this version, also while it is being deleted; `None` requires that it does not exist.
    pub fn has_version(version: Option<u64>) -> Self {
        let expression = match version {
            Some(version) => Expression::new("version = :expected").with(":expected", number(version)),
            None => Expression::new("attribute_not_exists(pk)"),
        };
        Self::new(Condition::IsUnchanged, expression)
    }

    /// Requires [`Condition::EntryIsUnchanged`].
    pub fn entry_is_unchanged(resource: Option<ResourceId>) -> Self {
        let expression = match resource {
            Some(id) => Expression::new("id = :id").with(":id", text(id.to_string())),
            None => Expression::new("attribute_exists(pk)"),
        };
        Self::new(Condition::EntryIsUnchanged, expression)
    }

    /// Requires that an index entry points at this resource, or does not exist.
    pub fn entry_is_of(resource: ResourceId) -> Self {
        let expression =
            Expression::new("attribute_not_exists(pk) OR id = :id").with(":id", text(resource.to_string()));
        Self::new(Condition::EntryIsUnchanged, expression)
    }

    /// Requires [`Condition::Stays`].
    pub fn stays(id: ResourceId) -> Self {
        Self::new(Condition::Stays(id), stays())
    }

    /// Requires [`Condition::MayBeMember`]. Where the connector keeps the memberships of inactive users, these may be
    /// members too.
    pub fn may_be_member(id: ResourceId, is_inactive_allowed: bool) -> Self {
        // A member that is leaving all groups joins none.
        let may_join = stays().and(Expression::new(format!("attribute_not_exists({LEAVING})")));
        let expression = if is_inactive_allowed {
            may_join
        } else {
            may_join.and(Expression::new("active = :true").with(":true", boolean(true)))
        };
        Self::new(Condition::MayBeMember(id), expression)
    }

    /// Requires [`Condition::GroupExists`].
    pub fn group_exists(id: ResourceId) -> Self {
        Self::new(Condition::GroupExists(id), Expression::new("attribute_exists(pk)"))
    }

    /// Requires [`Condition::NestingIsUnchanged`]; `seen` is 0 where the guard item does not exist.
    pub fn nesting_is_unchanged(seen: u64) -> Self {
        let expression = if seen == 0 {
            Expression::new("attribute_not_exists(n)")
        } else {
            Expression::new("n = :seen").with(":seen", number(seen))
        };
        Self::new(Condition::NestingIsUnchanged, expression)
    }

    /// Requires [`Condition::CountIsUnchanged`].
    pub fn count_is_unchanged((resources, active): (i64, i64)) -> Self {
        let expression = Expression::new(
            "(attribute_not_exists(n) OR n = :counted) AND (attribute_not_exists(active) OR active = :counted_active)",
        );
        let expression =
            expression.with(":counted", number(resources)).with(":counted_active", number(active));
        Self::new(Condition::CountIsUnchanged, expression)
    }

    /// Requires that a feed which the connector's record lists exists.
    pub fn feed_exists() -> Self {
        Self::new(Condition::RecordIsUnchanged, Expression::new("attribute_exists(pk)"))
    }

    /// Requires [`Condition::RecordIsUnchanged`].
    pub fn record_is_unchanged(revision: u64) -> Self {
        let expression = Expression::new("revision = :revision").with(":revision", number(revision));
        Self::new(Condition::RecordIsUnchanged, expression)
    }
}

fn stays() -> Expression {
    Expression::new(format!("attribute_exists(pk) AND attribute_not_exists({DELETING})"))
}
