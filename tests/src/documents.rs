//! The shell commands of README and `docs/`, which a test runs.
//!
//! - Every block of the language `sh` is run, unless the line before it is `<!-- not run: REASON -->`.
//! - `<!-- before: COMMANDS -->` before a block prepares what it needs. The commands can also use the functions in
//!   `documents_prelude.sh`.
//! - The blocks of a page are one session, with one service and one folder. `<!-- fresh -->` begins another session.

use std::fs;
use std::path::Path;

/// A block of shell commands in a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// The number of its first line.
    pub line: usize,
    /// The commands.
    pub commands: String,
    /// The commands that prepare what it needs.
    pub before: String,
    /// Why it is not run.
    pub not_run: Option<String>,
    /// Whether it begins a session.
    pub is_fresh: bool,
}

/// The paths of README and of all pages, relative to the root of the repository.
///
/// # Panics
/// When `docs/` cannot be read.
pub fn pages(root: &Path) -> Vec<String> {
    let mut pages = vec!["README.md".to_owned()];
    let mut folders = vec![root.join("docs")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("docs/ can be read") {
            let path = entry.expect("docs/ can be read").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                let path = path.strip_prefix(root).expect("the page is in the repository");
                pages.push(path.to_str().expect("the path is UTF-8").to_owned());
            }
        }
    }
    pages.sort();
    pages
}

/// The blocks of shell commands of a page.
pub fn blocks(page: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let (mut before, mut not_run, mut is_fresh) = (String::new(), None, false);
    let mut lines = page.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        let text = line.trim();
        if let Some(mut comment) = text.strip_prefix("<!--").map(str::to_owned) {
            while !comment.contains("-->") {
                let Some((_, line)) = lines.next() else { break };
                comment.push('\n');
                comment.push_str(line);
            }
            let comment = comment.split("-->").next().unwrap_or_default().trim();
            match comment.split_once(':') {
                Some(("before", commands)) => before = commands.trim().to_owned(),
                Some(("not run", reason)) => not_run = Some(reason.trim().to_owned()),
                _ if comment == "fresh" => is_fresh = true,
                _ => {}
            }
        } else if let Some(language) = text.strip_prefix("```") {
            let indentation = line.len() - line.trim_start().len();
            let mut commands = String::new();
            for (_, line) in lines.by_ref().take_while(|(_, line)| line.trim() != "```") {
                commands.push_str(line.get(indentation..).unwrap_or_default());
                commands.push('\n');
            }
            if language == "sh" {
                let (before, not_run) = (std::mem::take(&mut before), not_run.take());
                blocks.push(Block { line: number + 2, commands, before, not_run, is_fresh });
                is_fresh = false;
            }
            (before, not_run) = (String::new(), None);
        }
    }
    blocks
}

/// The blocks that are run, by session.
pub fn sessions(blocks: Vec<Block>) -> Vec<Vec<Block>> {
    let mut sessions: Vec<Vec<Block>> = Vec::new();
    for block in blocks.into_iter().filter(|block| block.not_run.is_none()) {
        match sessions.last_mut() {
            Some(session) if !block.is_fresh => session.push(block),
            _ => sessions.push(vec![block]),
        }
    }
    sessions
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_have_their_comments_and_no_indentation() {
        let page = "# Page\n\n```sh\na\n```\n\n1. Step:\n\n   <!-- before: push_user okta ann\n   b -->\n   <!-- fresh -->\n   ```sh\n   c \\\n     d\n   ```\n\n```json\n{}\n```\n<!-- not run: AWS -->\n```sh\ne\n```\n";
        let block = |line, commands: &str| Block {
            line,
            commands: commands.to_owned(),
            before: String::new(),
            not_run: None,
            is_fresh: false,
        };
        let second = Block {
            before: "push_user okta ann\n   b".to_owned(),
            is_fresh: true,
            ..block(13, "c \\\n  d\n")
        };
        let third = Block { not_run: Some("AWS".to_owned()), ..block(22, "e\n") };
        assert_eq!(blocks(page), [block(4, "a\n"), second.clone(), third]);
        assert_eq!(sessions(blocks(page)), [vec![block(4, "a\n")], vec![second]]);
    }
}
