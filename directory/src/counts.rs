//! Exact counts: 256 counters by the first byte of the id, so that writers seldom meet on one. As a histogram they
//! turn a start index into a place to begin reading.

use crate::Directory;
use crate::dynamodb::keys;
use crate::dynamodb::table::{Item, Range};
use shared::error::ScimError;
use shared::resource::ResourceKind;

/// How many resources there are, by the first byte of their ids.
#[derive(Clone, Debug)]
pub struct Histogram {
    counts: [usize; 256],
}

/// Which resources are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    /// All.
    All,
    /// Active users.
    Active,
    /// Deactivated users.
    Inactive,
}

impl Histogram {
    /// How many there are in all.
    pub fn total(&self) -> usize {
        self.counts.iter().sum()
    }

    /// How many there are whose ids begin with this byte.
    pub fn of(&self, bucket: u8) -> usize {
        self.counts.get(usize::from(bucket)).copied().unwrap_or_default()
    }

    /// The first byte of the id of the resource at this position in the order of ids, and how many that begin with the
    /// same byte stand before it; `None` past the end.
    pub fn locate(&self, mut position: usize) -> Option<(u8, usize)> {
        for (bucket, count) in (0..=u8::MAX).zip(self.counts) {
            if position < count {
                return Some((bucket, position));
            }
            position -= count;
        }
        None
    }
}

impl Directory {
    /// Reads the counts of one kind of resource.
    pub async fn histogram(&self, kind: ResourceKind, counted: Counted) -> Result<Histogram, ScimError> {
        let prefix = keys::counts_prefix(kind);
        let range = Range::Prefix(prefix.clone());
        let mut counts = [0; 256];
        for item in self.table.query(&keys::counts(&self.connector.id), &range).await? {
            let bucket = item.get("sk").and_then(|sk| sk.as_s().ok()?.strip_prefix(&prefix));
            let bucket = bucket.and_then(|bucket| usize::from_str_radix(bucket, 16).ok());
            if let Some(count) = bucket.and_then(|bucket| counts.get_mut(bucket)) {
                *count = match counted {
                    Counted::All => number(&item, "n"),
                    Counted::Active => number(&item, "active"),
                    Counted::Inactive => number(&item, "n").saturating_sub(number(&item, "active")),
                };
            }
        }
        Ok(Histogram { counts })
    }
}

fn number(item: &Item, name: &str) -> usize {
    item.get(name).and_then(|value| value.as_n().ok()?.parse().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_is_found_in_its_bucket() {
        let mut counts = [0; 256];
        (counts[3], counts[200]) = (2, 5);
        let histogram = Histogram { counts };
        assert_eq!((histogram.total(), histogram.of(200), histogram.of(4)), (7, 5, 0));
        for (position, expected) in
            [(0, Some((3, 0))), (1, Some((3, 1))), (2, Some((200, 0))), (6, Some((200, 4))), (7, None)]
        {
            assert_eq!(histogram.locate(position), expected, "{position}");
        }
    }
}
