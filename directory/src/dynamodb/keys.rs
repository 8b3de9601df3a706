//! The keys of all items. No other file spells a key.
//!
//! `c` is the id of a connector.
//!
//! | item | pk | sk |
//! | --- | --- | --- |
//! | format of the table | `table` | `format` |
//! | connector | `connectors` | `c` |
//! | credential of a connector for the SCIM API | `c#connector` | `credential/`, id |
//! | credential of a connector for the directory API | `c#connector` | `credential-directory/`, id |
//! | custom schema of a connector | `c#connector` | `schema/`, URN in lower case |
//! | user, group of the client | `c#user`, `c#group` | id |
//! | group of operators, role | `c#local`, `c#role` | id |
//! | member's side of a membership | `c#user`, `c#group`, `c#local` | member id, `/`, group id |
//! | group's (or role's) side of a membership | `c#group/`, group id | member id |
//! | entry of a unique index | `c#user.userName` | folded value without spaces at both ends |
//! | entry of another index | `c#user.emails.value` | folded value, `\0`, id |
//! | entry of a username that is made of another attribute than `userName` | `c#user.username(nickName)` | folded value, `\0`, id |
//! | entry of a local user | `c#user.local` | whether it is active, `\0`, id |
//! | count of the resources of a bucket | `c#count` | `user/00` to `role/ff` |
//! | guard of the nesting of groups | `c#count` | `nesting` |
//! | intent: work that needs several transactions | `c#intent` | `user/`, `group/`, `local/` or `role/`, id |
//! | member changes of an intent that do not fit into its item | `c#intent/`, intent id | number |
//! | audit record | `c#audit/YYYY-MM/`, first digit of the resource's id | time, `/`, order, random |
//! | feed of a connector | `feeds/c` | feed id |
//! | change that waits for the consumer of a feed | `outbox/c/`, feed id | kind and id of the resource, `/`, time, random |
//! | private key that signs the tokens of feeds | `key/c` | key id |
//! | private key that signs the access tokens of a connector | `token-key/c` | key id |
//! | last good key set of an issuer, with a TTL | `issuer-keys/c` | hash of the URL |
//! | used assertion with a `jti`, with a TTL | `used-assertion/c` | hash of issuer and `jti` |
//! | secret of the delivery of a feed to a URL | `key/c` | `feed/`, feed id, `/`, random |
//! | last use of a credential | `used/c` | credential id |
//! | checks of chosen passwords from a network | `attempts/c/`, network | start of the 15 minutes |
//! | failed sign-ins of a day: of further addresses, and the number of addresses | `attempts/c` | `YYYY-MM-DD` |
//! | failed sign-ins of a day from an address | `attempts/c` | `YYYY-MM-DD/`, address |
//! | record of the request trail, with a TTL | `trail/c/YYYY-MM-DD` | time, `/`, id of the request, and for an operation of a Bulk request `/`, its position |
//! | entry that leads to such a record, with a TTL | `trail/c/YYYY-MM-DD/entries` | `request/`, `id/` or `name/`, value, `\0`, sort key of the record |

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use sha2::{Digest, Sha256};
use shared::credential::CredentialScope;
use shared::resource::{ResourceId, ResourceKind};

use super::attributes::{Item, get_text};
use super::table::Range;
use crate::connectors::ConnectorId;
use crate::feeds::FeedId;
use crate::hex::hex;

/// A value in a key is cut to this many bytes. A sort key holds at most 1,024 bytes.
const MAX_VALUE_BYTES: usize = 512;

/// The primary key of one item.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// The partition key.
    pub pk: String,
    /// The sort key.
    pub sk: String,
}

impl Key {
    /// The key as attributes of a request or an item.
    pub fn attributes(&self) -> HashMap<String, AttributeValue> {
        HashMap::from([
            ("pk".to_owned(), AttributeValue::S(self.pk.clone())),
            ("sk".to_owned(), AttributeValue::S(self.sk.clone())),
        ])
    }

    /// The key of an item.
    pub fn of(item: &Item) -> Option<Self> {
        Some(Self { pk: get_text(item, "pk")?.to_owned(), sk: get_text(item, "sk")?.to_owned() })
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

/// The item that holds the format version of the table.
pub fn table_format() -> Key {
    Key { pk: "table".to_owned(), sk: "format".to_owned() }
}

/// The partition of all connectors' records.
pub const CONNECTORS: &str = "connectors";

/// The record of a connector.
pub fn connector(connector: &ConnectorId) -> Key {
    Key { pk: CONNECTORS.to_owned(), sk: connector.to_string() }
}

/// The partition of a connector's own items.
pub fn connector_items(connector: &ConnectorId) -> String {
    format!("{connector}#connector")
}

/// The prefix of the sort keys of all credentials of a connector.
pub const CREDENTIALS_PREFIX: &str = "credential";

/// The prefix of the sort keys of a connector's credentials for an API.
fn credential_prefix(scope: CredentialScope) -> &'static str {
    match scope {
        CredentialScope::Scim => "credential/",
        CredentialScope::Directory => "credential-directory/",
    }
}

/// A credential of a connector.
pub fn credential(connector: &ConnectorId, scope: CredentialScope, credential: &str) -> Key {
    Key { pk: connector_items(connector), sk: format!("{}{credential}", credential_prefix(scope)) }
}

/// The partition of a connector's feeds.
pub fn feeds(connector: &ConnectorId) -> String {
    format!("feeds/{connector}")
}

/// A feed of a connector.
pub fn feed(connector: &ConnectorId, feed: &FeedId) -> Key {
    Key { pk: feeds(connector), sk: feed.to_string() }
}

/// The partition of the changes that wait for the consumer of a feed. The stream of the table is filtered by the first word.
pub fn outbox(connector: &ConnectorId, feed: &FeedId) -> String {
    format!("outbox/{connector}/{feed}")
}

/// The connector and the feed of the partition of an outbox.
pub fn parse_outbox_partition(pk: &str) -> Option<(ConnectorId, FeedId)> {
    let (connector, feed) = pk.strip_prefix("outbox/")?.split_once('/')?;
    Some((ConnectorId::parse(connector)?, FeedId::parse(feed)?))
}

/// The prefix of the sort keys of one resource's changes in an outbox: the kind of resource and its id.
pub fn outbox_prefix(kind: ResourceKind, id: ResourceId) -> String {
    format!("{}{id}/", outbox_letter(kind))
}

/// The first sort key after one resource's changes in an outbox.
pub fn after_outbox_of(kind: ResourceKind, id: ResourceId) -> String {
    after_resource(&format!("{}{id}", outbox_letter(kind)))
}

fn outbox_letter(kind: ResourceKind) -> char {
    match kind {
        ResourceKind::User => 'u',
        ResourceKind::Group => 'g',
        ResourceKind::LocalGroup => 'l',
        ResourceKind::Role => 'r',
    }
}

/// The resource and the rest of a sort key in an outbox.
pub fn parse_outbox(sk: &str) -> Option<(ResourceKind, ResourceId, &str)> {
    let (resource, rest) = sk.split_once('/')?;
    let kind = ResourceKind::ALL.into_iter().find(|kind| resource.starts_with(outbox_letter(*kind)))?;
    Some((kind, ResourceId::parse(resource.get(1..)?)?, rest))
}

/// A private key of a connector.
pub fn signing_key(connector: &ConnectorId, kid: &str) -> Key {
    Key { pk: format!("key/{connector}"), sk: kid.to_owned() }
}

/// A private key of a connector that signs its access tokens.
pub fn token_key(connector: &ConnectorId, kid: &str) -> Key {
    Key { pk: format!("token-key/{connector}"), sk: kid.to_owned() }
}

/// The last good key set of an issuer; `hash` is that of its URL.
pub fn issuer_keys(connector: &ConnectorId, hash: &str) -> Key {
    Key { pk: all_issuer_keys(connector), sk: hash.to_owned() }
}

/// The partition of the key sets of a connector's issuers.
pub fn all_issuer_keys(connector: &ConnectorId) -> String {
    format!("issuer-keys/{connector}")
}

/// A used assertion; `hash` is that of its issuer and id.
pub fn used_assertion(connector: &ConnectorId, hash: &str) -> Key {
    Key { pk: used_assertions(connector), sk: hash.to_owned() }
}

/// The partition of the used assertions of a connector.
pub fn used_assertions(connector: &ConnectorId) -> String {
    format!("used-assertion/{connector}")
}

/// A secret of the delivery of a feed.
pub fn delivery_secret(connector: &ConnectorId, feed: &FeedId, id: &str) -> Key {
    Key { pk: format!("key/{connector}"), sk: format!("feed/{feed}/{id}") }
}

/// The prefix of the sort keys of a connector's custom schemas.
pub const SCHEMA_PREFIX: &str = "schema/";

/// A custom schema of a connector; `key` is its URN in lower case.
pub fn custom_schema(connector: &ConnectorId, key: &str) -> Key {
    Key { pk: connector_items(connector), sk: format!("{SCHEMA_PREFIX}{key}") }
}

/// The prefix of the partitions of a connector's directory.
pub fn partitions_prefix(connector: &ConnectorId) -> String {
    format!("{connector}#")
}

/// The partition of all resources of a kind, and of their sides of memberships.
pub fn resources(connector: &ConnectorId, kind: ResourceKind) -> String {
    format!("{connector}#{}", word(kind))
}

/// A resource.
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

/// The prefix of the sort keys of a member's sides of its memberships.
pub fn member_side_prefix(member: ResourceId) -> String {
    format!("{member}/")
}

/// The first sort key after a resource and its memberships: `0` is the character after the slash.
pub fn after_resource(id: &str) -> String {
    format!("{id}0")
}

/// The sort keys of the resources or members after an id.
pub fn range_after(after: Option<ResourceId>) -> Range {
    after.map_or(Range::All, |id| Range::From(after_resource(&id.to_string())))
}

/// The partition of a group's sides of its memberships.
pub fn members(connector: &ConnectorId, group: ResourceId) -> String {
    format!("{connector}#group/{group}")
}

/// The group's side of a membership.
pub fn group_side(connector: &ConnectorId, group: ResourceId, member: ResourceId) -> Key {
    Key { pk: members(connector, group), sk: member.to_string() }
}

/// The ids in a sort key of a partition of resources: the resource's, and the group's if the item is a membership.
pub fn parse_resources_sk(sk: &str) -> Option<(ResourceId, Option<ResourceId>)> {
    match sk.split_once('/') {
        None => Some((ResourceId::parse(sk)?, None)),
        Some((member, group)) => Some((ResourceId::parse(member)?, Some(ResourceId::parse(group)?))),
    }
}

/// A character that sorts after every character of an id.
const LAST: char = '~';

/// The first sort key of a bucket, which holds the resources whose ids begin with the same byte.
pub fn bucket_start(bucket: u8) -> String {
    format!("{bucket:02x}")
}

/// The last sort key of a bucket.
pub fn bucket_end(bucket: u8) -> String {
    format!("{bucket:02x}{LAST}")
}

/// The first and the last sort key of one of 16 equal parts of a partition of resources.
pub fn sixteenth(digit: u8) -> (String, String) {
    (format!("{digit:x}"), format!("{digit:x}{LAST}"))
}

/// The partition of an index.
pub fn index(connector: &ConnectorId, kind: ResourceKind, name: &str) -> String {
    format!("{connector}#{}.{name}", word(kind))
}

/// The sort key of an entry in a unique index, and the beginning of that in any other.
///
/// A long value is cut, and followed by a hash of the whole value. What an index finds is compared with the resource, so
/// two values with one hash cost a read and do no harm.
pub fn index_value(folded: &str) -> String {
    if folded.len() <= MAX_VALUE_BYTES {
        return folded.to_owned();
    }
    let hash = hex(Sha256::digest(folded).iter().take(16));
    format!("{}\u{1}{hash}", index_prefix(folded))
}

/// The part of a value that a sort key can hold: the bound of a range.
pub fn index_prefix(folded: &str) -> &str {
    cut(folded, MAX_VALUE_BYTES)
}

fn cut(folded: &str, max_bytes: usize) -> &str {
    let mut end = folded.len().min(max_bytes);
    while !folded.is_char_boundary(end) {
        end -= 1;
    }
    folded.get(..end).unwrap_or_default()
}

/// The start of a range that holds every value from this one on.
///
/// A greater value can be cut up to three bytes before the limit, where a character does not fit. So the bound is cut
/// three bytes before it.
pub fn index_bound(folded: &str) -> &str {
    cut(folded, MAX_VALUE_BYTES - 3)
}

/// The beginning of a value that [`index_value`] has cut; `None` if the value is whole.
pub fn cut_value(value: &str) -> Option<&str> {
    value.split_once('\u{1}').map(|(beginning, _)| beginning)
}

/// The prefix of the sort keys of one value's entries, in an index that is not unique.
pub fn index_entry_prefix(folded: &str) -> String {
    entries_of_value(&index_value(folded))
}

/// The same for a value that is cut as in [`index_value`].
pub fn entries_of_value(value: &str) -> String {
    format!("{value}\0")
}

/// The value of an entry with this sort key, cut as in [`index_value`].
pub fn indexed_value(sk: &str) -> &str {
    sk.split_once('\0').map_or(sk, |(value, _)| value)
}

/// The sort key of an entry in an index that is not unique.
pub fn index_entry(folded: &str, id: ResourceId) -> String {
    format!("{}{id}", index_entry_prefix(folded))
}

/// The partition of the counts.
pub fn counts(connector: &ConnectorId) -> String {
    format!("{connector}#count")
}

/// The prefix of the sort keys of one kind's counts.
pub fn counts_prefix(kind: ResourceKind) -> String {
    format!("{}/", word(kind))
}

/// The count of a bucket: of the resources whose ids begin with this byte.
pub fn count(connector: &ConnectorId, kind: ResourceKind, bucket: u8) -> Key {
    Key { pk: counts(connector), sk: format!("{}{bucket:02x}", counts_prefix(kind)) }
}

/// The guard item, which every change of the nesting of groups writes. So two changes cannot close a cycle together.
pub fn nesting(connector: &ConnectorId) -> Key {
    Key { pk: counts(connector), sk: "nesting".to_owned() }
}

/// The partition of a connector's intents.
pub fn intents(connector: &ConnectorId) -> String {
    format!("{connector}#intent")
}

/// The intent of a resource.
pub fn intent(connector: &ConnectorId, kind: ResourceKind, id: ResourceId) -> Key {
    Key { pk: intents(connector), sk: format!("{}/{id}", word(kind)) }
}

/// The resource of the intent with this sort key.
pub fn parse_intent(sk: &str) -> Option<(ResourceKind, ResourceId)> {
    let (kind, id) = sk.split_once('/')?;
    let kind = ResourceKind::ALL.into_iter().find(|known| word(*known) == kind)?;
    Some((kind, ResourceId::parse(id)?))
}

/// The partition of the member changes that do not fit into the item of their intent.
pub fn intent_changes(connector: &ConnectorId, intent: &str) -> String {
    format!("{connector}#intent/{intent}")
}

/// One item of these changes.
pub fn intent_part(connector: &ConnectorId, intent: &str, part: usize) -> Key {
    Key { pk: intent_changes(connector, intent), sk: format!("{part:06}") }
}

/// The digits that spread the audit records of a month over partitions, so that no partition takes all writes.
pub const AUDIT_SHARDS: &str = "0123456789abcdef";

/// The digit of a resource's audit records.
pub fn audit_shard(id: &str) -> char {
    id.chars().next().filter(|first| AUDIT_SHARDS.contains(*first)).unwrap_or('0')
}

/// The partition of the audit records of one month and one digit; `time` is any time of that month (RFC 3339).
pub fn audit(connector: &ConnectorId, time: &str, shard: char) -> String {
    format!("{connector}#audit/{}/{shard}", time.get(..7).unwrap_or_default())
}

/// The partition of the last uses of a connector's credentials.
pub fn last_uses(connector: &ConnectorId) -> String {
    format!("used/{connector}")
}

/// The item that holds the last use of a credential.
pub fn last_use(connector: &ConnectorId, credential: &str) -> Key {
    Key { pk: last_uses(connector), sk: credential.to_owned() }
}

/// Where earlier versions stored the last use of a credential: all connectors shared one partition.
pub fn last_use_of_earlier_versions(connector: &ConnectorId, credential: &str) -> Key {
    Key { pk: "used".to_owned(), sk: format!("{connector}/{credential}") }
}

/// The item that counts the checks of passwords from a network in the window that begins at this second.
pub fn password_checks(connector: &ConnectorId, network: &str, window: i64) -> Key {
    Key { pk: format!("attempts/{connector}/{network}"), sk: window.to_string() }
}

/// The partition of a connector's failed sign-ins.
pub fn failed_sign_ins(connector: &ConnectorId) -> String {
    format!("attempts/{connector}")
}

/// The item that counts the addresses of a day, and the failed sign-ins of those that have no item.
pub fn failed_sign_ins_on(connector: &ConnectorId, day: &str) -> Key {
    Key { pk: failed_sign_ins(connector), sk: day.to_owned() }
}

/// The item that counts the failed sign-ins of a day from an address.
pub fn failed_sign_ins_from(connector: &ConnectorId, day: &str, address: &str) -> Key {
    Key { pk: failed_sign_ins(connector), sk: format!("{day}/{address}") }
}

/// The partition of the records of the request trail of one day; `time` begins with a time of that day (RFC 3339).
pub fn trail(connector: &ConnectorId, time: &str) -> String {
    format!("trail/{connector}/{}", time.get(..10).unwrap_or_default())
}

/// The partition of the entries that lead to the records of one day.
pub fn trail_entries(connector: &ConnectorId, time: &str) -> String {
    format!("{}/entries", trail(connector, time))
}

/// The sort key of a record of the request trail; `operation` is the position of an operation in a Bulk request.
pub fn trail_sk(time: &str, request: &str, operation: Option<usize>) -> String {
    match operation {
        None => format!("{time}/{request}"),
        Some(position) => format!("{time}/{request}/{position:06}"),
    }
}

/// The sort key of the entry of a subject that leads to the record with this sort key.
pub fn trail_entry(subject: &str, record: &str) -> String {
    format!("{subject}\0{record}")
}

/// The sort key of the record to which an entry of a subject leads.
pub fn parse_trail_entry<'k>(subject: &str, sk: &'k str) -> Option<&'k str> {
    sk.strip_prefix(subject)?.strip_prefix('\0')
}

/// What an item of a connector's directory is, by its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ItemKind<'k> {
    /// A resource.
    Resource(ResourceKind, ResourceId),
    /// The member's side of a membership.
    MemberSide {
        /// The group.
        group: ResourceId,
        /// The member.
        member: ResourceId,
    },
    /// The group's side of a membership.
    GroupSide {
        /// The group.
        group: ResourceId,
        /// The member.
        member: ResourceId,
    },
    /// The count of a bucket.
    Count(ResourceKind, u8),
    /// An entry of this index of a kind of resource.
    IndexEntry(ResourceKind, &'k str),
    /// The intent of a resource.
    Intent(ResourceKind, ResourceId),
    /// An audit record, a credential, a custom schema, a part of an intent, or the guard of nesting: these have no invariants.
    Other,
    /// The key is none that this version writes.
    Unknown,
}

/// Says what an item of a connector's directory is.
pub fn classify<'k>(connector: &ConnectorId, pk: &'k str, sk: &str) -> ItemKind<'k> {
    let Some(space) = pk.strip_prefix(&partitions_prefix(connector)) else { return ItemKind::Unknown };
    if let Some(kind) = ResourceKind::ALL.into_iter().find(|kind| space == word(*kind)) {
        return match parse_resources_sk(sk) {
            Some((id, None)) => ItemKind::Resource(kind, id),
            Some((member, Some(group))) => ItemKind::MemberSide { group, member },
            None => ItemKind::Unknown,
        };
    }
    if let Some(group) = space.strip_prefix("group/") {
        return match (ResourceId::parse(group), ResourceId::parse(sk)) {
            (Some(group), Some(member)) => ItemKind::GroupSide { group, member },
            _ => ItemKind::Unknown,
        };
    }
    if let Some((kind, index)) = parse_index(connector, pk) {
        return ItemKind::IndexEntry(kind, index);
    }
    match space {
        "count" if sk == "nesting" => ItemKind::Other,
        "count" => {
            let kind = ResourceKind::ALL.into_iter().find(|kind| sk.starts_with(&counts_prefix(*kind)));
            let bucket = sk.rsplit_once('/').and_then(|(_, bucket)| u8::from_str_radix(bucket, 16).ok());
            kind.zip(bucket).map_or(ItemKind::Unknown, |(kind, bucket)| ItemKind::Count(kind, bucket))
        }
        "connector" if is_credential(sk) || sk.starts_with(SCHEMA_PREFIX) => ItemKind::Other,
        "intent" => parse_intent(sk).map_or(ItemKind::Unknown, |(kind, id)| ItemKind::Intent(kind, id)),
        _ if space.starts_with("audit/") || space.starts_with("intent/") => ItemKind::Other,
        _ => ItemKind::Unknown,
    }
}

fn is_credential(sk: &str) -> bool {
    let scopes = [CredentialScope::Scim, CredentialScope::Directory];
    scopes.into_iter().any(|scope| sk.starts_with(credential_prefix(scope)))
}

/// The kind of resource and the name of the index in this partition; `None` if the partition is no index.
pub fn parse_index<'k>(connector: &ConnectorId, pk: &'k str) -> Option<(ResourceKind, &'k str)> {
    let space = pk.strip_prefix(&partitions_prefix(connector))?;
    let (kind, index) = space.split_once('.')?;
    let kind = ResourceKind::ALL.into_iter().find(|known| word(*known) == kind)?;
    Some((kind, index))
}

/// The connector that owns a partition of a directory, and whether its items expire by themselves: audit records, parts of
/// intents, and the request trail.
pub fn owner(pk: &str) -> Option<(ConnectorId, bool)> {
    for (prefix, is_expiring) in [("feeds/", false), ("outbox/", false), ("trail/", true)] {
        if let Some(rest) = pk.strip_prefix(prefix) {
            return Some((ConnectorId::parse(rest.split('/').next()?)?, is_expiring));
        }
    }
    let (connector, space) = pk.split_once('#')?;
    Some((ConnectorId::parse(connector)?, space.starts_with("audit/") || space.starts_with("intent/")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_value_is_cut_at_a_character_and_stays_distinct() {
        let long = "é".repeat(400);
        let other = format!("{long}x");
        assert!(index_value(&long).len() < 600);
        assert_ne!(index_value(&long), index_value(&other));
        assert_eq!(index_prefix(&long).len(), 512);
        assert_eq!(index_value("a"), "a");
    }

    #[test]
    fn range_starts_before_every_greater_value() {
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
    fn owner_of_a_partition_is_its_connector() {
        let c = ConnectorId::parse("okta").unwrap();
        let time = "2026-11-30T12:00:00.000Z";
        for (pk, expected) in [
            (resources(&c, ResourceKind::User), Some((c.clone(), false))),
            (feeds(&c), Some((c.clone(), false))),
            (audit(&c, time, 'a'), Some((c.clone(), true))),
            (trail(&c, time), Some((c.clone(), true))),
            (trail_entries(&c, time), Some((c.clone(), true))),
            (CONNECTORS.to_owned(), None),
        ] {
            assert_eq!(owner(&pk), expected, "{pk}");
        }
        assert_eq!(trail_entries(&c, time), "trail/okta/2026-11-30/entries");
        let record = trail_sk(time, "r", Some(7));
        assert_eq!(record, "2026-11-30T12:00:00.000Z/r/000007");
        assert_eq!(parse_trail_entry("name/a", &trail_entry("name/a", &record)), Some(record.as_str()));
        assert_eq!(parse_trail_entry("name/a", &trail_entry("name/ab", &record)), None);
    }

    #[test]
    fn every_key_is_classified_as_what_it_is() {
        let c = ConnectorId::parse("okta").unwrap();
        let (id, group) = (ResourceId::from_random_bytes([1; 16]), ResourceId::from_random_bytes([2; 16]));
        let user = ResourceKind::User;
        for (key, expected) in [
            (resource(&c, user, id), ItemKind::Resource(user, id)),
            (resource(&c, ResourceKind::Role, id), ItemKind::Resource(ResourceKind::Role, id)),
            (member_side(&c, user, id, group), ItemKind::MemberSide { group, member: id }),
            (group_side(&c, group, id), ItemKind::GroupSide { group, member: id }),
            (count(&c, ResourceKind::LocalGroup, 255), ItemKind::Count(ResourceKind::LocalGroup, 255)),
            (
                Key { pk: index(&c, user, "emails.value"), sk: "x".to_owned() },
                ItemKind::IndexEntry(user, "emails.value"),
            ),
            (nesting(&c), ItemKind::Other),
            (intent(&c, ResourceKind::Group, group), ItemKind::Intent(ResourceKind::Group, group)),
            (intent_part(&c, "x", 1), ItemKind::Other),
            (credential(&c, CredentialScope::Scim, "1"), ItemKind::Other),
            (credential(&c, CredentialScope::Directory, "1"), ItemKind::Other),
            (Key { pk: connector_items(&c), sk: "credential".to_owned() }, ItemKind::Unknown),
            (custom_schema(&c, "urn:example:badge"), ItemKind::Other),
            (
                Key { pk: index(&c, user, "urn:example:2.0:Badge:doors.value"), sk: "x".to_owned() },
                ItemKind::IndexEntry(user, "urn:example:2.0:Badge:doors.value"),
            ),
            (Key { pk: audit(&c, "2026-11", 'a'), sk: String::new() }, ItemKind::Other),
            (Key { pk: resources(&c, user), sk: "x".to_owned() }, ItemKind::Unknown),
            (Key { pk: "okta#nothing".to_owned(), sk: "x".to_owned() }, ItemKind::Unknown),
            (Key { pk: "other#user".to_owned(), sk: id.to_string() }, ItemKind::Unknown),
        ] {
            assert_eq!(classify(&c, &key.pk, &key.sk), expected, "{key:?}");
        }
    }
}
