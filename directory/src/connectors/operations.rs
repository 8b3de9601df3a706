//! What operators do to connectors. Every operation writes its audit record in its own transaction.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use shared::credential::{Credential, CredentialKind};
use shared::error::{ErrorKind, ScimError};
use shared::schema::Schemas;

use super::{CachedSchemas, Connector, ConnectorId, Indexes, Record, stored, time_until_known};
use crate::audit::{Actor, CONNECTOR_KIND, Changes, Operation, Recorder};
use crate::dynamodb::table::{Outcome, Table};
use crate::dynamodb::transaction::Transaction;
use crate::feeds::begin_marking;
use crate::secrets::generate_secret;
use crate::settings::Settings;

/// The most live credentials of one scheme and scope: the one in use, and the one that replaces it.
const MAX_LIVE_CREDENTIALS: usize = 2;

/// Operations on connectors, in the name of one actor.
#[derive(Clone, Debug)]
pub struct Connectors {
    pub(crate) table: Table,
    pub(super) actor: Actor,
    pub(crate) now: Timestamp,
}

impl Connectors {
    /// Makes the operations of this actor at this time.
    pub fn new(table: Table, actor: Actor, now: Timestamp) -> Self {
        Self { table, actor, now }
    }

    /// Creates a connector with an empty directory of these schemas. Returns `None` when there is one with this id.
    ///
    /// # Errors
    /// Fails when DynamoDB does, or when the operating system has no randomness.
    pub async fn create(
        &self,
        id: &ConnectorId,
        name: String,
        credentials: Vec<Credential>,
        schemas: &Schemas,
    ) -> Result<Option<Connector>, ScimError> {
        let record = Record {
            name,
            created: self.now,
            disabled: None,
            is_deleting: false,
            cursor_key: generate_secret()?,
            settings: Settings::default(),
            indexes: Indexes::ready(schemas),
            feeds: Vec::new(),
            signing_keys: Vec::new(),
            token_keys: Vec::new(),
            schemas: BTreeMap::new(),
        };
        let format = self.table.format_of_new_connectors().await?;
        let connector = Connector {
            id: id.clone(),
            record,
            credentials,
            revision: 1,
            format,
            custom_schemas: Vec::new(),
            schemas: CachedSchemas::default(),
        };
        let mut transaction = self.table.transaction();
        stored::put_new(&mut transaction, &connector)?;
        let changes = Changes::of_connector(None, &connector, vec!["credentials".to_owned()]);
        self.record(&mut transaction, &connector, Operation::Create, &changes)?;
        let outcome = self.table.commit(&transaction).await?;
        Ok((outcome == Outcome::Committed).then_some(connector))
    }

    /// Gives a connector another name for people.
    ///
    /// # Errors
    /// 404; `invalidValue` for an empty name or while the connector is being deleted.
    pub async fn rename(&self, id: &ConnectorId, name: &str) -> Result<Connector, ScimError> {
        if name.trim().is_empty() {
            return Err(ScimError::invalid_value("the name of a connector cannot be empty"));
        }
        self.change_record(id, "name", |record| name.clone_into(&mut record.name)).await
    }

    /// Serves the requests of a connector again.
    ///
    /// # Errors
    /// 404; `invalidValue` while the connector is being deleted.
    pub async fn enable(&self, id: &ConnectorId) -> Result<Connector, ScimError> {
        self.change_record(id, "disabled", |record| record.disabled = None).await
    }

    /// Refuses every request of a connector with 403.
    ///
    /// # Errors
    /// 404; `invalidValue` while the connector is being deleted.
    pub async fn disable(&self, id: &ConnectorId) -> Result<Connector, ScimError> {
        self.change_record(id, "disabled", |record| record.disabled = record.disabled.or(Some(self.now)))
            .await
    }

    /// Replaces the settings that were read. Returns `false` when another writer was faster.
    ///
    /// # Errors
    /// Fails when DynamoDB does.
    pub async fn replace_settings(&self, present: &Connector, settings: Settings) -> Result<bool, ScimError> {
        let is_view_changed = (&settings.rules, &settings.mapping)
            != (&present.record.settings.rules, &present.record.settings.mapping);
        let record = Record { settings, ..present.record.clone() };
        let next = Connector { record, ..present.clone() };
        let mut transaction =
            self.transaction_of(present, &next, Operation::Update, vec!["settings".to_owned()])?;
        if is_view_changed {
            begin_marking(&mut transaction, &next, self.now)?;
        }
        Ok(self.table.commit(&transaction).await? == Outcome::Committed)
    }

    /// Adds a credential, and deletes the expired ones. With its first OAuth credential, a connector gets a key for access tokens.
    ///
    /// # Errors
    /// 404; `invalidValue` when two credentials of the scheme and scope are live, while the connector is being deleted, or
    /// for a scope or scheme that the connector's format does not have.
    pub async fn add_credential(&self, id: &ConnectorId, new: &Credential) -> Result<Connector, ScimError> {
        if new.is_oauth() {
            // Before the credential, because it cannot be used without the key.
            self.ensure_token_key(id).await?;
        }
        self.change_credentials(id, |credentials| {
            credentials.retain(|one| one.is_live(self.now));
            let live: Vec<&str> = credentials
                .iter()
                .filter(|one| (scheme(one), one.scope) == (scheme(new), new.scope))
                .map(|one| one.id.as_str())
                .collect();
            if live.len() >= MAX_LIVE_CREDENTIALS {
                return Err(ScimError::invalid_value(format!(
                    "{} {} credentials of scope {} are live ({}); retire one first",
                    live.len(),
                    scheme(new),
                    new.scope.name(),
                    live.join(", ")
                )));
            }
            credentials.push(new.clone());
            Ok(())
        })
        .await
    }

    /// Deletes a credential.
    ///
    /// # Errors
    /// 404 for an unknown connector or credential; `invalidValue` while the connector is being deleted.
    pub async fn retire_credential(
        &self,
        id: &ConnectorId,
        credential: &str,
    ) -> Result<Connector, ScimError> {
        self.change_credentials(id, |credentials| {
            find(credentials, id, credential)?;
            credentials.retain(|one| one.id != credential);
            Ok(())
        })
        .await
    }

    /// Sets when a credential expires; `None` if never.
    ///
    /// # Errors
    /// 404 for an unknown connector or credential; `invalidValue` while the connector is being deleted.
    pub async fn set_expiry(
        &self,
        id: &ConnectorId,
        credential: &str,
        expires: Option<Timestamp>,
    ) -> Result<Connector, ScimError> {
        self.change_credentials(id, |credentials| {
            find(credentials, id, credential)?.expires = expires;
            Ok(())
        })
        .await
    }

    /// Replaces all credentials, of all scopes.
    ///
    /// # Errors
    /// 404; `invalidValue` while the connector is being deleted.
    pub async fn replace_credentials(
        &self,
        id: &ConnectorId,
        new: &[Credential],
    ) -> Result<Connector, ScimError> {
        self.change_credentials(id, |credentials| {
            *credentials = new.to_vec();
            Ok(())
        })
        .await
    }

    /// Marks a connector as deleting, so that its requests are refused. `now` is the time of the mark.
    ///
    /// # Errors
    /// 404.
    pub async fn begin_deletion(&self, id: &ConnectorId, now: Timestamp) -> Result<Connector, ScimError> {
        let present = self.read(id).await?;
        if present.record.is_deleting {
            return Ok(present);
        }
        self.change_any(id, Operation::Delete, |present| {
            let record = Record { disabled: Some(now), is_deleting: true, ..present.record.clone() };
            Ok((Connector { record, ..present.clone() }, Vec::new()))
        })
        .await
        .map(|(_, connector)| connector)
    }

    /// How long to wait until no process can write to a connector whose deletion has begun.
    pub fn time_until_unused(connector: &Connector, now: Timestamp) -> SignedDuration {
        time_until_known(connector.record.disabled.unwrap_or(now), now)
    }

    /// Changes the credentials, and forgets when the deleted ones were last used.
    async fn change_credentials(
        &self,
        id: &ConnectorId,
        change: impl Fn(&mut Vec<Credential>) -> Result<(), ScimError>,
    ) -> Result<Connector, ScimError> {
        let (before, connector) = self
            .change(id, Operation::Update, |present| {
                let mut credentials = present.credentials.clone();
                change(&mut credentials)?;
                Ok((Connector { credentials, ..present.clone() }, vec!["credentials".to_owned()]))
            })
            .await?;
        let is_deleted = |one: &Credential| connector.credentials.iter().all(|left| left.id != one.id);
        let deleted = before.credentials.into_iter().filter(is_deleted);
        let deleted: Vec<String> = deleted.map(|credential| credential.id).collect();
        self.table.credential_usage(id).forget(&deleted).await?;
        Ok(connector)
    }

    async fn change_record(
        &self,
        id: &ConnectorId,
        attribute: &str,
        change: impl Fn(&mut Record),
    ) -> Result<Connector, ScimError> {
        self.change(id, Operation::Update, |present| {
            let mut next = present.clone();
            change(&mut next.record);
            Ok((next, vec![attribute.to_owned()]))
        })
        .await
        .map(|(_, connector)| connector)
    }

    /// Changes a connector that is not being deleted. Returns it as it was before and as it is now.
    pub(super) async fn change(
        &self,
        id: &ConnectorId,
        operation: Operation,
        change: impl Fn(&Connector) -> Result<(Connector, Vec<String>), ScimError>,
    ) -> Result<(Connector, Connector), ScimError> {
        self.change_any(id, operation, |present| {
            if present.record.is_deleting {
                return Err(ScimError::invalid_value(being_deleted(id)));
            }
            change(present)
        })
        .await
    }

    /// Changes a connector, and returns it as it was before and as it is now. `change` returns the next revision and the names
    /// of the attributes that change; it is called again when another writer was faster.
    pub(super) async fn change_any(
        &self,
        id: &ConnectorId,
        operation: Operation,
        change: impl Fn(&Connector) -> Result<(Connector, Vec<String>), ScimError>,
    ) -> Result<(Connector, Connector), ScimError> {
        let mut backoff = self.table.backoff();
        loop {
            let present = self.read(id).await?;
            let (next, attributes) = change(&present)?;
            if self.write(&present, &next, operation, attributes).await? {
                let revision = present.revision + 1;
                return Ok((present, Connector { revision, ..next }));
            }
            backoff.wait().await?;
        }
    }

    /// Reads a connector that is not being deleted.
    pub(crate) async fn read_usable(&self, id: &ConnectorId) -> Result<Connector, ScimError> {
        let connector = self.read(id).await?;
        if connector.record.is_deleting {
            return Err(ScimError::invalid_value(being_deleted(id)));
        }
        Ok(connector)
    }

    pub(crate) async fn read(&self, id: &ConnectorId) -> Result<Connector, ScimError> {
        let connector = self.table.connector(id).await?;
        connector.ok_or_else(|| unknown_connector(id))
    }

    async fn write(
        &self,
        present: &Connector,
        next: &Connector,
        operation: Operation,
        attributes: Vec<String>,
    ) -> Result<bool, ScimError> {
        let transaction = self.transaction_of(present, next, operation, attributes)?;
        Ok(self.table.commit(&transaction).await? == Outcome::Committed)
    }

    /// Makes the transaction that writes the next revision of a connector, with its audit record.
    pub(crate) fn transaction_of(
        &self,
        present: &Connector,
        next: &Connector,
        operation: Operation,
        attributes: Vec<String>,
    ) -> Result<Transaction, ScimError> {
        let mut transaction = self.table.transaction();
        stored::put_next(&mut transaction, present, next)?;
        let changes = Changes::of_connector(Some(present), next, attributes);
        self.record(&mut transaction, next, operation, &changes)?;
        Ok(transaction)
    }

    pub(crate) fn record(
        &self,
        transaction: &mut Transaction,
        connector: &Connector,
        operation: Operation,
        changes: &Changes,
    ) -> Result<(), ScimError> {
        let (id, days) = (connector.id.to_string(), connector.record.settings.audit_days);
        let recorder = Recorder { connector: &connector.id, actor: &self.actor, now: self.now, days };
        recorder.record(transaction, (operation, CONNECTOR_KIND, &id), changes, 0)
    }
}

fn find<'c>(
    credentials: &'c mut [Credential],
    id: &ConnectorId,
    credential: &str,
) -> Result<&'c mut Credential, ScimError> {
    let known = credentials.iter_mut().find(|one| one.id == credential);
    known.ok_or_else(|| {
        ScimError::new(ErrorKind::NotFound, format!("connector {id} has no credential {credential}"))
    })
}

/// The error for an operator who names a connector that does not exist.
pub(crate) fn unknown_connector(id: &ConnectorId) -> ScimError {
    let detail = format!("there is no connector {id}; `scimctl connector list` lists all connectors");
    ScimError::new(ErrorKind::NotFound, detail)
}

/// What an operator is told about a connector that is being deleted.
pub fn being_deleted(id: &ConnectorId) -> String {
    format!("connector {id} is being deleted; `scimctl connector delete {id}` completes the deletion")
}

/// The name of a credential's scheme.
pub fn scheme(credential: &Credential) -> &'static str {
    match credential.kind {
        CredentialKind::Basic { .. } => "Basic",
        CredentialKind::Bearer => "Bearer",
        CredentialKind::ClientSecret { .. } => "OAuth secret",
        CredentialKind::ClientKey(_) => "OAuth key",
        CredentialKind::Federation(_) => "OAuth federation",
    }
}
