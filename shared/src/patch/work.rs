//! The work of a PATCH. Operations and values that a PATCH combines can multiply, so the work is counted before it is
//! done.

use serde_json::Value;

use crate::error::{ErrorKind, ScimError};
use crate::limits::{MAX_PATCH_COPIED_BYTES, MAX_PATCH_VISITS};

/// The number of bytes of a text that count as one visit.
const BYTES_OF_A_VISIT: usize = 64;

/// Counts the values that the operations of a PATCH visit.
#[derive(Debug, Default)]
pub struct Work {
    visits: usize,
}

impl Work {
    /// Counts visits that an operation is about to make.
    ///
    /// # Errors
    /// 413 if the PATCH makes more visits than [`MAX_PATCH_VISITS`].
    pub fn add(&mut self, visits: usize) -> Result<(), ScimError> {
        self.visits = self.visits.saturating_add(visits);
        if self.visits <= MAX_PATCH_VISITS {
            return Ok(());
        }
        let detail = format!(
            "The operations visit more than {MAX_PATCH_VISITS} values, the maximum; send fewer operations on \
             attributes with many values in one request"
        );
        Err(ScimError::new(ErrorKind::PayloadTooLarge, detail))
    }
}

/// Returns the number of visits that reading a whole value makes.
pub fn visits(value: &Value) -> usize {
    match value {
        Value::String(text) => 1 + text.len() / BYTES_OF_A_VISIT,
        Value::Array(values) => 1 + values.iter().map(visits).sum::<usize>(),
        Value::Object(values) => 1 + values.values().map(visits).sum::<usize>(),
        _ => 1,
    }
}

/// Checks that a value is small enough to be copied into several elements.
///
/// # Errors
/// 413 if the copies are larger than [`MAX_PATCH_COPIED_BYTES`].
pub fn check_copies(value: &Value, copies: usize, name: &str) -> Result<(), ScimError> {
    let size = bytes(value);
    if copies <= 1 || size.saturating_mul(copies) <= MAX_PATCH_COPIED_BYTES {
        return Ok(());
    }
    let detail = format!(
        "A value of {size} bytes would be copied into {copies} elements of {name}; the maximum is \
         {MAX_PATCH_COPIED_BYTES} bytes for all copies"
    );
    Err(ScimError::new(ErrorKind::PayloadTooLarge, detail))
}

/// Returns about the number of bytes of a value as JSON.
fn bytes(value: &Value) -> usize {
    match value {
        Value::String(text) => 2 + text.len(),
        Value::Array(values) => 2 + values.iter().map(|value| 1 + bytes(value)).sum::<usize>(),
        Value::Object(values) => {
            2 + values.iter().map(|(name, value)| 4 + name.len() + bytes(value)).sum::<usize>()
        }
        _ => 4,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn long_texts_count_as_several_visits() {
        for (value, expected) in [
            (json!(null), 1),
            (json!("x".repeat(63)), 1),
            (json!("x".repeat(128)), 3),
            (json!([]), 1),
            (json!([{ "value": "a", "primary": true }, { "value": "b" }]), 6),
        ] {
            assert_eq!(visits(&value), expected, "{value}");
        }
    }

    #[test]
    fn work_is_refused_before_it_passes_the_maximum() {
        let mut work = Work::default();
        assert!(work.add(MAX_PATCH_VISITS).is_ok());
        assert_eq!(work.add(1).unwrap_err().kind, ErrorKind::PayloadTooLarge);
        assert!(Work::default().add(usize::MAX).is_err());
    }

    #[test]
    fn copies_of_a_value_are_limited_together() {
        let value = json!("x".repeat(1022));
        assert!(check_copies(&value, 1024, "emails").is_ok());
        let error = check_copies(&value, 1025, "emails").unwrap_err();
        assert_eq!(
            error.to_string(),
            "413: A value of 1024 bytes would be copied into 1025 elements of emails; the maximum is 1048576 bytes \
             for all copies"
        );
        let long = json!("x".repeat(2 * MAX_PATCH_COPIED_BYTES));
        assert!(check_copies(&long, 1, "emails").is_ok());
    }
}
