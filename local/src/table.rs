//! The table, made where it is missing. In AWS, `template.yaml` makes it, with a stream; here nobody reads one, and the
//! embedded engine looks through all of a stream at each write.

use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType, TableStatus,
    TimeToLiveSpecification, TimeToLiveStatus,
};
use shared::error::chain;
use tokio::time::{Instant, sleep};

/// How long AWS may take to make a table, which is seconds.
const TIME_TO_MAKE: Duration = Duration::from_secs(30);
const TIME_BETWEEN_LOOKS: Duration = Duration::from_millis(500);

type Error = Box<dyn std::error::Error + Send + Sync>;

/// Makes the table unless it is there, and lets its items expire unless they do.
///
/// # Errors
/// A sentence that says what is wrong: DynamoDB is out of reach, or refuses, or does not come to an end.
pub async fn ensure(client: &Client, name: &str) -> Result<(), String> {
    let said = |error: Error| format!("the table {name} cannot be made: {}", chain(&*error));
    if status(client, name).await?.is_none() {
        create(client, name).await.map_err(said)?;
    }
    // For some seconds AWS says that it is making the table, or that there is none, and refuses UpdateTimeToLive.
    let deadline = Instant::now() + TIME_TO_MAKE;
    while matches!(status(client, name).await?, None | Some(TableStatus::Creating)) {
        if Instant::now() > deadline {
            return Err(format!("the table {name} is still being made after {} s", TIME_TO_MAKE.as_secs()));
        }
        sleep(TIME_BETWEEN_LOOKS).await;
    }
    let said = |error: Error| format!("the items of the table {name} would not expire: {}", chain(&*error));
    expire(client, name).await.map_err(said)
}

/// The status of the table, if there is one.
async fn status(client: &Client, name: &str) -> Result<Option<TableStatus>, String> {
    match client.describe_table().table_name(name).send().await {
        Ok(described) => Ok(described.table.and_then(|table| table.table_status)),
        Err(error)
            if error.as_service_error().is_some_and(|error| error.is_resource_not_found_exception()) =>
        {
            Ok(None)
        }
        Err(error) => Err(format!("DynamoDB does not answer: {}", chain(&error))),
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

async fn expire(client: &Client, name: &str) -> Result<(), Error> {
    let described = client.describe_time_to_live().table_name(name).send().await?;
    let status = described.time_to_live_description.and_then(|description| description.time_to_live_status);
    if !matches!(status, None | Some(TimeToLiveStatus::Disabled)) {
        return Ok(());
    }
    let expires = TimeToLiveSpecification::builder().enabled(true).attribute_name("expires").build()?;
    client.update_time_to_live().table_name(name).time_to_live_specification(expires).send().await?;
    Ok(())
}
