//! The URL of the service, as an operator enters it.

use http::Uri;
use http::uri::Scheme;
use runtime::dynamodb::is_loopback;

use crate::failure::{Failure, fail};

/// The part of an endpoint URL after the id of its connector.
const SCIM_PATH: &str = "/scim/v2";

/// The URL of the service, without a slash at its end.
pub struct ServiceUrl(String);

impl ServiceUrl {
    /// Parses the value of `--url`: an https URL, or an http URL of this machine. It is not the endpoint URL of a connector.
    pub fn parse(text: &str) -> Result<Self, Failure> {
        let url = parse_confidential("--url", text, "of the service", "https://scim.example.com")?;
        if let Some((start, _)) = url.split_once(SCIM_PATH) {
            let service = start.rsplit_once('/').map_or(start, |(service, _)| service);
            return fail(format!(
                "--url is {text:?}, which is the URL of an endpoint. Enter the URL of the service: {service}"
            ));
        }
        Ok(Self(url))
    }

    /// The endpoint URL of a connector.
    pub fn endpoint(&self, connector: &str) -> String {
        format!("{}/{connector}{SCIM_PATH}", self.0)
    }

    /// Whether the text is this URL.
    pub fn is(&self, text: &str) -> bool {
        self.0 == text
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
