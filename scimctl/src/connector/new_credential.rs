//! The credential that `scimctl connector create` and `rotate` add.

use std::io::{IsTerminal as _, stdin};

use clap::Args;
use directory::secrets::{credential_of_chosen, generate_credential};
use jiff::Timestamp;
use runtime::escape::escape;
use shared::credential::{Credential, CredentialKind};

use crate::failure::{Failure, fail};
use crate::output::count;
use crate::prompt::read_secret;

/// The shortest password that an operator can choose, in characters.
const MIN_PASSWORD_LENGTH: usize = 12;

/// The options that say what the new credential is. By default it is Basic with a generated password.
#[derive(Args, Default)]
pub struct CredentialOptions {
    /// Username; by default that of the present credential, or else the connector's id
    #[arg(long, conflicts_with = "bearer")]
    pub username: Option<String>,
    /// Enter `-` to choose your own password: it is asked for, or read from a pipe. By default one is generated
    #[arg(long, value_name = "-", value_parser = ["-"], conflicts_with = "bearer")]
    pub password: Option<String>,
    /// Create a bearer token instead of a username and password
    #[arg(long)]
    pub bearer: bool,
}

/// A credential that is not stored yet.
pub struct NewCredential {
    /// What is stored.
    pub credential: Credential,
    /// The username; `None` for a token.
    pub username: Option<String>,
    /// The password or token, or what to show instead of a password that the operator chose.
    pub secret: String,
}

impl NewCredential {
    /// Creates a Basic credential with this username, or a bearer token if it is `None`.
    pub fn create(
        username: Option<String>,
        options: &CredentialOptions,
        now: Timestamp,
    ) -> Result<Self, Failure> {
        let kind = match &username {
            // RFC 7617 §2: a colon separates the username from the password.
            Some(username) if username.contains(':') => {
                return fail(format!(
                    "the username {username:?} contains a colon, which Basic does not allow"
                ));
            }
            Some(username) => CredentialKind::Basic { username: username.clone() },
            None => CredentialKind::Bearer,
        };
        let (credential, secret) = if options.password.is_some() {
            (credential_of_chosen(kind, &read_password()?, now)?, "(the one that you entered)".to_owned())
        } else {
            generate_credential(kind, now)?
        };
        Ok(Self { credential, username, secret })
    }

    /// The lines to print, with the secret.
    pub fn lines(&self) -> String {
        let secret = &self.secret;
        match &self.username {
            Some(username) => format!("Username:      {}\nPassword:      {secret}", escape(username)),
            None => format!("Token:         {secret}"),
        }
    }
}

fn read_password() -> Result<String, Failure> {
    let password = read_secret("Enter the new password:")?;
    let length = password.chars().count();
    if length < MIN_PASSWORD_LENGTH {
        return fail(format!(
            "the password has {}; it must have at least {MIN_PASSWORD_LENGTH} characters",
            count(length, "character", "characters")
        ));
    }
    if stdin().is_terminal() && read_secret("Enter it again:")? != password {
        return fail("the two passwords differ, so nothing is changed");
    }
    Ok(password)
}
