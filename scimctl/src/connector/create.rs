//! `scimctl connector create`.

use directory::connectors::ConnectorId;
use directory::secrets::generate_secret;
use shared::schema::Schemas;

use super::new_credential::{CredentialOptions, NewCredential};
use crate::context::Context;
use crate::failure::{Failure, fail};
use crate::output::print_lines;
use crate::service_url::ServiceUrl;

/// Creates a connector, and prints what the identity provider needs.
pub async fn create(
    context: &Context,
    name: &str,
    url: &str,
    is_unguessable: bool,
    options: CredentialOptions,
) -> Result<(), Failure> {
    let service = ServiceUrl::parse(url)?;
    let id = if is_unguessable { format!("{name}-{}", random_suffix()?) } else { name.to_owned() };
    let id = parse_new_id(&id)?;
    let username = options.username.clone().unwrap_or_else(|| name.to_owned());
    let new = store(context, &id, name, &username, &options).await?;
    print_lines(&format!("Endpoint URL:  {}\n{}", service.endpoint(&id.to_string()), new.lines()))?;
    service.note_if_missing();
    Ok(())
}

/// Parses the id of a connector that does not exist yet.
pub fn parse_new_id(id: &str) -> Result<ConnectorId, Failure> {
    let parsed = ConnectorId::parse(id);
    parsed.ok_or_else(|| Failure(format!("{id:?} is not a connector id; use 1 to 63 of a-z, 0-9 and -")))
}

/// Stores a new connector with a new credential. The username is for a password, not for a token.
pub async fn store(
    context: &Context,
    id: &ConnectorId,
    name: &str,
    username: &str,
    options: &CredentialOptions,
) -> Result<NewCredential, Failure> {
    if context.table().connector(id).await?.is_some() {
        return fail(already_exists(id));
    }
    let username = (!options.bearer).then(|| username.to_owned());
    let new = NewCredential::create(username, options, context.now)?;
    let credentials = vec![new.credential.clone()];
    let created = context.connectors().create(id, name.to_owned(), credentials, Schemas::built_in()).await?;
    if created.is_none() {
        return fail(already_exists(id));
    }
    Ok(new)
}

fn already_exists(id: &ConnectorId) -> String {
    format!("connector {id} already exists")
}

/// Draws 20 random characters that are allowed in an id.
fn random_suffix() -> Result<String, Failure> {
    let secret = generate_secret()?.to_lowercase();
    Ok(secret.chars().filter(char::is_ascii_alphanumeric).take(20).collect())
}
