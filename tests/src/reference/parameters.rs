//! The page of the parameters and outputs of the stack, from `template.yaml`.

use std::fmt::Write as _;

use serde_json::Value;

use super::{GENERATED, cell};
use crate::template;

pub fn page() -> String {
    let template = template::read();
    let mut page = format!(
        "# Parameters of the stack\n\n{GENERATED}\n\n`make deploy PARAMETERS=\"NAME=VALUE NAME=VALUE\"` sets parameters of the stack. \
        Those that you do not name keep their values.\n\
        [Domain, mutual TLS, WAF and KMS](../operate/network.md) explains those of the network, and [Limits and quotas](../operate/limits.md#load) those of load.\n\n\
        | parameter | default | values | meaning |\n| --- | --- | --- | --- |\n"
    );
    for (name, parameter) in template["Parameters"].as_object().into_iter().flatten() {
        let default = match text(&parameter["Default"]) {
            default if default.is_empty() => "none".to_owned(),
            default => format!("`{default}`"),
        };
        let choices = parameter["AllowedValues"].as_array().into_iter().flatten();
        let choices: Vec<String> = choices.map(|choice| format!("`{}`", text(choice))).collect();
        let values = match (choices.is_empty(), &parameter["MinValue"], &parameter["MaxValue"]) {
            (false, ..) => choices.join(", "),
            (true, Value::Null, _) => String::new(),
            (true, minimum, Value::Null) => format!("{minimum} or more"),
            (true, minimum, maximum) => format!("{minimum} to {maximum}"),
        };
        let meaning = cell(&text(&parameter["Description"]));
        let _ = writeln!(page, "| `{name}` | {default} | {values} | {meaning} |");
    }
    page.push_str("\n## Outputs\n\n| output | meaning |\n| --- | --- |\n");
    for (name, output) in template["Outputs"].as_object().into_iter().flatten() {
        let _ = writeln!(page, "| `{name}` | {} |", cell(&text(&output["Description"])));
    }
    page
}

/// A scalar of the template as text.
fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
