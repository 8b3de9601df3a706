//! Tables: columns as wide as their content, on a terminal at most as wide as the terminal. There, a long cell is cut and ends
//! with `…`. Names come from clients, so cells are escaped.

use std::sync::atomic::{AtomicBool, Ordering};

use comfy_table::presets::NOTHING;
use comfy_table::{ColumnConstraint, Row, Width};
use console::{Style, Term, style};
use runtime::escape::escape;

use crate::failure::Failure;
use crate::output::{count, format_number, print_exactly};

/// The spaces between two columns.
const GAP: u16 = 2;
/// A terminal without a width, and `--wide`, cut nothing.
const UNLIMITED: u16 = u16::MAX;
/// No column is cut to less, even if the table is then wider than the terminal.
const NARROWEST: u16 = 8;

/// Columns that are never cut, because a part of a value is useless.
const WHOLE: [&str; 3] = ["CREDENTIAL", "ID", "TIME (UTC)"];

/// Whether `--wide` is given.
static IS_WIDE: AtomicBool = AtomicBool::new(false);

/// Prints all tables without cutting cells.
pub fn set_wide() {
    IS_WIDE.store(true, Ordering::Relaxed);
}

/// A table that can be printed in parts, so that a large directory does not fill the memory.
pub struct Table {
    heading: Option<Vec<String>>,
    /// Whether each column is never cut.
    is_whole: Vec<bool>,
    /// The widths of the columns, which have a part already. They never shrink; on a terminal they never grow either.
    widths: Vec<u16>,
    /// The width of the terminal.
    limit: u16,
}

impl Table {
    /// Makes a table with these headings. They are printed before the first row.
    pub fn new<const N: usize>(heading: [&str; N]) -> Self {
        Self::with_limit(heading, terminal_width())
    }

    fn with_limit<const N: usize>(heading: [&str; N], limit: u16) -> Self {
        let is_whole = heading.iter().map(|name| WHOLE.contains(name)).collect();
        Self { heading: Some(heading.map(str::to_owned).to_vec()), is_whole, widths: Vec::new(), limit }
    }

    /// Prints the next rows.
    pub fn print(&mut self, rows: Vec<Vec<String>>) -> Result<(), Failure> {
        print_exactly(&self.format(rows))
    }

    /// Formats the next rows as lines. Without rows, there is no heading either.
    pub fn format(&mut self, rows: Vec<Vec<String>>) -> String {
        if rows.is_empty() {
            return String::new();
        }
        let heading = self.heading.take();
        let has_heading = heading.is_some();
        let mut table = comfy_table::Table::new();
        // Cells are cut between characters. Without this, they would be cut between words.
        table.load_style(NOTHING).set_truncation_indicator("…").set_delimiter('\n');
        for cells in heading.into_iter().chain(rows) {
            let mut row = Row::from(cells.iter().map(|cell| escape(cell)).collect::<Vec<_>>());
            row.max_height(1);
            table.add_row(row);
        }
        let contents = table.column_max_content_widths();
        if self.limit == UNLIMITED {
            self.widths.resize(contents.len(), 0);
            for (width, content) in self.widths.iter_mut().zip(contents) {
                *width = (*width).max(content);
            }
        } else if self.widths.is_empty() {
            self.widths = fit(contents, &self.is_whole, self.limit);
        }
        for (column, width) in table.column_iter_mut().zip(&self.widths) {
            column.set_padding((0, GAP));
            column.set_constraint(ColumnConstraint::Absolute(Width::Fixed(width.saturating_add(GAP))));
        }
        let mut out = String::new();
        for (number, line) in table.lines().enumerate() {
            let line = line.trim_end();
            match has_heading && number == 0 {
                true => out.push_str(&style(line).bold().to_string()),
                false => out.push_str(line),
            }
            out.push('\n');
        }
        out
    }
}

/// Prints the last line of a list: `2 users, and 1 hidden (--hidden)`.
pub fn print_total(shown: usize, hidden: usize, singular: &str, plural: &str) -> Result<(), Failure> {
    let mut total = count(shown, singular, plural);
    if hidden > 0 {
        total.push_str(&format!(", and {} hidden (--hidden)", format_number(hidden)));
    }
    print_exactly(&format!("{}\n", Style::new().dim().apply_to(total)))
}

/// Reduces the widest columns until all fit.
fn fit(mut widths: Vec<u16>, is_whole: &[bool], limit: u16) -> Vec<u16> {
    let gaps = GAP * u16::try_from(widths.len().saturating_sub(1)).unwrap_or(u16::MAX / GAP);
    let room = usize::from(limit.saturating_sub(gaps));
    while widths.iter().copied().map(usize::from).sum::<usize>() > room {
        let columns = widths.iter_mut().zip(is_whole).filter(|(_, is_whole)| !**is_whole);
        match columns.map(|(width, _)| width).max() {
            Some(widest) if *widest > NARROWEST => *widest -= 1,
            _ => break,
        }
    }
    widths
}

fn terminal_width() -> u16 {
    let terminal = Term::stdout();
    if IS_WIDE.load(Ordering::Relaxed) || !terminal.is_term() {
        return UNLIMITED;
    }
    terminal.size_checked().map_or(UNLIMITED, |(_, columns)| columns)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows<const C: usize, const R: usize>(rows: [[&str; C]; R]) -> Vec<Vec<String>> {
        rows.map(|row| row.map(str::to_owned).to_vec()).to_vec()
    }

    #[test]
    fn columns_of_later_rows_keep_their_widths_or_grow() {
        let mut table = Table::with_limit(["NAME", "ID"], UNLIMITED);
        assert_eq!(table.format(rows([["ann", "1"]])), "NAME  ID\nann   1\n");
        assert_eq!(table.format(rows([["bo", "2"], ["carla", "3"]])), "bo     2\ncarla  3\n");
        assert_eq!(table.format(rows([["bo", "4"]])), "bo     4\n");
    }

    #[test]
    fn columns_are_aligned_after_their_cells_are_escaped() {
        let mut table = Table::with_limit(["NAME", "ID"], UNLIMITED);
        let lines = table.format(rows([["a\u{1b}\n", "1"], ["\u{202e}é", "2"], ["ann", "3"]]));
        assert_eq!(lines, "NAME       ID\na\\u{1b}\\n  1\n\\u{202e}é  2\nann        3\n");
    }

    #[test]
    fn wide_characters_take_two_columns() {
        let mut table = Table::with_limit(["NAME", "ID"], UNLIMITED);
        let lines = table.format(rows([["山田", "1"], ["🦀", "2"], ["ann", "3"]]));
        assert_eq!(lines, "NAME  ID\n山田  1\n🦀    2\nann   3\n");
    }

    #[test]
    fn long_cells_are_cut_to_the_width_of_the_terminal() {
        let mut table = Table::with_limit(["NAME", "GROUPS", "ID"], 24);
        let lines = table.format(rows([["ann", "Sales, Marketing, 山田山田", "1"]]));
        assert_eq!(lines, "NAME  GROUPS          ID\nann   Sales, Market…  1\n");
        assert_eq!(
            table.format(rows([["a very long name", "日本日本日本日本", "2"]])),
            "a v…  日本日本日本…   2\n"
        );
        let mut narrow = Table::with_limit(["NAME", "GROUPS"], 5);
        assert_eq!(narrow.format(rows([["ann", "Sales, Marketing"]])), "NAME  GROUPS\nann   Sales, …\n");
    }

    #[test]
    fn ids_are_never_cut() {
        let mut table = Table::with_limit(["NAME", "ID"], 20);
        let lines = table.format(rows([["a very long name", "0123456789abcdef"]]));
        assert_eq!(lines, "NAME      ID\na very …  0123456789abcdef\n");
    }

    #[test]
    fn table_without_rows_is_empty() {
        assert_eq!(Table::with_limit(["NAME"], UNLIMITED).format(Vec::new()), "");
    }
}
