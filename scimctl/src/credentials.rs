//! Credentials of a connector: made, shown once, ended.

use directory::connectors::scheme;
use directory::secrets::{credential_of_chosen, generate_credential};
use jiff::Timestamp;
use shared::credential::{Credential, CredentialKind};

use crate::context::{Context, Failure, fail, read_line};

/// What is asked of a new credential.
pub struct Wanted {
    /// Basic with this username; Bearer if there is none.
    pub username: Option<String>,
    /// Whether the secret is chosen, and comes on standard input.
    pub is_chosen: bool,
}

/// Makes a credential, and the lines to paste.
pub fn make(wanted: &Wanted, now: Timestamp) -> Result<(Credential, String), Failure> {
    let kind = match &wanted.username {
        Some(username) if username.contains(':') => return fail("a username holds no colon (RFC 7617)"),
        Some(username) => CredentialKind::Basic { username: username.clone() },
        None => CredentialKind::Bearer,
    };
    let (credential, secret) = if wanted.is_chosen {
        let secret = read_line()?;
        if secret.chars().count() < 12 {
            return fail("the password on standard input is shorter than 12 characters");
        }
        (credential_of_chosen(kind, &secret, now)?, "(as given)".to_owned())
    } else {
        generate_credential(kind, now)?
    };
    let lines = match &wanted.username {
        Some(username) => format!("Username:      {username}\nPassword:      {secret}"),
        None => format!("Token:         {secret}"),
    };
    Ok((credential, lines))
}

/// A row for each credential: id, scheme, username, when made, until when, when last used.
pub async fn rows(
    context: &Context,
    connector: &directory::connectors::Connector,
) -> Result<Vec<Vec<String>>, Failure> {
    let mut rows =
        vec![["CREDENTIAL", "SCHEME", "USERNAME", "MADE", "UNTIL", "LAST USED"].map(str::to_owned).to_vec()];
    for credential in &connector.credentials {
        let used = context.table().credential_usage(&connector.id).last_used(&credential.id).await?;
        let username = match &credential.kind {
            CredentialKind::Basic { username } => username.clone(),
            CredentialKind::Bearer => "-".to_owned(),
        };
        let until = match credential.expires {
            None => "it is retired".to_owned(),
            Some(expires) if credential.is_live(context.now) => minutes(expires),
            Some(expires) => format!("{}, ended", minutes(expires)),
        };
        let used = used.map_or_else(|| "never".to_owned(), minutes);
        let made = minutes(credential.created);
        rows.push(vec![credential.id.clone(), scheme(credential).to_owned(), username, made, until, used]);
    }
    Ok(rows)
}

/// A time as people read it, to the minute, in UTC.
pub fn minutes(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M UTC").to_string()
}
