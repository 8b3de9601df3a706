//! The states of a connector's indexes. The connector's record lists them.
//!
//! | state | writers write its entries | filters use it |
//! | --- | --- | --- |
//! | not listed: the schema got the index after the connector was created | yes | no |
//! | building: `reindex` adds the entries of older resources | yes | no |
//! | ready: every resource has its entries | yes | yes |
//! | removing: `reindex` of a version that lacks the index removes it | versions that have it | no |
//!
//! A version that lacks a listed index would not write its entries. So it refuses to write to the connector. The indexes of custom
//! schemas are listed too; `schemas.rs` says how they begin and end.
//!
//! A connector whose usernames are made of another attribute than `userName` has an index of that attribute's values, such as
//! `User.username(nickName)`. The settings say which one it needs. `reindex` removes those that it does not need any more.
//!
//! The index of inactive users is not listed, because every version has it. The index of local users is listed as `User.local`,
//! although it is of no attribute. An index whose definition changes needs another
//! name, because the list holds names only.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use shared::error::ScimError;
use shared::patch::ValuePath;
use shared::resource::ResourceKind;
use shared::schema::{ResourceSchema, Schemas};

use super::ConnectorId;
use crate::index;
use crate::settings::Mapping;

/// The indexes of a connector whose record has no list. Records were stored without a list before this field existed.
const INDEXES_BEFORE_THE_LIST: [&str; 8] = [
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
    /// It can lack entries, which a build adds.
    Building {
        /// When the build began.
        since: Timestamp,
    },
    /// It can lack entries. A version whose schemas lack the index removes it.
    Removing {
        /// When the removal began.
        since: Timestamp,
    },
    /// Every resource has its entries.
    Ready,
}

impl Indexes {
    /// Makes the list of a new connector. Every index of these schemas is ready, because the directory is empty.
    pub fn ready(schemas: &Schemas) -> Self {
        Self(names(schemas).map(|name| (name, IndexState::Ready)).collect())
    }

    /// Makes the list of a record that was stored without one.
    pub(super) fn before_the_list() -> Self {
        Self(INDEXES_BEFORE_THE_LIST.iter().map(|name| ((*name).to_owned(), IndexState::Ready)).collect())
    }

    /// The state of an index of this schema; `None` if it is not listed.
    pub(crate) fn state(&self, schema: &ResourceSchema, index: &str) -> Option<IndexState> {
        self.0.get(&index_name(schema, index)).copied()
    }

    /// Returns the listed indexes of this schema's resource type, also those that the schema lacks.
    pub(crate) fn of<'s>(&'s self, schema: &'s ResourceSchema) -> impl Iterator<Item = &'s str> {
        let in_type = |name: &'s String| name.strip_prefix(schema.kind.name())?.strip_prefix('.');
        self.0.keys().filter_map(in_type)
    }

    /// Returns the indexes of these schemas and of this mapping that are not ready.
    pub fn not_ready(&self, schemas: &Schemas, mapping: &Mapping) -> Vec<String> {
        let needed = names(schemas).chain(username_index_name(mapping));
        needed.filter(|name| self.0.get(name) != Some(&IndexState::Ready)).collect()
    }

    /// Returns the listed indexes that these schemas lack. Every version that has indexes of usernames knows all of them whose
    /// paths these schemas have.
    fn unknown(&self, schemas: &Schemas) -> Vec<&str> {
        let user = schemas.of(ResourceKind::User);
        let has_path = |name: &str| {
            let path = username_path_of(name);
            path.is_some_and(|path| ValuePath::parse(path, user).is_ok())
        };
        let is_unknown = |name: &&String| !has_path(name) && !names(schemas).any(|known| known == **name);
        self.0.keys().filter(is_unknown).map(String::as_str).collect()
    }

    /// Returns the indexes of usernames whose entries a writer must write: the one that this mapping needs, and the listed ones
    /// that are not being removed.
    pub(crate) fn usernames(&self, mapping: &Mapping) -> BTreeSet<String> {
        let user = format!("{}.", ResourceKind::User.name());
        let listed = self.0.iter().filter(|(_, state)| !matches!(state, IndexState::Removing { .. }));
        let listed = listed.filter_map(|(name, _)| name.strip_prefix(&user));
        let listed = listed.filter(|name| index::username_path(name).is_some()).map(str::to_owned);
        listed.chain(mapping.username_index()).collect()
    }

    /// Returns the indexes that are being built or removed.
    pub fn changing(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter(|(_, state)| **state != IndexState::Ready).map(|(name, _)| name.as_str())
    }

    /// Whether the index with this full name (`User.emails.value`) is ready; `None` if it is not listed.
    pub fn is_ready(&self, name: &str) -> Option<bool> {
        self.0.get(name).map(|state| *state == IndexState::Ready)
    }

    /// When the newest build or removal began; `None` if there is none.
    pub(super) fn changing_since(&self) -> Option<Timestamp> {
        let since = |state: &IndexState| match state {
            IndexState::Building { since } | IndexState::Removing { since } => Some(*since),
            IndexState::Ready => None,
        };
        self.0.values().filter_map(since).max()
    }

    /// Lists these indexes as building.
    pub(super) fn build(&mut self, names: impl Iterator<Item = String>, now: Timestamp) {
        self.0.extend(names.map(|name| (name, IndexState::Building { since: now })));
    }

    /// Removes these indexes from the list.
    pub(super) fn unlist(&mut self, names: impl Iterator<Item = String>) {
        for name in names {
            self.0.remove(&name);
        }
    }

    /// Returns the states after `reindex` begins. It builds the indexes of these schemas and of this mapping that are not ready,
    /// and removes those that neither has. An index that is being built (or removed) already keeps its time.
    pub(super) fn begin(&self, schemas: &Schemas, mapping: &Mapping, now: Timestamp) -> Self {
        let mut next = self.clone();
        for name in self.not_ready(schemas, mapping) {
            let state = next.0.entry(name).or_insert(IndexState::Ready);
            if !matches!(state, IndexState::Building { .. }) {
                *state = IndexState::Building { since: now };
            }
        }
        let needed = username_index_name(mapping);
        let is_unneeded = |name: &&str| username_path_of(name).is_some() && needed.as_deref() != Some(*name);
        let unneeded = self.0.keys().map(String::as_str).filter(is_unneeded);
        for name in self.unknown(schemas).into_iter().chain(unneeded) {
            if let Some(state) =
                next.0.get_mut(name).filter(|state| !matches!(state, IndexState::Removing { .. }))
            {
                *state = IndexState::Removing { since: now };
            }
        }
        next
    }

    /// Returns the states after these indexes were removed. `begun` is the states when the removal began; an index whose state
    /// changed since then stays.
    pub(super) fn after_removal(&self, begun: &Self) -> Self {
        let is_removed = |name: &String, state: &IndexState| {
            matches!(state, IndexState::Removing { .. }) && begun.0.get(name) == Some(state)
        };
        Self(self.0.clone().into_iter().filter(|(name, state)| !is_removed(name, state)).collect())
    }

    /// Returns the states after the indexes were built. `begun` is the states when the build began; an index whose state changed
    /// since then stays as it is.
    pub(super) fn after_build(&self, begun: &Self) -> Self {
        let mut next = self.clone();
        for (name, state) in &mut next.0 {
            if matches!(state, IndexState::Building { .. }) && begun.0.get(name) == Some(state) {
                *state = IndexState::Ready;
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
            "connector {connector} has indexes that this version does not know ({}), so this version refuses to write; use \
             a newer version, or remove the indexes with this version's `scimctl reindex {connector}`",
            unknown.join(", ")
        )))
    }
}

/// The names of all indexes of these schemas, and of the index of local users.
fn names(schemas: &Schemas) -> impl Iterator<Item = String> {
    let kinds = [ResourceKind::User, ResourceKind::Group];
    kinds
        .into_iter()
        .map(|kind| schemas.of(kind))
        .flat_map(|schema| index::names(schema).map(|index| index_name(schema, index)))
}

/// The full name of the index of usernames that a mapping needs.
fn username_index_name(mapping: &Mapping) -> Option<String> {
    mapping.username_index().map(|index| format!("{}.{index}", ResourceKind::User.name()))
}

/// The path of the index of usernames with this full name.
fn username_path_of(name: &str) -> Option<&str> {
    let (kind, index) = name.split_once('.')?;
    index::username_path(index).filter(|_| kind == ResourceKind::User.name())
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
        let mut indexes = Indexes::ready(Schemas::built_in());
        indexes.0.extend(states.iter().map(|(name, state)| ((*name).to_owned(), *state)));
        indexes
    }

    #[test]
    fn unlisted_records_lack_only_the_index_of_local_users() {
        assert_eq!(
            Indexes::before_the_list().not_ready(Schemas::built_in(), &Mapping::default()),
            ["User.local"]
        );
        assert_eq!(Indexes::before_the_list().unknown(Schemas::built_in()), [""; 0]);
        assert_eq!(
            Indexes::ready(Schemas::built_in()).not_ready(Schemas::built_in(), &Mapping::default()),
            [""; 0]
        );
    }

    #[test]
    fn missing_indexes_are_built_and_unknown_ones_removed() {
        let schemas = Schemas::built_in();
        let mut old = indexes(&[("User.title", IndexState::Ready)]);
        old.0.remove("User.displayName");
        assert!(old.check_writable(schemas, &ConnectorId::parse("okta").unwrap()).is_err());
        let begun = old.begin(schemas, &Mapping::default(), at(1));
        let (building, removing) =
            (IndexState::Building { since: at(1) }, IndexState::Removing { since: at(1) });
        assert_eq!(begun, indexes(&[("User.title", removing), ("User.displayName", building)]));
        assert_eq!(begun.changing_since(), Some(at(1)));
        assert_eq!(begun.changing().collect::<Vec<_>>(), ["User.displayName", "User.title"]);
        let states = ["User.title", "User.userName", "User.nickName"].map(|name| begun.is_ready(name));
        assert_eq!(states, [Some(false), Some(true), None]);
        let (users, groups) = (schemas.of(ResourceKind::User), schemas.of(ResourceKind::LocalGroup));
        assert_eq!(begun.state(users, "title"), Some(removing));
        assert_eq!(
            (begun.of(users).count(), begun.of(groups).collect::<Vec<_>>()),
            (8, vec!["displayName", "externalId"])
        );
        // A repetition continues with the same states.
        assert_eq!(begun.begin(schemas, &Mapping::default(), at(2)), begun);
        let removed = begun.after_removal(&begun);
        assert_eq!(removed, indexes(&[("User.displayName", building)]));
        assert_eq!(removed.after_build(&begun), Indexes::ready(schemas));
    }

    #[test]
    fn index_of_usernames_follows_the_mapping() {
        let schemas = Schemas::built_in();
        let mapping = |path: &str| Mapping { username: path.to_owned(), ..Mapping::default() };
        let name = |path: &str| format!("User.username({path})");
        let ready = Indexes::ready(schemas);
        assert_eq!(ready.not_ready(schemas, &mapping("nickName")), [name("nickName")]);
        let building = IndexState::Building { since: at(1) };
        let begun = ready.begin(schemas, &mapping("nickName"), at(1));
        assert_eq!(begun, indexes(&[(&name("nickName"), building)]));
        let built = begun.after_build(&begun);
        assert!(built.check_writable(schemas, &ConnectorId::parse("okta").unwrap()).is_ok());
        // Until reindex, writers write the entries of the new index and of the old one.
        let both = ["username(nickName)", "username(title)"].map(str::to_owned);
        assert_eq!(built.usernames(&mapping("title")), BTreeSet::from(both));
        let changed = built.begin(schemas, &mapping("title"), at(2));
        let removing = IndexState::Removing { since: at(2) };
        let building = IndexState::Building { since: at(2) };
        assert_eq!(changed, indexes(&[(&name("nickName"), removing), (&name("title"), building)]));
        assert_eq!(changed.usernames(&mapping("title")), BTreeSet::from(["username(title)".to_owned()]));
        // The default mapping needs no index of its own.
        assert_eq!(built.begin(schemas, &Mapping::default(), at(2)).after_removal(&changed), ready);
        // A path that these schemas lack.
        assert!(indexes(&[("User.username(x)", IndexState::Ready)]).unknown(schemas) == ["User.username(x)"]);
    }

    #[test]
    fn build_and_removal_of_one_index_supersede_each_other() {
        let building = |since| indexes(&[("User.title", IndexState::Building { since: at(since) })]);
        // An older version removes what a newer one builds.
        let removing = building(1).begin(Schemas::built_in(), &Mapping::default(), at(2));
        assert_eq!(removing, indexes(&[("User.title", IndexState::Removing { since: at(2) })]));
        assert_eq!(removing.after_build(&building(1)), removing);
        // The newer version builds again.
        assert_eq!(building(3).after_removal(&removing), building(3));
        assert_eq!(building(3).after_build(&building(1)), building(3));
    }
}
