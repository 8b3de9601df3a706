//! Deletions of connectors that this console runs. Each takes two and a half minutes or more, so it goes on beside the pages.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use directory::connectors::{Connector, ConnectorId, Connectors};
use jiff::Timestamp;

use super::Console;
use crate::failure::Failure;
use crate::output::{count, print_note};

/// How far each deletion is.
#[derive(Clone, Default)]
pub struct Deletions(Arc<Mutex<BTreeMap<String, State>>>);

#[derive(Clone)]
enum State {
    Waiting,
    Deleting(u64),
    Failed(String),
}

impl Deletions {
    /// Deletes the directory and the record of a connector whose deletion has begun, unless this console is doing that already.
    pub fn run(&self, console: &Console, connector: Connector) {
        let id = connector.id.to_string();
        {
            let mut states = self.states();
            if states.get(&id).is_some_and(|state| !matches!(state, State::Failed(_))) {
                return;
            }
            states.insert(id.clone(), State::Waiting);
        }
        let (deletions, console) = (self.clone(), console.clone());
        tokio::spawn(async move {
            let result = deletions.delete(&console, connector).await;
            match result {
                Ok(()) => {
                    deletions.states().remove(&id);
                    print_note(&format!(
                        "connector {id} is deleted; its audit records stay until they expire"
                    ));
                }
                Err(Failure(sentence)) => {
                    print_note(&format!("connector {id} is not deleted: {sentence}"));
                    deletions.set(&id, State::Failed(sentence));
                }
            }
        });
    }

    async fn delete(&self, console: &Console, connector: Connector) -> Result<(), Failure> {
        let id = connector.id.to_string();
        let time = Connectors::time_until_unused(&connector, Timestamp::now());
        tokio::time::sleep(std::time::Duration::try_from(time).unwrap_or_default()).await;
        let deleted = Mutex::new(0);
        let directory = console.context().directory(connector);
        let delete = directory.delete_connector(|more| {
            let mut deleted = deleted.lock().unwrap_or_else(PoisonError::into_inner);
            *deleted += more;
            self.set(&id, State::Deleting(*deleted));
        });
        Ok(delete.await?)
    }

    /// A sentence about the deletion of a connector; `None` if this console does not run it.
    pub fn progress(&self, id: &ConnectorId) -> Option<String> {
        Some(match self.states().get(&id.to_string())? {
            State::Waiting => {
                "The connector is being deleted. The console waits two and a half minutes, until all functions refuse its requests."
                    .to_owned()
            }
            State::Deleting(number) => {
                let number = count(usize::try_from(*number).unwrap_or(usize::MAX), "resource is", "resources are");
                format!("The connector is being deleted: {number} deleted so far.")
            }
            State::Failed(sentence) => format!("The deletion failed: {sentence}. Begin it again."),
        })
    }

    /// The connectors that are not deleted completely.
    pub fn unfinished(&self) -> Vec<String> {
        self.states().keys().cloned().collect()
    }

    fn set(&self, id: &str, state: State) {
        self.states().insert(id.to_owned(), state);
    }

    fn states(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, State>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
