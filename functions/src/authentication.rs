//! Who is asking. Connectors are read at most once a minute, and a credential that was found good is remembered for as
//! long as its connector's record still holds it; a wrong one pays for the full check every time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sha2::{Digest, Sha256};
use shared::auth::{self, Credential, Presented};
use shared::error::{ErrorKind, ScimError};
use shared::store::connectors::{Connector, ConnectorId};
use shared::store::table::Table;
use tokio::sync::Semaphore;
use tokio::time::Instant;

/// How long a connector's record is believed: a change to it is in force everywhere after that.
const BELIEVED_FOR: Duration = Duration::from_secs(60);
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
    checks: Semaphore,
}

impl Authenticator {
    /// One that remembers nothing yet.
    ///
    /// # Errors
    /// When the system has no randomness.
    pub fn new() -> Result<Self, ScimError> {
        let key = Sha256::digest(auth::generate_secret()?).into();
        Ok(Self {
            key,
            connectors: Mutex::default(),
            agreed: Mutex::default(),
            checks: Semaphore::new(CHECKS_AT_ONCE),
        })
    }

    /// The connector that these credentials open.
    ///
    /// # Errors
    /// 401, the same for an unknown connector as for a wrong password; 403 for a connector that is disabled.
    pub async fn authenticate(
        &self,
        table: &Table,
        id: &str,
        authorization: Option<&str>,
    ) -> Result<Arc<Connector>, ScimError> {
        let refused = || ScimError::new(ErrorKind::Unauthorized, REFUSED);
        let connector = match ConnectorId::parse(id) {
            Some(id) => self.connector(table, id).await?,
            None => None,
        };
        let (Some(connector), Some(header)) = (connector, authorization) else {
            self.check(Vec::new(), Presented::Bearer { token: String::new() }).await?;
            return Err(refused());
        };
        let hash = self.hash(&connector.id, header);
        let is_known =
            lock(&self.agreed).get(&hash).is_some_and(|agreed| connector.credentials.contains(agreed));
        if !is_known {
            let presented = Presented::parse(header).unwrap_or(Presented::Bearer { token: String::new() });
            let agreed = self.check(connector.credentials.clone(), presented).await?.ok_or_else(refused)?;
            remember(&self.agreed, hash, agreed);
        }
        if !connector.is_enabled {
            let detail = format!("The connector {} is disabled", connector.id);
            return Err(ScimError::new(ErrorKind::Forbidden, detail));
        }
        Ok(connector)
    }

    async fn connector(&self, table: &Table, id: ConnectorId) -> Result<Option<Arc<Connector>>, ScimError> {
        let now = Instant::now();
        if let Some((read, connector)) = lock(&self.connectors).get(&id)
            && now.duration_since(*read) < BELIEVED_FOR
        {
            return Ok(Some(Arc::clone(connector)));
        }
        let Some(connector) = table.connector(&id).await?.map(Arc::new) else {
            lock(&self.connectors).remove(&id);
            return Ok(None);
        };
        remember(&self.connectors, id, (now, Arc::clone(&connector)));
        Ok(Some(connector))
    }

    /// The full check, off the threads that serve requests.
    async fn check(
        &self,
        credentials: Vec<Credential>,
        presented: Presented,
    ) -> Result<Option<Credential>, ScimError> {
        let _permit = self.checks.acquire().await.map_err(ScimError::internal)?;
        tokio::task::spawn_blocking(move || presented.find(&credentials).cloned())
            .await
            .map_err(ScimError::internal)
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
