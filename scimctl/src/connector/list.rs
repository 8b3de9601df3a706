//! `scimctl connector list`.

use directory::connectors::{Connector, Record};
use serde_json::json;

use super::credentials::expiring;
use crate::context::Context;
use crate::failure::Failure;
use crate::output::{format_time, print_json};
use crate::table::{Table, print_total};

/// Lists all connectors.
pub async fn list(context: &Context, is_json: bool) -> Result<(), Failure> {
    let mut rows = Vec::new();
    for connector in context.table().connectors().await? {
        let expiring = expiring(&connector, context.now);
        let Connector { id, record, .. } = &connector;
        let state = state(record).to_owned();
        if is_json {
            let Record { created, name, .. } = record;
            let id = id.to_string();
            let expiring: Vec<_> = expiring
                .iter()
                .map(|(credential, expires)| json!({ "credential": credential.id, "expires": expires }))
                .collect();
            print_json(
                &json!({ "id": id, "state": state, "created": created, "name": name, "expiring": expiring }),
            )?;
            continue;
        }
        let expiring = expiring.first().map_or_else(
            || "-".to_owned(),
            |(credential, expires)| format!("{} {}", credential.id, format_time(*expires)),
        );
        rows.push(vec![id.to_string(), state, format_time(record.created), expiring, record.name.clone()]);
    }
    if is_json {
        return Ok(());
    }
    let total = rows.len();
    Table::new(["CONNECTOR", "STATE", "CREATED", "EXPIRES SOON", "NAME"]).print(rows)?;
    print_total(total, 0, "connector", "connectors")
}

/// The state of a connector: `enabled`, `disabled` or `deleting`.
pub fn state(record: &Record) -> &'static str {
    match record.disabled {
        _ if record.is_deleting => "deleting",
        Some(_) => "disabled",
        None => "enabled",
    }
}
