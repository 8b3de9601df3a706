//! `scimctl connector list`.

use directory::connectors::{Connector, Record};

use crate::context::Context;
use crate::failure::Failure;
use crate::output::{format_table, format_time, print_lines};

/// Lists all connectors.
pub async fn list(context: &Context) -> Result<(), Failure> {
    let mut rows = vec![["CONNECTOR", "STATE", "CREATED", "NAME"].map(str::to_owned).to_vec()];
    for Connector { id, record, .. } in context.table().connectors().await? {
        let state = state(&record).to_owned();
        rows.push(vec![id.to_string(), state, format_time(record.created), record.name]);
    }
    print_lines(&format_table(&rows))
}

/// The state of a connector: `enabled`, `disabled` or `deleting`.
pub fn state(record: &Record) -> &'static str {
    match record.disabled {
        _ if record.is_deleting => "deleting",
        Some(_) => "disabled",
        None => "enabled",
    }
}
