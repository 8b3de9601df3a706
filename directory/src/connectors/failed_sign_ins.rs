//! The numbers of requests with wrong credentials, by day and address.
//!
//! Strangers cause these writes, so they are bounded. A connector counts at most [`MAX_ADDRESSES`] addresses each day; the
//! requests from further addresses are counted together. DynamoDB deletes the counts by their TTL. A process authenticates
//! only a limited number of wrong requests of a connector a second, and only those are counted.

use std::net::IpAddr;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use shared::error::ScimError;

use super::ConnectorId;
use super::password_limit::networks;
use crate::dynamodb::attributes::{get_number, get_text, number};
use crate::dynamodb::expressions::Expression;
use crate::dynamodb::keys;
use crate::dynamodb::table::{Range, Table};

/// The most addresses that a connector counts on one day.
pub const MAX_ADDRESSES: u32 = 100;
/// How long a count is kept.
const KEPT: SignedDuration = SignedDuration::from_hours(24 * 90);

/// The failed sign-ins of one connector.
#[derive(Debug)]
pub struct FailedSignIns<'t> {
    table: &'t Table,
    connector: &'t ConnectorId,
}

/// The number of failed sign-ins from one address on one day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FailedSignInCount {
    /// The day in UTC: `2026-11-30`.
    pub day: String,
    /// The address, or the /64 network of an IPv6 address. `None` counts all further addresses of the day.
    pub address: Option<String>,
    /// The number of requests.
    pub count: u64,
}

impl Table {
    /// The failed sign-ins of a connector.
    pub fn failed_sign_ins<'t>(&'t self, connector: &'t ConnectorId) -> FailedSignIns<'t> {
        FailedSignIns { table: self, connector }
    }
}

impl FailedSignIns<'_> {
    /// Counts a request with wrong credentials.
    ///
    /// # Errors
    /// Fails when DynamoDB does.
    pub async fn count(&self, address: Option<IpAddr>, now: Timestamp) -> Result<(), ScimError> {
        let day = day_of(now);
        let expires = number((now + KEPT).as_second());
        // The last network of an address is the smallest.
        let Some(network) = networks(address).pop() else { return Ok(()) };
        let key = keys::failed_sign_ins_from(self.connector, &day, &network.name);
        let one_more = || Expression::new("ADD failed :one").with(":one", number(1));
        if self.table.update(&key, one_more(), Expression::new("attribute_exists(pk)")).await?.is_some() {
            return Ok(());
        }
        let day = keys::failed_sign_ins_on(self.connector, &day);
        let new_address = Expression::new("SET expires = :expires ADD addresses :one")
            .with(":expires", expires.clone())
            .with(":one", number(1));
        let has_room = Expression::new("attribute_not_exists(addresses) OR addresses < :most")
            .with(":most", number(MAX_ADDRESSES));
        if self.table.update(&day, new_address, has_room).await?.is_none() {
            return self
                .table
                .update(&day, one_more(), Expression::new("attribute_exists(pk)"))
                .await
                .map(drop);
        }
        let first = Expression::new("SET expires = :expires ADD failed :one")
            .with(":expires", expires)
            .with(":one", number(1));
        // Another process can have counted the first request from this address meanwhile.
        let always = Expression::new("attribute_not_exists(pk) OR attribute_exists(pk)");
        self.table.update(&key, first, always).await.map(drop)
    }

    /// Reads the counts of the days from one time to another: the newest day first, then the largest count.
    ///
    /// # Errors
    /// Fails when DynamoDB does.
    pub async fn counts(
        &self,
        since: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<FailedSignInCount>, ScimError> {
        let range = Range::Between(day_of(since), format!("{}~", day_of(until)));
        let items = self.table.query(&keys::failed_sign_ins(self.connector), &range).await?;
        let count = |item: &_| {
            let sk = get_text(item, "sk")?;
            let (day, address) = match sk.split_once('/') {
                Some((day, address)) => (day, Some(address.to_owned())),
                None => (sk, None),
            };
            Some(FailedSignInCount { day: day.to_owned(), address, count: get_number(item, "failed")? })
        };
        let mut counts: Vec<FailedSignInCount> = items.iter().filter_map(count).collect();
        counts.sort_by(|one, other| (&other.day, other.count).cmp(&(&one.day, one.count)));
        Ok(counts)
    }

    /// Deletes all counts.
    pub(super) async fn forget_all(&self) -> Result<(), ScimError> {
        self.table.clear_partition(&keys::failed_sign_ins(self.connector)).await
    }
}

fn day_of(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d").to_string()
}
