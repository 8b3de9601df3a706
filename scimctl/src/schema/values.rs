//! The values of a custom schema that the users or groups of a directory have.

use directory::Directory;
use serde_json::Value;
use shared::resource::Resource;
use shared::schema::CustomSchema;

use crate::failure::Failure;

/// How many resources have values of a schema.
#[derive(Default)]
pub struct StoredValues {
    /// The number of resources.
    pub resources: usize,
    /// The number of those whose values do not fit the schema.
    pub misfits: usize,
    /// Which resource was the first whose values do not fit, and why.
    pub first_misfit: Option<String>,
}

impl StoredValues {
    /// Reads all users or all groups of a directory, also users whom the client deleted and operators keep.
    pub async fn read(directory: &Directory, schema: &CustomSchema) -> Result<Self, Failure> {
        let mut values = Self::default();
        let mut walk = directory.queries().walk(schema.resource_type.kind());
        while let Some(found) = walk.next().await? {
            for found in found {
                values.add(&found.stored.resource, schema);
            }
        }
        Ok(values)
    }

    fn add(&mut self, resource: &Resource, schema: &CustomSchema) {
        let is_of_schema = |(name, _): &(&String, &Value)| name.eq_ignore_ascii_case(&schema.schema.id);
        let Some((name, values)) = resource.document.iter().find(is_of_schema) else { return };
        self.resources += 1;
        if let Err(reason) = schema.check_stored(name, values) {
            self.misfits += 1;
            let place = || format!("{} {}: {reason}", resource.kind.name(), resource.id);
            self.first_misfit.get_or_insert_with(place);
        }
    }
}
