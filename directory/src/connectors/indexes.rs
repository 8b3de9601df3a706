//! The states of a connector's indexes. The connector's record lists them.
//!
//! | state | writers write its entries | filters use it |
//! | --- | --- | --- |
//! | not listed: the schema got the index after the connector was created | yes | no |
//! | building: `reindex` adds the entries of older resources | yes | no |
//! | ready: every resource has its entries | yes | yes |
//!
//! A version that does not know a listed index would not write its entries. So it refuses to write to the connector.
//! The index of inactive users is not listed: every version has it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use shared::error::ScimError;
use shared::resource::ResourceKind;
use shared::schema::{ResourceSchema, Schemas};

use super::ConnectorId;

/// The indexes that connectors have whose records do not list any: records were written without a list before.
const UNLISTED: [&str; 8] = [
    "User.userName",
    "User.externalId",
    "User.emails.value",
    "User.name.givenName",
    "User.name.familyName",
    "User.displayName",
    "Group.displayName",
    "Group.externalId",
];

/// The indexes of a connector, by resource type and attribute path: `User.emails.value`.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Indexes(BTreeMap<String, IndexState>);

/// The state of an index.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum IndexState {
    /// It may lack entries. Its entries are being built, or the index is being removed.
    Building {
        /// When this state began.
        since: Timestamp,
    },
    /// Every resource has its entries.
    Ready,
}

impl Indexes {
    /// All indexes of these schemas, ready: those of an empty directory.
    pub fn ready(schemas: &Schemas) -> Self {
        Self(names(schemas).map(|name| (name, IndexState::Ready)).collect())
    }

    /// The indexes of a connector whose record does not list any.
    pub(super) fn unlisted() -> Self {
        Self(UNLISTED.iter().map(|name| ((*name).to_owned(), IndexState::Ready)).collect())
    }

    /// The state of an index of this schema; `None` if it is not listed.
    pub(crate) fn state(&self, schema: &ResourceSchema, index: &str) -> Option<IndexState> {
        self.0.get(&index_name(schema, index)).copied()
    }

    /// Lists the indexes of this schema's resource type that the connector has, known to the schema or not.
    pub(crate) fn of<'s>(&'s self, schema: &'s ResourceSchema) -> impl Iterator<Item = &'s str> {
        let in_type = |name: &'s String| name.strip_prefix(schema.kind.name())?.strip_prefix('.');
        self.0.keys().filter_map(in_type)
    }

    /// Lists the indexes of these schemas that are not ready.
    pub fn not_ready(&self, schemas: &Schemas) -> Vec<String> {
        names(schemas).filter(|name| self.0.get(name) != Some(&IndexState::Ready)).collect()
    }

    /// Lists the indexes of the connector that these schemas do not have.
    fn unknown(&self, schemas: &Schemas) -> Vec<&str> {
        let is_unknown = |name: &&String| !names(schemas).any(|known| known == **name);
        self.0.keys().filter(is_unknown).map(String::as_str).collect()
    }

    /// Lists the indexes that are being built or removed.
    pub fn building(&self) -> Vec<String> {
        let is_building = |(_, state): &(&String, &IndexState)| **state != IndexState::Ready;
        self.0.iter().filter(is_building).map(|(name, _)| name.clone()).collect()
    }

    /// Whether the index with this full name (`User.emails.value`) is ready; `None` if it is not listed.
    pub fn is_ready(&self, name: &str) -> Option<bool> {
        self.0.get(name).map(|state| *state == IndexState::Ready)
    }

    /// When the last of the building indexes began to be built; `None` if none is building.
    pub(super) fn building_since(&self) -> Option<Timestamp> {
        let since = |state: &IndexState| match state {
            IndexState::Building { since } => Some(*since),
            IndexState::Ready => None,
        };
        self.0.values().filter_map(since).max()
    }

    /// The indexes when a build begins: those that these schemas lack or that are not ready are building.
    pub(super) fn begin(&self, schemas: &Schemas, now: Timestamp) -> Self {
        let mut next = self.clone();
        let unknown = self.unknown(schemas).into_iter().map(str::to_owned);
        let names = self.not_ready(schemas).into_iter().chain(unknown.collect::<Vec<_>>());
        for name in names {
            let state = next.0.entry(name).or_insert(IndexState::Ready);
            // An index that is building already goes on with its state.
            if *state == IndexState::Ready {
                *state = IndexState::Building { since: now };
            }
        }
        next
    }

    /// The indexes when a build ends that began with the states `begun`: what it built is ready, and the indexes that these
    /// schemas lack are removed. States that another build changed since stay.
    pub(super) fn end(&self, begun: &Self, schemas: &Schemas) -> Self {
        let mut next = self.clone();
        let unknown = self.unknown(schemas);
        for (name, state) in begun.0.iter().filter(|(_, state)| **state != IndexState::Ready) {
            if self.0.get(name) != Some(state) {
                continue;
            }
            if unknown.contains(&name.as_str()) {
                next.0.remove(name);
            } else {
                next.0.insert(name.clone(), IndexState::Ready);
            }
        }
        next
    }

    /// Checks that a writer with these schemas writes the entries of every index of the connector.
    ///
    /// # Errors
    /// Fails when the connector has an index that these schemas lack.
    pub fn check_writable(&self, schemas: &Schemas, connector: &ConnectorId) -> Result<(), ScimError> {
        let unknown = self.unknown(schemas);
        if unknown.is_empty() {
            return Ok(());
        }
        Err(ScimError::internal(format!(
            "connector {connector} has indexes that this version does not know ({}), so it cannot write to the connector; \
             use a newer version, or remove them with `scimctl reindex {connector}` of this version",
            unknown.join(", ")
        )))
    }
}

/// The names of all indexes of these schemas.
fn names(schemas: &Schemas) -> impl Iterator<Item = String> {
    let kinds = [ResourceKind::User, ResourceKind::Group];
    kinds
        .into_iter()
        .map(|kind| schemas.of(kind))
        .flat_map(|schema| schema.indexes.iter().map(|index| index_name(schema, &index.name)))
}

fn index_name(schema: &ResourceSchema, index: &str) -> String {
    format!("{}.{index}", schema.kind.name())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    fn indexes(states: &[(&str, IndexState)]) -> Indexes {
        let mut indexes = Indexes::unlisted();
        indexes.0.extend(states.iter().map(|(name, state)| ((*name).to_owned(), *state)));
        indexes
    }

    #[test]
    fn built_in_schemas_have_the_indexes_of_unlisted_records() {
        assert_eq!(Indexes::ready(Schemas::built_in()), Indexes::unlisted());
        assert_eq!(Indexes::unlisted().not_ready(Schemas::built_in()), [""; 0]);
    }

    #[test]
    fn build_marks_missing_and_unknown_indexes_and_ends_with_known_ones_ready() {
        let schemas = Schemas::built_in();
        let mut old = indexes(&[("User.title", IndexState::Ready)]);
        old.0.remove("User.displayName");
        assert!(old.check_writable(schemas, &ConnectorId::parse("okta").unwrap()).is_err());
        let begun = old.begin(schemas, at(1));
        let building = IndexState::Building { since: at(1) };
        assert_eq!(begun, indexes(&[("User.title", building), ("User.displayName", building)]));
        assert_eq!(begun.building_since(), Some(at(1)));
        // A build that was interrupted goes on with the same states.
        assert_eq!(begun.begin(schemas, at(2)), begun);
        assert_eq!(begun.end(&begun, schemas), Indexes::unlisted());
        // Another build has begun since.
        let other = indexes(&[("User.title", IndexState::Building { since: at(3) })]);
        assert_eq!(other.end(&begun, schemas), other);
    }
}
