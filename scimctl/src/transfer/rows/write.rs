//! Writes rows to a file or to standard output.

use std::io::Write;

use serde::Serialize;
use serde_json::Value;

use super::cell::to_cell;
use super::{Format, csv_failure, to_row};
use crate::failure::Failure;

/// A file that is being written.
pub enum Writer {
    /// CSV.
    Csv(Box<csv::Writer<Box<dyn Write>>>),
    /// JSON Lines.
    JsonLines(Box<dyn Write>),
}

impl Writer {
    /// Begins a file of these columns.
    pub fn new(out: Box<dyn Write>, format: Format, columns: &[String]) -> Result<Self, Failure> {
        match format {
            Format::JsonLines => Ok(Self::JsonLines(out)),
            Format::Csv => {
                let mut csv = csv::Writer::from_writer(out);
                csv.write_record(columns).map_err(csv_failure)?;
                Ok(Self::Csv(Box::new(csv)))
            }
        }
    }

    /// Writes a row.
    pub fn write(&mut self, row: &impl Serialize) -> Result<(), Failure> {
        let row = to_row(row)?;
        match self {
            Self::Csv(csv) => csv.write_record(row.values().map(to_cell)).map_err(csv_failure),
            Self::JsonLines(out) => Ok(writeln!(out, "{}", Value::Object(row))?),
        }
    }

    /// Flushes the rows that are still in memory.
    pub fn finish(self) -> Result<(), Failure> {
        match self {
            Self::Csv(mut csv) => Ok(csv.flush()?),
            Self::JsonLines(mut out) => Ok(out.flush()?),
        }
    }
}
