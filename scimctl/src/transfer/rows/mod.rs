//! Files of rows: `.csv` with a heading, or `.jsonl` with one JSON object on each line. Reading a written file returns the same
//! values.

mod cell;
mod read;
mod write;

use std::path::Path;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::failure::{Failure, fail};

pub use read::{Rows, read};
pub use write::Writer;

/// The values of a row, by the names of their columns.
pub type Row = Map<String, Value>;

/// The format of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A heading, and one line of cells for each row.
    Csv,
    /// One JSON object on each line.
    JsonLines,
}

impl Format {
    /// Chooses the format by the extension of the file name.
    pub fn of(file: &Path) -> Result<Self, Failure> {
        match file.extension().and_then(|extension| extension.to_str()) {
            Some("csv") => Ok(Self::Csv),
            Some("jsonl" | "ndjson") => Ok(Self::JsonLines),
            _ => fail(format!("{}: the file name must end in .csv, .jsonl or .ndjson", file.display())),
        }
    }
}

/// The columns of a type of row: the names of its fields, in their order.
pub fn columns_of<T: Default + Serialize>() -> Result<Vec<String>, Failure> {
    Ok(to_row(&T::default())?.into_iter().map(|(column, _)| column).collect())
}

fn to_row(row: &impl Serialize) -> Result<Row, Failure> {
    match serde_json::to_value(row)? {
        Value::Object(row) => Ok(row),
        other => fail(format!("{other} is not a JSON object")),
    }
}

/// Reads the text in a column. Returns `None` when the file has no such column.
pub fn text(row: &Row, column: &str) -> Result<Option<String>, Failure> {
    match row.get(column) {
        None => Ok(None),
        Some(Value::Null) => Ok(Some(String::new())),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(other) => fail(format!("{column} is {other}, and must be a string")),
    }
}

/// Reads the names in a column. Returns `None` when the file has no such column.
pub fn names(row: &Row, column: &str) -> Result<Option<Vec<String>>, Failure> {
    let wrong = |value: &Value| {
        let separator = cell::SEPARATOR;
        Failure(format!(
            "{column} is {value}, and must be an array of names or a string of names separated by {separator}"
        ))
    };
    match row.get(column) {
        None => Ok(None),
        Some(Value::Null) => Ok(Some(Vec::new())),
        Some(Value::String(text)) => Ok(Some(cell::split_names(text))),
        Some(value @ Value::Array(names)) => {
            let texts = names.iter().map(|name| name.as_str().map(str::to_owned));
            texts.collect::<Option<_>>().map(Some).ok_or_else(|| wrong(value))
        }
        Some(value) => Err(wrong(value)),
    }
}

fn csv_failure(error: csv::Error) -> Failure {
    Failure(error.to_string())
}
