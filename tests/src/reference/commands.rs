//! The page with the help of every command of `scimctl`.

use std::fmt::Write as _;

use super::GENERATED;
use crate::scimctl::help_of_every_command;

/// The options that every command has. The page has them once.
const COMMON: [&str; 2] = ["\nTable options:\n", "\nOutput options:\n"];

pub fn page() -> String {
    let mut page = format!(
        "# Commands of scimctl\n\n{GENERATED}\n\nThe help of every command, as `scimctl COMMAND --help` prints it. \
        The options for the table and the output are the same in all commands,\nso only the first part has them. \
        [scimctl](../operate/scimctl.md) explains how to log in, and has a table of all commands.\n"
    );
    for (command, help) in help_of_every_command() {
        let title = if command.is_empty() { "All commands" } else { &command };
        let help = help.replace("[env: TABLE_NAME=]", "[env: TABLE_NAME]");
        let depth = if command.contains(' ') { "###" } else { "##" };
        let help = if command.is_empty() { help } else { without_common_options(&help) };
        let _ = write!(page, "\n{depth} {title}\n\n```text\n{}\n```\n", help.trim());
    }
    page
}

/// The help without the options that all commands have. A block ends with an empty line.
fn without_common_options(help: &str) -> String {
    let mut help = help.to_owned();
    for title in COMMON {
        if let Some((before, rest)) = help.split_once(title) {
            let after = rest.split_once("\n\n").map_or("", |(_, after)| after);
            help = format!("{before}\n{after}");
        }
    }
    help
}
