//! Checks a connector as it is stored in the table.

use directory::connectors::{Connector, FORMAT};
use jiff::SignedDuration;
use shared::credential::{Credential, CredentialScope};
use shared::schema::Schemas;

use super::{CheckResult, failed, passed};
use crate::context::Context;
use crate::duplicates::Duplicates;
use crate::failure::Failure;
use crate::open_directory::entry_maker;
use crate::output::{count, format_time};

/// How long before the last credential expires the check fails.
const EXPIRY_WARNING: SignedDuration = SignedDuration::from_hours(30 * 24);

/// Checks a connector.
pub async fn check(context: &Context, id: &str) -> Result<Vec<CheckResult>, Failure> {
    let connector = context.connector(id).await?;
    let mut results =
        vec![check_enabled(&connector), check_credentials(context, &connector), check_indexes(&connector)];
    let schemas = connector.schemas(Schemas::built_in());
    if let Err(error) = connector.record.indexes.check_writable(&schemas, &connector.id) {
        results.push(failed(
            Failure::from(error).0,
            format!("Deploy the newer version again, or run `scimctl reindex {id}`."),
        ));
    }
    results.push(check_format(&connector));
    results.extend(find_duplicates(context, connector).await?);
    Ok(results)
}

async fn find_duplicates(context: &Context, connector: Connector) -> Result<Vec<CheckResult>, Failure> {
    let (id, settings) = (connector.id.to_string(), connector.record.settings.clone());
    let maker = entry_maker(&id, &settings)?;
    let lines = match Duplicates::read(&context.directory(connector), &maker).await {
        Ok(duplicates) => duplicates.lines(),
        Err(Failure(problem)) => return Ok(vec![failed(problem, format!("Run `scimctl check {id}`."))]),
    };
    if lines.is_empty() {
        return Ok(vec![passed("no two users share a username, an email address or an externalId")]);
    }
    Ok(lines.into_iter().map(CheckResult::Noted).collect())
}

fn check_enabled(connector: &Connector) -> CheckResult {
    let id = &connector.id;
    match connector.record.disabled {
        None => passed(format!("connector {id} is enabled")),
        Some(since) => failed(
            format!("connector {id} is disabled since {}", format_time(since)),
            format!("To serve its requests again, run `scimctl connector enable {id}`."),
        ),
    }
}

fn check_credentials(context: &Context, connector: &Connector) -> CheckResult {
    let is_live = |one: &&Credential| one.scope == CredentialScope::Scim && one.is_live(context.now);
    let live = connector.credentials.iter().filter(is_live);
    let expiries: Vec<_> = live.map(|credential| credential.expires).collect();
    let last = if expiries.contains(&None) { None } else { expiries.iter().flatten().max() };
    let rotate = format!(
        "Run `scimctl connector rotate {}`, and enter the new credential in the identity provider.",
        connector.id
    );
    match last {
        _ if expiries.is_empty() => failed("the connector has no valid credential", rotate),
        Some(expires) if *expires - context.now < EXPIRY_WARNING => failed(
            format!("the last credential of the connector expires at {}", format_time(*expires)),
            rotate,
        ),
        _ => passed("the connector has a valid credential"),
    }
}

fn check_indexes(connector: &Connector) -> CheckResult {
    let schemas = connector.schemas(Schemas::built_in());
    let not_ready = connector.record.indexes.not_ready(&schemas, &connector.record.settings.mapping);
    if not_ready.is_empty() {
        return passed("all indexes of the connector are ready");
    }
    let verb = if not_ready.len() == 1 { "is" } else { "are" };
    failed(
        format!("{} {verb} not ready: {}", count(not_ready.len(), "index", "indexes"), not_ready.join(", ")),
        format!("Deploy this version to all functions, then run `scimctl reindex {}`.", connector.id),
    )
}

fn check_format(connector: &Connector) -> CheckResult {
    if connector.format >= FORMAT {
        return passed(format!("the connector is stored in format {}, the newest", connector.format));
    }
    failed(
        format!("the connector is stored in format {}; the newest is {FORMAT}", connector.format),
        "Deploy this version to all functions, then run `scimctl migrate`.",
    )
}
