//! Who is asking. Connectors are read at most once a minute, and a credential that was found good is remembered for as
//! long as its connector's record still holds it; a wrong one pays for the full check every time, and is counted.

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

/// Each full check takes 19 MiB, so few run at once.
const CHECKS_AT_ONCE: usize = 2;
/// Connectors and credentials that are remembered; a stranger's guesses must not fill the memory.
const MOST_REMEMBERED: usize = 1_000;

const REFUSED: &str =
    "Authentication failed: send the connector's username and password (Basic), or its token (Bearer)";

/// What a process remembers of connectors and credentials.
#[derive(Debug)]
pub struct Authenticator {
    key: [u8; 32],
    connectors: Mutex<HashMap<ConnectorId, (Instant, Arc<Connector>)>>,
    /// The credential that a header was found to agree with, by a keyed hash of connector and header.
    agreed: Mutex<HashMap<[u8; 32], Credential>>,
    /// When the use of a credential was noted last.
    noted: Mutex<HashMap<(ConnectorId, String), Timestamp>>,
    checks: Semaphore,
}

/// Whoever was let in.
#[derive(Debug)]
pub struct Admitted {
    /// The connector.
    pub connector: Arc<Connector>,
    /// The id of the credential.
    pub credential: String,
    /// Whether its use is to be noted.
    pub is_to_be_noted: bool,
}

impl Authenticator {
    /// One that remembers nothing yet.
    ///
    /// # Errors
    /// When the system has no randomness.
    pub fn new() -> Result<Self, ScimError> {
        let key = Sha256::digest(generate_secret()?).into();
        Ok(Self {
            key,
            connectors: Mutex::default(),
            agreed: Mutex::default(),
            noted: Mutex::default(),
            checks: Semaphore::new(CHECKS_AT_ONCE),
        })
    }

    /// The connector that these credentials open.
    ///
    /// # Errors
    /// 401, the same for an unknown connector as for a wrong password; 403 for a connector that is disabled; 429 after
    /// many wrong passwords from that address, for whoever is not known to this process.
    pub async fn authenticate(
        &self,
        table: &Table,
        id: &str,
        request: &Request,
        now: Timestamp,
    ) -> Result<Admitted, ScimError> {
        let header = request.header("authorization").unwrap_or_default();
        let (Some(id), Some(presented)) = (ConnectorId::parse(id), PresentedCredentials::parse(header))
        else {
            // Nothing was guessed, so nothing is counted.
            let _permit = self.checks.acquire().await.map_err(ScimError::internal)?;
            find(Vec::new(), PresentedCredentials::none(), now).await?;
            return Err(ScimError::new(ErrorKind::Unauthorized, REFUSED));
        };
        let hash = self.hash(&id, header);
        let remembered = lock(&self.agreed).get(&hash).cloned();
        let known = match remembered {
            Some(agreed) => self.still_agrees(table, &id, agreed, now).await?,
            None => None,
        };
        let (connector, agreed) = match known {
            Some(known) => known,
            None => self.look_at(table, &id, presented, hash, &network(request.address), now).await?,
        };
        if connector.record.disabled.is_some() {
            let detail = format!("The connector {id} is disabled");
            return Err(ScimError::new(ErrorKind::Forbidden, detail));
        }
        let use_of = (id, agreed.id.clone());
        let is_to_be_noted =
            lock(&self.noted).get(&use_of).is_none_or(|noted| now - *noted >= USE_RECORDED_EVERY);
        if is_to_be_noted {
            remember(&self.noted, use_of, now);
        }
        Ok(Admitted { connector, credential: agreed.id, is_to_be_noted })
    }

    /// A credential that was good once, if it is still.
    async fn still_agrees(
        &self,
        table: &Table,
        id: &ConnectorId,
        agreed: Credential,
        now: Timestamp,
    ) -> Result<Option<(Arc<Connector>, Credential)>, ScimError> {
        let connector = self.connector(table, id).await?;
        let holds = |connector: &Arc<Connector>| connector.credentials.contains(&agreed);
        let connector = connector.filter(|connector| agreed.is_live(now) && holds(connector));
        Ok(connector.map(|connector| (connector, agreed)))
    }

    /// Looks at a password that is not known here. Whoever has the permit reads the count, and counts before the next
    /// one has it: else all that are sent at the same time would be looked at.
    async fn look_at(
        &self,
        table: &Table,
        id: &ConnectorId,
        presented: PresentedCredentials,
        hash: [u8; 32],
        address: &str,
        now: Timestamp,
    ) -> Result<(Arc<Connector>, Credential), ScimError> {
        let permit = self.checks.acquire().await.map_err(ScimError::internal)?;
        let failures = table.failures(id, address, now);
        let (connector, failures) = tokio::try_join!(self.connector(table, id), failures)?;
        if let Some(seconds) = failures.blocked_for(now) {
            let detail = "Too many wrong passwords came from this address; wait, and mend the password first";
            return Err(ScimError::new(ErrorKind::TooManyRequests(seconds), detail));
        }
        let credentials = connector.as_ref().map(|connector| connector.credentials.clone());
        let agreed = find(credentials.unwrap_or_default(), presented, now).await?;
        if let Some((connector, agreed)) = connector.zip(agreed) {
            remember(&self.agreed, hash, agreed.clone());
            return Ok((connector, agreed));
        }
        // What was good once is a wrong password like any other from now on.
        lock(&self.agreed).remove(&hash);
        let failures = table.count_failure(id, address, now).await?;
        drop(permit);
        tokio::time::sleep(failures.delay()).await;
        Err(ScimError::new(ErrorKind::Unauthorized, REFUSED))
    }

    async fn connector(&self, table: &Table, id: &ConnectorId) -> Result<Option<Arc<Connector>>, ScimError> {
        let now = Instant::now();
        if let Some((read, connector)) = lock(&self.connectors).get(id)
            && now.duration_since(*read) < CONNECTOR_CACHE_TTL
        {
            return Ok(Some(Arc::clone(connector)));
        }
        let Some(connector) = table.connector(id).await?.map(Arc::new) else {
            lock(&self.connectors).remove(id);
            return Ok(None);
        };
        remember(&self.connectors, id.clone(), (now, Arc::clone(&connector)));
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

/// The full check, off the threads that serve requests.
async fn find(
    credentials: Vec<Credential>,
    presented: PresentedCredentials,
    now: Timestamp,
) -> Result<Option<Credential>, ScimError> {
    tokio::task::spawn_blocking(move || presented.find(&credentials, now).cloned())
        .await
        .map_err(ScimError::internal)
}

/// What counts as one address: of IPv6, the network that one subscriber has.
fn network(address: Option<IpAddr>) -> String {
    match address {
        None => "unknown".to_owned(),
        Some(IpAddr::V4(address)) => address.to_string(),
        Some(IpAddr::V6(address)) => match address.to_ipv4_mapped() {
            Some(address) => address.to_string(),
            None => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).to_string(),
        },
    }
}

fn remember<K: Eq + std::hash::Hash, V>(memory: &Mutex<HashMap<K, V>>, key: K, value: V) {
    let mut memory = lock(memory);
    if memory.len() >= MOST_REMEMBERED {
        memory.clear();
    }
    memory.insert(key, value);
}

/// A panic elsewhere leaves these maps whole.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv6_network_counts_as_one_address() {
        for (address, expected) in [
            ("192.0.2.7", "192.0.2.7"),
            ("::ffff:192.0.2.7", "192.0.2.7"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ] {
            assert_eq!(network(address.parse().ok()), expected);
        }
        assert_eq!(network(None), "unknown");
    }
}
