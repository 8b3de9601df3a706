//! The attributes of a body that a resource type does not have. They are ignored.

use serde_json::{Map, Value};

use crate::schema::ResourceSchema;

/// Lists the attributes of the body of a POST or PUT that the schemas do not have: `nickname`, those of extensions with their URN,
/// and the URNs of unknown extensions. Sub-attributes are not looked at.
pub fn unknown_attributes<'b>(
    body: &'b Map<String, Value>,
    schema: &'b ResourceSchema,
) -> impl Iterator<Item = String> + 'b {
    body.iter().flat_map(move |(name, value)| match (schema.extension(name), value) {
        (Some(extension), Value::Object(values)) => {
            let unknown = values.keys().filter(|name| extension.attribute(name).is_none());
            unknown.map(|name| format!("{}:{name}", extension.id)).collect()
        }
        (Some(_), _) => Vec::new(),
        (None, _) if name.eq_ignore_ascii_case("schemas") || schema.core.attribute(name).is_some() => {
            Vec::new()
        }
        (None, _) => vec![name.clone()],
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::resource::ResourceKind;
    use crate::schema::Schemas;

    #[test]
    fn unknown_attributes_are_named_with_the_urn_of_their_extension() {
        let enterprise = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
        let body = json!({
            "schemas": [], "id": "1", "meta": {}, "USERNAME": "ann", "shoeSize": 38, "name": { "unknown": 1 },
            enterprise: { "department": "d", "badge": 1 }, "urn:example:User": { "a": 1 }
        });
        let body = body.as_object().unwrap();
        let mut found: Vec<String> =
            unknown_attributes(body, Schemas::built_in().of(ResourceKind::User)).collect();
        found.sort();
        assert_eq!(
            found,
            ["shoeSize".to_owned(), "urn:example:User".to_owned(), format!("{enterprise}:badge")]
        );
    }
}
