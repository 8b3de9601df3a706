//! The URL of the service, as an operator enters it.

use http::Uri;
use http::uri::Scheme;
use runtime::dynamodb::is_loopback;
use shared::credential::{CredentialScope, SCIM_PATH, TOKEN_PATH};

use crate::failure::{Failure, fail};
use crate::output::print_note;

/// The service's URL in the output when the operator did not enter one.
pub const NO_URL: &str = "https://HOST";

/// The URL of the service, without a slash at its end.
#[derive(Clone)]
pub struct ServiceUrl(String);

impl ServiceUrl {
    /// Parses the value of `--url`: an https URL, or an http URL of this machine. It is not the endpoint URL of a connector.
    pub fn parse(text: &str) -> Result<Self, Failure> {
        Self::parse_named("--url", text)
    }

    /// The same for a value that has this name in error messages.
    pub fn parse_named(name: &str, text: &str) -> Result<Self, Failure> {
        let url = parse_confidential(name, text, "of the service", "https://scim.example.com")?;
        if let Some((start, _)) = url.split_once(SCIM_PATH) {
            let service = start.rsplit_once('/').map_or(start, |(service, _)| service);
            return fail(format!(
                "{name} is {text:?}, which is the URL of an endpoint. Enter the URL of the service: {service}"
            ));
        }
        Ok(Self(url))
    }

    /// The endpoint URL of a connector.
    pub fn endpoint(&self, connector: &str) -> String {
        format!("{}/{connector}{SCIM_PATH}", self.0)
    }

    /// The claim `iss` of a connector's events and access tokens.
    pub fn issuer(&self, connector: &str) -> String {
        format!("{}/{connector}", self.0)
    }

    /// The URL of the first API of a scope.
    pub fn api_url(&self, connector: &str, scope: CredentialScope) -> String {
        let path = scope.paths().first().copied().unwrap_or_default();
        format!("{}/{connector}{path}", self.0)
    }

    /// The URL of a connector's token endpoint.
    pub fn token_url(&self, connector: &str) -> String {
        format!("{}/{connector}{TOKEN_PATH}", self.0)
    }

    /// Whether the operator entered no URL.
    pub fn is_missing(&self) -> bool {
        self.0 == NO_URL
    }

    /// The URL.
    pub fn text(&self) -> &str {
        &self.0
    }

    /// Says that the operator has to replace the host, if none was entered.
    pub fn note_if_missing(&self) {
        if self.is_missing() {
            print_note(&format!("Replace {NO_URL} with the URL of the service, or enter it as --url"));
        }
    }
}

/// Parses the value of an option that is an https URL, or an http URL of this machine, to which a command sends a password. `whose`
/// says what has the URL. The result has no slash at its end.
pub fn parse_confidential(option: &str, text: &str, whose: &str, example: &str) -> Result<String, Failure> {
    let url = text.trim_end_matches('/');
    let parsed = url.parse::<Uri>().unwrap_or_default();
    let is_confidential = match parsed.scheme() {
        Some(scheme) if *scheme == Scheme::HTTPS => true,
        Some(scheme) if *scheme == Scheme::HTTP => is_loopback(url),
        _ => false,
    };
    let has_login = parsed.authority().is_some_and(|authority| authority.as_str().contains('@'));
    if !is_confidential || has_login || parsed.query().is_some() {
        return fail(format!(
            "{option} is {text:?}. Enter the https:// URL {whose}, such as {example}. http:// is only for this machine, because \
             everyone on the way could read the password"
        ));
    }
    Ok(url.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn url_is_https_or_of_this_machine_and_not_that_of_an_endpoint() {
        for (text, endpoint) in [
            ("https://scim.example.com", "https://scim.example.com/okta/scim/v2"),
            ("https://example.com/directory//", "https://example.com/directory/okta/scim/v2"),
            ("http://127.0.0.1:8080/", "http://127.0.0.1:8080/okta/scim/v2"),
        ] {
            assert_eq!(ServiceUrl::parse(text).ok().unwrap().endpoint("okta"), endpoint);
        }
        let error = |text| ServiceUrl::parse(text).err().unwrap().0;
        for text in [
            "scim.example.com",
            "http://scim.example.com",
            "HTTP://scim.example.com:80/",
            "http://127.0.0.1@scim.example.com",
            "http://0.0.0.0:1",
            "https://okta:secret@scim.example.com",
            "https://scim.example.com?a=b",
            "ftp://localhost",
            "https://",
            "",
        ] {
            assert!(error(text).starts_with(&format!("--url is {text:?}. Enter the https:// URL")), "{text}");
        }
        for (text, service) in [
            ("https://scim.example.com/okta/scim/v2", "https://scim.example.com"),
            ("https://scim.example.com/a/okta/scim/v2/Users", "https://scim.example.com/a"),
            ("http://localhost:3000/default/scim/v2/", "http://localhost:3000"),
        ] {
            let expected = format!(
                "--url is {text:?}, which is the URL of an endpoint. Enter the URL of the service: {service}"
            );
            assert_eq!(error(text), expected);
        }
    }
}
