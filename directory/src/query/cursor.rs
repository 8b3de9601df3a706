//! Cursors (RFC 9865): a position in the order of a query. A cursor is authenticated, and is valid only for
//! the same query on the same connector.
//!
//! A cursor is a MAC and the JSON that it protects, in base64url. So all its characters are unreserved in
//! URLs.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use super::Position;
use shared::error::{ErrorKind, ScimError};

/// The time for which a cursor is valid, in seconds.
pub const CURSOR_TIMEOUT_SECONDS: i64 = 3_600;

const MAC_LENGTH: usize = 16;

#[derive(Deserialize, Serialize)]
struct Sealed {
    /// When the cursor was created, in seconds since 1970-01-01T00:00:00Z.
    at: i64,
    /// The page size.
    count: usize,
    /// The position of the last resource on the previous page.
    position: Position,
}

/// Makes a cursor. `query` has all parameters that the next request must repeat, except the count.
///
/// # Errors
/// Fails if the position cannot be written as JSON.
pub fn seal(
    key: &[u8],
    query: &str,
    count: usize,
    position: &Position,
    now: Timestamp,
) -> Result<String, ScimError> {
    let sealed = Sealed { at: now.as_second(), count, position: position.clone() };
    let body = serde_json::to_vec(&sealed).map_err(ScimError::internal)?;
    let mut out =
        mac(key, query, &body)?.finalize().into_bytes().get(..MAC_LENGTH).unwrap_or_default().to_vec();
    out.extend(body);
    Ok(URL_SAFE_NO_PAD.encode(out))
}

/// Checks a cursor, and returns its position.
///
/// # Errors
/// RFC 9865 §2.1: `invalidCursor` if the cursor was not created with this key for this query, `expiredCursor` if
/// it is too old, `invalidCount` if the page size has changed.
pub fn open(
    key: &[u8],
    query: &str,
    count: usize,
    cursor: &str,
    now: Timestamp,
) -> Result<Position, ScimError> {
    let invalid = || {
        let detail = "The cursor is not valid for this query; request the first page again";
        ScimError::new(ErrorKind::InvalidCursor, detail)
    };
    let bytes = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| invalid())?;
    let (tag, body) = bytes.split_at_checked(MAC_LENGTH).ok_or_else(invalid)?;
    mac(key, query, body)?.verify_truncated_left(tag).map_err(|_| invalid())?;
    let sealed: Sealed = serde_json::from_slice(body).map_err(|_| invalid())?;
    if now.as_second() - sealed.at > CURSOR_TIMEOUT_SECONDS {
        let detail = format!(
            "The cursor is older than {CURSOR_TIMEOUT_SECONDS} seconds, the maximum; request the first page again"
        );
        return Err(ScimError::new(ErrorKind::ExpiredCursor, detail));
    }
    if sealed.count != count {
        let detail = format!("count is {count}; it must be {}, as on the first page", sealed.count);
        return Err(ScimError::new(ErrorKind::InvalidCount, detail));
    }
    Ok(sealed.position)
}

fn mac(key: &[u8], query: &str, body: &[u8]) -> Result<Hmac<Sha256>, ScimError> {
    let mut mac =
        Hmac::<Sha256>::new_from_slice(key).map_err(|error| ScimError::internal(error.to_string()))?;
    mac.update(&(query.len() as u64).to_le_bytes());
    mac.update(query.as_bytes());
    mac.update(body);
    Ok(mac)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn cursor_is_valid_only_with_its_key_query_and_count_until_it_expires() {
        let position: Position =
            serde_json::from_value(json!({ "is_group": false, "id": "x", "key": { "Text": "y" } })).unwrap();
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let cursor = seal(b"key", "query", 10, &position, now).unwrap();
        assert!(cursor.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)));
        let later = |seconds| Timestamp::from_second(now.as_second() + seconds).unwrap();
        let open = |key: &[u8], query: &str, count, cursor: &str, at| {
            open(key, query, count, cursor, at).map_err(|error| error.kind)
        };
        assert_eq!(open(b"key", "query", 10, &cursor, later(CURSOR_TIMEOUT_SECONDS)), Ok(position));
        for (key, query, count, cursor, seconds, expected) in [
            (&b"other"[..], "query", 10, cursor.as_str(), 0, ErrorKind::InvalidCursor),
            (b"key", "other", 10, &cursor, 0, ErrorKind::InvalidCursor),
            (b"key", "query", 10, cursor.get(1..).unwrap(), 0, ErrorKind::InvalidCursor),
            (b"key", "query", 10, "", 0, ErrorKind::InvalidCursor),
            (b"key", "query", 10, "!", 0, ErrorKind::InvalidCursor),
            (b"key", "query", 10, &cursor, CURSOR_TIMEOUT_SECONDS + 1, ErrorKind::ExpiredCursor),
            (b"key", "query", 11, &cursor, 0, ErrorKind::InvalidCount),
        ] {
            assert_eq!(
                open(key, query, count, cursor, later(seconds)),
                Err(expected),
                "{query} {count} {cursor}"
            );
        }
    }
}
