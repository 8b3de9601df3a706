//! `scimctl connector show`.

use directory::Counted;
use shared::resource::ResourceKind;

use super::credentials::format_credentials;
use super::list::state;
use super::settings;
use crate::context::Context;
use crate::failure::Failure;
use crate::output::{format_facts, format_time, print_lines};

/// Shows a connector, even if it is being deleted.
pub async fn show(context: &Context, id: &str) -> Result<(), Failure> {
    let connector = context.connector_or_deleting(id).await?;
    let record = &connector.record;
    let directory = context.directory(connector.clone());
    let total = async |kind, counted| Ok::<_, Failure>(directory.histogram(kind, counted).await?.total());
    let users = total(ResourceKind::User, Counted::All).await?;
    let deactivated = total(ResourceKind::User, Counted::Inactive).await?;
    let groups = total(ResourceKind::Group, Counted::All).await?;
    let local_groups = total(ResourceKind::LocalGroup, Counted::All).await?;
    let roles = total(ResourceKind::Role, Counted::All).await?;
    let facts = format_facts([
        ("Connector:", id.to_owned()),
        ("Name:", record.name.clone()),
        ("State:", state(record).to_owned()),
        ("Created:", format_time(record.created)),
        ("Users:", format!("{users}, of which {deactivated} deactivated")),
        ("Groups:", format!("{groups} of the identity provider, {local_groups} local")),
        ("Roles:", roles.to_string()),
    ]);
    let credentials = format_credentials(context, &connector).await?;
    print_lines(&format!("{facts}\n{credentials}\n{}", settings::to_toml(&record.settings)?))
}
