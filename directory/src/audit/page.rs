//! Pages of the audit trail, the newest records first. A page reads a bounded part of the trail, so it says how far it looked.

use futures_util::FutureExt as _;
use jiff::Timestamp;
use shared::error::ScimError;

use super::trail::{month_of, name_of_month, to_record};
use super::{AuditRecord, AuditTrail};
use crate::dynamodb::attributes::get_text;
use crate::dynamodb::keys;
use crate::dynamodb::table::{Range, concurrently};

/// The fewest and the most records that are read of a partition in one round. The records of a month are in 16 partitions.
const RECORDS_AT_ONCE: (usize, usize) = (50, 500);
/// The most rounds of a page. A round reads each of the 16 partitions of a month once.
const MAX_ROUNDS: usize = 8;
/// The number of characters of a month: `2026-11`.
const MONTH: usize = 7;

/// How long a page is, and how far it looks.
#[derive(Clone, Copy, Debug)]
pub struct PageSize {
    /// The most records of the page.
    pub most: usize,
    /// The page ends when this many records were read.
    pub look_at: usize,
}

/// A part of the audit trail.
#[derive(Debug)]
pub struct AuditPage {
    /// The records, the newest first.
    pub records: Vec<AuditRecord>,
    /// How many records were read, also those that were not wanted.
    pub looked_at: usize,
    /// Where the next page begins; `None` if this is the last page.
    pub next: Option<String>,
}

impl AuditPage {
    /// The time or month (RFC 3339) back to which the trail was read; `None` if there is no older record.
    pub fn looked_back_to(&self) -> Option<&str> {
        self.next.as_ref().map(|next| next.split_once('/').map_or(next.as_str(), |(time, _)| time))
    }
}

impl AuditTrail<'_> {
    /// Reads a page of the records from one time to another that `is_wanted`, the newest first. `after` is the [`AuditPage::next`] of
    /// the page before.
    ///
    /// # Errors
    /// Fails when DynamoDB does.
    pub async fn page(
        &self,
        is_wanted: impl Fn(&AuditRecord) -> bool + Sync,
        since: Timestamp,
        until: Timestamp,
        after: Option<&str>,
        size: PageSize,
    ) -> Result<AuditPage, ScimError> {
        let first = format!("{since:.3}");
        let last = format!("{until:.3}~");
        // Every sort key of the page is less than this one.
        let mut before = after.map_or(last.as_str(), |after| after.min(last.as_str())).to_owned();
        let mut page = AuditPage { records: Vec::new(), looked_at: 0, next: None };
        let (fewest, most) = RECORDS_AT_ONCE;
        let limit = i32::try_from((size.look_at / 16).clamp(fewest, most)).ok();
        for _ in 0..MAX_ROUNDS {
            // Without a day, it is the end of the month before.
            let month = month_of(&before) - i32::from(before.len() == MONTH);
            if month < month_of(&first) || before < first {
                return Ok(page);
            }
            let (records, horizon) = self.round(month, &first, &before, limit).await?;
            for (sk, record) in records {
                page.looked_at += 1;
                if is_wanted(&record) {
                    page.records.push(record);
                }
                if page.records.len() == size.most || page.looked_at == size.look_at {
                    page.next = Some(sk);
                    return Ok(page);
                }
            }
            before = horizon.unwrap_or_else(|| name_of_month(month));
        }
        page.next = Some(before);
        Ok(page)
    }

    /// Reads the newest records of a month whose sort keys are less than `before`, with these keys. If the month has older ones,
    /// returns the oldest key that was read without a gap.
    async fn round(
        &self,
        month: i32,
        first: &str,
        before: &str,
        limit: Option<i32>,
    ) -> Result<(Vec<(String, AuditRecord)>, Option<String>), ScimError> {
        let range = Range::Between(first.to_owned(), before.to_owned());
        let reads = keys::AUDIT_SHARDS.chars().map(|shard| {
            let pk = keys::audit(self.connector, &name_of_month(month), shard);
            let range = range.clone();
            async move { self.table.query_page_in_order(&pk, &range, None, limit, true).await }.boxed()
        });
        let pages = concurrently(reads.collect()).await?;
        // A partition that has older records has none missing up to its last one.
        let horizon = pages.iter().filter_map(|(_, next)| next.clone()).max();
        let mut records: Vec<(String, AuditRecord)> = Vec::new();
        for item in pages.iter().flat_map(|(items, _)| items) {
            let sk = get_text(item, "sk").unwrap_or_default();
            if sk < before && horizon.as_deref().is_none_or(|horizon| sk >= horizon) {
                records.extend(to_record(item).map(|record| (sk.to_owned(), record)));
            }
        }
        records.sort_by(|one, other| other.0.cmp(&one.0));
        Ok((records, horizon))
    }
}
