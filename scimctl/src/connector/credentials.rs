//! `scimctl connector rotate`, `retire` and `expires`, and the table of credentials.

use directory::connectors::{Connector, scheme};
use jiff::Timestamp;
use shared::credential::{Credential, CredentialKind};

use super::new_credential::{CredentialOptions, NewCredential};
use crate::context::{Context, parse_connector_id};
use crate::failure::{Failure, fail};
use crate::output::{format_table, format_time, print, print_lines, print_note};

/// Adds a credential beside the present ones, and prints it.
pub async fn rotate(context: &Context, id: &str, options: CredentialOptions) -> Result<(), Failure> {
    let connector = context.connector(id).await?;
    let username = username(context, &connector, &options);
    let NewCredential { credential, lines } = NewCredential::create(username, &options, context.now)?;
    let connector = context.connectors().add_credential(&connector.id, &credential).await?;
    print_lines(&format!("{lines}\n\n{}", format_credentials(context, &connector).await?))?;
    print_note(&format!(
        "The new credential has the id {}. When the identity provider uses it, retire the old one: \
         scimctl connector retire {id} CREDENTIAL",
        credential.id
    ));
    Ok(())
}

/// The username of the new credential; `None` for a token. If the connector has only tokens, the new credential is a token too.
fn username(context: &Context, connector: &Connector, options: &CredentialOptions) -> Option<String> {
    let live = |credential: &&Credential| credential.is_live(context.now);
    let present: Vec<&Credential> = connector.credentials.iter().filter(live).collect();
    let mut usernames = present.iter().filter_map(|credential| match &credential.kind {
        CredentialKind::Basic { username } => Some(username.clone()),
        CredentialKind::Bearer => None,
    });
    let newest = usernames.next_back();
    let has_only_tokens = newest.is_none() && !present.is_empty();
    let wants_password = options.username.is_some() || options.password.is_some();
    if options.bearer || (has_only_tokens && !wants_password) {
        return None;
    }
    options.username.clone().or(newest).or_else(|| Some(connector.id.to_string()))
}

/// Deletes a credential.
pub async fn retire(context: &Context, id: &str, credential: &str) -> Result<(), Failure> {
    context.connectors().retire_credential(&parse_connector_id(id)?, credential).await?;
    print(&format!("credential {credential} is retired; all functions refuse it within a minute"))
}

/// Sets when a credential expires.
pub async fn set_expiry(context: &Context, id: &str, credential: &str, time: &str) -> Result<(), Failure> {
    let expires = match time {
        "never" => None,
        time => match time.parse::<Timestamp>() {
            Ok(time) => Some(time),
            Err(_) => {
                return fail(format!("{time:?} is not a time such as 2027-01-31T00:00:00Z, and not `never`"));
            }
        },
    };
    context.connectors().set_expiry(&parse_connector_id(id)?, credential, expires).await?;
    match expires {
        Some(time) => print(&format!("credential {credential} expires at {}", format_time(time))),
        None => print(&format!("credential {credential} never expires")),
    }
}

/// Formats the credentials of a connector as a table, with the time when each was last used.
pub async fn format_credentials(context: &Context, connector: &Connector) -> Result<String, Failure> {
    let heading = ["CREDENTIAL", "SCHEME", "USERNAME", "CREATED", "EXPIRES", "LAST USED"];
    let mut rows = vec![heading.map(str::to_owned).to_vec()];
    for credential in &connector.credentials {
        let last_used = context.table().credential_usage(&connector.id).last_used(&credential.id).await?;
        let username = match &credential.kind {
            CredentialKind::Basic { username } => username.clone(),
            CredentialKind::Bearer => "-".to_owned(),
        };
        let expires = match credential.expires {
            None => "never".to_owned(),
            Some(expires) if credential.is_live(context.now) => format_time(expires),
            Some(expires) => format!("{} (expired)", format_time(expires)),
        };
        rows.push(vec![
            credential.id.clone(),
            scheme(credential).to_owned(),
            username,
            format_time(credential.created),
            expires,
            last_used.map_or_else(|| "never".to_owned(), format_time),
        ]);
    }
    Ok(format_table(&rows))
}
