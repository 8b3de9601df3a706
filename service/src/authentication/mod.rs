//! Authentication. A process caches each connector for 60 seconds.
//!
//! Generated secrets are compared first: one SHA-256 hash for each candidate. If none matches, the process reads the
//! connector again, so a new password works at once. Only if a chosen password could match, the request reserves a slot
//! of the rate limit and computes argon2id. The process remembers chosen passwords and access tokens that were right. Requests
//! with wrong credentials are counted by day and address.

mod connectors;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use directory::Table;
use directory::connectors::credential_usage::USE_RECORDED_EVERY;
use directory::connectors::{Connector, ConnectorId};
use directory::oauth::access_token::{self, VerifiedToken};
use directory::secrets::generate_secret;
use jiff::Timestamp;
use sha2::{Digest, Sha256};
use shared::credential::{
    Credential, CredentialKind, CredentialScope, PasswordVerifier, PresentedCredentials,
};
use shared::error::{ErrorKind, Schemes, ScimError};
use tokio::time::{Duration, Instant};

use crate::request::Request;
use crate::trail::Notes;
pub(crate) use connectors::{ConnectorCache, ReadOutcome};

/// The maximum number of entries in each cache. A full cache is cleared.
const MAX_CACHED: usize = 1_000;
/// The timeout of a request's side writes: recording the use of a credential, giving back a slot, and counting a failed sign-in.
pub const SIDE_WRITE_TIMEOUT: Duration = Duration::from_millis(100);

const INVALID_CREDENTIALS: &str =
    "Authentication failed: send the connector's username and password (Basic), or its token (Bearer)";
const TOO_MANY_FAILURES: &str = "Too many requests with wrong credentials: retry in a second";

/// Checks credentials, and caches connectors and chosen passwords for the life of a process.
#[derive(Debug)]
pub struct Authenticator {
    key: [u8; 32],
    connectors: ConnectorCache,
    /// Verified chosen passwords and access tokens: a keyed hash of the connector's URL, the needed scope and the Authorization
    /// header, and what it matched.
    verified_headers: Mutex<HashMap<[u8; 32], Verified>>,
    /// When this process last decided to record the use of a credential.
    recorded_uses: Mutex<HashMap<(ConnectorId, String), Timestamp>>,
    /// Checks one password at a time, because each check takes 19 MiB of memory.
    verifier: Arc<tokio::sync::Mutex<PasswordVerifier>>,
}

/// A header that was right.
#[derive(Clone, Debug)]
enum Verified {
    /// It has a chosen password: of this credential.
    Password(Credential),
    /// It has an access token.
    Token(VerifiedToken),
}

impl Verified {
    /// The credential that the header matched, or that its access token was issued for, if the header is still right.
    fn credential(self, connector: &Connector, now: Timestamp) -> Option<Credential> {
        let credential = match self {
            Self::Password(credential) => credential,
            Self::Token(VerifiedToken { credential, expires, kid }) => {
                let has_key = connector.record.token_keys.iter().any(|key| key.kid == kid);
                (has_key && now < expires).then_some(credential)?
            }
        };
        (credential.is_live(now) && connector.credentials.contains(&credential)).then_some(credential)
    }
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

/// The credentials of one request for one connector.
struct SignIn<'r> {
    connector: ConnectorId,
    /// The URL of the connector: the issuer of its access tokens.
    issuer: &'r str,
    header: &'r str,
    request: &'r Request,
    scope: CredentialScope,
    table: &'r Table,
    now: Timestamp,
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
            connectors: ConnectorCache::default(),
            verified_headers: Mutex::default(),
            recorded_uses: Mutex::default(),
            verifier: Arc::default(),
        })
    }

    /// Authenticates a request for a connector to an API that needs credentials of this scope. `issuer` is the URL of the connector.
    ///
    /// # Errors
    /// - 401 for invalid credentials. An unknown connector gets the same response.
    /// - 403 for a disabled connector, and for right credentials of another scope.
    /// - 429 if the username is that of a chosen password, this process does not remember the header, and the address has
    ///   no slot left; and after many failed checks in this process.
    pub async fn authenticate(
        &self,
        table: &Table,
        (id, issuer): (&str, &str),
        request: &Request,
        scope: CredentialScope,
        now: Timestamp,
        notes: &Notes,
    ) -> Result<Authenticated, ScimError> {
        let header = request.header("authorization").unwrap_or_default();
        let connector = ConnectorId::parse(id).ok_or_else(|| unauthorized(None, scope, now))?;
        let sign_in = SignIn { connector, issuer, header, request, scope, table, now };
        let (connector, credential) = self.check(sign_in).await?;
        notes.sign_in(&connector, &credential.id);
        if connector.record.disabled.is_some() {
            let detail = format!("Connector {} is disabled", connector.id);
            return Err(ScimError::new(ErrorKind::Forbidden, detail));
        }
        if credential.scope != scope {
            return Err(ScimError::new(
                ErrorKind::Forbidden,
                wrong_scope(&connector.id, credential.scope, scope),
            ));
        }
        Ok(self.authenticated(connector, credential.id, now))
    }

    /// Decides whether the use of the credential has to be recorded.
    pub fn authenticated(
        &self,
        connector: Arc<Connector>,
        credential: String,
        now: Timestamp,
    ) -> Authenticated {
        let key = (connector.id.clone(), credential.clone());
        let must_record_use = lock_ignoring_poison(&self.recorded_uses)
            .get(&key)
            .is_none_or(|recorded| now - *recorded >= USE_RECORDED_EVERY);
        if must_record_use {
            insert_bounded(&self.recorded_uses, key, now);
        }
        Authenticated { connector, credential, must_record_use }
    }

    /// Records when a credential was used. It must not fail or delay the request: after [`SIDE_WRITE_TIMEOUT`] the attempt is
    /// given up, and the next request tries again.
    pub async fn record_use(&self, table: &Table, authenticated: &Authenticated, now: Timestamp) {
        if !authenticated.must_record_use {
            return;
        }
        let Authenticated { connector, credential, .. } = authenticated;
        let table = table.until(Instant::now() + SIDE_WRITE_TIMEOUT);
        if let Err(error) = table.credential_usage(&connector.id).record_use(credential, now).await {
            tracing::warn!(%error, "cannot record the use of a credential");
            let key = (connector.id.clone(), credential.clone());
            lock_ignoring_poison(&self.recorded_uses).remove(&key);
        }
    }

    /// The connectors that the process has read.
    pub(crate) fn connectors(&self) -> &ConnectorCache {
        &self.connectors
    }

    /// Reads a connector for a request without credentials; `None` if there is none.
    ///
    /// # Errors
    /// 429 when strangers caused too many reads in this process.
    pub async fn connector(
        &self,
        table: &Table,
        id: &ConnectorId,
    ) -> Result<Option<Arc<Connector>>, ScimError> {
        if let Some(connector) = self.connectors.cached(id) {
            return Ok(Some(connector));
        }
        match self.connectors.read(table, id, Instant::now()).await? {
            ReadOutcome::Read(connector) => Ok(connector),
            ReadOutcome::RateLimited => {
                Err(ScimError::new(ErrorKind::TooManyRequests(1), "Too many requests for unknown connectors"))
            }
        }
    }

    /// Finds the connector and the credential that was presented.
    async fn check(&self, sign_in: SignIn<'_>) -> Result<(Arc<Connector>, Credential), ScimError> {
        let SignIn { connector: id, header, scope, table, now, .. } = &sign_in;
        let began = Instant::now();
        let cached = self.connectors.cached(id);
        let Some(presented) = PresentedCredentials::parse(header) else {
            let connector = match cached {
                None => self.connectors.read(table, id, began).await?.connector(),
                cached => cached,
            };
            return Err(unauthorized(connector.as_deref(), *scope, *now));
        };
        if let Some(connector) = &cached
            && let Some(credential) = self.recognise(connector, &presented, &sign_in)
        {
            return Ok((Arc::clone(connector), credential));
        }
        let outcome = self.connectors.read(table, id, began).await?;
        let is_current = matches!(outcome, ReadOutcome::Read(_));
        let connector = if is_current { outcome.connector() } else { cached };
        if let Some(connector) = &connector {
            let credential = match self.recognise(connector, &presented, &sign_in) {
                None => self.check_chosen(connector, presented, &sign_in).await?,
                recognised => recognised,
            };
            if let Some(credential) = credential {
                return Ok((Arc::clone(connector), credential));
            }
        }
        if is_current {
            if let Some(connector) = &connector {
                count_failure(table, connector, sign_in.request, *now).await;
            }
            Err(unauthorized(connector.as_deref(), *scope, *now))
        } else {
            Err(ScimError::new(ErrorKind::TooManyRequests(1), TOO_MANY_FAILURES))
        }
    }

    /// Finds the credential without argon2: one with a generated secret, the one of a remembered header if the connector still
    /// has it, or the one that bought the access token.
    fn recognise(
        &self,
        connector: &Connector,
        presented: &PresentedCredentials,
        sign_in: &SignIn<'_>,
    ) -> Option<Credential> {
        let credentials = &connector.credentials;
        if let Some(credential) = presented.find_generated(credentials, sign_in.now) {
            return Some(credential.clone());
        }
        let hash = self.hash(sign_in);
        let remembered = lock_ignoring_poison(&self.verified_headers).get(&hash).cloned();
        if let Some(credential) = remembered.and_then(|header| header.credential(connector, sign_in.now)) {
            return Some(credential);
        }
        let PresentedCredentials::Bearer { token } = presented else { return None };
        let verified = access_token::verify(token, connector, sign_in.issuer, sign_in.now)?;
        let credential = verified.credential.clone();
        insert_bounded(&self.verified_headers, hash, Verified::Token(verified));
        Some(credential)
    }

    /// Finds the credential with this chosen password, if the rate limit has a slot for the check.
    async fn check_chosen(
        &self,
        connector: &Connector,
        presented: PresentedCredentials,
        sign_in: &SignIn<'_>,
    ) -> Result<Option<Credential>, ScimError> {
        let candidates = presented.chosen_candidates(&connector.credentials, sign_in.now);
        let mut candidates: Vec<Credential> = candidates.cloned().collect();
        // A person can choose the same username and password for both scopes.
        candidates.sort_by_key(|candidate| candidate.scope != sign_in.scope);
        if candidates.is_empty() {
            return Ok(None);
        }
        let limit = sign_in.table.password_limit(&connector.id);
        let slot = limit.reserve(sign_in.request.address, sign_in.now).await?;
        let mut verifier = Arc::clone(&self.verifier).lock_owned().await;
        // Hashing a password takes long, so it has a thread that serves no requests.
        let found =
            tokio::task::spawn_blocking(move || verifier.find(&presented, &candidates).cloned()).await;
        let Some(credential) = found.map_err(ScimError::internal)? else { return Ok(None) };
        let verified = Verified::Password(credential.clone());
        insert_bounded(&self.verified_headers, self.hash(sign_in), verified);
        let table = sign_in.table.until(Instant::now() + SIDE_WRITE_TIMEOUT);
        if let Err(error) = table.password_limit(&connector.id).give_back(&slot).await {
            tracing::warn!(%error, "cannot give back the slot of a right password");
        }
        Ok(Some(credential))
    }

    fn hash(&self, sign_in: &SignIn<'_>) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(self.key);
        // The URL too: an access token is valid for one host.
        hash.update(sign_in.issuer);
        hash.update([0]);
        hash.update(sign_in.connector.to_string());
        hash.update([0]);
        hash.update(sign_in.scope.name());
        hash.update([0]);
        hash.update(sign_in.header);
        hash.finalize().into()
    }
}

/// Counts a request with wrong credentials of a connector that exists.
pub(crate) async fn count_failure(table: &Table, connector: &Connector, request: &Request, now: Timestamp) {
    let table = table.until(Instant::now() + SIDE_WRITE_TIMEOUT);
    let failures = table.failed_sign_ins(&connector.id);
    if let Err(error) = failures.count(request.address, now).await {
        tracing::warn!(%error, "cannot count a failed sign-in");
    }
}

/// The error for invalid credentials. It names the schemes that the connector has for this scope. An unknown connector looks
/// like one with a username and password.
fn unauthorized(connector: Option<&Connector>, scope: CredentialScope, now: Timestamp) -> ScimError {
    let schemes = connector.map(|connector| schemes(connector, scope, now));
    let schemes = schemes.unwrap_or(Schemes { basic: true, bearer: false, oauth: false });
    ScimError::new(ErrorKind::Unauthorized(schemes), INVALID_CREDENTIALS)
}

/// The text for right credentials of a scope that the API does not need.
fn wrong_scope(connector: &ConnectorId, present: CredentialScope, needed: CredentialScope) -> String {
    let (present, needed) = (present.name(), needed.name());
    format!(
        "The credential has the scope {present}, and this API needs the scope {needed}; an operator creates one with \
         `scimctl credential create {connector} --scope {needed}`"
    )
}

/// The authentication schemes of a connector's credentials of a scope. Basic if it has none.
pub fn schemes(connector: &Connector, scope: CredentialScope, now: Timestamp) -> Schemes {
    let mut schemes = Schemes { basic: false, bearer: false, oauth: false };
    let is_usable = |credential: &&Credential| credential.scope == scope && credential.is_live(now);
    for credential in connector.credentials.iter().filter(is_usable) {
        match credential.kind {
            CredentialKind::Basic { .. } => schemes.basic = true,
            CredentialKind::Bearer => schemes.bearer = true,
            CredentialKind::ClientSecret { .. }
            | CredentialKind::ClientKey(_)
            | CredentialKind::Federation(_) => schemes.oauth = true,
        }
    }
    schemes.basic |= !schemes.bearer && !schemes.oauth;
    schemes
}

/// Inserts into a cache, which is cleared first if it is full.
pub(crate) fn insert_bounded<K: Eq + std::hash::Hash, V>(cache: &Mutex<HashMap<K, V>>, key: K, value: V) {
    let mut cache = lock_ignoring_poison(cache);
    if cache.len() >= MAX_CACHED {
        cache.clear();
    }
    cache.insert(key, value);
}

/// Locks a map. Each change to these maps is a single call, so a panic of another thread leaves them valid.
pub(crate) fn lock_ignoring_poison<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
