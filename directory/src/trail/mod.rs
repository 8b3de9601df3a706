//! The request trail: what clients and applications asked for, and what came of it.
//!
//! Failed requests are kept for [`KEPT`], and all requests if the connector's setting `trail` is `all`. A record has no body, no query
//! and no secret. Only requests with right credentials of an existing connector are recorded, so strangers cannot write items.
//!
//! ```no_run
//! # async fn example(table: &directory::Table, id: &directory::connectors::ConnectorId) -> Result<(), shared::error::ScimError> {
//! use directory::trail::{Filter, StatusFilter, Subject};
//! let trail = table.trail(id);
//! let mut filter = Filter::until(jiff::Timestamp::now());
//! filter.status = Some(StatusFilter::Class(4));
//! filter.subjects = vec![Subject::Name("ann@example.com".to_owned())];
//! let mut page = trail.page(&filter, None, 50).await?;
//! while let Some(next) = page.next.take() {
//!     // A page can have fewer records than its limit, or none, although another one follows.
//!     page = trail.page(&filter, Some(&next), 50).await?;
//! }
//! let same_request = trail.one("8c1f2b9e-…", jiff::Timestamp::now()).await?;
//! # Ok(())
//! # }
//! ```
//!
//! A record is an item in a partition of its day, in the order of time. Entries beside it lead to it: one for the id of the request,
//! one for the id of the resource, and one for its name. So the newest requests, and those about one user, are read without the others.

mod page;
mod record;
mod write;

use jiff::{SignedDuration, Timestamp};

use crate::connectors::ConnectorId;
use crate::dynamodb::table::Table;

pub use page::{Filter, Page, StatusFilter};
pub use record::{Record, Shown, Subject};

/// How long a record is kept. DynamoDB deletes it some time after that.
pub const KEPT: SignedDuration = SignedDuration::from_hours(24 * 7);

/// How far the clock of a process that writes records can be ahead of that of a reader.
const CLOCK_DIFFERENCE: SignedDuration = SignedDuration::from_mins(5);

/// The request trail of one connector.
#[derive(Debug)]
pub struct Trail<'t> {
    table: &'t Table,
    connector: &'t ConnectorId,
}

impl Table {
    /// The request trail of a connector.
    pub fn trail<'t>(&'t self, connector: &'t ConnectorId) -> Trail<'t> {
        Trail { table: self, connector }
    }
}

/// A time as it is in keys. Times in this form have the order of their texts.
fn in_key(time: Timestamp) -> String {
    format!("{time:.3}")
}

/// The days from one time back to another, the newest first. Each is a time of its day, as it is in keys.
fn days_back(from: Timestamp, to: Timestamp) -> impl Iterator<Item = String> {
    let day = |time: Timestamp| time.as_second().div_euclid(SECONDS_OF_DAY);
    (day(to)..=day(from))
        .rev()
        .filter_map(|day| Timestamp::from_second(day * SECONDS_OF_DAY).ok())
        .map(in_key)
}

const SECONDS_OF_DAY: i64 = 24 * 3_600;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_listed_back_to_that_of_the_earlier_time() {
        let time = |text: &str| text.parse::<Timestamp>().unwrap();
        let days: Vec<String> =
            days_back(time("2026-12-01T00:00:00Z"), time("2026-11-29T23:59:59Z")).collect();
        let expected = ["2026-12-01T00:00:00.000Z", "2026-11-30T00:00:00.000Z", "2026-11-29T00:00:00.000Z"];
        assert_eq!(days, expected);
        assert_eq!(days_back(time("2026-11-29T00:00:00Z"), time("2026-11-30T00:00:00Z")).count(), 0);
    }
}
