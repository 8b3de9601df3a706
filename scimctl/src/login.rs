//! The AWS login of the operator: region and credentials, as the AWS CLI finds them. Profiles can have keys, SSO,
//! `credential_process`, an assumed role or a web identity.

use std::sync::{Mutex, PoisonError};

use aws_config::SdkConfig;
use aws_config::environment::EnvironmentVariableRegionProvider;
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::{ProfileFileCredentialsProvider, ProfileFileRegionProvider};
use aws_config::provider_config::ProviderConfig;
use aws_config::retry::RetryConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials, Result, SharedCredentialsProvider, future};
use runtime::{dynamodb, environment};
use shared::error::chain;

use crate::failure::{Failure, fail};

/// Credentials that AWS has issued, and their region.
pub struct Login {
    /// The region, the credentials and the endpoints.
    pub config: SdkConfig,
    /// The region.
    pub region: String,
    /// The account, if the credentials say it.
    pub account: Option<String>,
    /// The profile, if the environment selects one.
    pub profile: Option<String>,
}

/// Reads the region, and gets the credentials. So a wrong login is one error before the first request.
pub async fn log_in() -> std::result::Result<Login, Failure> {
    let profile =
        environment::variable("AWS_PROFILE").filter(|_| environment::variable("AWS_ACCESS_KEY_ID").is_none());
    let config = match &profile {
        Some(_) => config_of_profile().await,
        None => dynamodb::aws_loader().load().await,
    };
    let Some(provider) = config.credentials_provider() else {
        return fail(explain(profile.as_deref(), "there is no provider of credentials"));
    };
    let issued = provider.provide_credentials().await;
    let (credentials, region) = match (issued, config.region()) {
        (Ok(credentials), Some(region)) => (credentials, region.to_string()),
        // A wrong profile has no region either.
        (Err(error), region) if region.is_some() || profile.is_some() => {
            return fail(explain(profile.as_deref(), &chain(&error)));
        }
        _ => {
            return fail(
                "no AWS region is set; set AWS_REGION, or `region` in the AWS profile, to the region of the stack",
            );
        }
    };
    let account = credentials.account_id().map(|id| id.as_str().to_owned());
    let provider = Issued { first: Mutex::new(Some(credentials)), provider };
    let config = config.into_builder().credentials_provider(SharedCredentialsProvider::new(provider)).build();
    Ok(Login { config, region, account, profile })
}

/// Reads a profile that the environment selects. No other source of credentials is used if it is wrong, because it can be that
/// of another account.
async fn config_of_profile() -> SdkConfig {
    let region = RegionProviderChain::first_try(EnvironmentVariableRegionProvider::new())
        .or_else(ProfileFileRegionProvider::new());
    let config = ProviderConfig::default()
        .with_http_client(dynamodb::https_client())
        .with_retry_config(RetryConfig::standard().with_max_attempts(2))
        .with_region(region.region().await);
    let provider = ProfileFileCredentialsProvider::builder().configure(&config).build();
    dynamodb::aws_loader().region(region).credentials_provider(provider).load().await
}

/// Returns what to do when there are no credentials, or AWS refuses them.
pub fn explain(profile: Option<&str>, reason: &str) -> String {
    let reason = reason.replace("an error occurred while loading credentials: ", "");
    match profile {
        Some(profile) if reason.contains(&format!("profile `{profile}` was not defined")) => format!(
            "there is no AWS profile {profile}; set AWS_PROFILE to one that `aws configure list-profiles` prints"
        ),
        // The SDK can read such a session too, but that needs 19 more crates, with cryptography that nothing else here uses.
        Some(profile) if reason.contains("credentials-login") => format!(
            "AWS profile {profile} logs in with `aws login`, which scimctl cannot read; add a profile with `credential_process = aws \
             configure export-credentials --profile {profile} --format process` and the same region, and use that one"
        ),
        Some(profile) if reason.contains("SSO") => format!(
            "AWS profile {profile} is not logged in ({reason}); run `aws sso login --profile {profile}`"
        ),
        Some(profile) => format!(
            "AWS profile {profile} has no valid credentials ({reason}); log in again, or correct the profile"
        ),
        None => format!(
            "there are no valid AWS credentials ({reason}); set AWS_PROFILE to one that `aws configure list-profiles` prints, or \
             log in again"
        ),
    }
}

/// Provides the credentials that were issued at the start once, and then asks for new ones. So a `credential_process` that asks
/// the operator for a code runs once.
#[derive(Debug)]
struct Issued {
    first: Mutex<Option<Credentials>>,
    provider: SharedCredentialsProvider,
}

impl Issued {
    async fn next(&self) -> Result {
        let first = self.first.lock().unwrap_or_else(PoisonError::into_inner).take();
        match first {
            Some(credentials) => Ok(credentials),
            None => self.provider.provide_credentials().await,
        }
    }
}

impl ProvideCredentials for Issued {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.next())
    }
}
