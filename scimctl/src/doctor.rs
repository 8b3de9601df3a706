//! `scimctl doctor`: whether a deployed stack is as `template.yaml` makes it, and a connector answers.

use std::time::Duration;

use aws_sdk_dynamodb::Client as DynamoDb;
use aws_sdk_dynamodb::types::{PointInTimeRecoveryStatus, TableDescription, TimeToLiveStatus};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use directory::connectors::FORMAT;
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Empty};
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use jiff::SignedDuration;
use shared::error::chain;
use shared::schema::Schemas;

use crate::context::{Context, Failure, fail, read_line, say};
use crate::credentials::minutes;

/// What an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// Credentials that end within this time are spoken of.
const SOON: SignedDuration = SignedDuration::from_hours(30 * 24);

/// What is looked at.
#[derive(Args)]
#[command(
    after_help = "EXAMPLE:\n  scimctl --table TABLE doctor okta --url https://scim.example.com --username okta --password -"
)]
pub struct Command {
    /// The connector's id; only the table is looked at if none is named
    connector: Option<String>,
    /// Where the service is, as the stack's output BaseUrl has it
    #[arg(long, requires = "connector")]
    url: Option<String>,
    /// The username that the identity provider uses
    #[arg(long, requires = "password", requires = "url")]
    username: Option<String>,
    /// `-` for the password, or the token if there is no username, on standard input
    #[arg(long, value_name = "-", value_parser = ["-"], requires = "url")]
    password: Option<String>,
}

/// What was seen: well, or not, and what to do.
struct Seen {
    what: String,
    advice: Option<String>,
}

fn well(what: impl Into<String>) -> Seen {
    Seen { what: what.into(), advice: None }
}

fn ill(what: impl Into<String>, advice: impl Into<String>) -> Seen {
    Seen { what: what.into(), advice: Some(advice.into()) }
}

/// Carries out the command.
pub async fn run(command: Command, context: &Context) -> Result<(), Failure> {
    let password = command.password.as_ref().map(|_| read_line()).transpose()?;
    let mut seen = table(context.client(), context.table_name()).await;
    if let Some(id) = &command.connector {
        seen.extend(connector(context, id).await?);
        if let Some(url) = &command.url {
            let url = format!("{}/{id}/scim/v2/ServiceProviderConfig", url.trim_end_matches('/'));
            seen.extend(answers(&url, command.username.as_deref(), password.as_deref()).await);
        }
    }
    let mut bad = 0;
    for Seen { what, advice } in seen {
        match advice {
            None => say(&format!("ok   {what}"))?,
            Some(advice) => {
                bad += 1;
                say(&format!("BAD  {what}\n     {advice}"))?;
            }
        }
    }
    if bad == 0 { Ok(()) } else { fail(format!("{bad} things are not as they should be")) }
}

async fn table(client: &DynamoDb, name: &str) -> Vec<Seen> {
    let described = match client.describe_table().table_name(name).send().await {
        Ok(described) => described.table.unwrap_or_else(|| TableDescription::builder().build()),
        Err(error) => {
            let what = format!("table {name} cannot be looked at: {}", chain(&error));
            return vec![ill(
                what,
                "Give --table the stack's output TableName, and see that your AWS credentials and region are those of the stack.",
            )];
        }
    };
    let deploy = |setting: &str| format!("Deploy the stack again: template.yaml sets {setting}.");
    let mut seen = vec![well(format!("table {name} is there"))];
    let streams = described.stream_specification.is_some_and(|stream| stream.stream_enabled);
    seen.push(if streams {
        well("its changes are streamed")
    } else {
        ill("its changes are not streamed", deploy("StreamSpecification"))
    });
    seen.push(if described.deletion_protection_enabled == Some(true) {
        well("it is protected from deletion")
    } else {
        ill("it is not protected from deletion", deploy("DeletionProtectionEnabled"))
    });
    let expires = client.describe_time_to_live().table_name(name).send().await;
    let is_set = expires.map(|answer| {
        answer.time_to_live_description.is_some_and(|expires| {
            expires.attribute_name.as_deref() == Some("expires")
                && expires.time_to_live_status == Some(TimeToLiveStatus::Enabled)
        })
    });
    seen.push(match is_set {
        Ok(true) => well("what has expired goes by itself"),
        Ok(false) => ill(
            "what has expired stays: audit records, counts of wrong passwords",
            deploy("TimeToLiveSpecification"),
        ),
        Err(error) => unasked("whether what has expired goes by itself", "DescribeTimeToLive", &error),
    });
    let backups = client.describe_continuous_backups().table_name(name).send().await;
    let is_set = backups.map(|answer| {
        let backups = answer.continuous_backups_description;
        let recovery = backups.and_then(|backups| backups.point_in_time_recovery_description);
        let status = recovery.and_then(|recovery| recovery.point_in_time_recovery_status);
        status == Some(PointInTimeRecoveryStatus::Enabled)
    });
    seen.push(match is_set {
        Ok(true) => well("it can be recovered to any point in time"),
        Ok(false) => {
            ill("it cannot be recovered to a point in time", deploy("PointInTimeRecoverySpecification"))
        }
        Err(error) => {
            unasked("whether it can be recovered to a point in time", "DescribeContinuousBackups", &error)
        }
    });
    seen
}

/// What nobody knows, as the question was not answered.
fn unasked(what: &str, operation: &str, error: &(dyn std::error::Error + 'static)) -> Seen {
    ill(
        format!("{what} cannot be asked: {}", chain(error)),
        format!("See that your AWS credentials may call {operation} on the table."),
    )
}

async fn connector(context: &Context, id: &str) -> Result<Vec<Seen>, Failure> {
    let connector = context.connector(id).await?;
    let record = &connector.record;
    let mut seen = Vec::new();
    seen.push(match record.disabled {
        None => well(format!("connector {id} is enabled")),
        Some(since) => ill(
            format!("connector {id} is disabled since {}", minutes(since)),
            format!("scimctl connector enable {id}"),
        ),
    });
    let live = connector.credentials.iter().filter(|credential| credential.is_live(context.now));
    let ends: Vec<_> = live.map(|credential| credential.expires).collect();
    let last = if ends.contains(&None) { None } else { ends.iter().flatten().max() };
    let rotate = format!("scimctl connector rotate {id}, and give the identity provider what it prints.");
    seen.push(match last {
        _ if ends.is_empty() => ill("it has no credential that is live", rotate),
        Some(end) if *end - context.now < SOON => {
            ill(format!("its last credential ends at {}", minutes(*end)), rotate)
        }
        _ => well("it has a credential that is live"),
    });
    let not_ready = record.indexes.not_ready(Schemas::built_in());
    seen.push(if not_ready.is_empty() {
        well("all its indexes are ready")
    } else {
        ill(
            format!("indexes are not ready: {}", not_ready.join(", ")),
            format!("When all functions are deployed in this version: scimctl reindex {id}"),
        )
    });
    if let Err(error) = record.indexes.check_writable(Schemas::built_in(), &connector.id) {
        seen.push(ill(
            Failure::from(error).0,
            format!("scimctl reindex {id}, or deploy the newer version again"),
        ));
    }
    seen.push(if connector.format == FORMAT {
        well(format!("it is stored in format {FORMAT}, the newest"))
    } else {
        ill(
            format!("it is stored in format {}, and the newest is {FORMAT}", connector.format),
            "When all functions are deployed in this version: scimctl migrate",
        )
    });
    Ok(seen)
}

/// Asks the service as an identity provider does.
async fn answers(url: &str, username: Option<&str>, password: Option<&str>) -> Vec<Seen> {
    let mut seen = Vec::new();
    match ask(url, None).await {
        Err(why) => {
            let advice = "Give --url the stack's output BaseUrl, and look whether something stands in the way: DNS, a firewall, a proxy.";
            return vec![ill(format!("{url} does not answer: {why}"), advice)];
        }
        Ok(StatusCode::UNAUTHORIZED) => seen.push(well(format!("{url} answers, and asks who is there"))),
        Ok(status) => seen.push(ill(
            format!("{url} answers {status} to a stranger, and not 401"),
            "Something else answers there, or the functions fail: their logs say why.",
        )),
    }
    if let Some(password) = password {
        let header = match username {
            Some(username) => format!("Basic {}", STANDARD.encode(format!("{username}:{password}"))),
            None => format!("Bearer {password}"),
        };
        seen.push(match ask(url, Some(&header)).await {
            Ok(StatusCode::OK) => well("it knows these credentials"),
            Ok(StatusCode::UNAUTHORIZED) => ill(
                "it does not know these credentials",
                "Give the identity provider those that `scimctl connector rotate` prints; a new one is known within a minute.",
            ),
            Ok(StatusCode::TOO_MANY_REQUESTS) => ill(
                "it looks at no password from here for a while: too many were wrong",
                "Wait a quarter of an hour, and try with the right one.",
            ),
            Ok(status) => ill(format!("it answers {status} to these credentials"), "The functions' logs say why."),
            Err(why) => ill(format!("it does not answer: {why}"), "Try again."),
        });
    }
    seen
}

async fn ask(url: &str, authorization: Option<&str>) -> Result<StatusCode, String> {
    let https = HttpsConnectorBuilder::new().with_native_roots().map_err(|error| error.to_string())?;
    let connector = https.https_or_http().enable_http1().build();
    let client: Client<_, Empty<&[u8]>> = Client::builder(TokioExecutor::new()).build(connector);
    let mut request = Request::get(url).header("user-agent", "scimctl");
    if let Some(authorization) = authorization {
        request = request.header("authorization", authorization);
    }
    let request = request.body(Empty::new()).map_err(|error| error.to_string())?;
    let answered = async {
        let response = client.request(request).await.map_err(|error| chain(&error))?;
        let status = response.status();
        response.into_body().collect().await.map_err(|error| chain(&error))?;
        Ok(status)
    };
    match tokio::time::timeout(PATIENCE, answered).await {
        Ok(answered) => answered,
        Err(_) => Err(format!("not within {} seconds", PATIENCE.as_secs())),
    }
}
