//! `scimctl connector show`.

use directory::Counted;
use serde_json::json;
use shared::resource::ResourceKind;

use super::credentials::{print_credentials, read_credentials};
use super::list::state;
use super::settings;
use crate::context::Context;
use crate::failure::Failure;
use crate::output::{format_facts, format_number, format_time, print_json, print_lines};

/// Shows a connector, even if it is being deleted.
pub async fn show(context: &Context, id: &str, is_json: bool) -> Result<(), Failure> {
    let connector = context.connector_or_deleting(id).await?;
    let record = &connector.record;
    let directory = context.directory(connector.clone());
    let total = async |kind, counted| Ok::<_, Failure>(directory.histogram(kind, counted).await?.total());
    let users = total(ResourceKind::User, Counted::All).await?;
    let deactivated = total(ResourceKind::User, Counted::Inactive).await?;
    let groups = total(ResourceKind::Group, Counted::All).await?;
    let local_groups = total(ResourceKind::LocalGroup, Counted::All).await?;
    let roles = total(ResourceKind::Role, Counted::All).await?;
    let credentials = read_credentials(context, &connector).await?;
    if is_json {
        return print_json(&json!({
            "id": id,
            "name": record.name,
            "state": state(record),
            "created": record.created,
            "users": users,
            "deactivated_users": deactivated,
            "groups": groups,
            "local_groups": local_groups,
            "roles": roles,
            "credentials": credentials,
            "settings": record.settings,
        }));
    }
    let number = format_number;
    let facts = format_facts([
        ("Connector:", id.to_owned()),
        ("Name:", record.name.clone()),
        ("State:", state(record).to_owned()),
        ("Created:", format_time(record.created)),
        ("Users:", format!("{}, of which {} deactivated", number(users), number(deactivated))),
        ("Groups:", format!("{} of the identity provider, {} local", number(groups), number(local_groups))),
        ("Roles:", number(roles)),
    ]);
    print_lines(&format!("{facts}\n"))?;
    print_credentials(context, &credentials)?;
    print_lines(&format!("\n{}", settings::to_toml(&record.settings)?))
}
