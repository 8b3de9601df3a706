//! `scimctl connector`: one for each identity provider.

use clap::Subcommand;
use shared::auth::{Credential, CredentialKind, generate_secret, hash_generated};
use shared::error::chain;
use shared::store::connectors::{Connector, ConnectorId};
use shared::store::table::Table;

/// What can be done with connectors.
#[derive(Subcommand)]
pub enum Command {
    /// Make a connector, and print once what the identity provider is to be given
    Create {
        /// Its name, which becomes a part of the endpoint URL: a–z, 0–9 and -
        #[arg(long)]
        name: String,
        /// Where the service is, as the stack's output BaseUrl has it
        #[arg(long, value_name = "URL", default_value = "https://HOST")]
        url: String,
        /// With a token instead of a username and a password
        #[arg(long)]
        bearer: bool,
    },
    /// List all connectors
    List,
}

/// Carries out a command, and gives what it prints.
///
/// # Errors
/// A sentence that says what is wrong.
pub async fn run(command: Command, table: &Table) -> Result<String, String> {
    match command {
        Command::Create { name, url, bearer } => {
            create(table, &name, url.trim_end_matches('/'), bearer).await
        }
        Command::List => list(table).await,
    }
}

async fn create(table: &Table, name: &str, url: &str, bearer: bool) -> Result<String, String> {
    let invalid = || format!("{name:?} is no name for a connector: up to 63 of a–z, 0–9 and -");
    let id = ConnectorId::parse(name).ok_or_else(invalid)?;
    let secret = generate_secret().map_err(|error| chain(&error))?;
    let (kind, lines) = if bearer {
        (CredentialKind::Bearer, format!("Token:         {secret}"))
    } else {
        let username = name.to_owned();
        let lines = format!("Username:      {username}\nPassword:      {secret}");
        (CredentialKind::Basic { username }, lines)
    };
    let connector = Connector {
        id,
        name: name.to_owned(),
        is_enabled: true,
        credentials: vec![Credential { kind, secret: hash_generated(&secret) }],
        cursor_key: generate_secret().map_err(|error| chain(&error))?.into_bytes(),
    };
    if table.create_connector(&connector).await.map_err(|error| chain(&error))? {
        Ok(format!("Endpoint URL:  {url}/{name}/scim/v2\n{lines}"))
    } else {
        Err(format!("there is a connector {name} already"))
    }
}

async fn list(table: &Table) -> Result<String, String> {
    let connectors = table.connectors().await.map_err(|error| chain(&error))?;
    let line = |connector: &Connector| {
        let state = if connector.is_enabled { "enabled" } else { "disabled" };
        format!("{:<24} {state:<9} {}", connector.id, connector.name)
    };
    Ok(connectors.iter().map(line).collect::<Vec<_>>().join("\n"))
}
