//! The health of a connector: what an operator should know without looking for it.

use directory::connectors::Connector;
use directory::feeds::FeedInfo;
use directory::trail::{Filter, StatusFilter};
use futures_util::future::try_join_all;
use jiff::{SignedDuration, Timestamp};
use shared::credential::{Credential, CredentialScope};
use shared::error::ScimError;

use super::page::Tone;
use crate::connector::credentials::expiring;
use crate::connector::state;
use crate::context::Context;
use crate::output::{count, format_number, format_time};

/// The most changes of a feed, and the most errors, that are counted for a page.
const MAX_COUNTED: usize = 1_000;
/// How old a change can be until its feed counts as late.
const LATE_AFTER: SignedDuration = SignedDuration::from_hours(1);

/// What is known of a connector.
pub struct Health {
    /// `enabled`, `disabled` or `deleting`.
    pub state: &'static str,
    /// When a credential for provisioning was last used, to the hour.
    pub last_contact: Option<Timestamp>,
    /// The requests of the last hour that failed.
    pub errors: Counted,
    /// The next time at which a valid credential expires, if that is within 30 days.
    pub expires: Option<Timestamp>,
    /// The feeds, with what waits in each.
    pub feeds: Vec<FeedInfo>,
    /// What the operator should look at. Empty if nothing was found.
    pub problems: Vec<(Tone, String)>,
}

/// A number, or the least that it can be.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counted {
    /// The number.
    pub number: usize,
    /// Whether there can be more.
    pub is_cut: bool,
}

impl Counted {
    /// What was counted of a feed.
    pub fn up_to_limit(number: usize) -> Self {
        Self { number, is_cut: number >= MAX_COUNTED }
    }

    /// The number as text: `12`, or `1,000 or more`.
    pub fn text(self) -> String {
        let number = format_number(self.number);
        if self.is_cut { format!("{number} or more") } else { number }
    }
}

impl Health {
    /// Reads what is known of a connector. The number of requests to DynamoDB does not grow with the directory.
    pub async fn read(context: &Context, connector: &Connector) -> Result<Self, ScimError> {
        let table = context.table();
        let id = &connector.id;
        let scim = connector.credentials.iter().filter(|one| one.scope == CredentialScope::Scim);
        let usage = table.credential_usage(id);
        let used = try_join_all(scim.map(|credential| usage.last_used(&credential.id)));
        let feeds = async {
            let feeds = table.feeds(id).await?.into_iter().filter(|feed| feed.settings.deleted.is_none());
            try_join_all(feeds.map(|feed| table.feed_info_up_to(id, feed, MAX_COUNTED))).await
        };
        let errors = try_join_all([4, 5].map(|class| {
            let since = context.now - SignedDuration::from_hours(1);
            let filter =
                Filter { status: Some(StatusFilter::Class(class)), since, ..Filter::until(context.now) };
            let trail = table.trail(id);
            async move { trail.page(&filter, None, MAX_COUNTED).await }
        }));
        let (used, feeds, errors) = tokio::try_join!(used, feeds, errors)?;
        let errors = Counted {
            number: errors.iter().map(|page| page.records.len()).sum(),
            is_cut: errors.iter().any(|page| page.next.is_some()),
        };
        let mut health = Self {
            state: state(&connector.record),
            last_contact: used.into_iter().flatten().max(),
            errors,
            expires: expiring(connector, context.now).first().map(|(_, expires)| *expires),
            feeds,
            problems: Vec::new(),
        };
        health.problems = health.find_problems(connector, context.now);
        Ok(health)
    }

    /// The changes that wait in all feeds.
    pub fn waiting(&self) -> Counted {
        Counted {
            number: self.feeds.iter().map(|info| info.waiting).sum(),
            is_cut: self.feeds.iter().any(|info| info.waiting >= MAX_COUNTED),
        }
    }

    fn find_problems(&self, connector: &Connector, now: Timestamp) -> Vec<(Tone, String)> {
        let mut problems = Vec::new();
        match self.state {
            "enabled" => {}
            "deleting" => problems.push((Tone::Bad, "is being deleted".to_owned())),
            _ => problems.push((Tone::Warning, "refuses every request".to_owned())),
        }
        let is_usable = |one: &Credential| one.scope == CredentialScope::Scim && one.is_live(now);
        if !connector.credentials.iter().any(is_usable) {
            problems.push((Tone::Bad, "no valid credential".to_owned()));
        }
        for (credential, expires) in expiring(connector, now) {
            problems.push((
                Tone::Warning,
                format!("credential {} expires {}", credential.id, format_time(expires)),
            ));
        }
        if self.errors.number > 0 {
            let more = if self.errors.is_cut { "at least " } else { "" };
            let errors = count(self.errors.number, "failed request", "failed requests");
            problems.push((Tone::Warning, format!("{more}{errors} in the last hour")));
        }
        for info in &self.feeds {
            let id = &info.feed.id;
            if info.feed.gone.is_some() {
                problems.push((Tone::Bad, format!("feed {id}: its consumer wants no more events")));
            } else if info.feed.settings.paused.is_some() {
                problems.push((Tone::Warning, format!("feed {id} is paused")));
            } else if info.feed.failures > 0 {
                problems.push((Tone::Bad, format!("feed {id}: the last delivery failed")));
            } else if info.oldest.is_some_and(|oldest| now - oldest > LATE_AFTER) {
                problems.push((Tone::Warning, format!("feed {id}: changes wait for more than an hour")));
            }
        }
        if self.last_contact.is_none() {
            problems.push((Tone::Plain, "the identity provider has not connected yet".to_owned()));
        }
        problems
    }
}
