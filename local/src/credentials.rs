//! The username and password of the connector `default`: from the environment, or generated once and kept in a file.

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use directory::connectors::{ConnectorId, Connectors};
use directory::secrets::{credential_of_chosen, credential_of_generated, generate_secret};
use directory::{Actor, By, Table};
use jiff::Timestamp;
use runtime::private_file;
use serde::{Deserialize, Serialize};
use shared::credential::{
    Credential, CredentialKind, CredentialScope, PasswordVerifier, PresentedCredentials,
};
use shared::error::{ScimError, chain};
use shared::schema::Schemas;
use uuid::Uuid;

/// The id of the connector that a local service always has.
pub const CONNECTOR: &str = "default";
const USERNAME: &str = "okta";
const FILE: &str = "credentials.json";

/// The credentials to give the identity provider.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct Credentials {
    /// The username.
    pub username: String,
    /// The password.
    pub password: String,
    /// Whether the password comes from the environment. If so, it is not in the folder, and is never printed.
    #[serde(skip)]
    pub is_from_environment: bool,
}

impl Credentials {
    /// The password to print, or where it comes from. Terminals and CI logs keep what a program prints, so only a generated
    /// password is printed.
    pub fn printed_password(&self) -> &str {
        if self.is_from_environment { "(the value of SCIM_PASSWORD)" } else { &self.password }
    }

    /// The credentials as an option of curl, for a shell.
    pub fn curl_user(&self) -> String {
        let Self { username, password, is_from_environment } = self;
        match is_from_environment {
            true => format!("--user '{username}':\"$SCIM_PASSWORD\""),
            false => format!("--user '{username}:{password}'"),
        }
    }

    /// The value of the Authorization header (RFC 7617).
    pub fn basic(&self) -> String {
        format!("Basic {}", STANDARD.encode(format!("{}:{}", self.username, self.password)))
    }

    /// Takes the credentials of the environment, or reads those in the folder, or generates them and writes them there. Only the
    /// current user can read the file.
    ///
    /// # Errors
    /// A sentence for the user if the file cannot be read or written.
    pub fn find(username: Option<String>, password: Option<String>, folder: &Path) -> Result<Self, String> {
        let found = match password {
            Some(password) => Self { username: USERNAME.to_owned(), password, is_from_environment: true },
            None => Self::read_or_generate(folder)?,
        };
        Ok(Self { username: username.unwrap_or(found.username), ..found })
    }

    fn read_or_generate(folder: &Path) -> Result<Self, String> {
        let file = folder.join(FILE);
        let message = |error: &dyn std::fmt::Display| format!("{} cannot be used: {error}", file.display());
        match fs::read(&file) {
            Ok(text) => return serde_json::from_slice(&text).map_err(|error| message(&error)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(message(&error)),
        }
        let password = generate_secret().map_err(|error| message(&error))?;
        let generated = Self { username: USERNAME.to_owned(), password, is_from_environment: false };
        let text = serde_json::to_vec(&generated).map_err(|error| message(&error))?;
        private_file::create(&file)
            .and_then(|mut file| file.write_all(&text))
            .map_err(|error| message(&error))?;
        Ok(generated)
    }

    /// Creates the connector with these credentials, or replaces those for the SCIM API if they differ.
    ///
    /// # Errors
    /// A sentence for the user if DynamoDB fails.
    pub async fn install(&self, table: &Table) -> Result<(), String> {
        let message =
            |error: ScimError| format!("connector {CONNECTOR} cannot be created: {}", chain(&error));
        let id = ConnectorId::parse(CONNECTOR).ok_or("the connector has no name")?;
        let now = Timestamp::now();
        let presented =
            PresentedCredentials::Basic { username: self.username.clone(), password: self.password.clone() };
        let kind = CredentialKind::Basic { username: self.username.clone() };
        let connectors = Connectors::new(table.clone(), actor(), now);
        let present = table.connector(&id).await.map_err(message)?;
        let credentials = present.as_ref().map(|present| present.credentials.as_slice()).unwrap_or_default();
        let (credentials, readers): (Vec<Credential>, Vec<Credential>) =
            credentials.iter().cloned().partition(|credential| credential.scope == CredentialScope::Scim);
        let candidates = presented.chosen_candidates(&credentials, now);
        if presented.find_generated(&credentials, now).is_some()
            || PasswordVerifier::default().find(&presented, candidates).is_some()
        {
            return Ok(());
        }
        let credential = if self.is_from_environment {
            credential_of_chosen(kind, &self.password, now)
        } else {
            credential_of_generated(kind, &self.password, now)
        };
        let mut credentials = vec![credential.map_err(message)?];
        if present.is_none()
            && connectors
                .create(&id, "Default".to_owned(), credentials.clone(), Schemas::built_in())
                .await
                .map_err(message)?
                .is_some()
        {
            return Ok(());
        }
        credentials.extend(readers);
        connectors.replace_credentials(&id, &credentials).await.map_err(message).map(|_| ())
    }
}

/// The actor in the audit records of these changes.
fn actor() -> Actor {
    Actor { by: By::Operator("make run".to_owned()), request: format!("start-{}", Uuid::new_v4()) }
}
