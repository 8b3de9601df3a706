//! Consumers of feeds in a storm: each keeps a copy of a connector's directory, while requests, faults and kills go on. At a rest
//! point the copy must equal the directory.

use std::sync::atomic::{AtomicBool, Ordering};

use directory::Table;
use directory::connectors::ConnectorId;

use super::choices::Choices;
use super::violation::Violation;
use crate::consumer::Consumer;

/// The most events that a consumer reads at once.
const MOST: usize = 50;

/// A consumer that forgets to acknowledge events, and repeats acknowledgements.
pub struct Follower {
    name: String,
    consumer: Consumer,
    choices: Choices,
    after: Option<String>,
}

impl Follower {
    /// Creates a feed of a connector, and its consumer.
    ///
    /// # Panics
    /// When the feed cannot be created.
    pub async fn create(table: Table, connector: &str, feed: &str, choices: Choices) -> Self {
        let id = ConnectorId::parse(connector).expect("the name is a valid id");
        let consumer = Consumer::create(table, &id, feed).await;
        Self { name: format!("feed {feed} of {connector}"), consumer, choices, after: None }
    }

    /// Follows the feed until `is_over`. What fails is tried again.
    pub async fn run(&mut self, is_over: &AtomicBool) {
        while !is_over.load(Ordering::Relaxed) {
            let most = self.choices.between(1, MOST);
            let acknowledgements = self.choices.below(3);
            match self.consumer.step(self.after.as_deref(), most, acknowledgements).await {
                Ok(Some(last)) => self.after = Some(last),
                // The next read begins with the first resource.
                Ok(None) | Err(_) => self.after = None,
            }
            tokio::task::yield_now().await;
        }
    }

    /// Reads all events that wait, and compares the copy with the directory. No request may run.
    ///
    /// # Errors
    /// A violation if the copy differs.
    pub async fn check(&mut self) -> Result<(), Violation> {
        let failed = |error| Violation::general(format!("{}: {error}", self.name));
        self.consumer.drain().await.map_err(failed)?;
        let expected = self.consumer.expected().await.map_err(failed)?;
        let copy = self.consumer.shown();
        if copy == expected {
            return Ok(());
        }
        let users = expected.users.iter().filter(|(path, name)| copy.users.get(*path) != Some(*name));
        let more = copy.users.iter().filter(|(path, _)| !expected.users.contains_key(*path));
        let groups = expected.groups.iter().filter(|(path, group)| copy.groups.get(*path) != Some(*group));
        let groups =
            groups.map(|(path, group)| format!("{path} is {group:?}, not {:?}", copy.groups.get(path)));
        Err(Violation::general(format!(
            "the copy of {} differs from the directory.\nusers: {:?}\nunknown users: {:?}\ngroups: {:#?}\nunknown groups: {:?}",
            self.name,
            users.collect::<Vec<_>>(),
            more.collect::<Vec<_>>(),
            groups.collect::<Vec<_>>(),
            copy.groups.keys().filter(|path| !expected.groups.contains_key(*path)).collect::<Vec<_>>(),
        )))
    }
}
