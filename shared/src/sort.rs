//! Sorting (RFC 7644 §3.4.2.3): `sortBy`, `sortOrder`, and the values to sort by.

use std::cmp::{Ordering, Reverse};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::attribute_path::AttributePath;
use crate::error::{ErrorKind, ScimError};
use crate::filter::{accepts_name_parts_without_their_parent, fold, fold_name};
use crate::resource::is_primary;
use crate::schema::{Attribute, Resolved, ResourceSchema, Returned, Target, Type};

/// The order that a query asks for.
#[derive(Clone, Debug)]
pub struct Sort {
    path: AttributePath,
    /// Whether the greatest value comes first.
    pub is_descending: bool,
}

/// The attribute that `sortBy` names, in the schema of one kind of resource.
#[derive(Clone, Debug)]
pub struct SortBy<'s> {
    target: Target<'s>,
    leaf: &'s Attribute,
}

/// The value that a resource is sorted by. Values of different types sort in the order of these variants.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub enum SortKey {
    /// False before true.
    Boolean(bool),
    /// In numerical order.
    Number(f64),
    /// In the order of time.
    Instant(Timestamp),
    /// In the order of code points. The text is folded, as in filters.
    Text(String),
}

impl Sort {
    /// Reads `sortBy` and `sortOrder` of a query.
    ///
    /// # Errors
    /// `invalidPath` if `sortBy` is not an attribute path, `invalidValue` if `sortOrder` is neither
    /// `ascending` nor `descending`.
    pub fn parse(sort_by: &str, sort_order: Option<&str>) -> Result<Self, ScimError> {
        let path = AttributePath::parse(sort_by.trim()).ok_or_else(|| {
            let detail =
                format!("sortBy is {sort_by:?}; it must be an attribute path, such as name.familyName");
            ScimError::new(ErrorKind::InvalidPath, detail)
        })?;
        let is_descending = match sort_order {
            None => false,
            Some(order) if order.eq_ignore_ascii_case("ascending") => false,
            Some(order) if order.eq_ignore_ascii_case("descending") => true,
            Some(order) => {
                let detail = format!("sortOrder is {order:?}; it must be ascending or descending");
                return Err(ScimError::invalid_value(detail));
            }
        };
        Ok(Self { path, is_descending })
    }

    /// Finds the attribute in a schema. Returns `None` if the schema does not have it.
    ///
    /// # Errors
    /// `invalidPath` if the attribute is complex and has no `value`, or is never returned.
    pub fn resolve<'s>(&self, schema: &'s ResourceSchema) -> Result<Option<SortBy<'s>>, ScimError> {
        let invalid = || {
            let detail = format!(
                "Resources cannot be sorted by {}; use a readable attribute with simple values, such as displayName",
                self.path
            );
            ScimError::new(ErrorKind::InvalidPath, detail)
        };
        let aliased = accepts_name_parts_without_their_parent(&self.path, schema);
        let Some(resolved) = schema.resolve(aliased.as_ref().unwrap_or(&self.path)) else { return Ok(None) };
        let Resolved::Attribute(target) = resolved else { return Err(invalid()) };
        let leaf = match target.leaf() {
            leaf if leaf.kind != Type::Complex => leaf,
            complex => complex.sub_attribute("value").ok_or_else(invalid)?,
        };
        if leaf.returned == Returned::Never {
            return Err(invalid());
        }
        Ok(Some(SortBy { target, leaf }))
    }

    /// Checks that at least one of these schemas has the attribute. Resources without it are sorted after
    /// those with it.
    ///
    /// # Errors
    /// `invalidPath` if none of the schemas has the attribute.
    pub fn check<'s>(&self, schemas: impl IntoIterator<Item = &'s ResourceSchema>) -> Result<(), ScimError> {
        for schema in schemas {
            if self.resolve(schema)?.is_some() {
                return Ok(());
            }
        }
        let detail = format!("sortBy is {}; the queried resources have no such attribute", self.path);
        Err(ScimError::new(ErrorKind::InvalidPath, detail))
    }

    /// Whether this is the ascending order of ids, in which resources are stored.
    pub fn is_by_id(&self) -> bool {
        let AttributePath { urn, name, sub_attribute } = &self.path;
        let is_id = urn.is_none() && sub_attribute.is_none() && name.eq_ignore_ascii_case("id");
        is_id && !self.is_descending
    }

    /// Compares the values of two resources. A resource without a value is greater than all others (RFC 7644
    /// §3.4.2.3).
    pub fn compare(&self, one: Option<&SortKey>, other: Option<&SortKey>) -> Ordering {
        let ascending = match (one, other) {
            (Some(one), Some(other)) => one.compare(other),
            (one, other) => Reverse(one.is_some()).cmp(&Reverse(other.is_some())),
        };
        if self.is_descending { ascending.reverse() } else { ascending }
    }
}

impl std::fmt::Display for Sort {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let order = if self.is_descending { "descending" } else { "ascending" };
        write!(f, "{} {order}", self.path.to_string().to_ascii_lowercase())
    }
}

impl SortBy<'_> {
    /// Returns the name that an index on this attribute has. Returns `None` for multi-valued and extension
    /// attributes, as no index has their order.
    pub fn index_name(&self) -> Option<String> {
        let is_single = !self.target.attribute.multi_valued && self.target.extension.is_none();
        is_single.then(|| match self.target.sub_attribute {
            Some(sub_attribute) => format!("{}.{}", self.target.attribute.name, sub_attribute.name),
            None => self.target.attribute.name.clone(),
        })
    }

    /// Whether resources are sorted by the attribute at this path.
    pub fn is_by(&self, path: &str) -> bool {
        self.index_name().is_some_and(|name| name == path)
    }

    /// Whether resources are sorted by this attribute or by one of its sub-attributes.
    pub fn is_by_part_of(&self, attribute: &str) -> bool {
        self.target.attribute.name == attribute
    }

    /// Returns the value that a resource is sorted by. Of several values, it is the primary one, or else the
    /// first.
    pub fn key(&self, resource: &Map<String, Value>) -> Option<SortKey> {
        let value = self.target.find(resource)?;
        let value = match value.as_array() {
            Some(values) => values.iter().find(|value| is_primary(value)).or_else(|| values.first())?,
            None => value,
        };
        let value = match value {
            Value::Object(values) => values.get(&self.leaf.name)?,
            simple => simple,
        };
        Some(match value {
            Value::Bool(boolean) => SortKey::Boolean(*boolean),
            Value::Number(number) => SortKey::Number(number.as_f64()?),
            Value::String(text) if self.leaf.kind == Type::DateTime => SortKey::Instant(text.parse().ok()?),
            Value::String(text) if self.leaf.is_name() => {
                SortKey::Text(fold_name(text, self.leaf.case_exact).into_owned())
            }
            Value::String(text) => SortKey::Text(fold(text, self.leaf.case_exact).into_owned()),
            _ => return None,
        })
    }
}

impl SortKey {
    fn compare(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Boolean(one), Self::Boolean(other)) => one.cmp(other),
            (Self::Number(one), Self::Number(other)) => one.total_cmp(other),
            (Self::Instant(one), Self::Instant(other)) => one.cmp(other),
            (Self::Text(one), Self::Text(other)) => one.cmp(other),
            (one, other) => one.rank().cmp(&other.rank()),
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Self::Boolean(_) => 0,
            Self::Number(_) => 1,
            Self::Instant(_) => 2,
            Self::Text(_) => 3,
        }
    }
}
