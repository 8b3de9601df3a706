//! Deleting what an identity provider sent, still uses as far as the directory knows, and no longer manages.

use crate::failure::{Failure, fail};
use crate::open_directory::OpenDirectory;
use crate::prompt::confirm;

/// Asks the operator to confirm the deletion of a user or group of the identity provider. `resource` says which, as in
/// `user ann`, and the operator enters `name`. Fails if the connector is enabled and the operator does not say that the
/// identity provider has abandoned the resource.
pub fn confirm_orphaned(
    open: &OpenDirectory,
    resource: &str,
    name: &str,
    is_orphaned: bool,
) -> Result<(), Failure> {
    let connector = &open.connector;
    if !is_orphaned && !open.is_disabled {
        return fail(format!(
            "{resource} belongs to the identity provider of connector {connector}; delete it there, or use --orphaned if the \
             identity provider no longer manages it"
        ));
    }
    let question = format!(
        "This deletes {resource}, which the identity provider of connector {connector} has not deactivated or deleted. An \
         identity provider that still manages it can get 404. To continue, enter {name}:"
    );
    confirm(&question, name, false)
}
