//! Checks a connector as it is stored in the table.

use directory::connectors::{Connector, ConnectorId, FORMAT, scheme};
use shared::credential::{Credential, CredentialKind, CredentialScope};
use shared::schema::Schemas;

use super::{CheckResult, failed, passed};
use crate::connector::credentials::{expiring, user_of};
use crate::context::Context;
use crate::duplicates::Duplicates;
use crate::failure::Failure;
use crate::open_directory::entry_maker;
use crate::output::{count, format_time};

/// Checks a connector.
pub async fn check(context: &Context, id: &str) -> Result<Vec<CheckResult>, Failure> {
    let connector = context.connector(id).await?;
    let mut results = vec![check_enabled(&connector)];
    results.extend(check_credentials(context, &connector));
    results.push(check_indexes(&connector));
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

fn check_credentials(context: &Context, connector: &Connector) -> Vec<CheckResult> {
    let id = &connector.id;
    let live = || connector.credentials.iter().filter(|one| one.is_live(context.now));
    let mut results = vec![match live().any(|one| one.scope == CredentialScope::Scim) {
        true => passed("the connector has a valid credential"),
        false => failed("the connector has no valid credential", renewal(id, CredentialScope::Scim, None)),
    }];
    let expiring = expiring(connector, context.now);
    for (credential, expires) in &expiring {
        let scope = credential.scope;
        let problem = format!(
            "credential {} ({}, scope {}) expires at {}",
            credential.id,
            scheme(credential),
            scope.name(),
            format_time(*expires)
        );
        // During a rotation, the new credential has the same scope and lasts longer.
        let has_successor =
            live().any(|one| one.scope == scope && expiring.iter().all(|(soon, _)| soon.id != one.id));
        results.push(if has_successor {
            CheckResult::Noted(problem)
        } else {
            failed(problem, renewal(id, scope, Some(credential)))
        });
    }
    results
}

/// What to do for a new credential of the same kind.
fn renewal(id: &ConnectorId, scope: CredentialScope, present: Option<&Credential>) -> String {
    let (user, name) = (user_of(scope), scope.name());
    let command = match present.map(|present| &present.kind) {
        Some(CredentialKind::ClientSecret { .. }) => format!("credential create {id} --oauth --scope {name}"),
        Some(CredentialKind::ClientKey(_)) => {
            format!("credential create {id} --oauth --jwk FILE --scope {name}")
        }
        Some(CredentialKind::Federation(_)) => {
            let present = present.map(|present| present.id.as_str()).unwrap_or_default();
            return format!(
                "If the trust is still needed, run `scimctl connector expires {id} {present} TIME`."
            );
        }
        _ if scope == CredentialScope::Scim => format!("connector rotate {id}"),
        _ => format!("credential create {id} --scope {name}"),
    };
    format!("Run `scimctl {command}`, and enter the new credential in the {user}.")
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
