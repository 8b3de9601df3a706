//! Times that operators enter: a date, or a time with its zone.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// A date, which is a whole day in UTC, or a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DateOrTime {
    first: Timestamp,
    last: Timestamp,
}

impl DateOrTime {
    /// Parses `2027-01-31` or `2027-01-31T12:00:00Z`.
    ///
    /// # Errors
    /// If the text is neither.
    pub fn parse(text: &str) -> Result<Self, String> {
        if let Ok(time) = text.parse::<Timestamp>() {
            return Ok(Self { first: time, last: time });
        }
        let wrong = || {
            format!("{text:?} is not a date such as 2027-01-31, and not a time such as 2027-01-31T12:00:00Z")
        };
        // A time without a zone would parse as its date.
        let date = text.parse::<Date>().ok().filter(|date| date.to_string() == text).ok_or_else(wrong)?;
        let first = TimeZone::UTC.to_timestamp(date.into()).map_err(|_| wrong())?;
        let last = first.checked_add(SignedDuration::new(24 * 3_600, -1)).map_err(|_| wrong())?;
        Ok(Self { first, last })
    }

    /// The time, or the start of the day.
    pub fn first(self) -> Timestamp {
        self.first
    }

    /// The time, or the end of the day.
    pub fn last(self) -> Timestamp {
        self.last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn date_is_a_day_in_utc_and_a_time_has_a_zone() {
        for (text, first, last) in [
            ("2027-01-31", "2027-01-31T00:00:00Z", "2027-01-31T23:59:59.999999999Z"),
            ("2027-01-31T12:00:00Z", "2027-01-31T12:00:00Z", "2027-01-31T12:00:00Z"),
            ("2027-01-31T12:00:00+01:00", "2027-01-31T11:00:00Z", "2027-01-31T11:00:00Z"),
        ] {
            let parsed = DateOrTime::parse(text).unwrap();
            let expected: [Timestamp; 2] = [first, last].map(|time| time.parse().unwrap());
            assert_eq!([parsed.first(), parsed.last()], expected, "{text}");
        }
        for text in ["tomorrow", "2027-01-32", "2027-01-31T12:00:00", "2027-01", ""] {
            assert!(DateOrTime::parse(text).unwrap_err().contains("is not a date"), "{text}");
        }
    }
}
