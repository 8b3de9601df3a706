//! An attribute's characteristics (RFC 7643 §2.2 and §7).

use serde::{Deserialize, Serialize};

/// An attribute, or a sub-attribute, of a schema.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Attribute {
    /// The name, in the case that answers give it.
    pub name: String,
    /// What its values are.
    #[serde(rename = "type")]
    pub kind: Type,
    /// The parts of a complex value.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sub_attributes: Vec<Attribute>,
    /// Whether it has any number of values.
    pub multi_valued: bool,
    /// A sentence for people.
    #[serde(default)]
    pub description: String,
    /// Whether a resource must have it.
    #[serde(default)]
    pub required: bool,
    /// Values that clients are asked to use; others are taken too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub canonical_values: Vec<String>,
    /// Whether upper and lower case differ in comparisons.
    #[serde(default)]
    pub case_exact: bool,
    /// Who may write it, and when.
    #[serde(default)]
    pub mutability: Mutability,
    /// When answers hold it.
    #[serde(default)]
    pub returned: Returned,
    /// Among which resources a value may occur once only.
    #[serde(default)]
    pub uniqueness: Uniqueness,
    /// What a reference may point at.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reference_types: Vec<String>,
}

impl Attribute {
    /// The sub-attribute of this name, in any case.
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

/// Who may write an attribute (RFC 7643 §7, `mutability`).
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Mutability {
    /// The service provider only.
    ReadOnly,
    /// The client, at any time.
    #[default]
    ReadWrite,
    /// The client, once.
    Immutable,
    /// The client, and nobody reads it.
    WriteOnly,
}

/// When an answer holds an attribute (RFC 7643 §7, `returned`).
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Returned {
    /// Whatever the client asks for.
    Always,
    /// At no time.
    Never,
    /// Unless the client asks otherwise.
    #[default]
    Default,
    /// When the client names it.
    Request,
}

/// Among which resources a value may occur once only (RFC 7643 §7, `uniqueness`).
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Uniqueness {
    /// No such rule.
    #[default]
    None,
    /// Those of one directory.
    Server,
    /// All there are.
    Global,
}
