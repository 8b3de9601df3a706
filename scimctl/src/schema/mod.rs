//! `scimctl schema`: custom schemas, which extend the users or groups of one connector.

mod add;
mod list;
mod remove;
mod values;

use std::path::PathBuf;

use clap::Subcommand;
use directory::connectors::Connector;
use shared::schema::{CustomSchema, ExtendedType};

use crate::context::Context;
use crate::failure::{Failure, fail};
use crate::output::count;

/// The commands on custom schemas.
#[derive(Subcommand)]
pub enum Command {
    /// Add an extension of users or groups to a connector, while the service runs
    #[command(
        after_help = "The file has the form of RFC 7643 section 7, and two more members: resourceType (User or Group), and indexes, \
which lists the attributes that filters find by an index. An attribute with the uniqueness server has an index too. \
Build the indexes with `scimctl reindex`.\n\n\
EXAMPLES:\n  scimctl schema add okta badge.json --dry-run\n  scimctl schema add okta badge.json"
    )]
    Add {
        /// Id of the connector
        connector: String,
        /// File with the schema, in JSON
        file: PathBuf,
        /// Only check the file, and print what would be added
        #[arg(long)]
        dry_run: bool,
    },
    /// List the custom schemas of a connector
    #[command(after_help = "EXAMPLE:\n  scimctl schema list okta")]
    List {
        /// Id of the connector
        connector: String,
        /// Print one JSON object on each line
        #[arg(long)]
        json: bool,
    },
    /// Show a custom schema: its attributes and indexes
    #[command(
        after_help = "EXAMPLE:\n  scimctl schema show okta urn:example:schemas:2.0:Badge --json > badge.json"
    )]
    Show {
        /// Id of the connector
        connector: String,
        /// URN of the schema
        urn: String,
        /// Print the schema in the form of its file, on one line
        #[arg(long)]
        json: bool,
    },
    /// Remove a custom schema. Its values stay stored, hidden from clients. To confirm, enter the URN on standard input
    #[command(after_help = "EXAMPLE:\n  scimctl schema remove okta urn:example:schemas:2.0:Badge")]
    Remove {
        /// Id of the connector
        connector: String,
        /// URN of the schema
        urn: String,
        /// Only print how many users or groups have values
        #[arg(long)]
        dry_run: bool,
        /// Do not ask for a confirmation
        #[arg(long)]
        yes: bool,
    },
}

impl Command {
    /// Whether the command changes what the table holds.
    pub fn is_change(&self) -> bool {
        match self {
            Self::Add { dry_run, .. } | Self::Remove { dry_run, .. } => !dry_run,
            Self::List { .. } | Self::Show { .. } => false,
        }
    }
}

/// Runs a command.
pub async fn run(command: Command, context: &Context) -> Result<(), Failure> {
    match command {
        Command::Add { connector, file, dry_run } => add::add(context, &connector, &file, dry_run).await,
        Command::List { connector, json } => list::list(&context.connector(&connector).await?, json),
        Command::Show { connector, urn, json } => {
            let connector = context.connector(&connector).await?;
            list::show(&connector, find(&connector, &urn)?, json)
        }
        Command::Remove { connector, urn, dry_run, yes } => {
            remove::remove(context, &connector, &urn, dry_run, yes).await
        }
    }
}

/// Finds a custom schema by its URN. Ignores upper and lower case.
fn find<'c>(connector: &'c Connector, urn: &str) -> Result<&'c CustomSchema, Failure> {
    match connector.custom_schema(urn) {
        Some((schema, _)) => Ok(schema),
        None => fail(format!(
            "connector {id} has no custom schema {urn}; `scimctl schema list {id}` lists all",
            id = connector.id
        )),
    }
}

/// Formats a number of users or groups, with a verb: `1 user has`, `2 groups have`.
fn count_with_verb(schema: &CustomSchema, number: usize) -> String {
    let counted = match schema.resource_type {
        ExtendedType::User => count(number, "user", "users"),
        ExtendedType::Group => count(number, "group", "groups"),
    };
    format!("{counted} {}", if number == 1 { "has" } else { "have" })
}
