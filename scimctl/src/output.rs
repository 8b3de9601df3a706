//! What commands print: lines, tables, JSON, counts and times. Names come from clients, so everything is escaped before it is
//! printed.

use std::io::Write as _;

use jiff::Timestamp;
use runtime::escape::{escape, escape_json, escape_lines};
use serde::Serialize;

use crate::failure::Failure;

/// Prints one line to standard output. A line end in it is escaped.
pub fn print(line: &str) -> Result<(), Failure> {
    print_exactly(&format!("{}\n", escape(line)))
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

/// Formats a table whose columns are as wide as their widest cells.
pub fn format_table(rows: &[Vec<String>]) -> String {
    ColumnWidths::default().format(rows)
}

/// Formats labels and their values in two columns.
pub fn format_facts<const N: usize>(facts: [(&str, String); N]) -> String {
    format_table(&facts.map(|(label, value)| vec![label.to_owned(), value]))
}

/// The column widths of a table that is printed in parts.
#[derive(Default)]
pub struct ColumnWidths(Vec<usize>);

impl ColumnWidths {
    /// Formats the next rows. Columns keep their widths, or grow with wider cells.
    pub fn format(&mut self, rows: &[Vec<String>]) -> String {
        let Self(widths) = self;
        let rows: Vec<Vec<String>> =
            rows.iter().map(|row| row.iter().map(|cell| escape(cell)).collect()).collect();
        widths.resize(rows.iter().map(Vec::len).max().unwrap_or_default().max(widths.len()), 0);
        for row in &rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        let mut out = String::new();
        for row in rows {
            let cells = row.iter().zip(widths.iter().copied());
            let line: String = cells.map(|(cell, width)| format!("{cell:width$}  ")).collect();
            out.push_str(line.trim_end());
            out.push('\n');
        }
        out
    }
}

/// Formats a number with its noun: `1 user`, `2 users`.
pub fn count(number: usize, singular: &str, plural: &str) -> String {
    format!("{number} {}", if number == 1 { singular } else { plural })
}

/// Prints how many entries a list shows and hides, if it hides any.
pub fn print_hidden_count(shown: usize, hidden: usize) -> Result<(), Failure> {
    if hidden == 0 {
        return Ok(());
    }
    print(&format!("{shown} shown, {hidden} hidden (--hidden)"))
}

/// Formats a time to the minute, in UTC.
pub fn format_time(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_of_later_rows_keep_their_widths_or_grow() {
        let rows = |cells: [[&str; 2]; 2]| cells.map(|row| row.map(str::to_owned).to_vec());
        let mut widths = ColumnWidths::default();
        assert_eq!(widths.format(&rows([["NAME", "ID"], ["ann", "1"]])), "NAME  ID\nann   1\n");
        assert_eq!(widths.format(&rows([["bo", "2"], ["carla", "3"]])), "bo     2\ncarla  3\n");
    }

    #[test]
    fn columns_are_aligned_after_their_cells_are_escaped() {
        let rows = [["a\u{1b}\n", "1"], ["\u{202e}é", "2"], ["ann", "3"]];
        let rows = rows.map(|row| row.map(str::to_owned).to_vec());
        assert_eq!(format_table(&rows), "a\\u{1b}\\n  1\n\\u{202e}é  2\nann        3\n");
    }

    #[test]
    fn nouns_agree_with_their_numbers() {
        let counts = [0, 1, 2].map(|number| count(number, "entry", "entries"));
        assert_eq!(counts, ["0 entries", "1 entry", "2 entries"]);
    }

    #[test]
    fn times_name_their_zone() {
        assert_eq!(format_time(Timestamp::UNIX_EPOCH), "1970-01-01 00:00 UTC");
    }
}
