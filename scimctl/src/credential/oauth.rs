//! `scimctl credential create --oauth` and `--federation`.

use std::path::PathBuf;

use clap::Args;
use directory::connectors::Connector;
use directory::oauth::KeySet;
use directory::secrets::{credential_without_secret, generate_credential};
use http::Uri;
use jiff::Timestamp;
use runtime::escape::escape;
use serde_json::Value;
use shared::credential::{ClientKey, CredentialKind, CredentialScope, Federation};
use uuid::Uuid;

use crate::connector::credentials::store;
use crate::context::Context;
use crate::failure::{Failure, fail};
use crate::service_url::{NO_URL, ServiceUrl};

/// The host of Entra's keys and issuers.
const ENTRA: &str = "https://login.microsoftonline.com";

/// The options of a credential for the token endpoint.
#[derive(Args)]
pub struct OauthOptions {
    /// Create an OAuth client: print its id, its secret and the token URL
    #[arg(long, conflicts_with_all = ["username", "password", "bearer", "federation"])]
    oauth: bool,
    /// File with the public key of the client, as JWK with a `kid`. The client then signs assertions, and has no secret
    #[arg(long, value_name = "FILE", requires = "oauth")]
    jwk: Option<PathBuf>,
    /// Trust the tokens of another issuer (workload identity federation)
    #[arg(long, conflicts_with_all = ["username", "password", "bearer"])]
    federation: bool,
    /// Id of Entra's tenant, and of the workload identity's application. They stand for --issuer, --audience, --jwks and --tenant
    #[arg(long, num_args = 2, value_names = ["TENANT", "APP"], requires = "federation")]
    entra: Option<Vec<Uuid>>,
    /// Claim `iss` of the tokens. You can repeat it, and one of them must match
    #[arg(long, requires = "federation")]
    issuer: Vec<String>,
    /// URL of the issuer's keys
    #[arg(long, value_name = "URL", requires = "federation", conflicts_with = "entra")]
    jwks: Option<String>,
    /// Claim `sub` of the tokens. For Entra, the object id that its portal shows as subject
    #[arg(long, requires = "federation")]
    subject: Option<String>,
    /// Claim `aud` of the tokens. You can repeat it, and one of them must match
    #[arg(long, requires = "federation")]
    audience: Vec<String>,
    /// Claim `tid` of the tokens. By default each is accepted
    #[arg(long, requires = "federation", conflicts_with = "entra")]
    tenant: Option<String>,
    /// URL of the service: the stack's output BaseUrl
    #[arg(long, value_name = "URL", default_value = NO_URL)]
    url: String,
}

impl OauthOptions {
    /// Whether the credential is for the token endpoint.
    pub fn is_chosen(&self) -> bool {
        self.oauth || self.federation
    }

    /// The trust in an issuer.
    fn to_federation(&self, client_id: String) -> Result<Federation, Failure> {
        let Some(subject) = self.subject.clone() else {
            return fail("--federation needs --subject, the claim `sub` of the tokens");
        };
        let mut federation = Federation {
            client_id,
            issuers: self.issuer.clone(),
            subject,
            audiences: self.audience.clone(),
            tenant: self.tenant.clone(),
            jwks: self.jwks.clone().unwrap_or_default(),
        };
        if let Some([tenant, app]) = self.entra.as_deref() {
            federation.issuers.extend([format!("{ENTRA}/{tenant}/v2.0"), format!("{ENTRA}/{tenant}")]);
            let audiences = [format!("api://{app}"), app.to_string(), format!("api://{app}/.default")];
            federation.audiences.extend(audiences);
            federation.tenant = Some(tenant.to_string());
            federation.jwks = format!("{ENTRA}/{tenant}/discovery/v2.0/keys");
        }
        for (option, is_missing) in [
            ("--issuer, the claim `iss` of the tokens", federation.issuers.is_empty()),
            ("--audience, the claim `aud` of the tokens", federation.audiences.is_empty()),
            ("--jwks, the URL of the issuer's keys", federation.jwks.is_empty()),
        ] {
            if is_missing {
                return fail(format!("--federation needs {option}, or --entra"));
            }
        }
        check_jwks_url(&federation.jwks)?;
        Ok(federation)
    }
}

/// Adds a credential for the token endpoint, and prints what the client needs.
pub async fn add(
    context: &Context,
    id: &str,
    (scope, expires): (CredentialScope, Option<Timestamp>),
    options: &OauthOptions,
) -> Result<(), Failure> {
    let service = ServiceUrl::parse(&options.url)?;
    let connector = context.connector(id).await?;
    let client_id = client_id(context, &connector, scope);
    let shown_id = escape(&client_id);
    let (credential, secret) = match &options.jwk {
        _ if options.federation => {
            let kind = CredentialKind::Federation(options.to_federation(client_id)?);
            (credential_without_secret(kind, context.now)?, None)
        }
        Some(file) => {
            let key: Value = serde_json::from_str(&std::fs::read_to_string(file)?)?;
            if let Err(error) = KeySet::of_key(&key) {
                return fail(format!("{}: {error}", file.display()));
            }
            let kind = CredentialKind::ClientKey(ClientKey { client_id, key });
            (credential_without_secret(kind, context.now)?, None)
        }
        None => {
            let kind = CredentialKind::ClientSecret { client_id };
            let (credential, secret) = generate_credential(kind, context.now)?;
            (credential, Some(secret))
        }
    };
    let secret = secret.map_or_else(String::new, |secret| format!("Client secret: {secret}\n"));
    let lines = format!(
        "Client id:     {shown_id}\n{secret}Token URL:     {}\nEndpoint URL:  {}\nScope:         {}",
        service.token_url(id),
        service.api_url(id, scope),
        scope.name()
    );
    store(context, &connector, (credential, &lines), (scope, expires)).await?;
    service.note_if_missing();
    Ok(())
}

/// The client id of the new credential: that of the newest OAuth credential of the scope, or a new one.
fn client_id(context: &Context, connector: &Connector, scope: CredentialScope) -> String {
    let live = connector.credentials.iter().filter(|one| one.scope == scope && one.is_live(context.now));
    let present = live.filter_map(|one| one.kind.client_id()).next_back();
    present.map_or_else(|| Uuid::new_v4().to_string(), str::to_owned)
}

/// Refuses a URL that is not https, because an attacker on the way could replace the keys.
fn check_jwks_url(url: &str) -> Result<(), Failure> {
    let parsed = url.parse::<Uri>().unwrap_or_default();
    let has_host = parsed.authority().is_some_and(|authority| !authority.as_str().contains('@'));
    if parsed.scheme_str() == Some("https") && has_host {
        return Ok(());
    }
    fail(format!("--jwks is {url:?}; enter an https:// URL, such as https://login.example.com/keys"))
}
