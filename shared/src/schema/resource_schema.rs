//! A resource type with its schemas and indexes. It resolves attribute paths to attributes.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Attribute, Mutability, ResourceType, Returned, Schema, Type, Uniqueness};
use crate::attribute_path::AttributePath;
use crate::resource::ResourceKind;

/// A resource type with its core schema, extensions and indexes.
#[derive(Clone, Debug)]
pub struct ResourceSchema {
    /// The kind of the resources.
    pub kind: ResourceKind,
    /// The resource type, as served at /ResourceTypes.
    pub resource_type: ResourceType,
    /// The core schema. Its first attributes are the common ones of RFC 7643 §3.1.
    pub core: Schema,
    /// The schema extensions.
    pub extensions: Vec<Schema>,
    /// The indexes, in the order of the resource type file.
    pub indexes: Vec<Index>,
    /// Whether requests must follow the interoperability profile: see [`crate::interop_profile`].
    pub is_strict: bool,
}

/// An index of an attribute. The table has an item for each value of the attribute.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Index {
    /// The attribute path, spelled as in the resource type file. The keys of the items contain it.
    pub name: String,
    /// The URN of the extension that has the attribute; `None` for core attributes.
    pub extension: Option<String>,
    /// The attribute.
    pub attribute: String,
    /// The sub-attribute whose values are indexed.
    pub sub_attribute: Option<String>,
    /// Whether comparisons distinguish upper and lower case.
    pub case_exact: bool,
    /// Whether two resources cannot have the same value.
    pub unique: bool,
    /// Whether every resource has a value.
    pub required: bool,
}

/// The meaning of an attribute path.
#[derive(Clone, Copy, Debug)]
pub enum Resolved<'s> {
    /// All attributes of an extension. The path is the URN of the extension.
    Extension(&'s Schema),
    /// One attribute or sub-attribute.
    Attribute(Target<'s>),
}

/// A resolved attribute or sub-attribute.
#[derive(Clone, Copy, Debug)]
pub struct Target<'s> {
    /// The extension that has the attribute; `None` for core and common attributes.
    pub extension: Option<&'s Schema>,
    /// The attribute.
    pub attribute: &'s Attribute,
    /// The sub-attribute, if the path names one.
    pub sub_attribute: Option<&'s Attribute>,
}

impl<'s> Target<'s> {
    /// Returns the sub-attribute, or the attribute if the path does not name a sub-attribute.
    pub fn leaf(&self) -> &'s Attribute {
        self.sub_attribute.unwrap_or(self.attribute)
    }

    /// Finds the value of the attribute, not of the sub-attribute. Names in the resource must be spelled as
    /// in the schema.
    pub fn find<'v>(&self, resource: &'v Map<String, Value>) -> Option<&'v Value> {
        match self.extension {
            Some(extension) => resource.get(&extension.id)?.as_object()?.get(&self.attribute.name),
            None => resource.get(&self.attribute.name),
        }
    }
}

impl ResourceSchema {
    pub(super) fn new(
        kind: ResourceKind,
        resource_type: ResourceType,
        schemas: &[Schema],
    ) -> Result<Self, String> {
        let find = |urn: &str| {
            schemas.iter().find(|schema| schema.id.eq_ignore_ascii_case(urn)).cloned().ok_or_else(|| {
                format!("resource type {} names the schema {urn}, which no file defines", kind.name())
            })
        };
        let mut core = find(&resource_type.schema)?;
        core.attributes.splice(0..0, common_attributes());
        let extensions = resource_type
            .schema_extensions
            .iter()
            .map(|extension| find(&extension.schema))
            .collect::<Result<Vec<_>, _>>()?;
        let mut schema =
            Self { kind, resource_type, core, extensions, indexes: Vec::new(), is_strict: false };
        schema.indexes =
            schema.resource_type.indexes.iter().map(|name| schema.index(name)).collect::<Result<_, _>>()?;
        Ok(schema)
    }

    fn index(&self, name: &str) -> Result<Index, String> {
        let path =
            AttributePath::parse(name).ok_or_else(|| format!("index {name} is not an attribute path"))?;
        let Some(Resolved::Attribute(target)) = self.resolve(&path) else {
            return Err(format!("index {name} does not name an attribute"));
        };
        let leaf = target.leaf();
        if !matches!(leaf.kind, Type::String | Type::Reference) {
            return Err(format!("index {name} is not on a text attribute"));
        }
        Ok(Index {
            name: name.to_owned(),
            extension: target.extension.map(|extension| extension.id.clone()),
            attribute: target.attribute.name.clone(),
            sub_attribute: target.sub_attribute.map(|attribute| attribute.name.clone()),
            case_exact: leaf.case_exact,
            unique: leaf.is_name() && !target.attribute.multi_valued,
            required: leaf.required && target.attribute.required && target.extension.is_none(),
        })
    }

    /// Resolves a path. Returns `None` if the resource type does not have the attribute. The comparison of
    /// names and URNs ignores upper and lower case.
    ///
    /// A name without a URN can be a core attribute or, if there is none with this name, an attribute of an
    /// extension: Entra ID sends `manager` and `department` without a URN.
    pub fn resolve(&self, path: &AttributePath) -> Option<Resolved<'_>> {
        if let Some(extension) = path.as_urn().and_then(|urn| self.extension(&urn)) {
            return Some(Resolved::Extension(extension));
        }
        let in_core = |attributes: &'_ Schema| attributes.id.eq_ignore_ascii_case(&self.core.id);
        let schemas = std::iter::once(&self.core).chain(&self.extensions);
        schemas
            .filter(|schema| path.urn.as_ref().is_none_or(|urn| schema.id.eq_ignore_ascii_case(urn)))
            .find_map(|schema| {
                let attribute = schema.attribute(&path.name)?;
                let sub_attribute = match &path.sub_attribute {
                    Some(name) => Some(attribute.sub_attribute(name)?),
                    None => None,
                };
                let extension = (!in_core(schema)).then_some(schema);
                Some(Resolved::Attribute(Target { extension, attribute, sub_attribute }))
            })
    }

    /// Finds the extension with this URN. Ignores upper and lower case.
    pub fn extension(&self, urn: &str) -> Option<&Schema> {
        self.extensions.iter().find(|schema| schema.id.eq_ignore_ascii_case(urn))
    }
}

impl Schema {
    /// Finds the attribute with this name. Ignores upper and lower case.
    pub fn attribute(&self, name: &str) -> Option<&Attribute> {
        self.attributes.iter().find(|attribute| attribute.name.eq_ignore_ascii_case(name))
    }
}

/// Returns the attributes that every resource has (RFC 7643 §3 and §3.1). No schema file has them.
fn common_attributes() -> [Attribute; 4] {
    let attribute = |name: &str, kind| Attribute {
        name: name.to_owned(),
        kind,
        sub_attributes: Vec::new(),
        multi_valued: false,
        description: String::new(),
        required: false,
        canonical_values: Vec::new(),
        case_exact: true,
        mutability: Mutability::ReadOnly,
        returned: Returned::Default,
        uniqueness: Uniqueness::None,
        reference_types: Vec::new(),
    };
    [
        Attribute { multi_valued: true, returned: Returned::Always, ..attribute("schemas", Type::Reference) },
        Attribute {
            returned: Returned::Always,
            uniqueness: Uniqueness::Server,
            ..attribute("id", Type::String)
        },
        Attribute { mutability: Mutability::ReadWrite, ..attribute("externalId", Type::String) },
        Attribute {
            sub_attributes: vec![
                attribute("resourceType", Type::String),
                attribute("created", Type::DateTime),
                attribute("lastModified", Type::DateTime),
                attribute("location", Type::Reference),
                attribute("version", Type::String),
            ],
            ..attribute("meta", Type::Complex)
        },
    ]
}
