//! Files of rows: `.csv`, with a heading, or `.jsonl`, an object of JSON a line. What is written is read as it was.

use std::io::Write;
use std::path::Path;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::context::{Failure, fail};

/// What stands between several names in one cell.
const BETWEEN: char = ';';

/// The values of a row by the names of their columns.
pub type Row = Map<String, Value>;

/// How a file holds rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A line of cells a row, below a heading.
    Csv,
    /// An object of JSON a line.
    JsonLines,
}

impl Format {
    /// The format of a file of this name.
    pub fn of(file: &Path) -> Result<Self, Failure> {
        match file.extension().and_then(|extension| extension.to_str()) {
            Some("csv") => Ok(Self::Csv),
            Some("jsonl" | "ndjson") => Ok(Self::JsonLines),
            _ => fail(format!("{} ends in neither .csv nor .jsonl", file.display())),
        }
    }
}

/// The columns of a kind of row: its fields in their order.
pub fn columns_of<T: Default + Serialize>() -> Result<Vec<String>, Failure> {
    Ok(to_row(&T::default())?.into_iter().map(|(column, _)| column).collect())
}

fn to_row(row: &impl Serialize) -> Result<Row, Failure> {
    match serde_json::to_value(row) {
        Ok(Value::Object(row)) => Ok(row),
        Ok(other) => fail(format!("{other} is no row")),
        Err(error) => fail(error),
    }
}

/// Where rows go.
pub enum Writer {
    /// Cells.
    Csv(Box<csv::Writer<Box<dyn Write>>>),
    /// Lines of JSON.
    JsonLines(Box<dyn Write>),
}

impl Writer {
    /// Begins a file of these columns.
    pub fn new(out: Box<dyn Write>, format: Format, columns: &[String]) -> Result<Self, Failure> {
        match format {
            Format::JsonLines => Ok(Self::JsonLines(out)),
            Format::Csv => {
                let mut csv = csv::Writer::from_writer(out);
                csv.write_record(columns).map_err(of_csv)?;
                Ok(Self::Csv(Box::new(csv)))
            }
        }
    }

    /// Writes a row.
    pub fn write(&mut self, row: &impl Serialize) -> Result<(), Failure> {
        let row = to_row(row)?;
        match self {
            Self::Csv(csv) => csv.write_record(row.values().map(to_cell)).map_err(of_csv),
            Self::JsonLines(out) => Ok(writeln!(out, "{}", Value::Object(row))?),
        }
    }

    /// Ends the file.
    pub fn finish(self) -> Result<(), Failure> {
        match self {
            Self::Csv(mut csv) => Ok(csv.flush()?),
            Self::JsonLines(mut out) => Ok(out.flush()?),
        }
    }
}

fn of_csv(error: csv::Error) -> Failure {
    Failure(error.to_string())
}

fn to_cell(value: &Value) -> String {
    let cell = match value {
        Value::String(text) => text.clone(),
        Value::Array(names) => join(names.iter().filter_map(Value::as_str)),
        _ => String::new(),
    };
    if is_formula(&cell) { format!("'{cell}") } else { cell }
}

fn from_cell(cell: &str) -> &str {
    cell.strip_prefix('\'').filter(|cell| is_formula(cell)).unwrap_or(cell)
}

/// Whether spreadsheets may take a cell for a formula, or would if it lost an apostrophe or more.
fn is_formula(cell: &str) -> bool {
    cell.trim_start_matches('\'').starts_with(['=', '+', '-', '@'])
}

/// Several names in one cell. A backslash stands before what is part of a name.
fn join<'n>(names: impl Iterator<Item = &'n str>) -> String {
    let names: Vec<_> = names.map(|name| name.replace('\\', "\\\\").replace(BETWEEN, "\\;")).collect();
    names.join(";")
}

/// The names in a cell. A backslash before anything else is part of a name, as in `CORP\ann`.
fn split(cell: &str) -> Vec<String> {
    let mut names = vec![String::new()];
    let mut rest = cell.chars().peekable();
    while let Some(c) = rest.next() {
        if c == BETWEEN {
            names.push(String::new());
            continue;
        }
        let escaped = (c == '\\').then(|| rest.next_if(|c| [BETWEEN, '\\'].contains(c))).flatten();
        if let Some(name) = names.last_mut() {
            name.push(escaped.unwrap_or(c));
        }
    }
    names.retain(|name| !name.trim().is_empty());
    names
}

/// The text in a column; `None` where there is no such column.
pub fn text(row: &Row, column: &str) -> Result<Option<String>, Failure> {
    match row.get(column) {
        None => Ok(None),
        Some(Value::Null) => Ok(Some(String::new())),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(other) => fail(format!("{column} is {other}, and must be a text")),
    }
}

/// The names in a column; `None` where there is no such column.
pub fn names(row: &Row, column: &str) -> Result<Option<Vec<String>>, Failure> {
    let none =
        || Failure(format!("{column} is neither a list of names nor a text with {BETWEEN} between them"));
    match row.get(column) {
        None => Ok(None),
        Some(Value::Null) => Ok(Some(Vec::new())),
        Some(Value::String(cell)) => Ok(Some(split(cell))),
        Some(Value::Array(names)) => {
            let texts = names.iter().map(|name| name.as_str().map(str::to_owned));
            texts.collect::<Option<_>>().map(Some).ok_or_else(none)
        }
        Some(_) => Err(none()),
    }
}

/// The rows of a file, each with the line that it begins at; or why it is none.
pub type Rows<'t> = Box<dyn Iterator<Item = (usize, Result<Row, Failure>)> + 't>;

/// Reads the rows of a file.
pub fn read(text: &[u8], format: Format) -> Result<Rows<'_>, Failure> {
    match format {
        Format::Csv => read_csv(text),
        Format::JsonLines => Ok(read_json_lines(text)),
    }
}

fn read_json_lines(text: &[u8]) -> Rows<'_> {
    let lines = (1..).zip(text.split(|byte| *byte == b'\n'));
    let lines = lines.filter(|(_, line)| !line.trim_ascii().is_empty());
    let to_row = |line| serde_json::from_slice(line).map_err(|error| Failure(error.to_string()));
    Box::new(lines.map(move |(number, line)| (number, to_row(line))))
}

fn read_csv(text: &[u8]) -> Result<Rows<'_>, Failure> {
    let mut csv = csv::ReaderBuilder::new().flexible(true).from_reader(text);
    let heading: Vec<String> =
        csv.headers().map_err(of_csv)?.iter().map(|column| column.trim().to_owned()).collect();
    let (mut line, mut passed) = (1, 0);
    // Where the parser says a record begins, the end of the line before and blank lines may still be to come.
    let mut line_at = move |position: usize| {
        let blank = text.iter().skip(position).take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        let between = text.get(passed..position + blank).unwrap_or_default();
        line += between.iter().filter(|byte| **byte == b'\n').count();
        passed = position + blank;
        line
    };
    Ok(Box::new(csv.into_byte_records().map(move |record| match record {
        Ok(record) => {
            let position = record.position().map_or(0, csv::Position::byte);
            (line_at(usize::try_from(position).unwrap_or(usize::MAX)), to_row_of(&heading, record))
        }
        Err(error) => (line, Err(of_csv(error))),
    })))
}

fn to_row_of(heading: &[String], record: csv::ByteRecord) -> Result<Row, Failure> {
    if record.len() != heading.len() {
        return fail(format!("the row has {} cells, and the heading {}", record.len(), heading.len()));
    }
    let record = csv::StringRecord::from_byte_record(record)
        .map_err(|error| Failure(format!("the row is not UTF-8: {error}")))?;
    let cells = record.iter().map(|cell| Value::from(from_cell(cell)));
    Ok(heading.iter().cloned().zip(cells).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_a_cell_are_read_as_they_were_written() {
        for (names, cell) in [
            (&["a", "b"][..], "a;b"),
            (&["a;b", "c"], "a\\;b;c"),
            (&["CORP\\ann", "x\\"], "CORP\\\\ann;x\\\\"),
            (&["\\;"], "\\\\\\;"),
            (&[], ""),
        ] {
            assert_eq!(join(names.iter().copied()), cell);
            assert_eq!(split(cell), names);
        }
        assert_eq!(split("CORP\\ann; bob;;"), ["CORP\\ann", " bob"]);
    }

    #[test]
    fn no_cell_is_a_formula_and_each_is_read_as_it_was() {
        for text in ["=1+1", "+49", "-x", "@x", "'=x", "''@x", "'x", "a=b", "", "'"] {
            let cell = to_cell(&Value::from(text));
            assert!(!cell.starts_with(['=', '+', '-', '@']), "{cell}");
            assert_eq!(from_cell(&cell), text);
        }
        assert_eq!((to_cell(&Value::from("=x")), to_cell(&Value::from("'x"))), ("'=x".into(), "'x".into()));
    }

    #[test]
    fn a_row_is_at_the_line_where_it_begins() {
        let lines = |text: &str, format| -> Vec<usize> {
            read(text.as_bytes(), format).unwrap().map(|(line, _)| line).collect()
        };
        for end in ["\n", "\r\n"] {
            let text = ["", "a,b", "1,2", "", "", "\"3", "3\",4", "5,6"].join(end);
            assert_eq!(lines(&text, Format::Csv), [3, 6, 8], "{end:?}");
            let text = ["", "{}", "", "x", "{}"].join(end);
            assert_eq!(lines(&text, Format::JsonLines), [2, 4, 5], "{end:?}");
        }
    }
}
