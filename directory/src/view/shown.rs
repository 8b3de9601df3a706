//! What mapping and rules make of a user that was just written. It is for the request trail.

use shared::resource::{Resource, ResourceKind};

use super::EntryMaker;
use crate::Directory;
use crate::settings::TrailScope;
use crate::trail::Shown;

impl Directory {
    /// Which requests the request trail of the connector records.
    pub fn trail_scope(&self) -> TrailScope {
        self.settings().trail
    }

    /// Returns what the platform sees of a user that was just written. It reads nothing, so it does not know whether an earlier user
    /// has the same username. `None` for other resources, and if the mapping cannot be used.
    pub fn shown(&self, user: &Resource) -> Option<Shown> {
        if user.kind != ResourceKind::User {
            return None;
        }
        let maker = EntryMaker::new(&self.connector.id.to_string(), self.settings(), &self.schemas).ok()?;
        let hidden = maker.hidden_resource(user).map(|hidden| hidden.to_string());
        Some(Shown { username: maker.username(user), hidden })
    }
}
