//! What commands print: lines, facts, JSON, counts and times. Names come from clients, so everything is escaped before it is
//! printed.

use std::io::Write as _;

use console::StyledObject;
use jiff::Timestamp;
use runtime::escape::{escape, escape_json, escape_lines};
use serde::Serialize;

use crate::failure::Failure;

/// Prints one line to standard output. A line end in it is escaped.
pub fn print(line: &str) -> Result<(), Failure> {
    print_exactly(&format!("{}\n", escape(line)))
}

/// Prints one line that begins with a mark in a colour. Without a terminal, or with NO_COLOR, there is no colour.
pub fn print_marked(mark: StyledObject<&str>, line: &str) -> Result<(), Failure> {
    print_exactly(&format!("{mark}{}\n", escape(line)))
}

/// Prints lines to standard output. The caller has escaped the line ends in values.
pub fn print_lines(text: &str) -> Result<(), Failure> {
    let end = if text.ends_with('\n') { "" } else { "\n" };
    print_exactly(&format!("{}{end}", escape_lines(text)))
}

/// Prints a value as one line of JSON to standard output.
pub fn print_json(value: &impl Serialize) -> Result<(), Failure> {
    print_exactly(&format!("{}\n", escape_json(&serde_json::to_string(value)?)))
}

/// Prints a text that another program reads to standard output, without escapes.
pub fn print_exactly(text: &str) -> Result<(), Failure> {
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        // The reader, such as `head`, closes the pipe when it has read enough.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        result => Ok(result?),
    }
}

/// Prints a line to standard error, so that it does not get into the output.
pub fn print_note(line: &str) {
    // If standard error is closed, there is no other place to print to.
    let _ = writeln!(std::io::stderr(), "{}", escape(line));
}

/// Formats labels and their values in two columns.
pub fn format_facts<const N: usize>(facts: [(&str, String); N]) -> String {
    format_fact_list(&facts)
}

/// Formats a list of labels and their values in two columns.
pub fn format_fact_list(facts: &[(&str, String)]) -> String {
    let width = facts.iter().map(|(label, _)| label.len()).max().unwrap_or_default();
    facts.iter().map(|(label, value)| format!("{label:width$}  {}\n", escape(value))).collect()
}

/// Formats a number with its noun: `1 user`, `2,000 users`.
pub fn count(number: usize, singular: &str, plural: &str) -> String {
    format!("{} {}", format_number(number), if number == 1 { singular } else { plural })
}

/// Formats a number with a comma before each three digits: `12,000`.
pub fn format_number(number: usize) -> String {
    let digits = number.to_string();
    let mut formatted = String::new();
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            formatted.push(',');
        }
        formatted.push(digit);
    }
    formatted
}

/// Formats a time to the minute, in UTC.
pub fn format_time(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nouns_agree_with_their_numbers() {
        let counts = [0, 1, 2, 999, 1_000, 1_234_567].map(|number| count(number, "entry", "entries"));
        let expected =
            ["0 entries", "1 entry", "2 entries", "999 entries", "1,000 entries", "1,234,567 entries"];
        assert_eq!(counts, expected);
    }

    #[test]
    fn times_name_their_zone() {
        assert_eq!(format_time(Timestamp::UNIX_EPOCH), "1970-01-01 00:00 UTC");
    }
}
