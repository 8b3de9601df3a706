//! Edited schemas: the files in `shared/schemas` and `shared/resource_types`, with the changes that a test
//! makes.

use std::fs;
use std::sync::Arc;

use serde_json::Value;
use shared::schema::Schemas;

use crate::workspace;

/// Loads the schemas of the service and these additional ones. `edit` changes the resource type of users
/// first.
///
/// The schemas stay in memory until the process ends, because the service takes them as static.
///
/// # Panics
/// When a file cannot be read, or the edited schemas are invalid.
pub fn edited_schemas(additional: &[Value], edit: impl FnOnce(&mut Value)) -> &'static Arc<Schemas> {
    let mut user_type: Value =
        serde_json::from_str(&read("resource_types/User.json")).expect("the file is JSON");
    edit(&mut user_type);
    let files = ["User", "Group", "EnterpriseUser"].map(|name| read(&format!("schemas/{name}.json")));
    let schemas: Vec<String> = additional.iter().map(Value::to_string).chain(files).collect();
    let schemas: Vec<&str> = schemas.iter().map(String::as_str).collect();
    let types = [user_type.to_string(), read("resource_types/Group.json")];
    let loaded = Schemas::load(&schemas, &types.each_ref().map(String::as_str));
    Box::leak(Box::new(Arc::new(loaded.expect("the edited schemas are valid"))))
}

fn read(name: &str) -> String {
    let path = workspace().join("shared").join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
