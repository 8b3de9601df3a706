//! Runs `scimctl` at a terminal.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::process::{Child, Command, Stdio};

use nix::pty::{Winsize, openpty};
use nix::sys::termios::{LocalFlags, tcgetattr};

use crate::service::{Service, TABLE, binaries};

/// A command that runs at a terminal.
pub struct Terminal {
    screen: File,
    child: Child,
    shown: Vec<u8>,
}

impl Terminal {
    /// Starts a command on the table of a service, at a terminal of this many columns. `variables` are added to the environment.
    ///
    /// # Panics
    /// When the system has no terminal, or the binary does not exist.
    pub fn start(service: &Service, columns: u16, variables: &[(&str, &str)], arguments: &[&str]) -> Self {
        let size = Winsize { ws_row: 24, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        let pair = openpty(&size, None).expect("the system has a terminal");
        let side = || Stdio::from(pair.slave.try_clone().expect("a descriptor can be copied"));
        let child = Command::new(binaries().join("scimctl"))
            .args(["--table", TABLE, "--endpoint", service.endpoint()])
            .args(arguments)
            .env_remove("NO_COLOR")
            .env("TERM", "xterm-256color")
            .envs(variables.iter().copied())
            .stdin(side())
            .stdout(side())
            .stderr(side())
            .spawn()
            .expect("scimctl starts");
        Self { screen: File::from(pair.master), child, shown: Vec::new() }
    }

    /// Enters a secret when the command has asked this question and the terminal hides what is typed.
    ///
    /// # Panics
    /// When the command ends before that.
    pub fn enter_hidden(&mut self, question: &str, secret: &str) {
        while !String::from_utf8_lossy(&self.shown).contains(question) {
            let mut part = [0; 1024];
            let length = self.screen.read(&mut part).expect("the command asks the question");
            self.shown.extend(part.iter().take(length));
        }
        let is_shown = |screen: &File| {
            let flags = tcgetattr(screen.as_fd()).expect("the terminal has flags").local_flags;
            flags.contains(LocalFlags::ECHO)
        };
        while is_shown(&self.screen) {
            let ended = self.child.try_wait().expect("the command can be asked");
            assert!(ended.is_none(), "the command ended before it asked for the secret");
            std::thread::yield_now();
        }
        self.screen.write_all(format!("{secret}\n").as_bytes()).expect("the terminal takes input");
    }

    /// Waits until the command ends, and returns everything that it showed, with the terminal's line ends as `\n`.
    ///
    /// # Panics
    /// When the command does not end.
    pub fn finish(mut self) -> String {
        // Reading fails when no process has the terminal any more.
        let _ = self.screen.read_to_end(&mut self.shown);
        self.child.wait().expect("the command ends");
        String::from_utf8(self.shown).expect("the output is UTF-8").replace("\r\n", "\n")
    }
}
