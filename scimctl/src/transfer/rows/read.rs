//! Reads the rows of a file, each with the line at which it begins.

use serde_json::Value;

use super::cell::from_cell;
use super::{Format, Row, csv_failure};
use crate::failure::{Failure, fail};
use crate::output::count;

/// The rows of a file with their line numbers. A row that cannot be read is an error, and the rows after it are still read.
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
    Box::new(lines.map(|(number, line)| (number, serde_json::from_slice(line).map_err(json_failure))))
}

/// Describes a line that is not a JSON object. The parser sees only this line, so its own line number is always 1.
fn json_failure(error: serde_json::Error) -> Failure {
    let text = error.to_string();
    let reason = text.split(" at line ").next().unwrap_or(&text);
    Failure(format!("the row is not a JSON object: {reason} at column {}", error.column()))
}

fn read_csv(text: &[u8]) -> Result<Rows<'_>, Failure> {
    let mut csv = csv::ReaderBuilder::new().flexible(true).from_reader(text);
    let heading: Vec<String> =
        csv.headers().map_err(csv_failure)?.iter().map(|column| column.trim().to_owned()).collect();
    let (mut line, mut counted) = (1, 0);
    // The parser's position of a record can be before the end of the previous line and before blank lines. Skip them.
    let mut line_at = move |position: usize| {
        let blank = text.iter().skip(position).take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        let between = text.get(counted..position + blank).unwrap_or_default();
        line += between.iter().filter(|byte| **byte == b'\n').count();
        counted = position + blank;
        line
    };
    Ok(Box::new(csv.into_byte_records().map(move |record| match record {
        Ok(record) => {
            let position = record.position().map_or(0, csv::Position::byte);
            (line_at(usize::try_from(position).unwrap_or(usize::MAX)), to_row(&heading, record))
        }
        Err(error) => (line, Err(csv_failure(error))),
    })))
}

fn to_row(heading: &[String], record: csv::ByteRecord) -> Result<Row, Failure> {
    if record.len() != heading.len() {
        return fail(format!(
            "the row has {}, but the heading has {}",
            count(record.len(), "cell", "cells"),
            heading.len()
        ));
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
    fn rows_have_the_number_of_the_line_at_which_they_begin() {
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

    #[test]
    fn errors_name_what_is_wrong_in_the_row() {
        for (text, format, expected) in [
            ("{\"name\": x}", Format::JsonLines, "the row is not a JSON object: expected value at column 10"),
            ("a,b\n1", Format::Csv, "the row has 1 cell, but the heading has 2"),
        ] {
            let rows: Vec<_> = read(text.as_bytes(), format).unwrap().collect();
            let [(_, Err(Failure(error)))] = &rows[..] else { panic!("{text}") };
            assert_eq!(error, expected);
        }
    }
}
