//! Where the table is: in AWS, at a URL, or in the engine of a running `make run`.

use std::path::PathBuf;

use aws_sdk_dynamodb::Client;
use clap::Args;
use directory::By;
use runtime::{data_folder, dynamodb, environment};

use crate::failure::Failure;
use crate::login::{self, Login};
use crate::operator;

/// How the explanation of a missing right begins. The message of AWS follows, which names the right.
pub const DENIED: &str = "AWS does not permit this";

/// The heading of the options in the help, which keeps them apart from those of each command.
const HEADING: &str = "Table options";

/// The options that say where the table is.
#[derive(Args)]
pub struct TableLocation {
    /// Name of the table: the stack's output TableName
    #[arg(long, env = "TABLE_NAME", default_value = environment::DEFAULT_TABLE, global = true, help_heading = HEADING)]
    table: String,

    /// URL of a DynamoDB that needs no credentials, instead of AWS
    #[arg(long, value_name = "URL", global = true, help_heading = HEADING)]
    endpoint: Option<String>,

    /// Data folder of a running `make run` or `make lambda`, instead of AWS
    #[arg(long, value_name = "FOLDER", conflicts_with = "endpoint", global = true, help_heading = HEADING)]
    local: Option<PathBuf>,
}

/// A client for the table, and who uses it.
pub struct Connection {
    /// The DynamoDB client.
    pub client: Client,
    /// The operator, or a reader if the command changes nothing.
    pub by: By,
    /// Where the table is, for error messages.
    pub place: Place,
}

/// Where the table is, for error messages.
#[derive(Clone, Debug)]
pub struct Place {
    /// The name of the table.
    pub table: String,
    at: At,
}

#[derive(Clone, Debug)]
enum At {
    Aws { region: String, account: Option<String>, profile: Option<String> },
    Url(String),
    Folder(PathBuf),
}

impl TableLocation {
    /// Makes a client for the table. If the command is a change, also finds out who the operator is.
    pub async fn connect(self, is_change: bool) -> Result<Connection, Failure> {
        let Self { table, endpoint, local } = self;
        let elsewhere = match (local, endpoint, environment::dynamodb_endpoint()) {
            (Some(folder), ..) => {
                let engine = data_folder::read_engine(&folder).map_err(Failure)?;
                Some((dynamodb::client_of_engine(&engine).await, At::Folder(folder)))
            }
            (None, Some(url), _) => Some((dynamodb::client_at(&url).await, At::Url(url))),
            // An endpoint on this machine in the environment is one of `make lambda` or a test.
            (None, None, Some(url)) if dynamodb::is_loopback(&url) => {
                Some((dynamodb::client().await, At::Url(url)))
            }
            (None, None, _) => None,
        };
        if let Some((client, at)) = elsewhere {
            let by = if is_change { By::Operator(operator::system_user()) } else { By::Reader };
            return Ok(Connection { client, by, place: Place { table, at } });
        }
        let Login { config, region, mut account, profile } = login::log_in().await?;
        let by = match is_change {
            true => {
                let arn = operator::aws_identity(&config).await?;
                // arn:aws:sts::123456789012:assumed-role/Operators/ada
                account = arn.split(':').nth(4).map(str::to_owned).or(account);
                By::Operator(arn)
            }
            false => By::Reader,
        };
        let mut config = aws_sdk_dynamodb::config::Builder::from(&config);
        if let Some(url) = environment::dynamodb_endpoint() {
            config = config.endpoint_url(url);
        }
        let at = At::Aws { region, account, profile };
        Ok(Connection { client: Client::from_conf(config.build()), by, place: Place { table, at } })
    }
}

impl Place {
    /// Whether the table is in the embedded engine of `make run` or `make lambda`.
    pub fn is_embedded(&self) -> bool {
        matches!(self.at, At::Folder(_))
    }

    /// Returns what an error of DynamoDB means and what to do, if repeating the request is useless.
    pub fn explain(&self, code: &str, message: &str) -> Option<String> {
        let table = &self.table;
        Some(match code {
            "ResourceNotFoundException" => match &self.at {
                At::Aws { region, account, .. } => {
                    let account = account.as_ref().map(|id| format!(" of account {id}")).unwrap_or_default();
                    format!(
                        "there is no table {table} in region {region}{account}. Enter the stack's output TableName as --table, \
                         and check that AWS_PROFILE and AWS_REGION are those of the stack"
                    )
                }
                At::Url(url) => format!("there is no table {table} at {url}; enter its name as --table"),
                At::Folder(folder) => {
                    format!("there is no table {table} in {}; enter its name as --table", folder.display())
                }
            },
            "AccessDeniedException" => format!(
                "{DENIED}: {message}. Attach the policy of the stack's output OperatorPolicy to your role"
            ),
            "UnrecognizedClientException"
            | "InvalidSignatureException"
            | "ExpiredTokenException"
            | "InvalidClientTokenId"
            | "IncompleteSignatureException"
            | "MissingAuthenticationTokenException" => self.explain_login(&format!("{code}: {message}")),
            "RequestExpired" | "RequestTimeTooSkewed" => {
                format!("AWS refuses the time of this machine ({message}); set its clock")
            }
            _ => return None,
        })
    }

    /// Returns what to do when the credentials are wrong or have expired.
    pub fn explain_login(&self, reason: &str) -> String {
        match &self.at {
            At::Aws { profile, .. } => login::explain(profile.as_deref(), reason),
            At::Url(url) => format!("DynamoDB at {url} refuses the credentials ({reason})"),
            At::Folder(folder) => format!(
                "the engine of {} refuses the access key of the folder ({reason}); start `make run` again",
                folder.display()
            ),
        }
    }

    /// Returns what to do when DynamoDB cannot be reached.
    pub fn explain_unreachable(&self, reason: &str) -> String {
        match &self.at {
            At::Aws { region, .. } => format!(
                "DynamoDB of region {region} cannot be reached ({reason}). Check that AWS_REGION, or `region` in the AWS profile, \
                 is the region of the stack, and that this machine reaches AWS"
            ),
            At::Url(url) => format!("DynamoDB cannot be reached at {url} ({reason}); check the URL"),
            At::Folder(folder) => format!(
                "the engine of {} cannot be reached ({reason}); check that `make run` is running",
                folder.display()
            ),
        }
    }
}
