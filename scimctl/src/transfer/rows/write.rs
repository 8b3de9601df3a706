//! Writes rows to a file or to standard output.

use std::io::Write;

use csv::QuoteStyle;
use runtime::escape::{escape, escape_json};
use serde::Serialize;
use serde_json::Value;

use super::cell::to_cell;
use super::{Format, csv_failure, to_row};
use crate::failure::Failure;

/// A file that is being written.
pub enum Writer {
    /// CSV.
    Csv {
        /// The file.
        csv: Box<csv::Writer<Box<dyn Write>>>,
        /// Whether a terminal shows it. Then cells are escaped, and an import would read other values.
        is_terminal: bool,
    },
    /// JSON Lines.
    JsonLines(Box<dyn Write>),
}

impl Writer {
    /// Begins a file of these columns.
    pub fn new(
        out: Box<dyn Write>,
        is_terminal: bool,
        format: Format,
        columns: &[String],
    ) -> Result<Self, Failure> {
        match format {
            Format::JsonLines => Ok(Self::JsonLines(out)),
            Format::Csv => {
                // A cell with a `;` or a tab needs quotes too, because a spreadsheet can split a line there.
                let mut csv = csv::WriterBuilder::new().quote_style(QuoteStyle::Always).from_writer(out);
                csv.write_record(columns).map_err(csv_failure)?;
                Ok(Self::Csv { csv: Box::new(csv), is_terminal })
            }
        }
    }

    /// Writes a row.
    pub fn write(&mut self, row: &impl Serialize) -> Result<(), Failure> {
        let row = to_row(row)?;
        match self {
            Self::Csv { csv, is_terminal: true } => {
                csv.write_record(row.values().map(|value| escape(&to_cell(value)))).map_err(csv_failure)
            }
            Self::Csv { csv, is_terminal: false } => {
                csv.write_record(row.values().map(to_cell)).map_err(csv_failure)
            }
            Self::JsonLines(out) => Ok(writeln!(out, "{}", escape_json(&Value::Object(row).to_string()))?),
        }
    }

    /// Flushes the rows that are still in memory.
    pub fn finish(self) -> Result<(), Failure> {
        match self {
            Self::Csv { mut csv, .. } => Ok(csv.flush()?),
            Self::JsonLines(mut out) => Ok(out.flush()?),
        }
    }
}
