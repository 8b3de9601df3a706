//! The APIs of the service. An API is a group of routes below one base path, with the same callers and the
//! same form of errors.

use shared::credential::{CredentialScope, DIRECTORY_PATH, EVENTS_PATH, SCIM_PATH};

/// A group of routes below one base path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Api {
    /// The path that its routes begin with, below `/{connector}`.
    pub base: &'static str,
    /// Whether the connector comes after the base instead: `/.well-known/…/{connector}` (RFC 8414 §3.1).
    pub is_before_connector: bool,
    /// The scope of the credentials that its routes require, except those that answer anyone.
    pub scope: CredentialScope,
    /// How its errors look.
    pub error_format: ErrorFormat,
}

/// How the body of an error looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorFormat {
    /// A SCIM error message (RFC 7644 §3.12).
    Scim,
    /// A problem document (RFC 9457).
    Problem,
    /// An error of event delivery (RFC 8935 §2.3, RFC 8936 §2.6).
    Events,
    /// An error of the token endpoint (RFC 6749 §5.2).
    Oauth,
}

const fn api(base: &'static str, scope: CredentialScope, error_format: ErrorFormat) -> Api {
    Api { base, is_before_connector: false, scope, error_format }
}

/// The SCIM API (RFC 7644).
pub const SCIM: Api = api(SCIM_PATH, CredentialScope::Scim, ErrorFormat::Scim);

/// The directory API: how the platform reads users, groups and roles.
pub const DIRECTORY: Api = api(DIRECTORY_PATH, CredentialScope::Directory, ErrorFormat::Problem);

/// Feeds: how the platform follows the changes of the directory.
pub const EVENTS: Api = api(EVENTS_PATH, CredentialScope::Directory, ErrorFormat::Events);

/// The keys that verify the tokens of feeds, which anyone may read.
pub const KEYS: Api = api("/jwks.json", CredentialScope::Directory, ErrorFormat::Problem);

/// The token endpoint (RFC 6749 §3.2), where clients authenticate themselves.
pub const OAUTH: Api = api("/oauth2", CredentialScope::Scim, ErrorFormat::Oauth);

/// The metadata of the token endpoint, at the URL of RFC 8414 §3.1.
pub const METADATA: Api = Api {
    base: "/.well-known/oauth-authorization-server",
    is_before_connector: true,
    scope: CredentialScope::Scim,
    error_format: ErrorFormat::Oauth,
};

/// The same metadata below the connector, for clients that append the well-known path to the issuer.
pub const METADATA_BELOW: Api = Api { is_before_connector: false, ..METADATA };

/// All APIs.
pub const APIS: &[Api] = &[SCIM, DIRECTORY, EVENTS, KEYS, OAUTH, METADATA, METADATA_BELOW];

/// The parts of a request's path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Location<'a> {
    /// The connector's id, as the client wrote it.
    pub connector: &'a str,
    /// The API.
    pub api: Api,
    /// The segments after the base of the API.
    pub path: &'a [String],
}

impl<'a> Location<'a> {
    /// Splits a path into connector, API and the rest. `None` if no API has this path.
    pub fn of(path: &'a [String]) -> Option<Self> {
        APIS.iter().find_map(|api| {
            let (connector, path) = if api.is_before_connector {
                api.strip_base(path)?.split_first()?
            } else {
                let (connector, path) = path.split_first()?;
                (connector, api.strip_base(path)?)
            };
            Some(Self { connector, api: *api, path })
        })
    }
}

impl Api {
    /// The base URL of this API for a connector: `https://HOST/{connector}/scim/v2`.
    pub fn url(self, origin: &str, connector: impl std::fmt::Display) -> String {
        if self.is_before_connector {
            format!("{origin}{}/{connector}", self.base)
        } else {
            format!("{origin}/{connector}{}", self.base)
        }
    }

    fn strip_base(self, path: &[String]) -> Option<&[String]> {
        let base = self.base.split('/').filter(|segment| !segment.is_empty());
        let mut rest = path;
        for expected in base {
            let (segment, after) = rest.split_first()?;
            if segment != expected {
                return None;
            }
            rest = after;
        }
        Some(rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::decoded_segments;

    #[test]
    fn path_is_split_into_connector_api_and_rest() {
        for (path, expected) in [
            ("/okta/scim/v2/Users/1", Some(("okta", SCIM, &["Users", "1"][..]))),
            ("/okta//scim/v2/", Some(("okta", SCIM, &[][..]))),
            ("/okta/directory/v1/users", Some(("okta", DIRECTORY, &["users"][..]))),
            ("/okta/oauth2/token", Some(("okta", OAUTH, &["token"][..]))),
            ("/.well-known/oauth-authorization-server/okta", Some(("okta", METADATA, &[][..]))),
            ("/okta/.well-known/oauth-authorization-server", Some(("okta", METADATA_BELOW, &[][..]))),
            ("/.well-known/oauth-authorization-server", None),
            ("/okta/scim/v1/Users", None),
            ("/okta/scim", None),
            ("/", None),
        ] {
            let segments = decoded_segments(path);
            let rest: Vec<String>;
            let expected = match expected {
                None => None,
                Some((connector, api, path)) => {
                    rest = path.iter().map(|segment| (*segment).to_owned()).collect();
                    Some(Location { connector, api, path: &rest })
                }
            };
            assert_eq!(Location::of(&segments), expected, "{path}");
        }
    }

    #[test]
    fn url_of_an_api_names_the_connector() {
        let host = "https://scim.example.com";
        assert_eq!(SCIM.url(host, "okta"), format!("{host}/okta/scim/v2"));
        assert_eq!(METADATA.url(host, "okta"), format!("{host}/.well-known/oauth-authorization-server/okta"));
    }
}
