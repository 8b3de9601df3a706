//! The keys of issuers, fetched from the URLs that operators registered.
//!
//! A process fetches the keys of an issuer with its first assertion, then once an hour. For an unknown `kid` it fetches them again, at
//! most once a minute. While the issuer's host is away, it uses what it has, or what another process stored in the table, for up to a day.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use directory::Table;
use directory::connectors::ConnectorId;
use directory::oauth::{KeySet, MAX_KEY_SET_AGE};
use futures_util::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};
use shared::error::{ErrorKind, ScimError};
use tokio::time::Instant;

use crate::authentication::{SIDE_WRITE_TIMEOUT, insert_bounded, lock_ignoring_poison};

/// Fetches the document of an https URL. It follows no redirect, and has limits of its own for time and size. The error is a sentence
/// for operators.
pub type Fetch = fn(String) -> Fetched;
/// The document, when it is there.
pub type Fetched = BoxFuture<'static, Result<Vec<u8>, String>>;

/// After this time a set is fetched again, because a key can be withdrawn.
const REFRESHED_AFTER: SignedDuration = SignedDuration::from_hours(1);
/// The time between two fetches of one set.
const FETCHED_EVERY: SignedDuration = SignedDuration::from_secs(60);

/// The keys of issuers that this process has fetched.
#[derive(Debug, Default)]
pub struct IssuerKeys {
    fetch: Option<Fetch>,
    /// By the connector and the URL.
    sets: Mutex<HashMap<(ConnectorId, String), SharedSet>>,
}

type SharedSet = Arc<tokio::sync::Mutex<CachedSet>>;

/// The keys of one issuer. It is locked while they are fetched, so that other requests wait for them.
#[derive(Debug, Default)]
struct CachedSet {
    keys: Arc<KeySet>,
    /// When the keys were fetched; `None` if they never were.
    fetched: Option<Timestamp>,
    /// When the last fetch began.
    tried: Option<Timestamp>,
}

impl IssuerKeys {
    /// An empty cache. Without `fetch`, no issuer has keys.
    pub(crate) fn new(fetch: Option<Fetch>) -> Self {
        Self { fetch, sets: Mutex::default() }
    }

    /// Returns the keys of an issuer, with the key of this id if the issuer has it.
    ///
    /// # Errors
    /// 503 if no key is known, because they cannot be fetched now.
    pub(crate) async fn get(
        &self,
        table: &Table,
        connector: &ConnectorId,
        url: &str,
        kid: &str,
        now: Timestamp,
    ) -> Result<Arc<KeySet>, ScimError> {
        let set = self.set(connector, url);
        let mut set = set.lock().await;
        let age = set.fetched.map(|fetched| now.duration_since(fetched));
        let is_current = set.keys.contains(kid) && age.is_some_and(|age| age < REFRESHED_AFTER);
        if !is_current && set.tried.is_none_or(|tried| now.duration_since(tried).abs() >= FETCHED_EVERY) {
            set.tried = Some(now);
            match self.fetch(url).await {
                Ok((keys, document)) => {
                    (set.keys, set.fetched) = (Arc::new(keys), Some(now));
                    store(table, connector, url, &document, now).await;
                }
                Err(error) => {
                    tracing::warn!(url, error, "cannot fetch the keys of an issuer");
                    if set.fetched.is_none()
                        && let Some((keys, fetched)) = table.stored_key_set(connector, url, now).await?
                    {
                        (set.keys, set.fetched) = (Arc::new(keys), Some(fetched));
                    }
                }
            }
        }
        if set.fetched.is_none_or(|fetched| now.duration_since(fetched) >= MAX_KEY_SET_AGE) {
            let detail = "The keys of the issuer cannot be fetched now; try again later";
            return Err(ScimError::new(ErrorKind::Unavailable, detail));
        }
        Ok(Arc::clone(&set.keys))
    }

    fn set(&self, connector: &ConnectorId, url: &str) -> SharedSet {
        let key = (connector.clone(), url.to_owned());
        let present = lock_ignoring_poison(&self.sets).get(&key).cloned();
        present.unwrap_or_else(|| {
            let set = SharedSet::default();
            insert_bounded(&self.sets, key, Arc::clone(&set));
            set
        })
    }

    async fn fetch(&self, url: &str) -> Result<(KeySet, String), String> {
        let fetch = self.fetch.ok_or("this function cannot fetch keys")?;
        let document = String::from_utf8(fetch(url.to_owned()).await?);
        let document = document.map_err(|_| "the answer is not UTF-8".to_owned())?;
        Ok((KeySet::parse(document.as_bytes())?, document))
    }
}

/// Stores the keys for new processes. It must not fail or delay the request.
async fn store(table: &Table, connector: &ConnectorId, url: &str, document: &str, now: Timestamp) {
    let table = table.until(Instant::now() + SIDE_WRITE_TIMEOUT);
    if let Err(error) = table.store_key_set(connector, url, document, now).await {
        tracing::warn!(%error, "cannot store the keys of an issuer");
    }
}
