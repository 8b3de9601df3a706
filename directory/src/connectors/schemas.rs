//! The schemas of a connector: those of the service provider, its custom schemas, and whether it is strict.
//!
//! A connector's record lists its custom schemas, and each is an item. A process uses them from its next read of the connector on,
//! so all processes use a new one within a minute. Until then, some ignore its values.
//!
//! | change | what keeps the directory consistent |
//! | --- | --- |
//! | add | The indexes begin as building. A process that does not know the schema yet can replace or delete a resource that has values of it, and leaves index entries behind. `reindex` deletes these, after every process knows the schema, and marks the indexes as ready. |
//! | remove | The record says `removing`, and no longer lists the indexes. After every process knows that, nothing writes or reads the index entries, and they are deleted. Then the schema is deleted from the record. The values stay in the documents, hidden. |
//!
//! An older version of the program would do in every minute what a process does in the first one, so a connector with custom
//! schemas is stored in a format that older versions refuse.

use std::sync::{Arc, OnceLock};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use shared::error::{ErrorKind, ScimError};
use shared::limits::MAX_CUSTOM_SCHEMAS;
use shared::resource::ResourceKind;
use shared::schema::{CustomSchema, ExtendedType, Index, Schemas};

use super::format::format_of;
use super::{Connector, ConnectorId, Connectors, time_until_known};
use crate::audit::Operation;
use crate::dynamodb::keys;
use crate::dynamodb::table::Table;

/// The attribute that the audit records name.
const SCHEMAS: &str = "schemas";

/// A custom schema in the list of a connector's record.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct ListedSchema {
    /// Its state.
    pub state: SchemaState,
    /// The resources that can have the extension.
    pub resource_type: ExtendedType,
    /// Its indexes. The sweeper deletes index entries, and reads only the record.
    pub indexes: Vec<Index>,
}

/// The state of a custom schema.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SchemaState {
    /// Resources can have its values.
    Active,
    /// It is no longer used, and its index entries are being deleted.
    Removing {
        /// When the removal began.
        since: Timestamp,
    },
}

/// The schemas of a connector that was read. They are made once, because every request needs them.
#[derive(Debug, Default)]
pub struct CachedSchemas(OnceLock<Arc<Schemas>>);

/// A changed copy of a connector can have other schemas, so a copy makes its own.
impl Clone for CachedSchemas {
    fn clone(&self) -> Self {
        Self::default()
    }
}

/// The schemas follow from the other fields of the connector.
impl PartialEq for CachedSchemas {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Connector {
    /// Returns the schemas of this connector's users and groups. `built_in` are those of the service provider, which are
    /// the same at each call.
    pub fn schemas(&self, built_in: &Arc<Schemas>) -> Arc<Schemas> {
        let is_strict = self.record.settings.strict;
        if self.record.schemas.is_empty() && !is_strict {
            return Arc::clone(built_in);
        }
        let make = || {
            let schemas =
                built_in.with_custom(self.active_custom_schemas()).with_indexes(self.other_indexes());
            Arc::new(if is_strict { schemas.strict() } else { schemas })
        };
        Arc::clone(self.schemas.0.get_or_init(make))
    }

    /// Finds a custom schema and its state by its URN. Ignores upper and lower case.
    pub fn custom_schema(&self, urn: &str) -> Option<(&CustomSchema, SchemaState)> {
        let schema = self.custom_schemas.iter().find(|schema| schema.schema.id.eq_ignore_ascii_case(urn))?;
        Some((schema, self.state_of(schema)))
    }

    /// Returns the state of a custom schema of this connector.
    pub fn state_of(&self, schema: &CustomSchema) -> SchemaState {
        self.record.schemas.get(&schema.key()).map_or(SchemaState::Active, |listed| listed.state)
    }

    /// Whether every index of a custom schema of this connector is ready.
    pub fn has_ready_indexes(&self, schema: &CustomSchema) -> bool {
        full_index_names(schema).all(|name| self.record.indexes.is_ready(&name) == Some(true))
    }

    fn active_custom_schemas(&self) -> impl Iterator<Item = &CustomSchema> {
        self.custom_schemas.iter().filter(|schema| self.state_of(schema) == SchemaState::Active)
    }

    /// Returns the indexes of the listed schemas that were not read.
    fn other_indexes(&self) -> impl Iterator<Item = (ExtendedType, &[Index])> {
        let is_read = |key: &str| self.custom_schemas.iter().any(|schema| schema.key() == key);
        let others = self
            .record
            .schemas
            .iter()
            .filter(move |(key, listed)| listed.state == SchemaState::Active && !is_read(key));
        others.map(|(_, listed)| (listed.resource_type, listed.indexes.as_slice()))
    }

    /// Checks that this schema can be added to the connector.
    ///
    /// # Errors
    /// `invalidValue` if the connector has too many custom schemas, or one of its schemas conflicts with this one.
    pub fn check_addition(&self, schema: &CustomSchema, built_in: &Arc<Schemas>) -> Result<(), ScimError> {
        if let Some((_, SchemaState::Removing { .. })) = self.custom_schema(&schema.schema.id) {
            let detail = format!(
                "the schema {} is being removed from connector {id}; `scimctl schema remove {id} {}` completes the removal",
                schema.schema.id,
                schema.schema.id,
                id = self.id
            );
            return Err(ScimError::invalid_value(detail));
        }
        schema.check_beside(&self.schemas(built_in))?;
        if self.custom_schemas.len() >= MAX_CUSTOM_SCHEMAS {
            return Err(ScimError::invalid_value(format!(
                "connector {} has {} custom schemas, the maximum; remove one first",
                self.id,
                self.custom_schemas.len()
            )));
        }
        Ok(())
    }
}

impl Connectors {
    /// Adds a custom schema to a connector. Its indexes are building: [`Connectors::reindex`] makes them ready.
    ///
    /// # Errors
    /// 404; `invalidValue` while the connector is being deleted, and as for [`Connector::check_addition`].
    pub async fn add_schema(
        &self,
        id: &ConnectorId,
        schema: &CustomSchema,
        built_in: &Arc<Schemas>,
    ) -> Result<Connector, ScimError> {
        self.change_schemas(id, |next| {
            next.check_addition(schema, built_in)?;
            let listed = ListedSchema {
                state: SchemaState::Active,
                resource_type: schema.resource_type,
                indexes: schema.index_definitions(),
            };
            next.record.schemas.insert(schema.key(), listed);
            next.custom_schemas.push(schema.clone());
            next.record.indexes.build(full_index_names(schema), self.now);
            Ok(())
        })
        .await
    }

    /// Begins to remove a custom schema from a connector. A schema without indexes is removed at once. Otherwise
    /// [`Connectors::finish_schema_removal`] completes the removal after [`Connectors::time_until_removal`].
    ///
    /// # Errors
    /// 404 for an unknown connector or schema; `invalidValue` while the connector is being deleted.
    pub async fn begin_schema_removal(&self, id: &ConnectorId, urn: &str) -> Result<Connector, ScimError> {
        self.change_schemas(id, |next| {
            let (schema, state) = find(next, urn)?;
            if state != SchemaState::Active {
                return Ok(());
            }
            next.record.indexes.unlist(full_index_names(&schema));
            if schema.indexes.is_empty() {
                forget(next, &schema);
            } else if let Some(listed) = next.record.schemas.get_mut(&schema.key()) {
                listed.state = SchemaState::Removing { since: self.now };
            }
            Ok(())
        })
        .await
    }

    /// How long to wait until no process uses a schema whose removal has begun.
    pub fn time_until_removal(connector: &Connector, urn: &str, now: Timestamp) -> SignedDuration {
        match connector.custom_schema(urn) {
            Some((_, SchemaState::Removing { since })) => time_until_known(since, now),
            _ => SignedDuration::ZERO,
        }
    }

    /// Deletes the index entries of a schema whose removal has begun, and then the schema. A call that was interrupted can be
    /// repeated. Does nothing if the schema was removed already.
    ///
    /// # Errors
    /// Fails when DynamoDB does, or while the connector is being deleted.
    pub async fn finish_schema_removal(&self, id: &ConnectorId, urn: &str) -> Result<(), ScimError> {
        let present = self.read(id).await?;
        let Some((schema, SchemaState::Removing { .. })) = present.custom_schema(urn) else { return Ok(()) };
        self.table.clear_indexes(id, schema).await?;
        self.change_schemas(id, |next| {
            if let Ok((schema, SchemaState::Removing { .. })) = find(next, urn) {
                forget(next, &schema);
            }
            Ok(())
        })
        .await
        .map(|_| ())
    }

    /// Changes the custom schemas of a connector, and its format with them.
    async fn change_schemas(
        &self,
        id: &ConnectorId,
        change: impl Fn(&mut Connector) -> Result<(), ScimError>,
    ) -> Result<Connector, ScimError> {
        let changed = self.change(id, Operation::Update, |present| {
            let mut next = present.clone();
            change(&mut next)?;
            next.format = format_of(&next.record);
            Ok((next, vec![SCHEMAS.to_owned()]))
        });
        Ok(changed.await?.1)
    }
}

impl Table {
    /// Deletes all entries of the indexes of a custom schema.
    pub(super) async fn clear_indexes(
        &self,
        id: &ConnectorId,
        schema: &CustomSchema,
    ) -> Result<(), ScimError> {
        let kinds: &[ResourceKind] = match schema.resource_type {
            ExtendedType::User => &[ResourceKind::User],
            ExtendedType::Group => &ResourceKind::WITH_MEMBERS,
        };
        for kind in kinds {
            for name in schema.index_names() {
                self.clear_partition(&keys::index(id, *kind, &name)).await?;
            }
        }
        Ok(())
    }
}

fn find(connector: &Connector, urn: &str) -> Result<(CustomSchema, SchemaState), ScimError> {
    let found = connector.custom_schema(urn).map(|(schema, state)| (schema.clone(), state));
    found.ok_or_else(|| {
        let id = &connector.id;
        let detail =
            format!("connector {id} has no custom schema {urn}; `scimctl schema list {id}` lists all");
        ScimError::new(ErrorKind::NotFound, detail)
    })
}

/// Deletes a schema from a connector.
fn forget(connector: &mut Connector, schema: &CustomSchema) {
    connector.record.schemas.remove(&schema.key());
    connector.custom_schemas.retain(|other| other.key() != schema.key());
}

/// Returns the names of the indexes as the connector's record lists them: `User.urn:example:Badge:number`.
fn full_index_names(schema: &CustomSchema) -> impl Iterator<Item = String> {
    let kind = schema.resource_type.kind().name();
    schema.index_names().map(move |name| format!("{kind}.{name}"))
}
