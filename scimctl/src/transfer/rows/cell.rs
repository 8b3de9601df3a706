//! The text of a CSV cell.
//!
//! - Several names are separated by `;`. A `;` or `\` in a name is written as `\;` or `\\`.
//! - A part of a cell that a spreadsheet could read as a formula begins with `'`. A part is the cell itself, and what follows a
//!   `;`, a tab or a line end in it: a spreadsheet can split the line there, even in quotes.

use runtime::escape::is_deceptive;
use serde_json::Value;

/// Separates the names in a cell.
pub const SEPARATOR: char = ';';
/// The signs that begin a formula, and their full-width forms.
const SIGNS: [char; 8] = ['=', '+', '-', '@', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}'];

/// Writes a value as a cell.
pub fn to_cell(value: &Value) -> String {
    let cell = match value {
        Value::String(text) => text.clone(),
        Value::Array(names) => join_names(names.iter().filter_map(Value::as_str)),
        _ => String::new(),
    };
    let mut guarded = String::with_capacity(cell.len());
    for_each_part(&cell, |part, is_formula| {
        if is_formula {
            guarded.push('\'');
        }
        guarded.push_str(part);
    });
    guarded
}

/// Reads the text of a cell.
pub fn from_cell(cell: &str) -> String {
    let mut text = String::with_capacity(cell.len());
    for_each_part(cell, |part, is_formula| {
        text.push_str(part.strip_prefix('\'').filter(|_| is_formula).unwrap_or(part));
    });
    text
}

/// Passes each part of a cell, with the character that ends it, and whether a spreadsheet could read the cell from this part
/// on as a formula.
///
/// A spreadsheet can skip white space, invisible characters and quotes before a sign. Apostrophes are skipped too, so that the
/// answer is the same before and after `to_cell` adds one: `from_cell` removes exactly those.
fn for_each_part<'c>(cell: &'c str, mut visit: impl FnMut(&'c str, bool)) {
    let is_skipped = |c: char| c.is_whitespace() || is_deceptive(c) || ['\'', '"'].contains(&c);
    // From the last part to the first, because a part that has only skipped characters depends on the next one.
    let mut parts = Vec::new();
    let mut is_next_formula = false;
    for part in cell.split_inclusive([SEPARATOR, '\t', '\n', '\r']).rev() {
        let rest = part.trim_start_matches(is_skipped);
        let is_formula = if rest.is_empty() { is_next_formula } else { rest.starts_with(SIGNS) };
        is_next_formula = is_formula;
        parts.push((part, is_formula));
    }
    for (part, is_formula) in parts.into_iter().rev() {
        visit(part, is_formula);
    }
}

fn join_names<'n>(names: impl Iterator<Item = &'n str>) -> String {
    let names: Vec<_> = names.map(|name| name.replace('\\', "\\\\").replace(SEPARATOR, "\\;")).collect();
    names.join(";")
}

/// Splits a cell into names. A `\` before any other character is part of the name, as in `CORP\ann`.
pub fn split_names(cell: &str) -> Vec<String> {
    let mut names = vec![String::new()];
    let mut rest = cell.chars().peekable();
    while let Some(c) = rest.next() {
        if c == SEPARATOR {
            names.push(String::new());
            continue;
        }
        let escaped = (c == '\\').then(|| rest.next_if(|c| [SEPARATOR, '\\'].contains(c))).flatten();
        if let Some(name) = names.last_mut() {
            name.push(escaped.unwrap_or(c));
        }
    }
    names.retain(|name| !name.trim().is_empty());
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_survive_a_cell() {
        for (names, cell) in [
            (&["a", "b"][..], "a;b"),
            (&["a;b", "c"], "a\\;b;c"),
            (&["CORP\\ann", "x\\"], "CORP\\\\ann;x\\\\"),
            (&["\\;"], "\\\\\\;"),
            (&[], ""),
        ] {
            assert_eq!(join_names(names.iter().copied()), cell);
            assert_eq!(split_names(cell), names);
        }
        assert_eq!(split_names("CORP\\ann; bob;;"), ["CORP\\ann", " bob"]);
    }

    #[test]
    fn parts_that_could_be_formulas_begin_with_an_apostrophe_and_every_text_survives_a_cell() {
        for (text, cell) in [
            ("=1+1", "'=1+1"),
            ("+49", "'+49"),
            ("-x", "'-x"),
            ("@x", "'@x"),
            ("\u{ff1d}1", "'\u{ff1d}1"),
            ("\u{ff0b}1", "'\u{ff0b}1"),
            ("\u{ff0d}1", "'\u{ff0d}1"),
            ("\u{ff20}x", "'\u{ff20}x"),
            (" =x", "' =x"),
            ("\u{a0}\u{3000}\u{2003}=x", "'\u{a0}\u{3000}\u{2003}=x"),
            ("\u{feff}\0=x", "'\u{feff}\0=x"),
            ("\"=x", "'\"=x"),
            ("\t=x", "'\t'=x"),
            ("\r\n=x", "'\r'\n'=x"),
            ("a;=x", "a;'=x"),
            ("a\t+x", "a\t'+x"),
            ("a\n-x", "a\n'-x"),
            ("a\r @x", "a\r' @x"),
            ("=a;=b;c", "'=a;'=b;c"),
            ("a; \u{ff1d}x", "a;' \u{ff1d}x"),
            ("'=x", "''=x"),
            ("''@x", "'''@x"),
            ("a;'=x", "a;''=x"),
            ("'\t'=x", "''\t''=x"),
            ("'x", "'x"),
            ("a;'x", "a;'x"),
            ("a=b", "a=b"),
            ("a,=b", "a,=b"),
            ("a-b; c", "a-b; c"),
            (";=x", ";'=x"),
            ("'", "'"),
            (";", ";"),
            ("", ""),
        ] {
            assert_eq!(to_cell(&Value::from(text)), cell);
            assert_eq!(from_cell(cell), text);
        }
    }

    #[test]
    fn names_that_could_be_formulas_survive_a_cell() {
        let names = ["a", "=b", ";=c", "\\", "'=d", "\t=e"];
        let cell = to_cell(&Value::from(names.to_vec()));
        assert_eq!(cell, "a;'=b;\\;'=c;\\\\;''=d;'\t'=e");
        assert_eq!(split_names(&from_cell(&cell)), names);
    }
}
