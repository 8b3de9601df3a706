//! The keys that sign access tokens. Public keys are in the connector's record, which every request reads anyway. Each private key is an
//! item in a partition that only the token endpoint may read.

use shared::error::ScimError;

use crate::audit::Operation;
use crate::connectors::{Connector, ConnectorId, Connectors, FORMAT, format_of};
use crate::dynamodb::keys;
use crate::dynamodb::table::{Outcome, Table};
use crate::signing::{self, PublicKey, Signer};

/// The most keys of a connector: the one that signs, and the one before, whose tokens can still be valid.
const MAX_KEYS: usize = 2;
/// The attribute that audit records name.
const TOKEN_KEYS: &str = "token_keys";

impl Table {
    /// Reads the key that signs the access tokens of a connector: the newest.
    ///
    /// # Errors
    /// Fails when DynamoDB does, or when the connector has no such key.
    pub async fn token_signer(&self, connector: &Connector) -> Result<Signer, ScimError> {
        let key = connector.record.token_keys.last();
        let key =
            key.ok_or_else(|| ScimError::internal("a connector with an OAuth credential has no token key"))?;
        let item = self.get(&keys::token_key(&connector.id, &key.kid)).await?;
        Signer::of_item(&key.kid, item.as_ref())
    }
}

impl Connectors {
    /// Makes a new key for the access tokens of a connector, which signs at once. Tokens of the key before stay valid, and those of
    /// older keys end. Returns its public part.
    ///
    /// # Errors
    /// 404; `invalidValue` while the connector is being deleted, or if it is stored in an older format.
    pub async fn rotate_token_key(&self, id: &ConnectorId) -> Result<PublicKey, ScimError> {
        let mut backoff = self.table.backoff();
        loop {
            let present = self.read_usable(id).await?;
            if let Some(key) = self.add_token_key(&present).await? {
                return Ok(key);
            }
            backoff.wait().await?;
        }
    }

    /// Makes the first key for the access tokens of a connector, unless there is one.
    pub(crate) async fn ensure_token_key(&self, id: &ConnectorId) -> Result<(), ScimError> {
        let mut backoff = self.table.backoff();
        loop {
            let present = self.read_usable(id).await?;
            if !present.record.token_keys.is_empty() || self.add_token_key(&present).await?.is_some() {
                return Ok(());
            }
            backoff.wait().await?;
        }
    }

    /// Adds a key to a connector as it was read; `None` if another writer was faster.
    async fn add_token_key(&self, present: &Connector) -> Result<Option<PublicKey>, ScimError> {
        let id = &present.id;
        if present.format < FORMAT {
            return Err(ScimError::invalid_value(format!(
                "connector {id} is stored in format {}, and OAuth needs format {FORMAT}; run `scimctl migrate` first",
                present.format
            )));
        }
        let key = signing::generate(|kid| keys::token_key(id, kid), self.now)?;
        let mut next = present.clone();
        let token_keys = &mut next.record.token_keys;
        token_keys.push(key.public.clone());
        let dropped: Vec<PublicKey> = token_keys.drain(..token_keys.len().saturating_sub(MAX_KEYS)).collect();
        next.format = format_of(&next.record);
        let attributes = vec![TOKEN_KEYS.to_owned()];
        let mut transaction = self.transaction_of(present, &next, Operation::Update, attributes)?;
        for dropped in dropped {
            transaction.delete(&keys::token_key(id, &dropped.kid))?;
        }
        transaction.put(key.item)?;
        let outcome = self.table.commit(&transaction).await?;
        Ok((outcome == Outcome::Committed).then_some(key.public))
    }
}
