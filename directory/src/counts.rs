//! Exact counts of resources. Each kind has 256 counters, one for each first byte of the id, so that two
//! writers seldom update the same counter. A query with a start index uses these counts to find where to
//! start reading.

use crate::Directory;
use crate::dynamodb::attributes::{get_number, get_text};
use crate::dynamodb::keys;
use crate::dynamodb::table::Range;
use shared::error::ScimError;
use shared::resource::{ResourceId, ResourceKind};

/// The number of resources in each bucket. A bucket holds the resources whose ids begin with the same byte.
#[derive(Clone, Debug)]
pub struct Histogram {
    counts: [usize; 256],
}

/// Which resources to count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    /// All resources.
    All,
    /// Active users.
    Active,
    /// Inactive users.
    Inactive,
}

impl Histogram {
    /// Returns the number of all resources.
    pub fn total(&self) -> usize {
        self.counts.iter().sum()
    }

    /// Returns the number of resources in a bucket.
    pub fn of(&self, bucket: u8) -> usize {
        self.counts.get(usize::from(bucket)).copied().unwrap_or_default()
    }

    /// Returns the counts without these resources.
    pub(crate) fn without(mut self, resources: impl Iterator<Item = ResourceId>) -> Self {
        for id in resources {
            if let Some(count) = self.counts.get_mut(usize::from(id.bucket())) {
                *count = count.saturating_sub(1);
            }
        }
        self
    }

    /// Finds the bucket of the resource at a position in the order of ids, and the number of resources before
    /// it in that bucket. Positions count from 0. Returns `None` if the position is after the last resource.
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
    ///
    /// # Errors
    /// Fails when DynamoDB does.
    pub async fn histogram(&self, kind: ResourceKind, counted: Counted) -> Result<Histogram, ScimError> {
        let prefix = keys::counts_prefix(kind);
        let range = Range::Prefix(prefix.clone());
        let mut counts = [0; 256];
        for item in self.table.query(&keys::counts(&self.connector.id), &range).await? {
            let bucket = get_text(&item, "sk").and_then(|sk| sk.strip_prefix(&prefix));
            let bucket = bucket.and_then(|bucket| usize::from_str_radix(bucket, 16).ok());
            let number = |name: &str| get_number::<usize>(&item, name).unwrap_or_default();
            if let Some(count) = bucket.and_then(|bucket| counts.get_mut(bucket)) {
                *count = match counted {
                    Counted::All => number("n"),
                    Counted::Active => number("active"),
                    Counted::Inactive => number("n").saturating_sub(number("active")),
                };
            }
        }
        Ok(Histogram { counts })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn position_is_located_in_its_bucket() {
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
