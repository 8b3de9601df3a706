//! What commands ask the operator: lines, secrets and confirmations, all on standard input.

use std::io::{BufRead as _, IsTerminal as _, stdin};

use console::Term;

use crate::failure::{Failure, fail};
use crate::output::print_note;

/// Reads one line, without its line end.
pub fn read_line() -> Result<String, Failure> {
    let mut line = String::new();
    stdin().lock().read_line(&mut line)?;
    Ok(line.trim_end_matches(['\n', '\r']).to_owned())
}

/// Reads a secret. At a terminal, asks for it, and does not show what the operator types.
pub fn read_secret(question: &str) -> Result<String, Failure> {
    if !stdin().is_terminal() {
        return read_line();
    }
    print_note(question);
    let terminal = [Term::stderr(), Term::stdout()].into_iter().find(Term::is_term);
    match terminal {
        Some(terminal) => Ok(terminal.read_secure_line()?),
        None => fail(
            "the secret cannot be hidden, because standard error is no terminal; enter it from a file or a pipe",
        ),
    }
}

/// Asks to enter `expected`, unless `--yes` is given. Fails if the operator enters something else.
pub fn confirm(question: &str, expected: &str, is_confirmed: bool) -> Result<(), Failure> {
    if is_confirmed {
        return Ok(());
    }
    print_note(question);
    let entered = read_line()?;
    if entered == expected {
        return Ok(());
    }
    fail(format!("{entered:?} is not {expected}, so nothing is changed"))
}
