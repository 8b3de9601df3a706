//! The page of the rights: which policies the function of each route has, and what each policy allows.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde_json::Value;
use service::Handler;
use service::routes::{FALLBACK, OTHER_FUNCTIONS, ROUTES, Route};

use super::{GENERATED, cell};
use crate::template;

pub fn page() -> String {
    let template = template::read();
    let mut page = format!(
        "# Rights\n\n{GENERATED}\n\nEach function has only the policies that its routes need. [Routes](routes.md) lists the routes with their functions.\n\n\
        ## Who may call a route, and what its function may do\n\n| function | who may call it | policies |\n| --- | --- | --- |\n"
    );
    let functions = template::functions(&template);
    for route in first_routes() {
        let (function, properties) =
            functions.iter().find(|(name, _)| *name == route.function).expect("each route has a function");
        let policies = template::policies(properties).join("`, `");
        let _ = writeln!(page, "| `{function}` | {} | `{policies}` |", callers(route));
    }
    for (function, who) in [
        (FALLBACK, "as for the route; any other request gets an error"),
        (OTHER_FUNCTIONS[0], "a schedule, every minute"),
        (OTHER_FUNCTIONS[1], "the stream of the table, and a schedule, every minute"),
    ] {
        let (_, properties) =
            functions.iter().find(|(name, _)| *name == function).expect("the template has the function");
        let policies = template::policies(properties).join("`, `");
        let _ = writeln!(page, "| `{function}` | {who} | `{policies}` |");
    }
    page.push_str(
        "\n## What each policy allows\n\nEvery right of a function is limited to partitions of the table (`dynamodb:LeadingKeys`), and no function may scan. `template.yaml` has the\npartitions.\n\n\
        | policy | purpose | actions |\n| --- | --- | --- |\n",
    );
    for (name, resource) in template["Resources"].as_object().into_iter().flatten() {
        if resource["Type"] != "AWS::IAM::ManagedPolicy" {
            continue;
        }
        let properties = &resource["Properties"];
        let purpose = cell(properties["Description"].as_str().unwrap_or_default());
        let _ = writeln!(
            page,
            "| `{name}` | {purpose} | {} |",
            actions(&properties["PolicyDocument"]["Statement"])
        );
    }
    page
}

/// The first route of each function, in the order of the routes.
fn first_routes() -> Vec<&'static Route> {
    let mut functions = BTreeSet::new();
    ROUTES.iter().filter(|route| functions.insert(route.function)).collect()
}

fn callers(route: &Route) -> String {
    match route.handler {
        Handler::Client(_) => format!("a credential of the scope `{}`", route.api.scope.name()),
        Handler::Token(_) => "an OAuth client, which the function authenticates itself".to_owned(),
        _ => "anyone".to_owned(),
    }
}

/// The actions that statements allow, and those that they deny on some partitions.
fn actions(statements: &Value) -> String {
    let (mut allowed, mut denied) = (Vec::new(), Vec::new());
    for statement in statements.as_array().into_iter().flatten() {
        let list = if statement["Effect"] == "Deny" { &mut denied } else { &mut allowed };
        let names = match &statement["Action"] {
            Value::String(name) => vec![name.as_str()],
            names => names.as_array().into_iter().flatten().filter_map(Value::as_str).collect(),
        };
        for name in names.into_iter().map(|name| format!("`{name}`")) {
            if !list.contains(&name) {
                list.push(name);
            }
        }
    }
    match denied.is_empty() {
        true => allowed.join(", "),
        false => {
            format!("{}. Denied on private keys or audit records: {}", allowed.join(", "), denied.join(", "))
        }
    }
}
