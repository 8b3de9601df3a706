//! A resource type bound to its schemas: what an attribute path means for resources of that type.

use serde_json::{Map, Value};

use super::{Attribute, Mutability, ResourceType, Returned, Schema, Type, Uniqueness};
use crate::attribute_path::AttributePath;
use crate::resource::ResourceKind;

/// The core schema of a resource type, the attributes common to all resources, and the extensions.
#[derive(Debug)]
pub struct ResourceSchema {
    /// Users or groups.
    pub kind: ResourceKind,
    /// The resource type, as /ResourceTypes answers it.
    pub resource_type: ResourceType,
    /// The core schema, the common attributes of RFC 7643 §3.1 in front.
    pub core: Schema,
    /// The schema extensions.
    pub extensions: Vec<Schema>,
    /// The indexes, in the order of the resource type's file.
    pub indexes: Vec<Index>,
}

/// An index: each value of one attribute is an item of the table.
#[derive(Debug)]
pub struct Index {
    /// The attribute path, as the resource type's file spells it, which is what its keys hold.
    pub name: String,
    /// The URN of the extension that has the attribute.
    pub extension: Option<String>,
    /// The attribute.
    pub attribute: String,
    /// The sub-attribute whose values are indexed.
    pub sub_attribute: Option<String>,
    /// Whether upper and lower case differ.
    pub case_exact: bool,
    /// Whether a value may occur once only.
    pub unique: bool,
    /// Whether every resource has a value.
    pub required: bool,
}

/// What an attribute path means.
#[derive(Clone, Copy, Debug)]
pub enum Resolved<'s> {
    /// All attributes of an extension: the path is its URN.
    Extension(&'s Schema),
    /// One attribute, or a sub-attribute of it.
    Attribute(Target<'s>),
}

/// An attribute where it stands.
#[derive(Clone, Copy, Debug)]
pub struct Target<'s> {
    /// The extension that has it; `None` for the core schema and the common attributes.
    pub extension: Option<&'s Schema>,
    /// The attribute.
    pub attribute: &'s Attribute,
    /// The sub-attribute, when the path goes so far.
    pub sub_attribute: Option<&'s Attribute>,
}

impl<'s> Target<'s> {
    /// The attribute at the end of the path.
    pub fn leaf(&self) -> &'s Attribute {
        self.sub_attribute.unwrap_or(self.attribute)
    }

    /// The value of the attribute (not of the sub-attribute) in a resource whose names are canonical.
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
                format!("resource type {} names {urn}, and no file has that schema", kind.name())
            })
        };
        let mut core = find(&resource_type.schema)?;
        core.attributes.splice(0..0, common_attributes());
        let extensions = resource_type
            .schema_extensions
            .iter()
            .map(|extension| find(&extension.schema))
            .collect::<Result<Vec<_>, _>>()?;
        let mut schema = Self { kind, resource_type, core, extensions, indexes: Vec::new() };
        schema.indexes =
            schema.resource_type.indexes.iter().map(|name| schema.index(name)).collect::<Result<_, _>>()?;
        Ok(schema)
    }

    fn index(&self, name: &str) -> Result<Index, String> {
        let path = AttributePath::parse(name).ok_or_else(|| format!("index {name} is no attribute path"))?;
        let Some(Resolved::Attribute(target)) = self.resolve(&path) else {
            return Err(format!("index {name} names no attribute"));
        };
        let leaf = target.leaf();
        if !matches!(leaf.kind, Type::String | Type::Reference) {
            return Err(format!("index {name} is not on text"));
        }
        Ok(Index {
            name: name.to_owned(),
            extension: target.extension.map(|extension| extension.id.clone()),
            attribute: target.attribute.name.clone(),
            sub_attribute: target.sub_attribute.map(|attribute| attribute.name.clone()),
            case_exact: leaf.case_exact,
            unique: leaf.uniqueness != Uniqueness::None && !target.attribute.multi_valued,
            required: leaf.required && target.attribute.required && target.extension.is_none(),
        })
    }

    /// What a path means here; `None` when there is no such attribute. Names and URNs compare without case.
    ///
    /// A name without a URN is looked for among the core attributes first and in the extensions then: Entra ID
    /// sends `manager` and `department` bare.
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

    /// The extension with this URN, in any case.
    pub fn extension(&self, urn: &str) -> Option<&Schema> {
        self.extensions.iter().find(|schema| schema.id.eq_ignore_ascii_case(urn))
    }
}

impl Schema {
    /// The attribute of this name, in any case.
    pub fn attribute(&self, name: &str) -> Option<&Attribute> {
        self.attributes.iter().find(|attribute| attribute.name.eq_ignore_ascii_case(name))
    }
}

/// The attributes that every resource has (RFC 7643 §3 and §3.1). They stand in no schema.
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
