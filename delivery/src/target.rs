//! The URLs and addresses to which events may be sent.
//!
//! An operator chooses the URL of a feed, and the names in it resolve to what their owner says. So a URL could lead to a server
//! that only this machine or its network can reach. The addresses are checked after each resolution of a name, and the connection goes to
//! an address that was checked.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::task::{Context, Poll};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use http::Uri;
use hyper_util::client::legacy::connect::dns::Name;
use tower_service::Service;

/// A URL of a consumer, as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    uri: Uri,
    host: String,
}

/// What the addresses of a target may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Public addresses, over https.
    Public,
    /// Also private and loopback addresses, and http to loopback. For tests and networks of your own.
    Private,
}

/// What kind of address it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AddressKind {
    Public,
    Loopback,
    Private,
    /// Link-local addresses, those of the metadata services of clouds, multicast, and what is no address of one machine.
    Special,
}

impl Target {
    /// Reads a URL: https, or http to a loopback address.
    ///
    /// # Errors
    /// A sentence for the operator.
    pub fn parse(url: &str) -> Result<Self, String> {
        let wrong = |why: &str| {
            format!("{url:?} {why}. Enter an https:// URL, such as https://platform.example.com/events")
        };
        let uri: Uri = url.parse().map_err(|_| wrong("is no URL"))?;
        let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return Err(wrong("is no URL"));
        };
        if authority.as_str().contains('@') {
            return Err(wrong("has a username or password"));
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let is_loopback =
            host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| kind(ip) == AddressKind::Loopback);
        match scheme {
            "https" => {}
            "http" if is_loopback => {}
            "http" => return Err(wrong("is not encrypted")),
            _ => return Err(wrong("has another scheme")),
        }
        Ok(Self { uri, host })
    }

    /// The URL.
    pub fn uri(&self) -> &Uri {
        &self.uri
    }

    /// Checks what can be checked before names are resolved.
    ///
    /// # Errors
    /// A sentence for the operator.
    pub fn check(&self, reach: Reach) -> Result<(), String> {
        if self.uri.scheme_str() == Some("http") && reach == Reach::Public {
            return Err("http is not allowed here, only https".to_owned());
        }
        // RFC 6761 §6.3: this name is always the machine itself.
        let address = match self.host.as_str() {
            "localhost" => Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
            host => host.parse().ok(),
        };
        match address {
            Some(address) if !reach.allows(address) => Err(refusal(&self.host, address)),
            _ => Ok(()),
        }
    }
}

impl Reach {
    /// The reach of a process that may send to private addresses, or may not.
    pub fn new(allows_private_targets: bool) -> Self {
        if allows_private_targets { Self::Private } else { Self::Public }
    }

    fn allows(self, address: IpAddr) -> bool {
        match kind(address) {
            AddressKind::Public => true,
            AddressKind::Loopback | AddressKind::Private => self == Self::Private,
            AddressKind::Special => false,
        }
    }
}

fn refusal(host: &str, address: IpAddr) -> String {
    format!("{host} has the address {address}, which is not public, so nothing is sent to it")
}

fn kind(address: IpAddr) -> AddressKind {
    match address {
        IpAddr::V4(address) => kind_v4(address),
        IpAddr::V6(address) => kind_v6(address),
    }
}

fn kind_v4(address: Ipv4Addr) -> AddressKind {
    match address.octets() {
        [127, ..] => AddressKind::Loopback,
        // RFC 1918, and the shared addresses of RFC 6598 without the metadata service of Alibaba Cloud.
        [100, 100, 100, 200] => AddressKind::Special,
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] | [100, 64..=127, ..] => AddressKind::Private,
        // RFC 6890: this network, link-local (with the metadata services), protocol assignments, benchmarks, multicast, reserved.
        [0, ..] | [169, 254, ..] | [192, 0, 0, _] | [198, 18..=19, ..] | [224..=255, ..] => {
            AddressKind::Special
        }
        _ => AddressKind::Public,
    }
}

fn kind_v6(address: Ipv6Addr) -> AddressKind {
    let embedded = |high: u16, low: u16| {
        let [a, b] = high.to_be_bytes();
        let [c, d] = low.to_be_bytes();
        kind_v4(Ipv4Addr::new(a, b, c, d))
    };
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 1] => AddressKind::Loopback,
        // IPv4 addresses in IPv6: mapped, translated (RFC 6052), and 6to4 (RFC 3056).
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => embedded(high, low),
        [0x2002, high, low, ..] => embedded(high, low),
        // The metadata service of EC2.
        [0xfd00, 0x0ec2, ..] => AddressKind::Special,
        [0xfc00..=0xfdff, ..] => AddressKind::Private,
        // Only 2000::/3 has public addresses (RFC 4291 §2.4). Teredo (RFC 4380) hides an IPv4 address.
        [0x2001, 0, ..] => AddressKind::Special,
        [0x2000..=0x3fff, ..] => AddressKind::Public,
        _ => AddressKind::Special,
    }
}

/// Resolves names, and returns only addresses that requests may go to.
#[derive(Clone, Debug)]
pub(crate) struct CheckedResolver(pub Reach);

/// No address of a name is allowed.
#[derive(Debug)]
struct RefusedAddress(String);

impl fmt::Display for RefusedAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for RefusedAddress {}

impl Service<Name> for CheckedResolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = BoxFuture<'static, io::Result<Self::Response>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let reach = self.0;
        async move {
            let host = name.as_str();
            let found: Vec<SocketAddr> = tokio::net::lookup_host((host, 0)).await?.collect();
            let allowed: Vec<SocketAddr> =
                found.iter().copied().filter(|address| reach.allows(address.ip())).collect();
            match found.first() {
                Some(refused) if allowed.is_empty() => {
                    let error = RefusedAddress(refusal(host, refused.ip()));
                    Err(io::Error::new(io::ErrorKind::PermissionDenied, error))
                }
                _ => Ok(allowed.into_iter()),
            }
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn url_is_https_or_http_to_loopback() {
        for url in [
            "https://platform.example.com/events?a=b",
            "http://127.0.0.1:1/",
            "http://[::1]/",
            "http://localhost:3",
        ] {
            assert_eq!(
                Target::parse(url).unwrap().uri().to_string().trim_end_matches('/'),
                url.trim_end_matches('/')
            );
        }
        for url in [
            "",
            "platform",
            "/events",
            "ftp://platform",
            "http://platform.example.com",
            "http://10.0.0.1/",
            "https://a:b@platform.example.com",
            "https://",
            "http://127.0.0.1@platform.example.com/",
            "http://0.0.0.0/",
        ] {
            assert!(Target::parse(url).unwrap_err().contains("Enter an https:// URL"), "{url}");
        }
    }

    #[test]
    fn only_public_addresses_are_allowed_and_special_ones_never() {
        for (address, expected) in [
            ("1.1.1.1", [true, true]),
            ("2606:4700::1111", [true, true]),
            ("127.0.0.1", [false, true]),
            ("127.9.9.9", [false, true]),
            ("10.1.2.3", [false, true]),
            ("172.16.0.1", [false, true]),
            ("172.32.0.1", [true, true]),
            ("192.168.1.1", [false, true]),
            ("100.64.0.1", [false, true]),
            ("::1", [false, true]),
            ("fd12::1", [false, true]),
            ("::ffff:10.0.0.1", [false, true]),
            ("64:ff9b::10.0.0.1", [false, true]),
            ("2002:a00:1::", [false, true]),
            ("169.254.169.254", [false, false]),
            ("169.254.170.2", [false, false]),
            ("100.100.100.200", [false, false]),
            ("fd00:ec2::254", [false, false]),
            ("fe80::1", [false, false]),
            ("::ffff:169.254.169.254", [false, false]),
            ("0.0.0.0", [false, false]),
            ("::", [false, false]),
            ("255.255.255.255", [false, false]),
            ("224.0.0.1", [false, false]),
            ("ff02::1", [false, false]),
        ] {
            let found = [Reach::Public, Reach::Private].map(|reach| reach.allows(address.parse().unwrap()));
            assert_eq!(found, expected, "{address}");
        }
    }
}
