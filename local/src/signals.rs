//! The signals that end a process.

use tokio::signal::unix::{Signal, SignalKind, signal};

/// SIGTERM and Ctrl-C, from the moment this is made.
pub struct Signals {
    terminated: Signal,
    interrupted: Signal,
}

impl Signals {
    /// Listens from now on.
    ///
    /// # Errors
    /// A sentence that says why signals cannot be received.
    pub fn listen() -> Result<Self, String> {
        let listen = || -> std::io::Result<Self> {
            let (terminated, interrupted) =
                (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
            Ok(Self { terminated, interrupted })
        };
        listen().map_err(|error| format!("signals cannot be heard: {error}"))
    }

    /// Waits for the next signal.
    pub async fn next(&mut self) {
        tokio::select! {
            _ = self.terminated.recv() => {}
            _ = self.interrupted.recv() => {}
        }
    }
}
