//! The page of all APIs, from `docs/openapi.yaml`.

use std::fmt::Write as _;
use std::fs;

use serde_json::Value;

use super::{GENERATED, cell};
use crate::template;
use crate::workspace;

const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

pub fn page() -> String {
    let text =
        fs::read_to_string(workspace().join("docs/openapi.yaml")).expect("docs/openapi.yaml can be read");
    let document = template::parse(&text);
    let mut page = format!(
        "# API\n\n{GENERATED}\n\nEvery operation of the service, from [openapi.yaml](../openapi.yaml) (OpenAPI 3.1), which a program can read. \
        Paths begin with `https://HOST/CONNECTOR`.\n\n{}\n",
        document["info"]["description"].as_str().unwrap_or_default().trim()
    );
    for tag in document["tags"].as_array().into_iter().flatten() {
        let name = tag["name"].as_str().unwrap_or_default();
        let _ = write!(
            page,
            "\n## {}\n\n{}\n",
            capitalised(name),
            tag["description"].as_str().unwrap_or_default().trim()
        );
        for (path, item) in document["paths"].as_object().into_iter().flatten() {
            for method in METHODS {
                if let Some(operation) = item.get(method).filter(|operation| operation["tags"][0] == name) {
                    page.push_str(&operation_text(&document, method, path, operation));
                }
            }
        }
    }
    page.push_str("\n## Bodies\n");
    for (name, schema) in document["components"]["schemas"].as_object().into_iter().flatten() {
        page.push_str(&schema_text(name, schema));
    }
    page
}

fn operation_text(document: &Value, method: &str, path: &str, operation: &Value) -> String {
    let text = |name: &str| operation[name].as_str().unwrap_or_default().trim();
    let mut out = format!("\n### {}\n\n`{} {path}`", text("summary"), method.to_uppercase());
    match operation.get("security").and_then(Value::as_array) {
        Some(choices) if choices.is_empty() => out.push_str(", without credentials"),
        Some(choices)
            if choices.iter().any(|choice| choice.as_object().is_some_and(|choice| choice.is_empty())) =>
        {
            out.push_str(", with or without credentials");
        }
        _ => {}
    }
    out.push('\n');
    if !text("description").is_empty() {
        let _ = write!(out, "\n{}\n", text("description"));
    }
    let parameters = operation["parameters"].as_array().map(Vec::as_slice).unwrap_or_default();
    if !parameters.is_empty() {
        out.push_str("\n| parameter | in | type | meaning |\n| --- | --- | --- | --- |\n");
    }
    for parameter in parameters.iter().map(|parameter| resolved(document, parameter)) {
        let text = |name: &str| parameter[name].as_str().unwrap_or_default();
        let kind = type_text(&parameter["schema"]);
        let _ =
            writeln!(out, "| `{}` | {} | {kind} | {} |", text("name"), text("in"), cell(text("description")));
    }
    if let Some((media_type, body)) = content(&operation["requestBody"]) {
        let _ = write!(out, "\nBody, `{media_type}`: {}\n", body_text(body));
    }
    out.push_str("\n| status | answer | body |\n| --- | --- | --- |\n");
    for (status, response) in operation["responses"].as_object().into_iter().flatten() {
        let response = resolved(document, response);
        let status = if status == "default" { "other" } else { status };
        let body = content(response).map(|(_, schema)| type_text(schema)).unwrap_or_default();
        let _ = writeln!(
            out,
            "| {status} | {} | {body} |",
            cell(response["description"].as_str().unwrap_or_default())
        );
    }
    out
}

/// A schema as the type of a body: its name, or a table of its members.
fn body_text(schema: &Value) -> String {
    match members(schema) {
        Some(table) if schema.get("$ref").is_none() => format!("\n\n{table}").trim_end().to_owned(),
        _ => type_text(schema),
    }
}

fn schema_text(name: &str, schema: &Value) -> String {
    let description = schema["description"].as_str().unwrap_or_default().trim();
    let mut out = format!("\n### {name}\n");
    if !description.is_empty() {
        let _ = write!(out, "\n{description}\n");
    }
    match members(schema) {
        Some(table) => drop(write!(out, "\n{table}")),
        None => drop(write!(out, "\nType: {}\n", type_text(schema))),
    }
    out
}

/// The table of the members of an object. `None` if the schema has none.
fn members(schema: &Value) -> Option<String> {
    let members = schema["properties"].as_object()?;
    let required: Vec<&str> =
        schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let mut out = "| member | type | required | meaning |\n| --- | --- | --- | --- |\n".to_owned();
    for (name, member) in members {
        let is_required = if required.contains(&name.as_str()) { "yes" } else { "" };
        let meaning = cell(member["description"].as_str().unwrap_or_default());
        let _ = writeln!(out, "| `{name}` | {} | {is_required} | {meaning} |", type_text(member));
    }
    Some(out)
}

/// A type in a few words, with links to the schemas that it names.
fn type_text(schema: &Value) -> String {
    if let Some(name) = schema["$ref"].as_str().and_then(|path| path.strip_prefix("#/components/schemas/")) {
        return format!("[{name}](#{})", name.to_lowercase());
    }
    if let Some(values) = schema["enum"].as_array() {
        let values: Vec<String> =
            values.iter().map(|value| format!("`{}`", value.as_str().unwrap_or_default())).collect();
        return values.join(", ");
    }
    if let Some(value) = schema["const"].as_str() {
        return format!("`{value}`");
    }
    if let Some(choices) = schema["oneOf"].as_array() {
        let choices: Vec<String> = choices.iter().map(type_text).collect();
        return choices.join(", or ");
    }
    let mut out = match &schema["type"] {
        Value::String(name) if name == "array" => {
            format!("array of {}", type_text(&schema["items"]))
        }
        Value::String(name) if name == "object" => match schema["properties"].as_object() {
            Some(members) => {
                let members: Vec<String> =
                    members.iter().map(|(name, member)| format!("`{name}`: {}", type_text(member))).collect();
                format!("object ({})", members.join("; "))
            }
            None => "object".to_owned(),
        },
        Value::String(name) => name.clone(),
        Value::Array(names) => names.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" or "),
        _ => "any".to_owned(),
    };
    if let (Some(minimum), Some(maximum)) = (schema["minimum"].as_i64(), schema["maximum"].as_i64()) {
        let _ = write!(out, ", {minimum} to {maximum}");
    }
    if let Some(default) = schema.get("default") {
        let _ = write!(out, ", `{}` by default", default.to_string().trim_matches('"'));
    }
    out
}

/// The media type and the schema of a body.
fn content(holder: &Value) -> Option<(&String, &Value)> {
    let (media_type, content) = holder["content"].as_object()?.iter().next()?;
    Some((media_type, &content["schema"]))
}

/// What a reference names, or the value itself.
fn resolved<'d>(document: &'d Value, value: &'d Value) -> &'d Value {
    let path = value["$ref"].as_str().and_then(|path| path.strip_prefix('#'));
    path.and_then(|path| document.pointer(path)).unwrap_or(value)
}

fn capitalised(name: &str) -> String {
    match name {
        "oauth" => "OAuth".to_owned(),
        name => name.chars().take(1).flat_map(char::to_uppercase).chain(name.chars().skip(1)).collect(),
    }
}
