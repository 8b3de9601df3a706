//! What every command needs: the table, the operator and the time.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use directory::connectors::{Connector, ConnectorId, Connectors, being_deleted};
use directory::{Actor, By, Directory, Table};
use jiff::Timestamp;
use shared::schema::Schemas;
use tokio::time::Instant;
use uuid::Uuid;

use crate::failure::{Failure, fail};
use crate::place::{Connection, Place, TableLocation};
use crate::refusal::Watch;

/// The longest time that one step of a command takes, with its retries.
const STEP_TIMEOUT: Duration = Duration::from_secs(15);
/// How often a long command checks that it can still write to the connector. It is less than `CONNECTOR_CACHE_TTL`, after which each
/// write fails.
const CONNECTOR_CHECK_INTERVAL: Duration = Duration::from_secs(10);

/// The table, and the operator who runs the command.
pub struct Context {
    client: Client,
    place: Place,
    table: Table,
    actor: Actor,
    /// The time at which the command started.
    pub now: Timestamp,
}

impl Context {
    /// Makes the DynamoDB client for the table. If the command is a change, also finds out who the operator is.
    pub async fn new(location: TableLocation, is_change: bool) -> Result<Self, Failure> {
        let Connection { client, by, place } = location.connect(is_change).await?;
        Ok(Self::begin(client, by, place))
    }

    fn begin(client: Client, by: By, place: Place) -> Self {
        let watched = client.config().to_builder().interceptor(Watch::new(place.clone())).build();
        Self {
            table: Table::new(Client::from_conf(watched), place.table.clone()),
            client,
            place,
            actor: Actor { by, request: format!("scimctl-{}", Uuid::new_v4()) },
            now: Timestamp::now(),
        }
    }

    /// The same table and operator for the next command of this process: with the present time, and a new id of the request in the
    /// audit trail. What DynamoDB refused before is tried again.
    pub fn renewed(&self) -> Self {
        Self::begin(self.client.clone(), self.actor.by.clone(), self.place.clone())
    }

    /// The DynamoDB client, for requests whose errors the command explains itself.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The name of the table.
    pub fn table_name(&self) -> &str {
        &self.place.table
    }

    /// Whether the table is in the embedded engine of this machine, which has no stream and no backups.
    pub fn is_embedded(&self) -> bool {
        self.place.is_embedded()
    }

    /// The table with a deadline for one step.
    pub fn table(&self) -> Table {
        self.table.until(Instant::now() + STEP_TIMEOUT)
    }

    /// The table without a deadline, for work that takes longer in a larger directory.
    pub fn table_without_deadline(&self) -> Table {
        self.table.clone()
    }

    /// The operator, as audit records name it.
    pub fn actor(&self) -> &Actor {
        &self.actor
    }

    /// The operations on connectors, recorded as this operator's.
    pub fn connectors(&self) -> Connectors {
        Connectors::new(self.table(), self.actor.clone(), self.now)
    }

    /// Reads a connector. Fails if it is being deleted, because data that is written then could stay in the
    /// table after the deletion.
    pub async fn connector(&self, id: &str) -> Result<Connector, Failure> {
        let connector = self.connector_or_deleting(id).await?;
        if connector.record.is_deleting { fail(being_deleted(&connector.id)) } else { Ok(connector) }
    }

    /// Reads a connector, even if it is being deleted.
    pub async fn connector_or_deleting(&self, id: &str) -> Result<Connector, Failure> {
        let connector = match ConnectorId::parse(id) {
            Some(id) => self.table().connector(&id).await?,
            None => None,
        };
        connector.ok_or_else(|| unknown_connector(id))
    }

    /// The directory of a connector, whose changes are recorded as this operator's.
    pub fn directory(&self, connector: Connector) -> Directory {
        self.directory_at(connector, self.now)
    }

    /// The directory of a connector, with a deadline for one step.
    pub fn directory_with_deadline(&self, connector: Connector) -> Directory {
        let (connector, actor) = (Arc::new(connector), self.actor.clone());
        Directory::new(self.table(), connector, Schemas::built_in(), self.now, actor)
    }

    /// The directory of a connector at this time, for commands that run on and on.
    pub fn directory_at(&self, connector: Connector, now: Timestamp) -> Directory {
        let table = self.table_without_deadline();
        Directory::new(table, Arc::new(connector), Schemas::built_in(), now, self.actor.clone())
    }
}

/// Waits until this directory cannot be written to any more, and returns the reason: its connector is being deleted, or its settings,
/// indexes or schemas were changed. A command that changes many resources runs this beside, so that it ends at once instead of
/// with an error for each resource.
pub async fn wait_until_outdated(directory: &Directory) -> Failure {
    loop {
        tokio::time::sleep(CONNECTOR_CHECK_INTERVAL).await;
        if let Err(error) = directory.read_connector_again().await {
            return error.into();
        }
    }
}

/// Parses the id of a connector.
pub fn parse_connector_id(id: &str) -> Result<ConnectorId, Failure> {
    ConnectorId::parse(id).ok_or_else(|| unknown_connector(id))
}

fn unknown_connector(id: &str) -> Failure {
    Failure(format!("there is no connector {id}; `scimctl connector list` lists all connectors"))
}
