//! The credentials in a request.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use jiff::Timestamp;
use subtle::ConstantTimeEq as _;

use super::{Credential, CredentialKind};

/// The credentials in a request's Authorization header.
#[derive(PartialEq, Eq)]
pub enum PresentedCredentials {
    /// Basic (RFC 7617).
    Basic {
        /// The username.
        username: String,
        /// The password.
        password: String,
    },
    /// Bearer (RFC 6750).
    Bearer {
        /// The token.
        token: String,
    },
}

impl PresentedCredentials {
    /// Reads the value of an Authorization header. Returns `None` if it is neither valid Basic nor Bearer.
    pub fn parse(header: &str) -> Option<Self> {
        let (scheme, rest) = header.trim().split_once(' ')?;
        let rest = rest.trim();
        if scheme.eq_ignore_ascii_case("bearer") {
            return Some(Self::Bearer { token: rest.to_owned() });
        }
        if !scheme.eq_ignore_ascii_case("basic") {
            return None;
        }
        let decoded = STANDARD.decode(rest).or_else(|_| STANDARD_NO_PAD.decode(rest)).ok()?;
        let decoded = String::from_utf8(decoded).ok()?;
        let (username, password) = decoded.split_once(':')?;
        Some(Self::Basic { username: username.to_owned(), password: password.to_owned() })
    }

    /// Finds the valid credential whose generated secret this is. It takes one SHA-256 for each credential.
    pub fn find_generated<'c>(
        &self,
        credentials: &'c [Credential],
        now: Timestamp,
    ) -> Option<&'c Credential> {
        self.valid_with_same_identity(credentials, now)
            .find(|credential| credential.has_generated(self.secret()))
    }

    /// The valid credentials with the presented username whose password was chosen. Only these can match if
    /// [`Self::find_generated`] found nothing.
    pub fn chosen_candidates<'c>(
        &self,
        credentials: &'c [Credential],
        now: Timestamp,
    ) -> impl Iterator<Item = &'c Credential> {
        self.valid_with_same_identity(credentials, now).filter(|credential| !credential.is_generated())
    }

    /// The password or token.
    pub(super) fn secret(&self) -> &str {
        match self {
            Self::Basic { password, .. } => password,
            Self::Bearer { token } => token,
        }
    }

    fn valid_with_same_identity<'c>(
        &self,
        credentials: &'c [Credential],
        now: Timestamp,
    ) -> impl Iterator<Item = &'c Credential> {
        credentials.iter().filter(move |credential| match (self, &credential.kind) {
            (Self::Basic { username, .. }, CredentialKind::Basic { username: expected }) => {
                credential.is_live(now) && bool::from(username.as_bytes().ct_eq(expected.as_bytes()))
            }
            (Self::Bearer { .. }, CredentialKind::Bearer) => credential.is_live(now),
            _ => false,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authorization_header_is_parsed_as_basic_or_bearer() {
        let basic = |username: &str, password: &str| {
            Some(PresentedCredentials::Basic { username: username.to_owned(), password: password.to_owned() })
        };
        let bearer = |token: &str| Some(PresentedCredentials::Bearer { token: token.to_owned() });
        for (header, expected) in [
            ("Basic b2t0YTpzOmVjcmV0", basic("okta", "s:ecret")),
            ("basic b2t0YTpzOmVjcmV0", basic("okta", "s:ecret")),
            ("Basic w6k6w6k=", basic("é", "é")),
            ("Basic w6k6w6k", basic("é", "é")),
            ("Bearer abc.def", bearer("abc.def")),
            ("BEARER  abc ", bearer("abc")),
            ("Basic b2t0YQ==", None),
            ("Basic !", None),
            ("Digest x", None),
            ("non-token", None),
            ("", None),
        ] {
            assert!(PresentedCredentials::parse(header) == expected, "{header}");
        }
    }
}
