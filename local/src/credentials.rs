//! The username and password of the connector `default`: given by the environment, or made once and kept.

use std::fs;
use std::io;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use directory::connectors::{ConnectorId, Connectors};
use directory::secrets::{credential_of_chosen, credential_of_generated, generate_secret};
use directory::{Actor, By, Table};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use shared::credential::{CredentialKind, PresentedCredentials};
use shared::error::{ScimError, chain};
use shared::schema::Schemas;
use uuid::Uuid;

/// The connector that there always is.
pub const CONNECTOR: &str = "default";
const USERNAME: &str = "okta";
const FILE: &str = "credentials.json";

/// What a person pastes into the identity provider.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct Credentials {
    /// The username.
    pub username: String,
    /// The password.
    pub password: String,
}

impl Credentials {
    /// The value of the Authorization header (RFC 7617).
    pub fn basic(&self) -> String {
        format!("Basic {}", STANDARD.encode(format!("{}:{}", self.username, self.password)))
    }

    /// Those of the environment, else those in the folder, else new ones, which are put there for this user only.
    ///
    /// # Errors
    /// A sentence that says what is wrong with the folder.
    pub fn find(username: Option<String>, password: Option<String>, folder: &Path) -> Result<Self, String> {
        let found = match password {
            Some(password) => Self { username: USERNAME.to_owned(), password },
            None => Self::read_or_make(folder)?,
        };
        Ok(Self { username: username.unwrap_or(found.username), ..found })
    }

    fn read_or_make(folder: &Path) -> Result<Self, String> {
        let file = folder.join(FILE);
        let said = |error: &dyn std::fmt::Display| format!("{} cannot be used: {error}", file.display());
        match fs::read(&file) {
            Ok(text) => return serde_json::from_slice(&text).map_err(|error| said(&error)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(said(&error)),
        }
        let password = generate_secret().map_err(|error| said(&error))?;
        let made = Self { username: USERNAME.to_owned(), password };
        let text = serde_json::to_vec(&made).map_err(|error| said(&error))?;
        write_privately(&file, &text).map_err(|error| said(&error))?;
        Ok(made)
    }

    /// Makes the connector, or gives it these credentials if it has others.
    ///
    /// # Errors
    /// A sentence that says what DynamoDB refuses.
    pub async fn install(&self, table: &Table, is_chosen: bool) -> Result<(), String> {
        let said = |error: ScimError| format!("the connector {CONNECTOR} cannot be made: {}", chain(&error));
        let id = ConnectorId::parse(CONNECTOR).ok_or("the connector has no name")?;
        let now = Timestamp::now();
        let presented =
            PresentedCredentials::Basic { username: self.username.clone(), password: self.password.clone() };
        let kind = CredentialKind::Basic { username: self.username.clone() };
        let connectors = Connectors::new(table.clone(), actor(), now);
        let present = table.connector(&id).await.map_err(said)?;
        let credentials = present.as_ref().map(|present| present.credentials.as_slice());
        if presented.find(credentials.unwrap_or_default(), now).is_some() {
            return Ok(());
        }
        let credential = if is_chosen {
            credential_of_chosen(kind, &self.password, now)
        } else {
            credential_of_generated(kind, &self.password, now)
        };
        let credentials = vec![credential.map_err(said)?];
        if present.is_none()
            && connectors
                .create(&id, "Default".to_owned(), credentials.clone(), Schemas::built_in())
                .await
                .map_err(said)?
                .is_some()
        {
            return Ok(());
        }
        connectors.replace_credentials(&id, &credentials).await.map_err(said).map(|_| ())
    }
}

/// The actor of the changes that `make run` makes when it starts.
fn actor() -> Actor {
    Actor { by: By::Operator("make run".to_owned()), request: format!("start-{}", Uuid::new_v4()) }
}

fn write_privately(file: &Path, text: &[u8]) -> io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    io::Write::write_all(&mut options.open(file)?, text)
}
