//! A question to Cedar: may a user do this to that, by these policies and the entities of a directory?

use std::path::{Path, PathBuf};

use cedar_policy::{Authorizer, Context, Entities, EntityId, EntityTypeName, EntityUid, Request, Response};
use clap::Args;
use shared::error::chain;

use super::entities::{DirectoryEntities, NAMESPACE, USER};
use super::file::{self, Content, in_file, in_json};
use super::policies::Policies;
use crate::context;
use crate::failure::{Failure, fail};
use crate::open_directory::OpenDirectory;

/// What an operator asks.
#[derive(Args)]
pub struct Question {
    /// Id of the connector
    connector: String,
    /// Files or folders with Cedar policies: .cedar, or JSON policy sets
    #[arg(long, value_name = "PATH", num_args = 1.., required = true)]
    policies: Vec<PathBuf>,
    /// Action: an entity, or the id of an entity of type Action
    #[arg(long)]
    action: String,
    /// Resource: an entity, such as 'Document::"plan"'
    #[arg(long)]
    resource: String,
    /// JSON file with your own entities, such as resources and groups of actions
    #[arg(long, value_name = "FILE")]
    entities: Option<PathBuf>,
    /// JSON file with the context of the request
    #[arg(long, value_name = "FILE")]
    context: Option<PathBuf>,
}

/// Everything that Cedar needs to decide about users of a directory.
pub struct Case {
    /// The directory.
    pub directory: DirectoryEntities,
    /// The policies.
    pub policies: Policies,
    /// The action.
    pub action: EntityUid,
    /// The resource.
    pub resource: EntityUid,
    entities: Entities,
    context: Context,
    user_type: EntityTypeName,
    authorizer: Authorizer,
}

impl Question {
    /// Reads the files and the directory.
    ///
    /// # Errors
    /// Fails if Cedar cannot parse a file or an option, or when DynamoDB fails.
    pub async fn open(&self, context: &context::Context) -> Result<Case, Failure> {
        let action = parse_action(&self.action)?;
        let resource = parse_entity("resource", &self.resource)?;
        let mut policies = Policies::read(&self.policies)?;
        let own = self.entities.as_deref().map(read_own_entities).transpose()?;
        let request_context =
            self.context.as_deref().map(read_context).transpose()?.unwrap_or_else(Context::empty);
        let directory =
            DirectoryEntities::read(&OpenDirectory::open(context, &self.connector).await?).await?;
        let mut entities = directory.to_cedar()?;
        if let Some(own) = own {
            entities = entities.add_entities(own, None).map_err(|error| Failure(chain(&error)))?;
        }
        policies.retain(&action, &resource, &entities)?;
        let user_type = USER.parse().map_err(|error| Failure(chain(&error)))?;
        let authorizer = Authorizer::new();
        Ok(Case {
            directory,
            policies,
            action,
            resource,
            entities,
            context: request_context,
            user_type,
            authorizer,
        })
    }
}

impl Case {
    /// Lets Cedar decide about the user with this id.
    pub fn decide(&self, user: &str) -> Result<Response, Failure> {
        let principal = EntityUid::from_type_name_and_id(self.user_type.clone(), EntityId::new(user));
        let (action, resource) = (self.action.clone(), self.resource.clone());
        let request = Request::new(principal, action, resource, self.context.clone(), None);
        let request = request.map_err(|error| Failure(chain(&error)))?;
        Ok(self.authorizer.is_authorized(&request, &self.policies.set, &self.entities))
    }
}

/// Parses an action. A name without quotes is the id of an entity of type `Action`.
fn parse_action(action: &str) -> Result<EntityUid, Failure> {
    if action.contains('"') {
        return parse_entity("action", action);
    }
    let kind = "Action".parse().map_err(|error| Failure(chain(&error)))?;
    Ok(EntityUid::from_type_name_and_id(kind, EntityId::new(action)))
}

fn parse_entity(option: &str, entity: &str) -> Result<EntityUid, Failure> {
    entity.parse().map_err(|error| {
        Failure(format!("--{option} is {entity}, and must be an entity such as Type::\"id\": {error}"))
    })
}

/// Reads the operator's entities. Only the directory defines users, groups and roles: an older export would give a user who has left
/// their groups again.
fn read_own_entities(file: &Path) -> Result<Entities, Failure> {
    let Content::Entities(entities, _) = file::read(file)? else {
        return fail(
            in_file(file, "the file must be a JSON array of entities, and its name must end in .json").0,
        );
    };
    let of_directory =
        entities.iter().map(|entity| entity.uid()).find(|uid| uid.type_name().namespace() == NAMESPACE);
    match of_directory {
        Some(uid) => {
            let error =
                format!("the directory defines the entities of {NAMESPACE}; remove {uid} from the file");
            Err(in_file(file, error))
        }
        None => Ok(entities),
    }
}

fn read_context(file: &Path) -> Result<Context, Failure> {
    let text = std::fs::read_to_string(file).map_err(|error| in_file(file, error))?;
    Context::from_json_str(&text, None).map_err(|error| in_json(file, &error))
}
