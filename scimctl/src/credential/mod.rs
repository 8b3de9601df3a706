//! `scimctl credential`: creates and lists the credentials of a connector.

mod oauth;

use clap::{Subcommand, ValueEnum};
use shared::credential::CredentialScope;

use crate::connector::credentials::{add, print_credentials, read_credentials};
use crate::connector::new_credential::CredentialOptions;
use crate::context::{Context, parse_connector_id};
use crate::failure::Failure;
use crate::output::{print, print_json};
use crate::time::DateOrTime;

use oauth::OauthOptions;

/// The commands on credentials.
#[derive(Subcommand)]
pub enum Command {
    /// Add a credential, and print it once
    #[command(after_help = "EXAMPLES:\n  \
        scimctl credential create okta --scope directory --bearer\n  \
        scimctl credential create okta --oauth --url https://scim.example.com --expires 2027-11-30\n  \
        scimctl credential create entra --federation --entra TENANT_ID APP_ID --subject OBJECT_ID \
        --url https://scim.example.com")]
    Create {
        /// Id of the connector
        connector: String,
        /// What the credential is for. For OAuth, the default is scim
        #[arg(long, value_enum, required_unless_present_any = ["oauth", "federation"])]
        scope: Option<Scope>,
        /// When it expires: a date such as 2027-01-31, which begins at 00:00 UTC, or a time with its zone. By default never
        #[arg(long, value_name = "TIME", value_parser = DateOrTime::parse)]
        expires: Option<DateOrTime>,
        #[command(flatten)]
        credential: CredentialOptions,
        #[command(flatten)]
        oauth: Box<OauthOptions>,
    },
    /// List the credentials of a connector, with their last use
    #[command(after_help = "EXAMPLE:\n  scimctl credential list okta")]
    List {
        /// Id of the connector
        connector: String,
        /// Print one JSON object on each line
        #[arg(long)]
        json: bool,
    },
    /// Make a new key for the access tokens of a connector. Tokens of the present key stay valid; those of older keys end
    #[command(after_help = "EXAMPLE:\n  scimctl credential rotate-key okta")]
    RotateKey {
        /// Id of the connector
        connector: String,
    },
}

/// What a credential is for.
#[derive(Clone, Copy, ValueEnum)]
pub enum Scope {
    /// Provisioning: an identity provider writes users and groups over SCIM
    Scim,
    /// The directory API: an application reads users, groups and roles
    Directory,
}

impl Command {
    /// Whether the command changes what the table holds.
    pub fn is_change(&self) -> bool {
        matches!(self, Self::Create { .. } | Self::RotateKey { .. })
    }
}

/// Runs a command.
pub async fn run(command: Command, context: &Context) -> Result<(), Failure> {
    match command {
        Command::Create { connector, scope, expires, credential, oauth } => {
            let scope = match scope {
                Some(Scope::Directory) => CredentialScope::Directory,
                Some(Scope::Scim) | None => CredentialScope::Scim,
            };
            let expires = expires.map(DateOrTime::first);
            if oauth.is_chosen() {
                oauth::add(context, &connector, (scope, expires), &oauth).await
            } else {
                add(context, &connector, (scope, expires), credential).await
            }
        }
        Command::List { connector, json } => {
            let connector = context.connector_or_deleting(&connector).await?;
            let credentials = read_credentials(context, &connector).await?;
            if json {
                return credentials.iter().try_for_each(print_json);
            }
            print_credentials(context, &credentials)
        }
        Command::RotateKey { connector } => {
            let key = context.connectors().rotate_token_key(&parse_connector_id(&connector)?).await?;
            print(&format!(
                "the access tokens of connector {connector} are now signed with the key {}; if tokens of the key before must end \
                 too, run the command again",
                key.kid
            ))
        }
    }
}
