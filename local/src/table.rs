//! The table, made where it is missing. In AWS, `template.yaml` makes it, with a stream; here nobody reads one, and the
//! embedded engine looks through all of a stream at each write.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType, TimeToLiveSpecification,
};
use shared::error::chain;

/// Makes the table unless it is there.
///
/// # Errors
/// A sentence that says what is wrong: DynamoDB is out of reach, or refuses.
pub async fn ensure(client: &Client, name: &str) -> Result<(), String> {
    match client.describe_table().table_name(name).send().await {
        Ok(_) => return Ok(()),
        Err(error)
            if error.as_service_error().is_some_and(|error| error.is_resource_not_found_exception()) => {}
        Err(error) => return Err(format!("DynamoDB does not answer: {}", chain(&error))),
    }
    create(client, name).await.map_err(|error| format!("the table {name} cannot be made: {}", chain(&*error)))
}

async fn create(client: &Client, name: &str) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
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
    let expires = TimeToLiveSpecification::builder().enabled(true).attribute_name("expires").build()?;
    client.update_time_to_live().table_name(name).time_to_live_specification(expires).send().await?;
    Ok(())
}
