//! The signals that stop a process: SIGTERM and SIGINT (Ctrl-C).

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Receives SIGTERM and SIGINT.
pub struct Signals {
    terminated: Signal,
    interrupted: Signal,
}

impl Signals {
    /// Starts to listen. Signals that came before stop the process.
    ///
    /// # Errors
    /// A message that explains why signals cannot be received.
    pub fn listen() -> Result<Self, String> {
        let listen = || -> std::io::Result<Self> {
            let (terminated, interrupted) =
                (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
            Ok(Self { terminated, interrupted })
        };
        listen().map_err(|error| format!("the process cannot listen for signals: {error}"))
    }

    /// Waits for the next signal.
    pub async fn next(&mut self) {
        tokio::select! {
            _ = self.terminated.recv() => {}
            _ = self.interrupted.recv() => {}
        }
    }
}
