//! `scimctl auth explain`: says why the service accepts or refuses an access token or a client assertion.

use clap::Subcommand;
use console::style;
use delivery::target::Reach;
use directory::connectors::{Connector, scheme};
use directory::oauth::{Check, Expectation, Jwt, KeySet, access_token, first_failure};
use runtime::environment;
use shared::credential::{Credential, CredentialKind, TOKEN_PATH};

use crate::context::Context;
use crate::failure::{Failure, fail};
use crate::output::{format_time, print, print_marked, print_note};
use crate::prompt::read_secret;
use crate::service_url::{NO_URL, ServiceUrl};

/// The commands on tokens.
#[derive(Subcommand)]
pub enum Command {
    /// Check an access token or a client assertion from standard input. Print each check, with what is received and expected
    #[command(
        after_help = "EXAMPLE:\n  scimctl auth explain okta --url https://scim.example.com < token.txt"
    )]
    Explain {
        /// Id of the connector
        connector: String,
        /// URL of the service: the stack's output BaseUrl. By default, the one that the token names
        #[arg(long)]
        url: Option<String>,
    },
}

/// Runs a command.
pub async fn run(command: Command, context: &Context) -> Result<(), Failure> {
    let Command::Explain { connector, url } = command;
    let url = url.as_deref().map(ServiceUrl::parse).transpose()?;
    let connector = context.connector_or_deleting(&connector).await?;
    let text = read_secret("Enter the token or assertion:")?;
    let Some(jwt) = Jwt::parse(text.trim()) else {
        return fail(
            "the text is no signed JWT: three parts of base64url with dots between them, of at most 16 KiB, and with an `alg` that \
             is not `none`",
        );
    };
    let issuer = url.map(|url| url.issuer(&connector.id.to_string()));
    let issuer = issuer.unwrap_or_else(|| named_issuer(&jwt, &connector));
    if let Some(since) = connector.record.disabled {
        print_marked(
            style("FAILED  ").red(),
            &format!("the connector is disabled since {}", format_time(since)),
        )?;
    }
    let is_valid = if access_token::is_access_token(&jwt) {
        print("Access token")?;
        print_checks(&access_token::check(&jwt, &connector, &issuer, context.now))?
    } else {
        explain_assertion(context, &connector, &jwt, &issuer).await?
    };
    if is_valid && connector.record.disabled.is_none() { Ok(()) } else { fail("the service refuses it") }
}

/// The URL of the connector in the token's own claims, up to the id of the connector.
fn named_issuer(jwt: &Jwt<'_>, connector: &Connector) -> String {
    let end = format!("/{}", connector.id);
    let named = jwt.text("iss").into_iter().chain(jwt.audiences());
    let mut issuers = named.filter_map(|url| Some(format!("{}{end}", url.split_once(&end)?.0)));
    issuers.next().unwrap_or_else(|| format!("{NO_URL}{end}"))
}

/// Checks an assertion with each credential that accepts assertions. Returns whether one of them accepts this one.
async fn explain_assertion(
    context: &Context,
    connector: &Connector,
    jwt: &Jwt<'_>,
    issuer: &str,
) -> Result<bool, Failure> {
    let token_url = format!("{issuer}{TOKEN_PATH}");
    let (mut has_candidate, mut is_valid) = (false, false);
    for credential in &connector.credentials {
        let Some(expected) = Expectation::of(credential, issuer, &token_url) else { continue };
        has_candidate = true;
        print(&format!("Assertion, with the credential {} ({})", credential.id, scheme(credential)))?;
        let is_live = credential.is_live(context.now);
        if let Some(expires) = credential.expires.filter(|_| !is_live) {
            print_marked(
                style("FAILED  ").red(),
                &format!("the credential expired at {}", format_time(expires)),
            )?;
        }
        let keys = keys_of(context, connector, credential).await?;
        is_valid |= print_checks(&expected.check(jwt, &keys, context.now))? && is_live;
    }
    if !has_candidate {
        return fail(format!(
            "connector {id} has no credential that accepts assertions; `scimctl credential create {id} --federation` adds one",
            id = connector.id
        ));
    }
    Ok(is_valid)
}

/// The keys of a credential. Those of an issuer are fetched now, or are the ones that the service has stored.
async fn keys_of(
    context: &Context,
    connector: &Connector,
    credential: &Credential,
) -> Result<KeySet, Failure> {
    match &credential.kind {
        CredentialKind::ClientKey(key) => KeySet::of_key(&key.key).map_err(Failure),
        CredentialKind::Federation(federation) => {
            let reach = Reach::new(environment::allows_private_targets());
            let url = &federation.jwks;
            let fetched = delivery::fetch::fetch(url, reach).await;
            let error = match fetched.and_then(|document| KeySet::parse(&document)) {
                Ok(keys) => return Ok(keys),
                Err(error) => error,
            };
            print_note(&format!("{url} cannot be fetched from this machine: {error}"));
            let stored = context.table().stored_key_set(&connector.id, url, context.now).await?;
            if let Some((_, fetched)) = &stored {
                print_note(&format!(
                    "The keys are those that the service fetched at {}",
                    format_time(*fetched)
                ));
            }
            Ok(stored.map(|(keys, _)| keys).unwrap_or_default())
        }
        _ => Ok(KeySet::default()),
    }
}

/// Prints checks. Returns whether all passed.
fn print_checks(checks: &[Check]) -> Result<bool, Failure> {
    for Check { name, expected, received, is_passed } in checks {
        let mark = if *is_passed { style("ok      ").green() } else { style("FAILED  ").red() };
        print_marked(mark, &format!("{name}: received {received}; expected {expected}"))?;
    }
    Ok(first_failure(checks).is_none())
}
