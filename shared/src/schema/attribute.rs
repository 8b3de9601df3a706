//! Attributes and their characteristics (RFC 7643 §2.2 and §7).

use serde::{Deserialize, Serialize};

/// An attribute or sub-attribute of a schema.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Attribute {
    /// The name, spelled as in responses.
    pub name: String,
    /// The type of the values.
    #[serde(rename = "type")]
    pub kind: Type,
    /// The sub-attributes of a complex attribute.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sub_attributes: Vec<Attribute>,
    /// Whether the attribute can have several values.
    pub multi_valued: bool,
    /// A description for people.
    #[serde(default)]
    pub description: String,
    /// Whether a resource must have the attribute.
    #[serde(default)]
    pub required: bool,
    /// The values that clients should use. Other values are accepted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub canonical_values: Vec<String>,
    /// Whether comparisons distinguish upper and lower case.
    #[serde(default)]
    pub case_exact: bool,
    /// Who can write the attribute, and when.
    #[serde(default)]
    pub mutability: Mutability,
    /// When responses hold the attribute.
    #[serde(default)]
    pub returned: Returned,
    /// Among which resources a value must be unique.
    #[serde(default)]
    pub uniqueness: Uniqueness,
    /// The resource types that a reference can refer to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reference_types: Vec<String>,
}

impl Attribute {
    /// Whether values are unique names that clients choose, which are compared without the spaces at both ends.
    pub fn is_name(&self) -> bool {
        self.uniqueness != Uniqueness::None && self.mutability != Mutability::ReadOnly && !self.multi_valued
    }

    /// Finds the sub-attribute with this name. Ignores upper and lower case.
    pub fn sub_attribute(&self, name: &str) -> Option<&Attribute> {
        self.sub_attributes.iter().find(|attribute| attribute.name.eq_ignore_ascii_case(name))
    }
}

/// A data type (RFC 7643 §2.3).
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Type {
    /// Text.
    String,
    /// True or false.
    Boolean,
    /// A real number.
    Decimal,
    /// A whole number.
    Integer,
    /// An instant, as xsd:dateTime.
    DateTime,
    /// Bytes, in base64.
    Binary,
    /// A URI.
    Reference,
    /// An object of sub-attributes.
    Complex,
}

/// Who can write an attribute (RFC 7643 §7, `mutability`).
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Mutability {
    /// Only the service provider.
    ReadOnly,
    /// The client, at any time.
    #[default]
    ReadWrite,
    /// The client, once.
    Immutable,
    /// The client, but responses never hold it.
    WriteOnly,
}

/// When a response holds an attribute (RFC 7643 §7, `returned`).
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Returned {
    /// Always, even if the client excludes it.
    Always,
    /// Never.
    Never,
    /// Unless the client excludes it or asks for other attributes.
    #[default]
    Default,
    /// Only if the client names it.
    Request,
}

/// Among which resources a value must be unique (RFC 7643 §7, `uniqueness`).
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Uniqueness {
    /// Values need not be unique.
    #[default]
    None,
    /// Among the resources of one directory.
    Server,
    /// Among all resources of all service providers.
    Global,
}
