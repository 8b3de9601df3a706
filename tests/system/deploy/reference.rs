//! The generated pages of `docs/reference/` agree with the code, and the catalogue of errors has only texts that the code has.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use tests::reference::{errors, outdated};
use tests::workspace;

#[test]
fn generated_pages_are_up_to_date() {
    let paths: Vec<&str> = outdated().into_iter().map(|(path, _)| path).collect();
    assert_eq!(paths, [""; 0], "run `make reference` and commit what it writes");
}

#[test]
fn every_error_in_the_catalogue_is_in_the_code() {
    let mut in_code = BTreeSet::new();
    for folder in ["shared", "service", "directory", "local", "functions"] {
        add_texts(&workspace().join(folder).join("src"), &mut in_code);
    }
    let stale: Vec<&str> =
        errors::details().into_iter().filter(|detail| !in_code.contains(&fixed_parts(detail))).collect();
    assert_eq!(stale, [""; 0], "no text in the code is like these: correct tests/src/reference/errors/");
}

/// Adds the fixed parts of each text in the Rust files of a folder, without those in unit tests.
fn add_texts(folder: &Path, found: &mut BTreeSet<Vec<String>>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            add_texts(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let code = fs::read_to_string(&path).unwrap();
            let code = code.split("#[cfg(test)]").next().unwrap();
            found.extend(texts(code).iter().map(|text| fixed_parts(text)));
        }
    }
}

/// The text literals of Rust code, as they are when it runs.
fn texts(code: &str) -> Vec<String> {
    let mut texts = Vec::new();
    let code: String = code
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .map(|line| format!("{line}\n"))
        .collect();
    let mut characters = code.chars().peekable();
    while let Some(character) = characters.next() {
        if character == '\'' {
            // A quotation mark as a character: '"' or '\"'.
            let is_escape = characters.peek() == Some(&'\\');
            if is_escape {
                characters.next();
            }
            if characters.peek() == Some(&'"') {
                characters.next();
            }
        }
        if character != '"' {
            continue;
        }
        let mut text = String::new();
        while let Some(character) = characters.next_if(|character| *character != '"') {
            if character != '\\' {
                text.push(character);
                continue;
            }
            match characters.next() {
                // A line that ends with a backslash goes on at the first character of the next one that is no space.
                Some('\n') => while characters.next_if(|character| character.is_whitespace()).is_some() {},
                Some(character) => text.push(character),
                None => {}
            }
        }
        characters.next();
        texts.push(text);
    }
    texts
}

/// The parts of a text outside braces.
fn fixed_parts(text: &str) -> Vec<String> {
    errors::literals(text).into_iter().filter(|part| !part.is_empty()).collect()
}

#[test]
fn texts_are_read_as_the_compiler_reads_them() {
    let code =
        "let a = format!(\"a {} \\\"b\\\" \\\n    c\"); // \"no\"?\n// \"comment\"\nlet b = ('\"', \"d\");";
    assert_eq!(texts(code), ["a {} \"b\" c", "no", "d"]);
}
