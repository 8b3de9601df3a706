//! Sorting (RFC 7644 §3.4.2.3): what a resource is sorted by, and in which order.

use std::cmp::{Ordering, Reverse};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::attribute_path::AttributePath;
use crate::error::{ErrorKind, ScimError};
use crate::filter::{accepts_parts_of_a_name_without_the_name, fold};
use crate::resource::is_primary;
use crate::schema::{Attribute, Resolved, ResourceSchema, Returned, Target, Type};

/// The order in which resources are asked for.
#[derive(Clone, Debug)]
pub struct Sort {
    path: AttributePath,
    /// Whether the greatest comes first.
    pub is_descending: bool,
}

/// `sortBy`, bound to the schema of one kind of resource.
#[derive(Clone, Debug)]
pub struct SortBy<'s> {
    target: Target<'s>,
    leaf: &'s Attribute,
}

/// The value that a resource is sorted by. Text is folded as in comparisons; a greater variant sorts behind.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub enum SortKey {
    /// False before true.
    Boolean(bool),
    /// By size.
    Number(f64),
    /// By time.
    Instant(Timestamp),
    /// By its code points.
    Text(String),
}

impl Sort {
    /// `sortBy` and `sortOrder` of a query.
    ///
    /// # Errors
    /// `invalidPath` when `sortBy` is no attribute path, `invalidValue` when the order is neither of the two.
    pub fn parse(sort_by: &str, sort_order: Option<&str>) -> Result<Self, ScimError> {
        let path = AttributePath::parse(sort_by.trim()).ok_or_else(|| {
            ScimError::new(ErrorKind::InvalidPath, format!("sortBy {sort_by:?} is no attribute path"))
        })?;
        let is_descending = match sort_order {
            None => false,
            Some(order) if order.eq_ignore_ascii_case("ascending") => false,
            Some(order) if order.eq_ignore_ascii_case("descending") => true,
            Some(order) => {
                let detail = format!("sortOrder is {order:?}, and must be ascending or descending");
                return Err(ScimError::invalid_value(detail));
            }
        };
        Ok(Self { path, is_descending })
    }

    /// What resources of this schema are sorted by; `None` when they have no such attribute.
    ///
    /// # Errors
    /// `invalidPath` when the attribute is an object without a `value`, or is never answered.
    pub fn resolve<'s>(&self, schema: &'s ResourceSchema) -> Result<Option<SortBy<'s>>, ScimError> {
        let invalid =
            || ScimError::new(ErrorKind::InvalidPath, format!("sortBy {} cannot be sorted by", self.path));
        let aliased = accepts_parts_of_a_name_without_the_name(&self.path, schema);
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

    /// Checks that one of these resource types has the attribute: resources that do not are sorted behind those that do.
    ///
    /// # Errors
    /// `invalidPath` when none of them has it.
    pub fn check<'s>(&self, schemas: impl IntoIterator<Item = &'s ResourceSchema>) -> Result<(), ScimError> {
        for schema in schemas {
            if self.resolve(schema)?.is_some() {
                return Ok(());
            }
        }
        Err(ScimError::new(ErrorKind::InvalidPath, format!("sortBy {} is no attribute here", self.path)))
    }

    /// Whether it is the order of ids, in which resources come anyway.
    pub fn is_by_id(&self) -> bool {
        let AttributePath { urn, name, sub_attribute } = &self.path;
        let is_id = urn.is_none() && sub_attribute.is_none() && name.eq_ignore_ascii_case("id");
        is_id && !self.is_descending
    }

    /// How two resources stand to each other. Whatever has no value is the greatest (RFC 7644 §3.4.2.3).
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
    /// The name of the index that is in this order, if the attribute has one value at most.
    pub fn index_name(&self) -> Option<String> {
        let is_single = !self.target.attribute.multi_valued && self.target.extension.is_none();
        is_single.then(|| match self.target.sub_attribute {
            Some(sub_attribute) => format!("{}.{}", self.target.attribute.name, sub_attribute.name),
            None => self.target.attribute.name.clone(),
        })
    }

    /// Whether it is the attribute at this path.
    pub fn is_by(&self, path: &str) -> bool {
        self.index_name().is_some_and(|name| name == path)
    }

    /// Whether it is this attribute, or a part of it.
    pub fn asks(&self, attribute: &str) -> bool {
        self.target.attribute.name == attribute
    }

    /// What this resource is sorted by: of several values the primary one, else the first.
    pub fn key(&self, resource: &Map<String, Value>) -> Option<SortKey> {
        let value = self.target.find(resource)?;
        let value = match value.as_array() {
            Some(values) => values.iter().find(|value| is_primary(value)).or_else(|| values.first())?,
            None => value,
        };
        let value = match value {
            Value::Object(values) => values.get(&self.leaf.name)?,
            plain => plain,
        };
        Some(match value {
            Value::Bool(boolean) => SortKey::Boolean(*boolean),
            Value::Number(number) => SortKey::Number(number.as_f64()?),
            Value::String(text) if self.leaf.kind == Type::DateTime => SortKey::Instant(text.parse().ok()?),
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
