//! Reads `template.yaml` with a YAML parser.

use std::collections::HashMap;
use std::fs;

use saphyr::{LoadableYamlNode, ScalarOwned, YamlOwned};
use serde_json::{Map, Value, json};

use crate::workspace;

/// The text of the template.
///
/// # Panics
/// If the file cannot be read.
pub fn text() -> String {
    fs::read_to_string(workspace().join("template.yaml")).expect("template.yaml can be read")
}

/// The template as JSON. CloudFormation's functions have their long form: `!Ref Api` becomes `{"Ref":
/// "Api"}`.
///
/// # Panics
/// If the file cannot be read, or is not one YAML document.
pub fn read() -> Value {
    parse(&text())
}

/// The template as CloudFormation applies it with these parameters, and with the defaults of all others. Resources and outputs
/// whose condition is false are left out, and so is every `AWS::NoValue`. Each `Fn::If` is its chosen branch. References to
/// parameters stay.
///
/// # Panics
/// If the file cannot be read, or a condition has a function that this does not know.
pub fn resolved(parameters: &[(&str, &str)]) -> Value {
    let template = read();
    let defaults = template["Parameters"].as_object().expect("the template has parameters").iter();
    let defaults = defaults.map(|(name, parameter)| (name.as_str(), text_of(&parameter["Default"])));
    let chosen = parameters.iter().map(|(name, value)| (*name, (*value).to_owned()));
    let conditions = &template["Conditions"];
    let resolver = Resolver { conditions, parameters: defaults.chain(chosen).collect() };
    resolver.resolve(&template).expect("the template is no AWS::NoValue")
}

struct Resolver<'t> {
    conditions: &'t Value,
    parameters: HashMap<&'t str, String>,
}

impl Resolver<'_> {
    /// `None` for `AWS::NoValue`, and for a resource or output whose condition is false.
    fn resolve(&self, value: &Value) -> Option<Value> {
        match value {
            Value::Array(values) => Some(values.iter().filter_map(|value| self.resolve(value)).collect()),
            Value::Object(object) => {
                if object.get("Ref").is_some_and(|name| name == "AWS::NoValue") {
                    return None;
                }
                if let Some([condition, then, otherwise]) =
                    object.get("Fn::If").and_then(Value::as_array).map(Vec::as_slice)
                {
                    let name = condition.as_str().expect("Fn::If has the name of a condition");
                    return self.resolve(if self.holds(name) { then } else { otherwise });
                }
                if object.get("Condition").and_then(Value::as_str).is_some_and(|name| !self.holds(name)) {
                    return None;
                }
                let entries = object.iter();
                let entries = entries.filter_map(|(name, value)| Some((name.clone(), self.resolve(value)?)));
                Some(entries.collect::<Map<_, _>>().into())
            }
            other => Some(other.clone()),
        }
    }

    fn holds(&self, condition: &str) -> bool {
        self.is_true(&self.conditions[condition])
    }

    fn is_true(&self, expression: &Value) -> bool {
        let operand = |function: &str| expression.get(function).and_then(Value::as_array);
        match (operand("Fn::Not"), operand("Fn::Equals")) {
            (Some(operand), None) => !self.is_true(&operand[0]),
            (None, Some(operands)) => self.text(&operands[0]) == self.text(&operands[1]),
            _ => panic!("the condition {expression} is not known"),
        }
    }

    fn text(&self, value: &Value) -> String {
        match value.get("Ref").and_then(Value::as_str) {
            Some(parameter) => self.parameters[parameter].clone(),
            None => text_of(value),
        }
    }
}

/// CloudFormation compares numbers as text.
fn text_of(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Parses YAML as JSON.
///
/// # Panics
/// If the text is not one YAML document.
pub fn parse(text: &str) -> Value {
    let mut documents = YamlOwned::load_from_str(text).expect("the text is YAML");
    assert_eq!(documents.len(), 1, "documents in the text");
    json_of(documents.remove(0))
}

/// The resources of this type, each with its logical id.
///
/// # Panics
/// If the template has no resources.
pub fn resources<'t>(template: &'t Value, kind: &str) -> Vec<(&'t str, &'t Value)> {
    let resources = template["Resources"].as_object().expect("the template has resources").iter();
    resources.filter(|(_, one)| one["Type"] == kind).map(|(id, one)| (id.as_str(), one)).collect()
}

/// The functions: the name of each binary, and the properties of the function.
///
/// # Panics
/// If a function names no binary.
pub fn functions(template: &Value) -> Vec<(&str, &Value)> {
    let functions = resources(template, "AWS::Serverless::Function").into_iter();
    functions
        .map(|(id, function)| {
            let binary = function["Metadata"]["BuildProperties"]["Binary"].as_str();
            (binary.unwrap_or_else(|| panic!("{id} has no binary")), &function["Properties"])
        })
        .collect()
}

/// The ids of the managed policies of a function.
///
/// # Panics
/// If the function has no list of policies, or one that is not a `!Ref`.
pub fn policies(properties: &Value) -> Vec<&str> {
    let policies = properties["Policies"].as_array().expect("a function has a list of policies").iter();
    policies.map(|policy| policy["Ref"].as_str().expect("a policy is a !Ref")).collect()
}

fn json_of(node: YamlOwned) -> Value {
    match node {
        YamlOwned::Value(ScalarOwned::Null) => Value::Null,
        YamlOwned::Value(ScalarOwned::Boolean(value)) => value.into(),
        YamlOwned::Value(ScalarOwned::Integer(value)) => value.into(),
        YamlOwned::Value(ScalarOwned::FloatingPoint(value)) => value.into_inner().into(),
        YamlOwned::Value(ScalarOwned::String(value)) => value.into(),
        YamlOwned::Sequence(nodes) => nodes.into_iter().map(json_of).collect(),
        YamlOwned::Mapping(nodes) => {
            let name = |key: YamlOwned| key.into_string().expect("each key is a string");
            nodes.into_iter().map(|(key, node)| (name(key), json_of(node))).collect::<Map<_, _>>().into()
        }
        YamlOwned::Tagged(tag, node) => {
            let name = match tag.suffix.as_str() {
                name @ ("Ref" | "Condition") => name.to_owned(),
                name => format!("Fn::{name}"),
            };
            json!({ name: json_of(*node) })
        }
        other => panic!("the template has an unsupported node: {other:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_forms_of_functions_are_expanded() {
        let text =
            "a: !Ref Api\nb: !GetAtt Table.Arn\nc: [!Sub 'x-${A}', 1, true, {}]\nd: !Not [!Equals [a, '']]";
        let expected = json!({
            "a": { "Ref": "Api" },
            "b": { "Fn::GetAtt": "Table.Arn" },
            "c": [{ "Fn::Sub": "x-${A}" }, 1, true, {}],
            "d": { "Fn::Not": [{ "Fn::Equals": ["a", ""] }] },
        });
        assert_eq!(parse(text), expected);
    }
}
