//! The indexes of a custom schema.

use serde_json::Value;

use super::check::found;
use super::is_unique;
use crate::attribute_path::AttributePath;
use crate::limits::MAX_CUSTOM_INDEXES;
use crate::resource::type_name;
use crate::schema::{Returned, Schema, Type};

/// Reads the paths of the indexes, and adds those of the unique attributes. Also returns the mistakes.
pub(super) fn read(list: Option<&Value>, schema: &Schema) -> (Vec<String>, Vec<String>) {
    let (mut indexes, mut mistakes): (Vec<String>, Vec<String>) = Default::default();
    let paths = match list {
        None | Some(Value::Null) => &[],
        Some(Value::Array(paths)) => paths.as_slice(),
        other => {
            mistakes.push(found(other, "indexes", "an array of attribute paths, such as [\"doors.value\"]"));
            &[]
        }
    };
    for path in paths {
        match index_path(path, schema) {
            Ok(path) if indexes.contains(&path) => mistakes.push(format!("indexes has {path:?} twice")),
            Ok(path) => indexes.push(path),
            Err(mistake) => mistakes.push(mistake),
        }
    }
    for path in unique_paths(schema) {
        if !indexes.contains(&path) {
            indexes.push(path);
        }
    }
    if indexes.len() > MAX_CUSTOM_INDEXES {
        mistakes.push(format!(
            "there are {} indexes, with those of unique attributes; the maximum is {MAX_CUSTOM_INDEXES}",
            indexes.len()
        ));
    }
    (indexes, mistakes)
}

/// Returns the paths of the unique attributes and sub-attributes.
fn unique_paths(schema: &Schema) -> Vec<String> {
    let mut paths = Vec::new();
    for attribute in &schema.attributes {
        paths.extend(is_unique(attribute).then(|| attribute.name.clone()));
        let unique = attribute.sub_attributes.iter().filter(|sub| is_unique(sub));
        paths.extend(unique.map(|sub| format!("{}.{}", attribute.name, sub.name)));
    }
    paths
}

/// Finds the attribute of an index, and returns the path as the schema spells it.
fn index_path(path: &Value, schema: &Schema) -> Result<String, String> {
    let Some(text) = path.as_str() else {
        return Err(format!("indexes contains {}; it must contain attribute paths", type_name(path)));
    };
    let unknown = || format!("indexes contains {text:?}, which is no attribute of this schema");
    let path = AttributePath::parse(text).filter(|path| path.urn.is_none()).ok_or_else(unknown)?;
    let attribute = schema.attribute(&path.name).ok_or_else(unknown)?;
    let (leaf, spelled) = match &path.sub_attribute {
        None => (attribute, attribute.name.clone()),
        Some(name) => {
            let leaf = attribute.sub_attribute(name).ok_or_else(unknown)?;
            (leaf, format!("{}.{}", attribute.name, leaf.name))
        }
    };
    if !matches!(leaf.kind, Type::String | Type::Reference) {
        return Err(format!(
            "indexes contains {text:?}; only an attribute of type string or reference can have an index"
        ));
    }
    if leaf.returned == Returned::Never || attribute.returned == Returned::Never {
        return Err(format!(
            "indexes contains {text:?}, which is never returned, so it cannot be in a filter"
        ));
    }
    Ok(spelled)
}
