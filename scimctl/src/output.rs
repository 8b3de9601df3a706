//! What commands print: lines, tables, counts and times.

use std::io::Write as _;

use jiff::Timestamp;

use crate::failure::Failure;

/// Prints a text to standard output, and a line end if the text has none.
pub fn print(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    let end = if text.ends_with('\n') { "" } else { "\n" };
    match out.write_all(text.as_bytes()).and_then(|()| out.write_all(end.as_bytes())) {
        // The reader, such as `head`, closes the pipe when it has read enough.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        result => Ok(result?),
    }
}

/// Prints a line to standard error, so that it does not get into the output.
pub fn print_note(text: &str) {
    // If standard error is closed, there is no other place to print to.
    let _ = writeln!(std::io::stderr(), "{text}");
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
            rows.iter().map(|row| row.iter().map(|cell| escape_controls(cell)).collect()).collect();
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

/// Escapes the control characters of a text. A client can send names with control characters that move a terminal's cursor.
pub fn escape_controls(text: &str) -> String {
    let escape = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
    text.chars().map(escape).collect()
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
    fn control_characters_are_escaped() {
        assert_eq!(escape_controls("a\u{1b}[2J\né"), "a\\u{1b}[2J\\né");
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
