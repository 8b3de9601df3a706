//! Reading the trail, the newest record first.

use std::collections::BTreeSet;
use std::str::FromStr;

use futures_util::FutureExt as _;
use jiff::Timestamp;
use shared::error::{ErrorKind, ScimError};

use super::{KEPT, Record, Subject, Trail, days_back, in_key};
use crate::dynamodb::attributes::{Item, get_text};
use crate::dynamodb::keys::{self, Key};
use crate::dynamodb::table::{Range, concurrently};

/// The most records that one page reads to find those of its filter.
const MAX_READ: usize = 2_000;
/// The records or entries that are read at once.
const READ_AT_ONCE: i32 = 250;

/// Which records a page has. A record must match all that are given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    /// The status.
    pub status: Option<StatusFilter>,
    /// What the request is about: one of these. Empty for every request.
    pub subjects: Vec<Subject>,
    /// The time from which on. Records before `until` less [`KEPT`] are not read.
    pub since: Timestamp,
    /// The time up to which.
    pub until: Timestamp,
}

/// A status, or all that begin with the same digit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusFilter {
    /// The statuses with this first digit: 4 for 400 to 499.
    Class(u16),
    /// This status.
    Code(u16),
}

/// A page of records, the newest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The records. There can be fewer than the limit, or none, although another page follows.
    pub records: Vec<Record>,
    /// The cursor of the next page; `None` if this is the last one.
    pub next: Option<String>,
}

impl Filter {
    /// Every record that is kept at this time.
    pub fn until(now: Timestamp) -> Self {
        Self { status: None, subjects: Vec::new(), since: now - KEPT, until: now }
    }

    fn matches(&self, record: &Record) -> bool {
        self.status.is_none_or(|status| status.matches(record.status))
    }
}

impl StatusFilter {
    fn matches(self, status: u16) -> bool {
        match self {
            Self::Class(class) => status / 100 == class,
            Self::Code(code) => status == code,
        }
    }
}

impl FromStr for StatusFilter {
    type Err = String;

    /// Reads `4xx` or `409`.
    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.strip_suffix("xx").or_else(|| text.strip_suffix("XX"));
        let parsed = match digits {
            Some(class) => class.parse().ok().filter(|class| (1..=5).contains(class)).map(Self::Class),
            None => text.parse().ok().filter(|code| (100..=599).contains(code)).map(Self::Code),
        };
        parsed.ok_or_else(|| format!("{text:?} is neither a status such as 409, nor a class such as 4xx"))
    }
}

/// Some records of one day, the newest first.
struct Batch {
    records: Vec<Record>,
    /// The sort key after which the next batch of the day begins; `None` if the day has no more.
    next: Option<String>,
}

impl Trail<'_> {
    /// Reads a page of at most `limit` records, the newest first. `cursor` is that of the page before. Reads at most about 2,000
    /// records, however many the trail has.
    ///
    /// # Errors
    /// `invalidCursor` if the cursor is none; fails when DynamoDB does.
    pub async fn page(&self, filter: &Filter, cursor: Option<&str>, limit: usize) -> Result<Page, ScimError> {
        let since = filter.since.max(filter.until - KEPT);
        let start = match cursor {
            None => filter.until,
            Some(cursor) => time_of(cursor)?,
        };
        let (mut found, mut read) = (Vec::new(), 0);
        let bounds = (in_key(since), format!("{}~", in_key(filter.until)));
        let mut after = cursor.map(str::to_owned);
        for day in days_back(start, since) {
            loop {
                let Batch { records, next } = self.batch(filter, &day, &bounds, after.as_deref()).await?;
                for record in records {
                    read += 1;
                    let sk = record.sk();
                    if filter.matches(&record) {
                        found.push(record);
                    }
                    if found.len() >= limit.max(1) || read >= MAX_READ {
                        return Ok(Page { records: found, next: Some(sk) });
                    }
                }
                after = next;
                if after.is_none() {
                    break;
                }
            }
        }
        Ok(Page { records: found, next: None })
    }

    /// Reads the record of a request, followed by those of its operations. Empty if there is none.
    ///
    /// # Errors
    /// Fails when DynamoDB does.
    pub async fn one(&self, request: &str, now: Timestamp) -> Result<Vec<Record>, ScimError> {
        let subject = Subject::Request(request.to_owned()).in_key();
        // The clock of the process that wrote the record can be ahead.
        let days = days_back(now + super::CLOCK_DIFFERENCE, now - KEPT);
        let reads = days.map(|day| {
            let range = Range::Prefix(keys::trail_entry(&subject, ""));
            async move { self.table.query(&keys::trail_entries(self.connector, &day), &range).await }.boxed()
        });
        let entries = concurrently(reads.collect()).await?;
        let mut records = self.records(sort_keys(&subject, &entries.concat())).await?;
        records.sort_by_key(|record| record.operation);
        Ok(records)
    }

    /// Reads records of a day before the sort key `after`, or before the end.
    async fn batch(
        &self,
        filter: &Filter,
        day: &str,
        (first, last): &(String, String),
        after: Option<&str>,
    ) -> Result<Batch, ScimError> {
        let end = after.unwrap_or(last);
        if end < first.as_str() {
            return Ok(Batch { records: Vec::new(), next: None });
        }
        let (mut records, next) = if filter.subjects.is_empty() {
            let range = Range::Between(first.clone(), end.to_owned());
            let (items, next) = self.newest(&keys::trail(self.connector, day), &range).await?;
            (items.iter().filter_map(Record::from_item).collect::<Vec<_>>(), next)
        } else {
            self.of_subjects(&filter.subjects, day, (first, end)).await?
        };
        // The bound itself was in the batch before.
        records.retain(|record| after.is_none_or(|after| record.sk() != after));
        Ok(Batch { records, next })
    }

    /// Reads the records of a day that are about one of these subjects, as far as the entries of all subjects were read. Also
    /// returns the sort key after which there are more.
    async fn of_subjects(
        &self,
        subjects: &[Subject],
        day: &str,
        (first, end): (&str, &str),
    ) -> Result<(Vec<Record>, Option<String>), ScimError> {
        let pk = keys::trail_entries(self.connector, day);
        let reads = subjects.iter().map(|subject| {
            let (pk, subject) = (&pk, subject.in_key());
            let range = Range::Between(keys::trail_entry(&subject, first), keys::trail_entry(&subject, end));
            async move {
                let (items, next) = self.newest(pk, &range).await?;
                let next = next.and_then(|next| keys::parse_trail_entry(&subject, &next).map(str::to_owned));
                Ok((sort_keys(&subject, &items), next))
            }
            .boxed()
        });
        let (mut found, mut next) = (BTreeSet::new(), None);
        for (sort_keys, more) in concurrently(reads.collect()).await? {
            found.extend(sort_keys);
            next = next.max(more);
        }
        // What is before the last entry of an incomplete list comes with the next batch.
        found.retain(|sk| next.as_ref().is_none_or(|next| sk >= next));
        let mut records = self.records(found).await?;
        records.sort_by_key(|record| std::cmp::Reverse(record.sk()));
        Ok((records, next))
    }

    async fn newest(&self, pk: &str, range: &Range) -> Result<(Vec<Item>, Option<String>), ScimError> {
        self.table.query_page_in_order(pk, range, None, Some(READ_AT_ONCE), true).await
    }

    /// Reads the records with these sort keys.
    async fn records(&self, sort_keys: BTreeSet<String>) -> Result<Vec<Record>, ScimError> {
        let key = |sk: String| Key { pk: keys::trail(self.connector, &sk), sk };
        let keys: Vec<Key> = sort_keys.into_iter().map(key).collect();
        Ok(self.table.get_all(&keys).await?.iter().filter_map(Record::from_item).collect())
    }
}

/// The sort keys of the records to which these entries of a subject lead.
fn sort_keys(subject: &str, entries: &[Item]) -> BTreeSet<String> {
    let sk = |entry| keys::parse_trail_entry(subject, get_text(entry, "sk")?).map(str::to_owned);
    entries.iter().filter_map(sk).collect()
}

/// The time in a cursor, which is the sort key of a record.
fn time_of(cursor: &str) -> Result<Timestamp, ScimError> {
    let time = cursor.split_once('/').and_then(|(time, _)| time.parse().ok());
    time.ok_or_else(|| ScimError::new(ErrorKind::InvalidCursor, "The cursor is not one of this list"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_is_a_code_or_a_class() {
        for (text, expected) in [
            ("409", Some(StatusFilter::Code(409))),
            ("4xx", Some(StatusFilter::Class(4))),
            ("5XX", Some(StatusFilter::Class(5))),
            ("6xx", None),
            ("99", None),
            ("x", None),
            ("", None),
        ] {
            assert_eq!(text.parse::<StatusFilter>().ok(), expected, "{text}");
        }
        assert!(StatusFilter::Class(4).matches(409) && !StatusFilter::Class(4).matches(500));
        assert!(StatusFilter::Code(409).matches(409) && !StatusFilter::Code(409).matches(400));
    }
}
