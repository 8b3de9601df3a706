//! How every item of the table is named. No other file spells a key.
//!
//! | item | pk | sk |
//! | --- | --- | --- |
//! | connector | `connectors` | `c` |
//! | user, group | `c#user`, `c#group` | `id` |
//! | group that an operator made, role | `c#local`, `c#role` | `id` |
//! | a member's side of a membership | `c#user`, `c#group` | `member id/group id` |
//! | a group's (or role's) side of a membership | `c#group/id` | `member id` |
//! | index entry, unique attribute | `c#user.userName` | folded value |
//! | index entry, other attribute | `c#user.emails.value` | folded value, `\0`, id |
//! | count | `c#count` | `user/00` … `group/ff` |
//! | guard of the nesting of groups | `c#count` | `nesting` |
//! | audit record | `c#audit/YYYY-MM/x`, x of the resource's id | time, `/`, random |
//! | when a credential was last used | `used` | `c/credential` |
//! | wrong passwords of an address | `attempts/c/address` | `failures` |

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use sha2::{Digest, Sha256};

use crate::connectors::ConnectorId;
use shared::resource::{ResourceId, ResourceKind};

/// A value in a key is cut at so many bytes; a sort key holds 1,024 at most.
const LONGEST_VALUE: usize = 512;

/// The name of one item.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// The partition key.
    pub pk: String,
    /// The sort key.
    pub sk: String,
}

impl Key {
    /// The key attributes, as requests and items have them.
    pub fn attributes(&self) -> HashMap<String, AttributeValue> {
        HashMap::from([
            ("pk".to_owned(), AttributeValue::S(self.pk.clone())),
            ("sk".to_owned(), AttributeValue::S(self.sk.clone())),
        ])
    }
}

fn word(kind: ResourceKind) -> &'static str {
    match kind {
        ResourceKind::User => "user",
        ResourceKind::Group => "group",
        ResourceKind::LocalGroup => "local",
        ResourceKind::Role => "role",
    }
}

/// The partition of all connectors.
pub const CONNECTORS: &str = "connectors";

/// A connector.
pub fn connector(connector: &ConnectorId) -> Key {
    Key { pk: CONNECTORS.to_owned(), sk: connector.to_string() }
}

/// The partition of all users, or all groups, and of their sides of memberships.
pub fn resources(connector: &ConnectorId, kind: ResourceKind) -> String {
    format!("{connector}#{}", word(kind))
}

/// A user or group.
pub fn resource(connector: &ConnectorId, kind: ResourceKind, id: ResourceId) -> Key {
    Key { pk: resources(connector, kind), sk: id.to_string() }
}

/// The member's side of a membership.
pub fn member_side(
    connector: &ConnectorId,
    kind: ResourceKind,
    member: ResourceId,
    group: ResourceId,
) -> Key {
    Key { pk: resources(connector, kind), sk: format!("{}{group}", member_side_prefix(member)) }
}

/// What the sort keys of a member's sides of its memberships begin with.
pub fn member_side_prefix(member: ResourceId) -> String {
    format!("{member}/")
}

/// The partition of a group's sides of its memberships.
pub fn members(connector: &ConnectorId, group: ResourceId) -> String {
    format!("{connector}#group/{group}")
}

/// The group's side of a membership.
pub fn group_side(connector: &ConnectorId, group: ResourceId, member: ResourceId) -> Key {
    Key { pk: members(connector, group), sk: member.to_string() }
}

/// What the sort key of an item among resources names: the resource, and the group when it is a membership.
pub fn parse_resources_sk(sk: &str) -> Option<(ResourceId, Option<ResourceId>)> {
    match sk.split_once('/') {
        None => Some((ResourceId::parse(sk)?, None)),
        Some((member, group)) => Some((ResourceId::parse(member)?, Some(ResourceId::parse(group)?))),
    }
}

/// The partition of an index.
pub fn index(connector: &ConnectorId, kind: ResourceKind, name: &str) -> String {
    format!("{connector}#{}.{name}", word(kind))
}

/// The sort key of a unique index entry, and what that of any other begins with: the value, cut, and a hash of all
/// of it where it was cut. What an index finds is checked against the resource, so a rare clash costs a read.
pub fn index_value(folded: &str) -> String {
    if folded.len() <= LONGEST_VALUE {
        return folded.to_owned();
    }
    let hash: String = Sha256::digest(folded).iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    format!("{}\u{1}{hash}", index_prefix(folded))
}

/// A value as far as a sort key can hold it, for ranges.
pub fn index_prefix(folded: &str) -> &str {
    cut(folded, LONGEST_VALUE)
}

fn cut(folded: &str, longest: usize) -> &str {
    let mut end = folded.len().min(longest);
    while !folded.is_char_boundary(end) {
        end -= 1;
    }
    folded.get(..end).unwrap_or_default()
}

/// Where a range begins that holds every value from this one on. A value that is greater may be cut as much as three bytes
/// before the end of what a key holds, in front of a character that does not fit, so this is cut there at the latest.
pub fn index_bound(folded: &str) -> &str {
    cut(folded, LONGEST_VALUE - 3)
}

/// What the sort keys of the entries of one value begin with, in an index that is not unique.
pub fn index_entry_prefix(folded: &str) -> String {
    format!("{}\0", index_value(folded))
}

/// The sort key of an entry in an index that is not unique.
pub fn index_entry(folded: &str, id: ResourceId) -> String {
    format!("{}{id}", index_entry_prefix(folded))
}

/// The partition of the counts.
pub fn counts(connector: &ConnectorId) -> String {
    format!("{connector}#count")
}

/// What the sort keys of the counts of one kind begin with.
pub fn counts_prefix(kind: ResourceKind) -> String {
    format!("{}/", word(kind))
}

/// The count of the resources whose ids begin with this byte.
pub fn count(connector: &ConnectorId, kind: ResourceKind, bucket: u8) -> Key {
    Key { pk: counts(connector), sk: format!("{}{bucket:02x}", counts_prefix(kind)) }
}

/// The item that every change to the nesting of groups writes, so that two of them cannot close a circle together.
pub fn nesting(connector: &ConnectorId) -> Key {
    Key { pk: counts(connector), sk: "nesting".to_owned() }
}

/// The digits that the records of a month are spread by, so that no partition takes all writes.
pub const AUDIT_SHARDS: &str = "0123456789abcdef";

/// The digit of the records of this resource.
pub fn audit_shard(id: &str) -> char {
    id.chars().next().filter(|first| AUDIT_SHARDS.contains(*first)).unwrap_or('0')
}

/// The partition of the records of one month, `time` being any in it (RFC 3339), and one digit.
pub fn audit(connector: &ConnectorId, time: &str, shard: char) -> String {
    format!("{connector}#audit/{}/{shard}", time.get(..7).unwrap_or_default())
}

/// The item that says when a credential was last used.
pub fn used(connector: &ConnectorId, credential: &str) -> Key {
    Key { pk: "used".to_owned(), sk: format!("{connector}/{credential}") }
}

/// The item that counts the wrong passwords that came for a connector from an address.
pub fn attempts(connector: &ConnectorId, address: &str) -> Key {
    Key { pk: format!("attempts/{connector}/{address}"), sk: "failures".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_value_is_cut_at_a_character_and_stays_distinct() {
        let long = "é".repeat(400);
        let other = format!("{long}x");
        assert!(index_value(&long).len() < 600);
        assert_ne!(index_value(&long), index_value(&other));
        assert_eq!(index_prefix(&long).len(), 512);
        assert_eq!(index_value("a"), "a");
    }

    #[test]
    fn a_range_begins_before_every_value_that_is_greater() {
        let start = "q".repeat(511);
        for end in ["z", "é", "€", "😀", "\u{10ffff}", "é and more"] {
            for from in ["y", "zzz", "é", "\u{80}", "😀"] {
                let (value, from) = (format!("{start}{end}"), format!("{start}{from}"));
                if value > from {
                    assert!(index_value(&value).as_str() >= index_bound(&from), "{end} from {from}");
                }
            }
        }
    }

    #[test]
    fn sort_keys_among_resources_say_what_they_name() {
        let (member, group) =
            (ResourceId::from_random_bytes([1; 16]), ResourceId::from_random_bytes([2; 16]));
        assert_eq!(parse_resources_sk(&member.to_string()), Some((member, None)));
        assert_eq!(parse_resources_sk(&format!("{member}/{group}")), Some((member, Some(group))));
        assert_eq!(parse_resources_sk("x"), None);
    }
}
