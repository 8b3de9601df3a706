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

/// The start of a period: a time before now, such as `2h`, a date, or a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Since {
    /// This long before now.
    Ago(SignedDuration),
    /// A date or time.
    At(DateOrTime),
}

impl Since {
    /// Parses `30m`, `2h`, `3d`, `2027-01-31` or `2027-01-31T12:00:00Z`.
    ///
    /// # Errors
    /// If the text is none of them.
    pub fn parse(text: &str) -> Result<Self, String> {
        let unit = text.char_indices().next_back().and_then(|(start, unit)| Some((text.get(..start)?, unit)));
        let seconds = match unit {
            Some((_, 's')) => Some(1),
            Some((_, 'm')) => Some(60),
            Some((_, 'h')) => Some(3_600),
            Some((_, 'd')) => Some(24 * 3_600),
            _ => None,
        };
        if let Some((seconds, (count, _))) = seconds.zip(unit)
            && let Ok(count) = count.parse::<u32>()
        {
            return Ok(Self::Ago(SignedDuration::from_secs(seconds * i64::from(count))));
        }
        let wrong = |_| {
            format!(
                "{text:?} is not a duration such as 30m, 2h or 3d, not a date such as 2027-01-31, and not a time such as \
                 2027-01-31T12:00:00Z"
            )
        };
        DateOrTime::parse(text).map(Self::At).map_err(wrong)
    }

    /// The time at which the period begins.
    pub fn time(self, now: Timestamp) -> Timestamp {
        match self {
            Self::Ago(duration) => now.checked_sub(duration).unwrap_or(Timestamp::MIN),
            Self::At(at) => at.first(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn period_begins_at_a_time_or_before_now() {
        let now: Timestamp = "2027-01-31T12:00:00Z".parse().unwrap();
        for (text, expected) in [
            ("90s", "2027-01-31T11:58:30Z"),
            ("30m", "2027-01-31T11:30:00Z"),
            ("2h", "2027-01-31T10:00:00Z"),
            ("3d", "2027-01-28T12:00:00Z"),
            ("2027-01-30", "2027-01-30T00:00:00Z"),
            ("2027-01-30T10:00:00Z", "2027-01-30T10:00:00Z"),
        ] {
            assert_eq!(Since::parse(text).unwrap().time(now), expected.parse().unwrap(), "{text}");
        }
        for text in ["h", "-2h", "2 h", "2w", "99999999999h", ""] {
            assert!(Since::parse(text).unwrap_err().contains("is not a duration"), "{text}");
        }
    }

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
