//! `scimctl schema list` and `scimctl schema show`.

use directory::connectors::{Connector, SchemaState};
use serde_json::json;
use shared::schema::{Attribute, CustomSchema};

use crate::failure::Failure;
use crate::output::{format_facts, print_json, print_lines};
use crate::table::{Table, print_total};

/// Lists the custom schemas of a connector.
pub fn list(connector: &Connector, is_json: bool) -> Result<(), Failure> {
    let schemas = &connector.custom_schemas;
    if is_json {
        return schemas.iter().try_for_each(|schema| {
            print_json(&json!({
                "id": schema.schema.id,
                "name": schema.schema.name,
                "resourceType": schema.resource_type,
                "attributes": schema.attribute_count(),
                "indexes": schema.indexes,
                "indexesReady": connector.has_ready_indexes(schema),
                "state": state(connector, schema),
            }))
        });
    }
    let row = |schema: &CustomSchema| {
        vec![
            schema.schema.id.clone(),
            schema.schema.name.clone(),
            schema.resource_type.kind().name().to_owned(),
            schema.attribute_count().to_string(),
            indexes(connector, schema),
            state(connector, schema).to_owned(),
        ]
    };
    let rows = schemas.iter().map(row).collect();
    Table::new(["SCHEMA", "NAME", "TYPE", "ATTRIBUTES", "INDEXES", "STATE"]).print(rows)?;
    print_total(schemas.len(), 0, "custom schema", "custom schemas")
}

/// Shows a custom schema.
pub fn show(connector: &Connector, schema: &CustomSchema, is_json: bool) -> Result<(), Failure> {
    if is_json {
        return print_json(schema);
    }
    let facts = format_facts([
        ("Schema:", schema.schema.id.clone()),
        ("Name:", schema.schema.name.clone()),
        ("Description:", schema.schema.description.clone()),
        ("Resource type:", schema.resource_type.kind().name().to_owned()),
        ("Indexes:", indexes(connector, schema)),
        ("State:", state(connector, schema).to_owned()),
    ]);
    print_lines(&format!("{facts}\n"))?;
    let mut rows = Vec::new();
    for attribute in &schema.schema.attributes {
        rows.push(attribute_row("", attribute)?);
        for sub_attribute in &attribute.sub_attributes {
            rows.push(attribute_row(&format!("{}.", attribute.name), sub_attribute)?);
        }
    }
    Table::new(["ATTRIBUTE", "TYPE", "VALUES", "REQUIRED", "MUTABILITY", "RETURNED", "UNIQUENESS"])
        .print(rows)
}

fn attribute_row(prefix: &str, attribute: &Attribute) -> Result<Vec<String>, Failure> {
    let served = serde_json::to_value(attribute)?;
    let word = |name: &str| served.get(name).and_then(|word| word.as_str()).unwrap_or_default().to_owned();
    Ok(vec![
        format!("{prefix}{}", attribute.name),
        word("type"),
        if attribute.multi_valued { "several" } else { "one" }.to_owned(),
        if attribute.required { "yes" } else { "no" }.to_owned(),
        word("mutability"),
        word("returned"),
        word("uniqueness"),
    ])
}

fn indexes(connector: &Connector, schema: &CustomSchema) -> String {
    match (schema.indexes.as_slice(), connector.has_ready_indexes(schema)) {
        ([], _) => "none".to_owned(),
        (indexes, true) => indexes.join(", "),
        (indexes, false) => format!("{} (not ready)", indexes.join(", ")),
    }
}

fn state(connector: &Connector, schema: &CustomSchema) -> &'static str {
    match connector.state_of(schema) {
        SchemaState::Active => "active",
        SchemaState::Removing { .. } => "removing",
    }
}
