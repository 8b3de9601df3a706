//! The text of a CSV cell.
//!
//! - Several names are separated by `;`. A `;` or `\` in a name is written as `\;` or `\\`.
//! - A text that a spreadsheet could read as a formula begins with `'`.

use serde_json::Value;

/// Separates the names in a cell.
pub const SEPARATOR: char = ';';

/// Writes a value as a cell.
pub fn to_cell(value: &Value) -> String {
    let cell = match value {
        Value::String(text) => text.clone(),
        Value::Array(names) => join_names(names.iter().filter_map(Value::as_str)),
        _ => String::new(),
    };
    if is_formula(&cell) { format!("'{cell}") } else { cell }
}

/// Reads the text of a cell.
pub fn from_cell(cell: &str) -> &str {
    cell.strip_prefix('\'').filter(|cell| is_formula(cell)).unwrap_or(cell)
}

/// Whether a spreadsheet could read the cell as a formula. A formula after apostrophes counts, so that `from_cell` removes only
/// an apostrophe that `to_cell` added.
fn is_formula(cell: &str) -> bool {
    cell.trim_start_matches('\'').starts_with(['=', '+', '-', '@'])
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
    fn no_cell_is_a_formula_and_every_text_survives_a_cell() {
        for text in ["=1+1", "+49", "-x", "@x", "'=x", "''@x", "'x", "a=b", "", "'"] {
            let cell = to_cell(&Value::from(text));
            assert!(!cell.starts_with(['=', '+', '-', '@']), "{cell}");
            assert_eq!(from_cell(&cell), text);
        }
        assert_eq!((to_cell(&Value::from("=x")), to_cell(&Value::from("'x"))), ("'=x".into(), "'x".into()));
    }
}
