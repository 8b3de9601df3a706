//! Authentication. A process caches each connector for 60 seconds. It also caches valid headers: a cached
//! header stays valid while the connector has its credential and the credential has not expired. A wrong
//! password or token is checked in full every time, and is counted as a failed sign-in.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

use directory::Table;
use directory::connectors::CONNECTOR_CACHE_TTL;
use directory::connectors::credential_usage::USE_RECORDED_EVERY;
use directory::connectors::{Connector, ConnectorId};
use directory::secrets::generate_secret;
use jiff::Timestamp;
use sha2::{Digest, Sha256};
use shared::credential::{Credential, PresentedCredentials};
use shared::error::{ErrorKind, ScimError};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::request::Request;

/// The maximum number of password checks that run at the same time. Each takes 19 MiB of memory.
const MAX_CONCURRENT_CHECKS: usize = 2;
/// The maximum number of entries in each cache. A full cache is cleared.
const MAX_CACHED: usize = 1_000;

const INVALID_CREDENTIALS: &str =
    "Authentication failed: send the connector's username and password (Basic), or its token (Bearer)";

/// Checks credentials, and caches connectors and valid credentials for the life of a process.
#[derive(Debug)]
pub struct Authenticator {
    key: [u8; 32],
    connectors: Mutex<HashMap<ConnectorId, (Instant, Arc<Connector>)>>,
    /// The credential of each valid header, by a keyed hash of connector and header.
    valid_headers: Mutex<HashMap<[u8; 32], Credential>>,
    /// When this process last decided to record the use of a credential.
    recorded_uses: Mutex<HashMap<(ConnectorId, String), Timestamp>>,
    checks: Semaphore,
}

/// The connector and credential of an authenticated request.
#[derive(Debug)]
pub struct Authenticated {
    /// The connector.
    pub connector: Arc<Connector>,
    /// The id of the credential.
    pub credential: String,
    /// Whether the caller must record this use of the credential.
    pub must_record_use: bool,
}

impl Authenticator {
    /// Creates an authenticator with empty caches.
    ///
    /// # Errors
    /// If the system's random number generator fails.
    pub fn new() -> Result<Self, ScimError> {
        let key = Sha256::digest(generate_secret()?).into();
        Ok(Self {
            key,
            connectors: Mutex::default(),
            valid_headers: Mutex::default(),
            recorded_uses: Mutex::default(),
            checks: Semaphore::new(MAX_CONCURRENT_CHECKS),
        })
    }

    /// Authenticates a request for a connector.
    ///
    /// # Errors
    /// - 401 for invalid credentials. An unknown connector gets the same response.
    /// - 403 for a disabled connector.
    /// - 429 after many wrong passwords from the client's address, unless this process knows the header to be
    ///   valid.
    pub async fn authenticate(
        &self,
        table: &Table,
        id: &str,
        request: &Request,
        now: Timestamp,
    ) -> Result<Authenticated, ScimError> {
        let header = request.header("authorization").unwrap_or_default();
        let (Some(id), Some(presented)) = (ConnectorId::parse(id), PresentedCredentials::parse(header))
        else {
            // No credential can match, because the connector's id or the header is malformed. So this is not
            // counted. The check takes as long as that of a wrong password.
            let _permit = self.checks.acquire().await.map_err(ScimError::internal)?;
            check_credentials(Vec::new(), PresentedCredentials::none(), now).await?;
            return Err(ScimError::new(ErrorKind::Unauthorized, INVALID_CREDENTIALS));
        };
        let hash = self.hash(&id, header);
        let cached = lock_ignoring_poison(&self.valid_headers).get(&hash).cloned();
        let valid = match cached {
            Some(credential) => self.recheck_cached(table, &id, credential, now).await?,
            None => None,
        };
        let (connector, credential) = match valid {
            Some(valid) => valid,
            None => {
                self.check_uncached(table, &id, presented, hash, &client_network(request.address), now)
                    .await?
            }
        };
        if connector.record.disabled.is_some() {
            let detail = format!("Connector {id} is disabled");
            return Err(ScimError::new(ErrorKind::Forbidden, detail));
        }
        let key = (id, credential.id.clone());
        let must_record_use = lock_ignoring_poison(&self.recorded_uses)
            .get(&key)
            .is_none_or(|recorded| now - *recorded >= USE_RECORDED_EVERY);
        if must_record_use {
            insert_bounded(&self.recorded_uses, key, now);
        }
        Ok(Authenticated { connector, credential: credential.id, must_record_use })
    }

    /// Makes the next request with a credential record its use, because this request could not.
    pub fn use_was_not_recorded(&self, connector: &ConnectorId, credential: &str) {
        let key = (connector.clone(), credential.to_owned());
        lock_ignoring_poison(&self.recorded_uses).remove(&key);
    }

    /// Returns a cached credential if the connector still has it and it has not expired.
    async fn recheck_cached(
        &self,
        table: &Table,
        id: &ConnectorId,
        credential: Credential,
        now: Timestamp,
    ) -> Result<Option<(Arc<Connector>, Credential)>, ScimError> {
        let connector = self.connector(table, id).await?;
        let has_it = |connector: &Arc<Connector>| connector.credentials.contains(&credential);
        let connector = connector.filter(|connector| credential.is_live(now) && has_it(connector));
        Ok(connector.map(|connector| (connector, credential)))
    }

    /// Checks a header that is not in the cache. The semaphore permit is held while the number of failures is
    /// read and incremented, so one process checks at most two wrong passwords at the same time.
    async fn check_uncached(
        &self,
        table: &Table,
        id: &ConnectorId,
        presented: PresentedCredentials,
        hash: [u8; 32],
        address: &str,
        now: Timestamp,
    ) -> Result<(Arc<Connector>, Credential), ScimError> {
        let permit = self.checks.acquire().await.map_err(ScimError::internal)?;
        let usage = table.credential_usage(id);
        let failures = usage.failures(address, now);
        let (connector, failures) = tokio::try_join!(self.connector(table, id), failures)?;
        if let Some(seconds) = failures.blocked_for(now) {
            let detail = "Too many wrong passwords from this address: correct the password, then retry later";
            return Err(ScimError::new(ErrorKind::TooManyRequests(seconds), detail));
        }
        let credentials = connector.as_ref().map(|connector| connector.credentials.clone());
        let credential = check_credentials(credentials.unwrap_or_default(), presented, now).await?;
        if let Some((connector, credential)) = connector.zip(credential) {
            insert_bounded(&self.valid_headers, hash, credential.clone());
            return Ok((connector, credential));
        }
        // The header may be in the cache from when its credential was valid.
        lock_ignoring_poison(&self.valid_headers).remove(&hash);
        let failures = usage.count_failure(address, now).await?;
        drop(permit);
        tokio::time::sleep(failures.delay()).await;
        Err(ScimError::new(ErrorKind::Unauthorized, INVALID_CREDENTIALS))
    }

    async fn connector(&self, table: &Table, id: &ConnectorId) -> Result<Option<Arc<Connector>>, ScimError> {
        let now = Instant::now();
        if let Some((read, connector)) = lock_ignoring_poison(&self.connectors).get(id)
            && now.duration_since(*read) < CONNECTOR_CACHE_TTL
        {
            return Ok(Some(Arc::clone(connector)));
        }
        let Some(connector) = table.connector(id).await?.map(Arc::new) else {
            lock_ignoring_poison(&self.connectors).remove(id);
            return Ok(None);
        };
        insert_bounded(&self.connectors, id.clone(), (now, Arc::clone(&connector)));
        Ok(Some(connector))
    }

    fn hash(&self, id: &ConnectorId, header: &str) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(self.key);
        hash.update(id.to_string());
        hash.update([0]);
        hash.update(header);
        hash.finalize().into()
    }
}

/// Finds the credential that the client presented, on a thread that serves no requests: hashing a password
/// takes long.
async fn check_credentials(
    credentials: Vec<Credential>,
    presented: PresentedCredentials,
    now: Timestamp,
) -> Result<Option<Credential>, ScimError> {
    tokio::task::spawn_blocking(move || presented.find(&credentials, now).cloned())
        .await
        .map_err(ScimError::internal)
}

/// The address for which failures are counted. For IPv6, it is the /64 network, because one client usually
/// controls a whole /64.
fn client_network(address: Option<IpAddr>) -> String {
    match address {
        None => "unknown".to_owned(),
        Some(IpAddr::V4(address)) => address.to_string(),
        Some(IpAddr::V6(address)) => match address.to_ipv4_mapped() {
            Some(address) => address.to_string(),
            None => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).to_string(),
        },
    }
}

/// Inserts into a cache, which is cleared first if it is full.
fn insert_bounded<K: Eq + std::hash::Hash, V>(cache: &Mutex<HashMap<K, V>>, key: K, value: V) {
    let mut cache = lock_ignoring_poison(cache);
    if cache.len() >= MAX_CACHED {
        cache.clear();
    }
    cache.insert(key, value);
}

/// Locks a map. Each change to these maps is a single call, so a panic of another thread leaves them valid.
fn lock_ignoring_poison<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_one_ipv6_network_count_as_one() {
        for (address, expected) in [
            ("192.0.2.7", "192.0.2.7"),
            ("::ffff:192.0.2.7", "192.0.2.7"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ] {
            assert_eq!(client_network(address.parse().ok()), expected);
        }
        assert_eq!(client_network(None), "unknown");
    }
}
