//! `scimctl connector rotate`, `retire` and `expires`, `scimctl credential`, and the table of credentials.

use directory::connectors::{Connector, scheme};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use shared::credential::{Credential, CredentialKind, CredentialScope};

use super::new_credential::{CredentialOptions, NewCredential};
use crate::context::{Context, parse_connector_id};
use crate::failure::{Failure, fail};
use crate::output::{format_time, print, print_lines, print_note};
use crate::prompt::confirm;
use crate::table::{Table, print_total};
use crate::time::DateOrTime;

/// How long before a credential expires operators are warned.
const EXPIRY_WARNING: SignedDuration = SignedDuration::from_hours(30 * 24);

/// The valid credentials of a connector that expire within 30 days, of every scope and kind, the earliest first.
pub fn expiring(connector: &Connector, now: Timestamp) -> Vec<(&Credential, Timestamp)> {
    let live = connector.credentials.iter().filter(|credential| credential.is_live(now));
    let mut expiring: Vec<_> = live
        .filter_map(|credential| Some((credential, credential.expires?)))
        .filter(|(_, expires)| *expires - now < EXPIRY_WARNING)
        .collect();
    expiring.sort_by_key(|(_, expires)| *expires);
    expiring
}

/// Adds a credential of a scope beside the present ones, and prints it.
pub async fn add(
    context: &Context,
    id: &str,
    (scope, expires): (CredentialScope, Option<Timestamp>),
    options: CredentialOptions,
) -> Result<(), Failure> {
    let connector = context.connector(id).await?;
    let username = username(context, &connector, scope, &options);
    let new = NewCredential::create(username, &options, context.now)?;
    let lines = new.lines();
    store(context, &connector, (new.credential, &lines), (scope, expires)).await
}

/// Stores a new credential beside the present ones, and prints it.
pub async fn store(
    context: &Context,
    connector: &Connector,
    (credential, lines): (Credential, &str),
    (scope, expires): (CredentialScope, Option<Timestamp>),
) -> Result<(), Failure> {
    if let Some(expires) = expires.filter(|expires| *expires <= context.now) {
        return fail(format!("the credential would expire at {}, which is over", format_time(expires)));
    }
    let id = &connector.id;
    let credential = Credential { expires, ..credential.with_scope(scope) };
    let connector = context.connectors().add_credential(id, &credential).await?;
    print_lines(&format!("{lines}\n\n"))?;
    print_credentials(context, &read_credentials(context, &connector).await?)?;
    let is_other =
        |one: &&Credential| one.scope == scope && one.id != credential.id && one.is_live(context.now);
    let retirement = match connector.credentials.iter().any(|one| is_other(&one)) {
        true => format!(
            ". When `scimctl connector show {id}` says that it is used, retire the old one: scimctl connector retire {id} CREDENTIAL"
        ),
        false => String::new(),
    };
    print_note(&format!(
        "The new credential has the id {}. It works at once. Enter it in the {}{retirement}",
        credential.id,
        user_of(scope)
    ));
    Ok(())
}

/// What uses the credentials of a scope.
pub fn user_of(scope: CredentialScope) -> &'static str {
    match scope {
        CredentialScope::Scim => "identity provider",
        CredentialScope::Directory => "application that reads the directory",
    }
}

/// The username of the new credential; `None` for a token. If the connector has only tokens of this scope, the new credential is
/// a token too.
pub fn username(
    context: &Context,
    connector: &Connector,
    scope: CredentialScope,
    options: &CredentialOptions,
) -> Option<String> {
    let live = |credential: &&Credential| {
        credential.scope == scope && credential.is_live(context.now) && !credential.is_oauth()
    };
    let present: Vec<&Credential> = connector.credentials.iter().filter(live).collect();
    let mut usernames = present.iter().filter_map(|credential| match &credential.kind {
        CredentialKind::Basic { username } => Some(username.clone()),
        _ => None,
    });
    let newest = usernames.next_back();
    let has_only_tokens = newest.is_none() && !present.is_empty();
    let wants_password = options.username.is_some() || options.password.is_some();
    if options.bearer || (has_only_tokens && !wants_password) {
        return None;
    }
    options.username.clone().or(newest).or_else(|| Some(connector.id.to_string()))
}

/// Deletes a credential. Asks first if no other one is valid.
pub async fn retire(
    context: &Context,
    id: &str,
    credential: &str,
    is_confirmed: bool,
) -> Result<(), Failure> {
    let connector = context.connector(id).await?;
    if let Some(scope) = last_of_scope(&connector, credential, context.now) {
        let question = format!(
            "{credential} is the last valid credential of connector {id} with the scope {}: without it, the {} gets 401. \
             `scimctl credential create {id} --scope {}` adds another one. To retire it, enter its id:",
            scope.name(),
            user_of(scope),
            scope.name()
        );
        confirm(&question, credential, is_confirmed)?;
    }
    context.connectors().retire_credential(&connector.id, credential).await?;
    print(&format!("credential {credential} is retired; all functions refuse it within a minute"))
}

/// The scope of a credential, if it is the last valid one of its scope.
pub fn last_of_scope(connector: &Connector, credential: &str, now: Timestamp) -> Option<CredentialScope> {
    let live: Vec<&Credential> = connector.credentials.iter().filter(|one| one.is_live(now)).collect();
    let scope = live.iter().find(|one| one.id == credential)?.scope;
    (live.iter().filter(|one| one.scope == scope).count() == 1).then_some(scope)
}

/// Sets when a credential expires: a time, the start of a day, or `never`.
pub async fn set_expiry(context: &Context, id: &str, credential: &str, time: &str) -> Result<(), Failure> {
    let expires = match time {
        "never" => None,
        time => match DateOrTime::parse(time) {
            Ok(time) => Some(time.first()),
            Err(wrong) => return fail(format!("{wrong}, and not `never`")),
        },
    };
    context.connectors().set_expiry(&parse_connector_id(id)?, credential, expires).await?;
    match expires {
        Some(time) => print(&format!("credential {credential} expires at {}", format_time(time))),
        None => print(&format!("credential {credential} never expires")),
    }
}

/// A credential as it is shown, without its secret.
#[derive(Serialize)]
pub struct ShownCredential {
    /// The id.
    pub id: String,
    /// The name of the scope.
    pub scope: &'static str,
    /// The name of the scheme.
    pub scheme: &'static str,
    /// `None` for a token.
    pub username: Option<String>,
    /// `None` if it is not for the token endpoint.
    pub client_id: Option<String>,
    /// When it was created.
    pub created: Timestamp,
    /// `None` if never.
    pub expires: Option<Timestamp>,
    /// `None` if never. To the hour.
    pub last_used: Option<Timestamp>,
}

/// Reads the credentials of a connector, with the time when each was last used.
pub async fn read_credentials(
    context: &Context,
    connector: &Connector,
) -> Result<Vec<ShownCredential>, Failure> {
    let mut shown = Vec::with_capacity(connector.credentials.len());
    for credential in &connector.credentials {
        shown.push(ShownCredential {
            id: credential.id.clone(),
            scope: credential.scope.name(),
            scheme: scheme(credential),
            username: match &credential.kind {
                CredentialKind::Basic { username } => Some(username.clone()),
                _ => None,
            },
            client_id: credential.kind.client_id().map(str::to_owned),
            created: credential.created,
            expires: credential.expires,
            last_used: context.table().credential_usage(&connector.id).last_used(&credential.id).await?,
        });
    }
    Ok(shown)
}

/// Prints credentials as a table.
pub fn print_credentials(context: &Context, credentials: &[ShownCredential]) -> Result<(), Failure> {
    let time_or_never = |time: Option<Timestamp>| time.map_or_else(|| "never".to_owned(), format_time);
    let row = |credential: &ShownCredential| {
        let is_expired = credential.expires.is_some_and(|expires| expires <= context.now);
        let expires = time_or_never(credential.expires);
        vec![
            credential.id.clone(),
            credential.scope.to_owned(),
            credential.scheme.to_owned(),
            credential
                .username
                .as_ref()
                .or(credential.client_id.as_ref())
                .map_or("-", String::as_str)
                .to_owned(),
            format_time(credential.created),
            if is_expired { format!("{expires} (expired)") } else { expires },
            time_or_never(credential.last_used),
        ]
    };
    let mut table = Table::new([
        "CREDENTIAL",
        "SCOPE",
        "SCHEME",
        "USERNAME OR CLIENT",
        "CREATED",
        "EXPIRES",
        "LAST USED",
    ]);
    table.print(credentials.iter().map(row).collect())?;
    print_total(credentials.len(), 0, "credential", "credentials")
}
