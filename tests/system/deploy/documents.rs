//! The shell commands of README and `docs/` work: each page's commands run, in their order, on a real service of this machine.
//! `tests/src/documents.rs` says how a page marks commands that cannot run here.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;

use tests::documents::{Block, blocks, pages, sessions};
use tests::folder::Folder;
use tests::service::binaries;
use tests::workspace;

/// How many sessions run at the same time.
const AT_ONCE: usize = 3;
/// When a session is killed: a command that waits for something must not hold up the tests for ever.
const SECONDS: &str = "300";
const PRELUDE: &str = include_str!("../../src/documents_prelude.sh");

#[test]
fn commands_of_the_documentation_work() {
    let mut waiting = Vec::new();
    for page in pages(workspace()) {
        let text = fs::read_to_string(workspace().join(&page)).unwrap();
        waiting.extend(sessions(blocks(&text)).into_iter().map(|session| (page.clone(), session)));
    }
    assert!(waiting.len() > 20, "{} sessions", waiting.len());
    let (waiting, failures) = (Mutex::new(waiting), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let Some((page, session)) = waiting.lock().unwrap().pop() else { break };
                    if let Err(failure) = run(&page, &session) {
                        failures.lock().unwrap().push(failure);
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap();
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

#[test]
fn each_block_that_is_not_run_has_a_reason() {
    for page in pages(workspace()) {
        for block in blocks(&fs::read_to_string(workspace().join(&page)).unwrap()) {
            let reason = block.not_run.unwrap_or_else(|| "it is run".to_owned());
            assert!(reason.len() > 5, "{page}:{}: say why it is not run", block.line);
        }
    }
}

/// Runs the blocks of a session. The error is what the commands printed.
fn run(page: &str, session: &[Block]) -> Result<(), String> {
    let folder = Folder::new();
    let service = Service::start(folder.path());
    let bin = folder.path().join("bin");
    fs::create_dir(&bin).unwrap();
    // On these pages the table is in AWS, and the environment says which.
    let scimctl = binaries().join("scimctl");
    let wrapper = format!(
        "#!/bin/sh\ncase \" $* \" in *' --local '*) exec '{0}' \"$@\" ;; *) exec '{0}' --local '{1}/.local' \"$@\" ;; esac\n",
        scimctl.display(),
        folder.path().display()
    );
    fs::write(bin.join("scimctl"), wrapper).unwrap();
    fs::set_permissions(bin.join("scimctl"), fs::Permissions::from_mode(0o755)).unwrap();
    let mut script = PRELUDE.to_owned();
    for block in session {
        let commands = with_values(&block.commands, &service.origin);
        script.push_str(&format!("echo '{page}:{}'\n{}\n{commands}\n", block.line, block.before));
    }
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let output = Command::new("timeout")
        .args([SECONDS, "bash", "-c", &script])
        .current_dir(folder.path())
        .env("PATH", path)
        .envs([("BASE_URL", service.origin.as_str()), ("FOLDER", folder.path().to_str().unwrap())])
        .env_remove("TABLE_NAME")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{page}: {}\n{}{}", output.status, text(&output.stdout), text(&output.stderr)))
}

/// The commands with the values of this machine instead of placeholders.
fn with_values(commands: &str, origin: &str) -> String {
    commands
        .replace("https://HOST", origin)
        .replace("BASE_URL", origin)
        .replace("http://127.0.0.1:3000", origin)
        .replace("USERNAME:PASSWORD", "\"$CREDENTIALS\"")
        .replace(" CREDENTIAL ", " $CREDENTIAL ")
        .replace(
            " TENANT APP ",
            " 11111111-1111-4111-8111-111111111111 22222222-2222-4222-8222-222222222222 ",
        )
}

/// A running `make run`. It is killed when this is dropped.
struct Service {
    child: Child,
    origin: String,
}

impl Service {
    fn start(folder: &Path) -> Self {
        let mut command = Command::new(binaries().join("local"));
        command.env_clear().env("DATA_DIR", folder.join(".local")).env("PORT", "0").stdin(Stdio::null());
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let origin = lines.find_map(|line| Some(line.ok()?.strip_prefix("Start page:")?.trim().to_owned()));
        let origin = origin.expect("the service prints its start page").trim_end_matches('/').to_owned();
        // What it prints later must be read, or it stops.
        std::thread::spawn(move || lines.count());
        Self { child, origin }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
