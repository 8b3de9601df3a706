//! The rate limit for checks of chosen passwords.
//!
//! A request reserves a slot before its password is checked, and gives it back if the password is right. Therefore, even
//! if many processes check passwords at the same time, they check no more wrong ones than there are slots. Each network
//! has one item for each window of 15 minutes. DynamoDB deletes the item by its TTL.

use std::net::{IpAddr, Ipv6Addr};

use jiff::Timestamp;
use shared::error::{ErrorKind, ScimError};

use super::ConnectorId;
use crate::dynamodb::attributes::{get_number, number};
use crate::dynamodb::expressions::Expression;
use crate::dynamodb::keys::{self, Key};
use crate::dynamodb::table::Table;

/// The length of a window, in seconds.
const WINDOW: i64 = 15 * 60;
/// The slots of an IPv4 address, or of an IPv6 network of 64 bits, which usually belongs to one client.
const SLOTS: u32 = 10;
/// The slots of an IPv6 network of 48 bits, which usually belongs to one organisation.
const SLOTS_OF_ORGANISATION: u32 = 50;
/// How long a check can hold a slot that it will give back, in seconds.
const LONGEST_CHECK: i64 = 5;

/// The slots of one connector.
#[derive(Debug)]
pub struct PasswordLimit<'t> {
    table: &'t Table,
    connector: &'t ConnectorId,
}

/// A reserved slot.
#[derive(Debug)]
pub struct Slot {
    /// The items that count it.
    items: Vec<Key>,
}

/// A network whose slots are counted together.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Network {
    pub name: String,
    slots: u32,
}

impl Table {
    /// The rate limit for wrong passwords of a connector.
    pub fn password_limit<'t>(&'t self, connector: &'t ConnectorId) -> PasswordLimit<'t> {
        PasswordLimit { table: self, connector }
    }
}

impl PasswordLimit<'_> {
    /// Reserves a slot for one check of a password from this address.
    ///
    /// # Errors
    /// 429 when all slots of the address or of its network are reserved; fails when DynamoDB does.
    pub async fn reserve(&self, address: Option<IpAddr>, now: Timestamp) -> Result<Slot, ScimError> {
        let window = now.as_second() - now.as_second().rem_euclid(WINDOW);
        let mut slot = Slot { items: Vec::new() };
        for Network { name, slots } in networks(address) {
            let key = keys::password_checks(self.connector, &name, window);
            let update = Expression::new("SET expires = :end, reserved_at = :now ADD reserved :one")
                .with(":end", number(window + WINDOW))
                .with(":now", number(now.as_second()))
                .with(":one", number(1));
            let has_slot = Expression::new("attribute_not_exists(reserved) OR reserved < :slots")
                .with(":slots", number(slots));
            if self.table.update(&key, update, has_slot).await?.is_none() {
                self.give_back(&slot).await?;
                return Err(self.refused(&key, window, now).await?);
            }
            slot.items.push(key);
        }
        Ok(slot)
    }

    /// Gives back the slot of a right password.
    ///
    /// # Errors
    /// Fails when DynamoDB does.
    pub async fn give_back(&self, slot: &Slot) -> Result<(), ScimError> {
        for key in &slot.items {
            let update = Expression::new("ADD reserved :less").with(":less", number(-1));
            let is_reserved = Expression::new("reserved > :zero").with(":zero", number(0));
            self.table.update(key, update, is_reserved).await?;
        }
        Ok(())
    }

    /// The error if there is no slot. The slots of checks that are running may be given back in a moment.
    async fn refused(&self, key: &Key, window: i64, now: Timestamp) -> Result<ScimError, ScimError> {
        let item = self.table.get(key).await?.unwrap_or_default();
        let since_last = now.as_second() - get_number::<i64>(&item, "reserved_at").unwrap_or_default();
        let wait = if since_last < LONGEST_CHECK { 1 } else { window + WINDOW - now.as_second() };
        let wait = u32::try_from(wait).unwrap_or_default().max(1);
        let detail = "Too many wrong passwords from this address: correct the password, then retry later";
        Ok(ScimError::new(ErrorKind::TooManyRequests(wait), detail))
    }
}

/// The networks of an address, the largest first.
pub(super) fn networks(address: Option<IpAddr>) -> Vec<Network> {
    let one = |name: String| vec![Network { name, slots: SLOTS }];
    match address {
        None => one("unknown".to_owned()),
        Some(IpAddr::V4(address)) => one(address.to_string()),
        Some(IpAddr::V6(address)) => {
            if let Some(address) = address.to_ipv4_mapped() {
                return one(address.to_string());
            }
            let network = |bits: u32, slots| {
                let first = Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << (128 - bits)));
                Network { name: format!("{first}/{bits}"), slots }
            };
            vec![network(48, SLOTS_OF_ORGANISATION), network(64, SLOTS)]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ipv6_address_counts_for_its_networks_of_48_and_64_bits() {
        for (address, expected) in [
            ("192.0.2.7", &[("192.0.2.7", 10)][..]),
            ("::ffff:192.0.2.7", &[("192.0.2.7", 10)]),
            ("2001:db8:1:2:3:4:5:6", &[("2001:db8:1::/48", 50), ("2001:db8:1:2::/64", 10)]),
            ("not an address", &[("unknown", 10)]),
        ] {
            let expected: Vec<_> = expected
                .iter()
                .map(|(name, slots)| Network { name: (*name).to_owned(), slots: *slots })
                .collect();
            assert_eq!(networks(address.parse().ok()), expected);
        }
    }
}
