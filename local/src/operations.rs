//! The operations of the embedded engine, by their names in DynamoDB's API.

use dynoxide::{Database, DynoxideError};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Runs an operation and returns the body of its response. Returns `None` if there is no operation with this name.
pub fn run_operation(
    database: &Database,
    operation: &str,
    body: &[u8],
) -> Option<Result<Vec<u8>, DynoxideError>> {
    let call = Call { database, body };
    Some(match operation {
        "GetItem" => call.answer(Database::get_item),
        "Query" => call.answer(Database::query),
        "BatchGetItem" => call.answer(Database::batch_get_item),
        "BatchWriteItem" => call.answer(Database::batch_write_item),
        "TransactGetItems" => call.answer(Database::transact_get_items),
        "TransactWriteItems" => call.answer(Database::transact_write_items),
        "PutItem" => call.answer(Database::put_item),
        "UpdateItem" => call.answer(Database::update_item),
        "DeleteItem" => call.answer(Database::delete_item),
        "Scan" => call.answer(Database::scan),
        "CreateTable" => call.answer(Database::create_table),
        "DescribeTable" => call.answer(Database::describe_table),
        "ListTables" => call.answer(Database::list_tables),
        "DeleteTable" => call.answer(Database::delete_table),
        "DescribeTimeToLive" => call.answer(Database::describe_time_to_live),
        "UpdateTimeToLive" => call.answer(Database::update_time_to_live),
        _ => return None,
    })
}

/// A request to the engine.
struct Call<'a> {
    database: &'a Database,
    body: &'a [u8],
}

impl Call<'_> {
    fn answer<Request: DeserializeOwned, Answer: Serialize>(
        self,
        run: impl FnOnce(&Database, Request) -> Result<Answer, DynoxideError>,
    ) -> Result<Vec<u8>, DynoxideError> {
        let unreadable = |error: serde_json::Error| DynoxideError::SerializationException(error.to_string());
        let request = serde_json::from_slice(self.body).map_err(unreadable)?;
        serde_json::to_vec(&run(self.database, request)?).map_err(unreadable)
    }
}
