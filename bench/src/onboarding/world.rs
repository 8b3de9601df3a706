//! The service in this process, over an embedded engine that is reached with the delay of a network, with or without the limits of
//! DynamoDB's partitions.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodb::Client as DynamoDb;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use directory::connectors::{ConnectorId, Connectors};
use directory::secrets::generate_credential;
use directory::{Actor, By, Table};
use http::HeaderMap;
use jiff::Timestamp;
use local::engine::Engine;
use local::table;
use service::Service;
use shared::credential::{CredentialKind, CredentialScope};
use shared::schema::Schemas;
use tests::away::away;
use tests::heat::pattern;
use tests::partition_limits::PartitionLimits;
use tests::service::TABLE;

use super::client::{Client, Provider};
use super::meter::Meter;
use super::requests::Requests;

/// The URL of the service in responses. It is as long as one of API Gateway, because it is part of each member of a group.
pub const PUBLIC_URL: &str = "https://abcdefghij.execute-api.us-east-1.amazonaws.com";

/// A service with one connector.
pub struct World {
    /// The identity provider.
    pub client: Arc<Client>,
    /// Measures its requests.
    pub meter: Arc<Meter>,
    /// An application that reads the directory, without delay and limits.
    pub reader: Requests,
    limits: Option<PartitionLimits>,
    /// It stops when it is dropped.
    _engine: Engine,
}

impl World {
    /// Starts a service with an empty directory. Each call to DynamoDB takes this long more than the engine needs.
    ///
    /// # Panics
    /// When the engine does not start.
    pub async fn start(provider: Provider, delay: Duration, has_limits: bool) -> Self {
        let engine = Engine::start(None, ([127, 0, 0, 1], 0), "onboarding").await.expect("the engine starts");
        let near = engine.client().await;
        table::ensure(&near, TABLE).await.expect("the table is created");
        let kind = match provider {
            Provider::Okta => CredentialKind::Basic { username: "okta".to_owned() },
            Provider::Entra => CredentialKind::Bearer,
        };
        let now = Timestamp::now();
        let (credential, secret) = generate_credential(kind, now).expect("randomness");
        let (of_reader, token) = generate_credential(CredentialKind::Bearer, now).expect("randomness");
        let of_reader = of_reader.with_scope(CredentialScope::Directory);
        let id = ConnectorId::parse(provider.connector()).expect("an id");
        let actor = Actor { by: By::Operator("bench".to_owned()), request: "bench".to_owned() };
        let connectors = Connectors::new(Table::new(near.clone(), TABLE.to_owned()), actor, now);
        let created = connectors
            .create(&id, provider.name().to_owned(), vec![credential, of_reader], Schemas::built_in())
            .await;
        assert!(created.expect("the engine answers").is_some(), "the connector is new");

        let limits = has_limits.then(PartitionLimits::default);
        let limited = limits
            .as_ref()
            .map_or_else(|| near.clone(), |limits| DynamoDb::from_conf(limits.limited(&near).build()));
        let far = DynamoDb::from_conf(away(&limited, delay).build());
        let meter = Arc::new(Meter::new());
        let delayed = Arc::new(make_service(far).with_observer(Some(meter.clone())));
        let authorization = match provider {
            Provider::Okta => format!("Basic {}", BASE64.encode(format!("okta:{secret}"))),
            Provider::Entra => format!("Bearer {secret}"),
        };
        Self {
            client: Arc::new(Client::new(&delayed, provider, &authorization)),
            meter,
            reader: Requests::new(
                &Arc::new(make_service(near)),
                &format!("/{id}/directory/v1"),
                &format!("Bearer {token}"),
                HeaderMap::new(),
            ),
            limits,
            _engine: engine,
        }
    }

    /// How many requests to DynamoDB were throttled because of the partition keys of each kind.
    pub fn throttled(&self, provider: Provider) -> BTreeMap<String, u64> {
        let mut kinds = BTreeMap::new();
        for (pk, requests) in self.limits.iter().flat_map(PartitionLimits::throttled) {
            *kinds.entry(pattern(&pk, provider.connector())).or_default() += requests;
        }
        kinds
    }
}

fn make_service(dynamodb: DynamoDb) -> Service {
    let table = Table::new(dynamodb, TABLE.to_owned());
    Service::new(table, Some(PUBLIC_URL.to_owned()), Schemas::built_in(), Timestamp::now).expect("randomness")
}
