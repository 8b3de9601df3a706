//! The APIs of the service. An API is a group of routes below one base path, with the same callers and the
//! same form of errors.

use shared::credential::CredentialScope;

/// A group of routes below one base path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Api {
    /// The path that its routes begin with, below `/{connector}`.
    pub base: &'static str,
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
}

/// The SCIM API (RFC 7644).
pub const SCIM: Api = Api { base: "/scim/v2", scope: CredentialScope::Scim, error_format: ErrorFormat::Scim };

/// The directory API: how the platform reads users, groups and roles.
pub const DIRECTORY: Api =
    Api { base: "/directory/v1", scope: CredentialScope::Directory, error_format: ErrorFormat::Problem };

/// Feeds: how the platform follows the changes of the directory.
pub const EVENTS: Api =
    Api { base: "/events/v1", scope: CredentialScope::Directory, error_format: ErrorFormat::Events };

/// The keys that verify the tokens of feeds, which anyone may read.
pub const KEYS: Api =
    Api { base: "/jwks.json", scope: CredentialScope::Directory, error_format: ErrorFormat::Problem };

/// All APIs.
pub const APIS: &[Api] = &[SCIM, DIRECTORY, EVENTS, KEYS];

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
        let (connector, path) = path.split_first()?;
        APIS.iter().find_map(|api| Some(Self { connector, api: *api, path: api.strip_base(path)? }))
    }
}

impl Api {
    /// The base URL of this API for a connector: `https://HOST/{connector}/scim/v2`.
    pub fn url(self, origin: &str, connector: impl std::fmt::Display) -> String {
        format!("{origin}/{connector}{}", self.base)
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
        assert_eq!(SCIM.url("https://scim.example.com", "okta"), "https://scim.example.com/okta/scim/v2");
    }
}
