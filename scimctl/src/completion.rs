//! Completion of command lines in a shell. Besides commands and options, it knows the connectors of the table that the command line
//! names.

use std::ffi::OsString;
use std::time::Duration;

use clap::{Arg, Args as _, Command, CommandFactory as _, FromArgMatches as _};
use clap_complete::env::Shells;
use clap_complete::{ArgValueCandidates, CompleteEnv, CompletionCandidate, Shell};
use tokio::runtime::Builder;
use tokio::time::timeout;

use crate::Arguments;
use crate::context::Context;
use crate::failure::{Failure, fail};
use crate::output::print_exactly;
use crate::place::TableLocation;

/// The variable with which the script in a shell asks for candidates.
const VARIABLE: &str = "COMPLETE";
/// How long a shell waits for the connectors. After that, none is suggested.
const TIME: Duration = Duration::from_secs(2);

/// Prints the candidates and ends the process, if a shell asks for them.
pub fn complete() {
    CompleteEnv::with_factory(|| with_connectors(Arguments::command())).complete();
}

/// Prints the script for a shell.
pub fn print_script(shell: Shell) -> Result<(), Failure> {
    let shells = Shells::builtins();
    let Some(completer) = shells.completer(&shell.to_string()) else {
        return fail(format!("there is no completion for {shell}"));
    };
    let mut script = Vec::new();
    match completer.write_registration(VARIABLE, "scimctl", "scimctl", "scimctl", &mut script) {
        Ok(()) => print_exactly(&String::from_utf8_lossy(&script)),
        Err(error) => fail(format!("the script cannot be written: {error}")),
    }
}

fn with_connectors(command: Command) -> Command {
    command.mut_subcommands(|noun| {
        let name = if noun.get_name() == "connector" { "id" } else { "connector" };
        with_candidates(noun, name)
    })
}

/// Adds the candidates to the argument of this name, and to those of the commands below.
fn with_candidates(command: Command, name: &'static str) -> Command {
    let complete = |argument: Arg| match argument.get_id() == name && argument.is_positional() {
        true => argument.add(ArgValueCandidates::new(connectors)),
        false => argument,
    };
    command.mut_args(complete).mut_subcommands(|command| with_candidates(command, name))
}

/// The ids of the connectors; none if the table cannot be read.
fn connectors() -> Vec<CompletionCandidate> {
    let Ok(runtime) = Builder::new_current_thread().enable_all().build() else { return Vec::new() };
    let place = place(std::env::args_os());
    let ids = runtime.block_on(async { timeout(TIME, read_connectors(&place)).await });
    let ids = ids.ok().and_then(Result::ok).unwrap_or_default();
    ids.into_iter().map(CompletionCandidate::new).collect()
}

async fn read_connectors(place: &[OsString]) -> Result<Vec<String>, Failure> {
    let options = TableLocation::augment_args(Command::new("scimctl"));
    let options = options.try_get_matches_from(place).map_err(|error| Failure(error.to_string()))?;
    let location = TableLocation::from_arg_matches(&options).map_err(|error| Failure(error.to_string()))?;
    let connectors = Context::new(location, false).await?.table().connectors().await?;
    Ok(connectors.into_iter().map(|connector| connector.id.to_string()).collect())
}

/// The name of the program, and the options that say where the table is.
fn place(words: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut words = words.peekable();
    let mut place: Vec<OsString> = words.next().into_iter().collect();
    while let Some(word) = words.next() {
        let text = word.to_string_lossy();
        let (name, value) = text.split_once('=').map_or((&*text, None), |(name, value)| (name, Some(value)));
        if ["--table", "--endpoint", "--local"].contains(&name) {
            let has_value = value.is_some();
            place.push(word);
            place.extend(words.next_if(|_| !has_value));
        }
    }
    place
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn place_is_in_the_options_of_the_table_wherever_they_are() {
        let words = "scimctl -- scimctl connector --local=a show --table b okta --endpoint";
        let found = place(words.split(' ').map(OsString::from));
        assert_eq!(found, ["scimctl", "--local=a", "--table", "b", "--endpoint"]);
    }
}
