//! `scimctl connector`: one for each identity provider.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use directory::connectors::{Connector, ConnectorId, Connectors, Record};
use directory::secrets::generate_secret;
use directory::{Counted, Directory};
use jiff::Timestamp;
use shared::credential::{Credential, CredentialKind};
use shared::resource::ResourceKind;
use shared::schema::Schemas;

use crate::context::{
    Context, Failure, columns, fail, parse_connector_id, progress, read_line, remark, say, wait,
};
use crate::credentials::{self, Wanted, make, minutes};
use crate::settings;

/// What stands for the service's address where nobody gave it.
const NO_URL: &str = "https://HOST";

/// What can be done with connectors.
#[derive(Subcommand)]
pub enum Command {
    /// Make a connector, and print once what the identity provider is to be given
    #[command(after_help = "EXAMPLE:\n  scimctl connector create --name okta --url https://scim.example.com")]
    Create {
        /// Its id, which becomes a part of the endpoint URL: a–z, 0–9 and -
        #[arg(long, value_name = "ID")]
        name: String,
        /// Where the service is, as the stack's output BaseUrl has it
        #[arg(long, value_name = "URL", default_value = NO_URL)]
        url: String,
        /// Put random characters behind the id, so that nobody guesses the endpoint URL
        #[arg(long)]
        unguessable: bool,
        #[command(flatten)]
        secret: Secret,
    },
    /// List all connectors
    #[command(after_help = "EXAMPLE:\n  scimctl connector list")]
    List,
    /// Show a connector: its credentials and when they were used, its settings, how much is in it
    #[command(after_help = "EXAMPLE:\n  scimctl connector show okta")]
    Show {
        /// The connector's id
        id: String,
    },
    /// Serve the requests of a connector again
    #[command(after_help = "EXAMPLE:\n  scimctl connector enable okta")]
    Enable {
        /// The connector's id
        id: String,
    },
    /// Answer every request of a connector with 403, within a minute
    #[command(after_help = "EXAMPLE:\n  scimctl connector disable okta")]
    Disable {
        /// The connector's id
        id: String,
    },
    /// Give a connector another name for people; its id and URL stay
    #[command(after_help = "EXAMPLE:\n  scimctl connector rename okta 'Okta, production'")]
    Rename {
        /// The connector's id
        id: String,
        /// The name
        name: String,
    },
    /// Delete a connector and its whole directory; asks for the id again, on standard input
    #[command(after_help = "EXAMPLE:\n  scimctl connector delete okta")]
    Delete {
        /// The connector's id
        id: String,
    },
    /// Add a credential beside the one in use, and print it once; retire the old one when the new one is in use
    #[command(after_help = "EXAMPLE:\n  scimctl connector rotate okta")]
    Rotate {
        /// The connector's id
        id: String,
        #[command(flatten)]
        secret: Secret,
    },
    /// End a credential, within a minute
    #[command(after_help = "EXAMPLE:\n  scimctl connector retire okta 1f3a5b7c")]
    Retire {
        /// The connector's id
        id: String,
        /// The credential's id, as `show` has it
        credential: String,
    },
    /// Say when a credential ends
    #[command(after_help = "EXAMPLE:\n  scimctl connector expires okta 1f3a5b7c 2027-01-31T00:00:00Z")]
    Expires {
        /// The connector's id
        id: String,
        /// The credential's id, as `show` has it
        credential: String,
        /// A time as 2027-01-31T00:00:00Z, or `never`
        when: String,
    },
    /// Change settings
    #[command(
        after_help = "EXAMPLE:\n  scimctl connector set okta on-delete=refuse rules.exclude-users='svc-*,root' --dry-run"
    )]
    Set {
        /// The connector's id
        id: String,
        /// SETTING=VALUE, named as in `export`; lists are separated by commas
        #[arg(required = true, value_name = "SETTING=VALUE")]
        settings: Vec<String>,
        /// Only print who would appear and who would disappear
        #[arg(long)]
        dry_run: bool,
    },
    /// Give a connector the settings of a file, and the defaults where it says nothing
    #[command(after_help = "EXAMPLE:\n  scimctl connector apply okta okta.toml --dry-run")]
    Apply {
        /// The connector's id
        id: String,
        /// The file, as `export` writes it
        file: PathBuf,
        /// Only print who would appear and who would disappear
        #[arg(long)]
        dry_run: bool,
    },
    /// Print the settings of a connector, for a file under version control
    #[command(after_help = "EXAMPLE:\n  scimctl connector export okta > okta.toml")]
    Export {
        /// The connector's id
        id: String,
    },
}

/// A new credential: Basic, unless a token is asked for.
#[derive(Args)]
pub struct Secret {
    /// The username, else that of the credential in use, else the connector's id
    #[arg(long, conflicts_with = "bearer")]
    username: Option<String>,
    /// `-` for a password of your own, on standard input; else one is generated
    #[arg(long, value_name = "-", value_parser = ["-"], conflicts_with = "bearer")]
    password: Option<String>,
    /// A token instead of a username and a password
    #[arg(long)]
    bearer: bool,
}

/// Carries out a command.
pub async fn run(command: Command, context: &Context) -> Result<(), Failure> {
    match command {
        Command::Create { name, url, unguessable, secret: Secret { username, password, bearer } } => {
            let username = (!bearer).then(|| username.unwrap_or_else(|| name.clone()));
            let wanted = Wanted { username, is_chosen: password.is_some() };
            create(context, &name, url.trim_end_matches('/'), unguessable, &wanted).await
        }
        Command::List => list(context).await,
        Command::Show { id } => show(context, &id).await,
        Command::Enable { id } => {
            context.connectors().enable(&parse_connector_id(&id)?).await?;
            say(&format!("{id} is enabled"))
        }
        Command::Disable { id } => {
            context.connectors().disable(&parse_connector_id(&id)?).await?;
            say(&format!("{id} is disabled; every function knows within a minute"))
        }
        Command::Rename { id, name } => {
            context.connectors().rename(&parse_connector_id(&id)?, &name).await?;
            say(&format!("{id} is called {name}"))
        }
        Command::Delete { id } => delete(context, &id).await,
        Command::Rotate { id, secret } => rotate(context, &id, secret).await,
        Command::Retire { id, credential } => retire(context, &id, &credential).await,
        Command::Expires { id, credential, when } => expire(context, &id, &credential, &when).await,
        Command::Set { id, settings: changes, dry_run } => {
            let connector = context.connector(&id).await?;
            let new = settings::changed(&connector.record.settings, &changes)?;
            settings::put(context, connector, new, dry_run).await
        }
        Command::Apply { id, file, dry_run } => {
            let connector = context.connector(&id).await?;
            let new = settings::read(&file)?;
            settings::put(context, connector, new, dry_run).await
        }
        Command::Export { id } => {
            let connector = context.any_connector(&id).await?;
            say(&settings::write(&connector.record.settings)?)
        }
    }
}

async fn create(
    context: &Context,
    name: &str,
    url: &str,
    is_unguessable: bool,
    wanted: &Wanted,
) -> Result<(), Failure> {
    let random = if is_unguessable { format!("-{}", random_id()?) } else { String::new() };
    let text = format!("{name}{random}");
    let Some(id) = ConnectorId::parse(&text) else {
        return fail(format!("{text:?} is no id for a connector: up to 63 of a–z, 0–9 and -"));
    };
    if context.table().connector(&id).await?.is_some() {
        return fail(format!("there is a connector {id} already"));
    }
    let (credential, lines) = make(wanted, context.now)?;
    let created =
        context.connectors().create(&id, name.to_owned(), vec![credential], Schemas::built_in()).await?;
    if created.is_none() {
        return fail(format!("there is a connector {id} already"));
    }
    say(&format!("Endpoint URL:  {url}/{id}/scim/v2\n{lines}"))?;
    if url == NO_URL {
        remark(&format!("Put the service's address in place of {NO_URL}, or give it as --url"));
    }
    Ok(())
}

/// 80 random bits, in characters that a URL and a person can take.
fn random_id() -> Result<String, Failure> {
    let secret: String = generate_secret()?.to_lowercase();
    Ok(secret.chars().filter(char::is_ascii_alphanumeric).take(20).collect())
}

async fn list(context: &Context) -> Result<(), Failure> {
    let mut rows = vec![["CONNECTOR", "STATE", "MADE", "NAME"].map(str::to_owned).to_vec()];
    for connector in context.table().connectors().await? {
        let Connector { id, record, .. } = connector;
        let state = state(&record).to_owned();
        rows.push(vec![id.to_string(), state, minutes(record.created), record.name]);
    }
    say(&columns(&rows))
}

fn state(record: &Record) -> &'static str {
    match record.disabled {
        _ if record.is_deleting => "deleting",
        Some(_) => "disabled",
        None => "enabled",
    }
}

async fn show(context: &Context, id: &str) -> Result<(), Failure> {
    let connector = context.any_connector(id).await?;
    let record = &connector.record;
    let directory = context.directory(connector.clone());
    let total = async |kind, counted| Ok::<_, Failure>(directory.histogram(kind, counted).await?.total());
    let users = total(ResourceKind::User, Counted::All).await?;
    let inactive = total(ResourceKind::User, Counted::Inactive).await?;
    let groups = total(ResourceKind::Group, Counted::All).await?;
    let local = total(ResourceKind::LocalGroup, Counted::All).await?;
    let roles = total(ResourceKind::Role, Counted::All).await?;
    let facts = [
        ("Connector:", id.to_owned()),
        ("Name:", record.name.clone()),
        ("State:", state(record).to_owned()),
        ("Made:", minutes(record.created)),
        ("Users:", format!("{users}, {inactive} of them deactivated")),
        ("Groups:", format!("{groups} of the identity provider, {local} of operators")),
        ("Roles:", roles.to_string()),
    ];
    let facts: Vec<Vec<String>> =
        facts.into_iter().map(|(name, value)| vec![name.to_owned(), value]).collect();
    let credentials = columns(&credentials::rows(context, &connector).await?);
    say(&format!("{}\n{credentials}\n{}", columns(&facts), settings::write(&record.settings)?))
}

async fn rotate(context: &Context, id: &str, secret: Secret) -> Result<(), Failure> {
    let Secret { username, password, bearer: is_bearer } = secret;
    let is_chosen = password.is_some();
    let connector = context.connector(id).await?;
    let live = |credential: &&Credential| credential.is_live(context.now);
    let present: Vec<&Credential> = connector.credentials.iter().filter(live).collect();
    let mut usernames = present.iter().filter_map(|credential| match &credential.kind {
        CredentialKind::Basic { username } => Some(username.clone()),
        CredentialKind::Bearer => None,
    });
    let known = usernames.next_back();
    // A connector that has tokens only gets another token.
    let is_bearer = is_bearer || (username.is_none() && !is_chosen && known.is_none() && !present.is_empty());
    let username = (!is_bearer).then(|| username.or(known).unwrap_or_else(|| id.to_owned()));
    let (credential, lines) = make(&Wanted { username, is_chosen }, context.now)?;
    let new = credential.id.clone();
    let connector = context.connectors().add_credential(&connector.id, &credential).await?;
    let rows = columns(&credentials::rows(context, &connector).await?);
    say(&format!("{lines}\n\n{rows}"))?;
    remark(&format!(
        "The new credential is {new}. When the identity provider uses it, end the other: scimctl connector retire {id} \
         CREDENTIAL"
    ));
    Ok(())
}

async fn retire(context: &Context, id: &str, credential: &str) -> Result<(), Failure> {
    context.connectors().retire_credential(&parse_connector_id(id)?, credential).await?;
    say(&format!("{credential} is retired; every function knows within a minute"))
}

async fn expire(context: &Context, id: &str, credential: &str, when: &str) -> Result<(), Failure> {
    let expires = match when {
        "never" => None,
        when => match when.parse::<Timestamp>() {
            Ok(time) => Some(time),
            Err(_) => return fail(format!("{when:?} is no time as 2027-01-31T00:00:00Z, and not never")),
        },
    };
    context.connectors().set_expiry(&parse_connector_id(id)?, credential, expires).await?;
    match expires {
        Some(time) => say(&format!("{credential} ends at {}", minutes(time))),
        None => say(&format!("{credential} does not end by itself")),
    }
}

/// First the connector's requests are refused. After every process knows that, its directory is deleted, and the record
/// last. A command that was interrupted can be repeated.
async fn delete(context: &Context, id: &str) -> Result<(), Failure> {
    let connector = context.any_connector(id).await?;
    let directory = context.directory(connector);
    let (users, groups) = counts(&directory).await?;
    remark(&format!("This deletes {users} users and {groups} groups. Type the connector's id to go on:"));
    if read_line()? != id {
        return fail("that is not the connector's id; nothing is deleted");
    }
    // Not the time of the command, which waited for the operator to type.
    let now = Timestamp::now();
    let connector = context.connectors().begin_deletion(&parse_connector_id(id)?, now).await?;
    let left = Connectors::time_until_unused(&connector, now);
    wait("waiting until every function knows", left).await;
    let bar = progress("deleting", users + groups);
    context.directory(connector).delete_connector(|passed| bar.inc(passed)).await?;
    bar.finish_and_clear();
    say(&format!("{id} is deleted; its audit trail stays until it expires"))
}

/// How many users and groups there are, operators' groups and roles with them.
async fn counts(directory: &Directory) -> Result<(usize, usize), Failure> {
    let mut groups = 0;
    for kind in ResourceKind::WITH_MEMBERS {
        groups += directory.histogram(kind, Counted::All).await?.total();
    }
    Ok((directory.histogram(ResourceKind::User, Counted::All).await?.total(), groups))
}
