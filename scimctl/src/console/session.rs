//! Who may use the console: the browser that opened the link with the token first.

use std::sync::atomic::{AtomicBool, Ordering};

use directory::secrets::generate_secret;
use subtle::ConstantTimeEq as _;

use crate::failure::Failure;

/// The secrets of one run of the console. Each has 256 bits.
pub struct Session {
    port: u16,
    /// Part of the link. It works once.
    token: String,
    is_token_used: AtomicBool,
    /// The value of the cookie that the first use of the link sets.
    cookie: String,
    /// What every form of this session contains.
    csrf: String,
}

impl Session {
    /// Generates the secrets of a console on this port.
    pub fn new(port: u16) -> Result<Self, Failure> {
        Ok(Self {
            port,
            token: generate_secret()?,
            is_token_used: AtomicBool::new(false),
            cookie: generate_secret()?,
            csrf: generate_secret()?,
        })
    }

    /// The link that signs in once.
    pub fn link(&self) -> String {
        format!("http://127.0.0.1:{}/sign-in?token={}", self.port, self.token)
    }

    /// Whether this is the token, and nothing has used it before.
    pub fn use_token(&self, token: &str) -> bool {
        is_equal(token, &self.token) && !self.is_token_used.swap(true, Ordering::SeqCst)
    }

    /// The value of the header Set-Cookie. The cookie ends with the browser. JavaScript cannot read it, and pages of other sites
    /// cannot send it.
    pub fn set_cookie(&self) -> String {
        format!("{}={}; HttpOnly; SameSite=Strict; Path=/", self.cookie_name(), self.cookie)
    }

    /// Whether a header Cookie has the cookie of this session.
    pub fn has_cookie(&self, header: &str) -> bool {
        let name = self.cookie_name();
        let mut values = header.split(';').filter_map(|pair| pair.trim().split_once('='));
        values.any(|(key, value)| key == name && is_equal(value, &self.cookie))
    }

    /// What forms contain, so that a page of another origin cannot send one.
    pub fn csrf(&self) -> &str {
        &self.csrf
    }

    /// Whether this is the value that forms contain.
    pub fn is_csrf(&self, value: &str) -> bool {
        is_equal(value, &self.csrf)
    }

    /// Whether the Host of a request is this console. A web page can make its own name resolve to 127.0.0.1, but cannot change
    /// the Host of its requests.
    pub fn is_host(&self, host: &str) -> bool {
        ["127.0.0.1", "localhost"]
            .iter()
            .any(|name| host.eq_ignore_ascii_case(&format!("{name}:{}", self.port)))
    }

    /// Browsers send cookies to every port of a host, so the name has the port. Two consoles then keep their cookies apart.
    fn cookie_name(&self) -> String {
        format!("rollcall-console-{}", self.port)
    }
}

fn is_equal(value: &str, secret: &str) -> bool {
    value.as_bytes().ct_eq(secret.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn token_works_once_and_only_whole() {
        let session = Session::new(4_000).unwrap();
        let token = session.link().rsplit_once('=').unwrap().1.to_owned();
        assert_eq!(token.len(), 43, "256 bits in base64url");
        for wrong in ["", "a", &token[1..], &format!("{token}a")] {
            assert!(!session.use_token(wrong), "{wrong}");
        }
        assert!(session.use_token(&token), "a wrong token does not use the right one up");
        assert!(!session.use_token(&token));
    }

    #[test]
    fn cookie_is_found_among_others_by_its_name_and_whole_value() {
        let session = Session::new(4_000).unwrap();
        let pair = session.set_cookie().split(';').next().unwrap().to_owned();
        assert!(session.has_cookie(&pair));
        assert!(session.has_cookie(&format!("a=b; {pair}; c=d")));
        let (name, value) = pair.split_once('=').unwrap();
        for wrong in [
            "".to_owned(),
            name.to_owned(),
            format!("{name}="),
            format!("x{pair}"),
            format!("{pair}x"),
            format!("a={value}"),
        ] {
            assert!(!session.has_cookie(&wrong), "{wrong}");
        }
    }

    #[test]
    fn only_names_of_this_machine_with_the_port_are_hosts() {
        let session = Session::new(4_000).unwrap();
        for (host, expected) in [
            ("127.0.0.1:4000", true),
            ("localhost:4000", true),
            ("LOCALHOST:4000", true),
            ("127.0.0.1", false),
            ("127.0.0.1:4001", false),
            ("[::1]:4000", false),
            ("example.com:4000", false),
            ("127.0.0.1.example.com:4000", false),
            ("user@127.0.0.1:4000", false),
            ("", false),
        ] {
            assert_eq!(session.is_host(host), expected, "{host}");
        }
    }
}
