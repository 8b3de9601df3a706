//! `scimctl schema add`.

use std::path::Path;

use directory::connectors::Connectors;
use jiff::Timestamp;
use shared::schema::{CustomSchema, Schemas};

use super::count_with_verb;
use super::values::StoredValues;
use crate::context::Context;
use crate::failure::{Failure, fail};
use crate::output::{count, print, print_note};

/// Checks a file, and adds its schema to a connector.
pub async fn add(context: &Context, id: &str, file: &Path, is_dry_run: bool) -> Result<(), Failure> {
    let schema = read_file(file)?;
    let connector = context.connector(id).await?;
    connector.check_addition(&schema, Schemas::built_in())?;
    // Values of an earlier schema with this URN would be shown again.
    let connector_id = connector.id.clone();
    let stored = StoredValues::read(&context.directory(connector), &schema).await?;
    let urn = &schema.schema.id;
    if let Some(first) = &stored.first_misfit {
        return fail(format!(
            "{} values of an earlier schema {urn} that do not fit this one, for example {first}; nothing is changed",
            count_with_verb(&schema, stored.misfits)
        ));
    }
    if stored.resources > 0 {
        let having = count_with_verb(&schema, stored.resources);
        print(&format!("{having} values of an earlier schema with this URN, which clients see again"))?;
    }
    let what = format!(
        "schema {urn} with {} and {}",
        count(schema.attribute_count(), "attribute", "attributes"),
        count(schema.indexes.len(), "index", "indexes")
    );
    if is_dry_run {
        let resource_type = schema.resource_type.kind().name();
        return print(&format!("connector {id} would get the {resource_type} {what}"));
    }
    // Reading the values can take long, so the time at which the command started is too early.
    let connectors = Connectors::new(context.table(), context.actor().clone(), Timestamp::now());
    connectors.add_schema(&connector_id, &schema, Schemas::built_in()).await?;
    print(&format!("connector {id} has the {what}; all functions use it within a minute"))?;
    if !schema.indexes.is_empty() {
        print(&format!("filters use its indexes after `scimctl reindex {id}`"))?;
    }
    Ok(())
}

/// Reads and checks the file of a schema. Prints every mistake.
fn read_file(file: &Path) -> Result<CustomSchema, Failure> {
    let name = file.display();
    let text = std::fs::read_to_string(file).map_err(|error| Failure(format!("{name}: {error}")))?;
    CustomSchema::parse(&text).or_else(|mistakes| {
        for mistake in &mistakes {
            print_note(&format!("{name}: {mistake}"));
        }
        let mistakes = count(mistakes.len(), "mistake", "mistakes");
        fail(format!("{name} has {mistakes}, so nothing is changed"))
    })
}
