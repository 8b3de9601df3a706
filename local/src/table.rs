//! Creates the table if it is missing. On AWS, `template.yaml` creates it, with a stream. This one has no stream, because the
//! embedded engine reads its whole stream at each write.

use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType, TableStatus,
    TimeToLiveSpecification, TimeToLiveStatus,
};
use shared::error::chain;
use tokio::time::{Instant, sleep};

/// The longest time that AWS may take to create a table; it usually takes seconds.
const CREATION_TIMEOUT: Duration = Duration::from_secs(30);
const POLL_INTERVAL: Duration = Duration::from_millis(500);

type Error = Box<dyn std::error::Error + Send + Sync>;

/// Creates the table and turns on its time to live, unless that is done already.
///
/// # Errors
/// A sentence for the user if DynamoDB does not respond, refuses, or takes too long.
pub async fn ensure(client: &Client, name: &str) -> Result<(), String> {
    let message = |error: Error| format!("table {name} cannot be created: {}", chain(&*error));
    if status(client, name).await?.is_none() {
        create(client, name).await.map_err(message)?;
    }
    // For some seconds after CreateTable, AWS reports that the table is being created or does not exist, and refuses
    // UpdateTimeToLive.
    let deadline = Instant::now() + CREATION_TIMEOUT;
    while matches!(status(client, name).await?, None | Some(TableStatus::Creating)) {
        if Instant::now() > deadline {
            return Err(format!(
                "table {name} is still being created after {} s",
                CREATION_TIMEOUT.as_secs()
            ));
        }
        sleep(POLL_INTERVAL).await;
    }
    let message =
        |error: Error| format!("the time to live of table {name} cannot be turned on: {}", chain(&*error));
    turn_on_time_to_live(client, name).await.map_err(message)
}

/// Reads the status of the table; `None` if it does not exist.
async fn status(client: &Client, name: &str) -> Result<Option<TableStatus>, String> {
    match client.describe_table().table_name(name).send().await {
        Ok(described) => Ok(described.table.and_then(|table| table.table_status)),
        Err(error)
            if error.as_service_error().is_some_and(|error| error.is_resource_not_found_exception()) =>
        {
            Ok(None)
        }
        Err(error) => Err(format!("DynamoDB did not respond: {}", chain(&error))),
    }
}

async fn create(client: &Client, name: &str) -> Result<(), Error> {
    let attribute = |name: &str| {
        AttributeDefinition::builder().attribute_name(name).attribute_type(ScalarAttributeType::S).build()
    };
    let key = |name: &str, kind| KeySchemaElement::builder().attribute_name(name).key_type(kind).build();
    client
        .create_table()
        .table_name(name)
        .billing_mode(BillingMode::PayPerRequest)
        .attribute_definitions(attribute("pk")?)
        .attribute_definitions(attribute("sk")?)
        .key_schema(key("pk", KeyType::Hash)?)
        .key_schema(key("sk", KeyType::Range)?)
        .send()
        .await?;
    Ok(())
}

async fn turn_on_time_to_live(client: &Client, name: &str) -> Result<(), Error> {
    let described = client.describe_time_to_live().table_name(name).send().await?;
    let status = described.time_to_live_description.and_then(|description| description.time_to_live_status);
    if !matches!(status, None | Some(TimeToLiveStatus::Disabled)) {
        return Ok(());
    }
    let expires = TimeToLiveSpecification::builder().enabled(true).attribute_name("expires").build()?;
    client.update_time_to_live().table_name(name).time_to_live_specification(expires).send().await?;
    Ok(())
}
