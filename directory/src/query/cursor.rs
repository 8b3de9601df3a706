//! Cursors (RFC 9865): a place in the order of a query, sealed so that only this connector's next request for the same
//! query can use it.
//!
//! A cursor is base64url of a MAC and of the JSON that it protects, so it holds unreserved characters only.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use super::Position;
use shared::error::{ErrorKind, ScimError};

/// For so many seconds a cursor can be used.
pub const CURSOR_TIMEOUT_SECONDS: i64 = 3_600;

const MAC_LENGTH: usize = 16;

#[derive(Deserialize, Serialize)]
struct Sealed {
    /// When it was made, in seconds.
    at: i64,
    /// The page size that it goes on with.
    count: usize,
    /// Where the last page ended.
    position: Position,
}

/// Makes a cursor. `query` is everything that the next request must repeat, but for the count.
///
/// # Errors
/// Never for a key of any length; only if the position could not be written as JSON.
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

/// Opens a cursor.
///
/// # Errors
/// `invalidCursor` unless it was made with this key for this query, `expiredCursor` when that was too long ago,
/// `invalidCount` when the page size is another (RFC 9865 §2.1).
pub fn open(
    key: &[u8],
    query: &str,
    count: usize,
    cursor: &str,
    now: Timestamp,
) -> Result<Position, ScimError> {
    let invalid =
        || ScimError::new(ErrorKind::InvalidCursor, "The cursor is not one that was given for this query");
    let bytes = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| invalid())?;
    let (tag, body) = bytes.split_at_checked(MAC_LENGTH).ok_or_else(invalid)?;
    mac(key, query, body)?.verify_truncated_left(tag).map_err(|_| invalid())?;
    let sealed: Sealed = serde_json::from_slice(body).map_err(|_| invalid())?;
    if now.as_second() - sealed.at > CURSOR_TIMEOUT_SECONDS {
        let detail =
            format!("The cursor is older than {CURSOR_TIMEOUT_SECONDS} seconds; begin again without one");
        return Err(ScimError::new(ErrorKind::ExpiredCursor, detail));
    }
    if sealed.count != count {
        let detail = format!("count is {count}, and was {} on the first page", sealed.count);
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
    fn a_cursor_opens_for_whom_and_as_long_as_it_was_made() {
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
