//! The schemas of a connector: those of the service provider, as the connector's settings change them.

use std::sync::{Arc, OnceLock};

use shared::schema::Schemas;

use super::Connector;

/// The schemas of a connector that was read. They are made once, because a request needs them and making them takes
/// longer than other steps of a request.
#[derive(Debug, Default)]
pub struct CachedSchemas(OnceLock<Arc<Schemas>>);

/// A changed copy of a connector can have other schemas, so a copy makes its own.
impl Clone for CachedSchemas {
    fn clone(&self) -> Self {
        Self::default()
    }
}

/// The schemas follow from the other fields of the connector.
impl PartialEq for CachedSchemas {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Connector {
    /// Returns the schemas of this connector's users and groups. `built_in` are those of the service provider, which are
    /// the same at each call.
    pub fn schemas(&self, built_in: &Arc<Schemas>) -> Arc<Schemas> {
        if !self.record.settings.strict {
            return Arc::clone(built_in);
        }
        Arc::clone(self.schemas.0.get_or_init(|| Arc::new(built_in.strict())))
    }
}
