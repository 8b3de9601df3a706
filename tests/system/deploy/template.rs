//! The parameters of `template.yaml`, and the variables of the functions. With its default, an optional parameter leaves the
//! resources as they are without it, and with a value it changes only what it is for.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use service::routes::{FALLBACK, ROUTES};
use tests::{template, workspace};

const KEY: &str = "arn:aws:kms:eu-central-1:123456789012:key/1";

/// The values that differ, each by its path: as they are by default, and as they are with the parameters. A value that
/// does not exist is null.
fn changes(parameters: &[(&str, &str)]) -> BTreeMap<String, [Value; 2]> {
    let (default, with) = (template::resolved(&[]), template::resolved(parameters));
    let mut changes = BTreeMap::new();
    for part in ["Globals", "Resources", "Outputs"] {
        compare(part, &default[part], &with[part], &mut changes);
    }
    changes
}

fn compare(path: &str, one: &Value, other: &Value, changes: &mut BTreeMap<String, [Value; 2]>) {
    match (one, other) {
        (Value::Object(left), Value::Object(right)) => {
            for name in left.keys().chain(right.keys()) {
                compare(&format!("{path}/{name}"), &one[name], &other[name], changes);
            }
        }
        (Value::Array(left), Value::Array(right)) => {
            for at in 0..left.len().max(right.len()) {
                let element = |list: &[Value]| list.get(at).cloned().unwrap_or_default();
                compare(&format!("{path}/{at}"), &element(left), &element(right), changes);
            }
        }
        _ if one == other => {}
        _ => drop(changes.insert(path.to_owned(), [one.clone(), other.clone()])),
    }
}

fn reference(name: &str) -> Value {
    json!({ "Ref": name })
}

#[test]
fn parameters_that_are_off_add_nothing() {
    let template = template::resolved(&[]);
    let text = template["Resources"].to_string() + &template["Outputs"].to_string();
    for parameter in
        ["DomainName", "CertificateArn", "TruststoreUri", "KmsKeyArn", "EventBusArn", "ReservedConcurrency"]
    {
        assert!(!text.contains(&reference(parameter).to_string()), "a resource refers to {parameter}");
    }
    assert!(!text.contains("kms:"), "a policy names a key");
    let resources = &template["Resources"];
    assert_eq!(resources["Table"]["Properties"]["SSESpecification"], json!({ "SSEEnabled": true }));
    assert_eq!(resources["Api"]["Properties"]["DisableExecuteApiEndpoint"], false);
    assert_eq!(template::resources(&template, "AWS::ApiGatewayV2::DomainName"), []);
    assert_eq!(template::resources(&template, "AWS::ApiGatewayV2::ApiMapping"), []);
    let url = json!({ "Fn::Sub": "https://${Api}.execute-api.${AWS::Region}.${AWS::URLSuffix}" });
    assert_eq!(template["Outputs"]["BaseUrl"]["Value"], url);
    // An empty variable counts as one that is not set.
    let secret = &template["Parameters"]["OriginSecret"];
    assert_eq!((&secret["Default"], &secret["NoEcho"]), (&json!(""), &json!(true)));
    let environment = &template["Globals"]["Function"]["Environment"]["Variables"];
    assert_eq!(environment["ORIGIN_SECRET"], reference("OriginSecret"));
}

#[test]
fn domain_replaces_the_execute_api_url() {
    let domain =
        [("DomainName", "scim.example.com"), ("CertificateArn", "arn:aws:acm:eu-central-1:1:certificate/1")];
    let mut with = changes(&domain);
    let mapping = json!({ "ApiId": reference("Api"), "DomainName": reference("Domain"), "Stage": reference("Api.Stage") });
    let [_, resource] = with.remove("Resources/DomainMapping").unwrap();
    assert_eq!(resource["Properties"], mapping);
    let [_, resource] = with.remove("Resources/Domain").unwrap();
    let configuration = json!([
        { "CertificateArn": reference("CertificateArn"), "EndpointType": "REGIONAL", "SecurityPolicy": "TLS_1_2" },
    ]);
    let properties =
        json!({ "DomainName": reference("DomainName"), "DomainNameConfigurations": configuration });
    assert_eq!(resource["Properties"], properties);
    let paths: Vec<&str> = with.keys().map(String::as_str).collect();
    let expected = [
        "Outputs/BaseUrl/Value/Fn::Sub",
        "Outputs/DomainTarget",
        "Resources/Api/Properties/DisableExecuteApiEndpoint",
    ];
    assert_eq!(paths, expected);
    assert_eq!(with["Outputs/BaseUrl/Value/Fn::Sub"][1], "https://${DomainName}");
    assert_eq!(with["Resources/Api/Properties/DisableExecuteApiEndpoint"], [json!(false), json!(true)]);

    let with = changes(&[&domain[..], &[("TruststoreUri", "s3://bucket/truststore.pem")]].concat());
    let [_, resource] = &with["Resources/Domain"];
    let truststore = json!({ "TruststoreUri": reference("TruststoreUri") });
    assert_eq!(resource["Properties"]["MutualTlsAuthentication"], truststore);
}

#[test]
fn only_the_policy_that_delivers_feeds_may_send_to_the_event_bus() {
    let with = changes(&[("EventBusArn", "arn:aws:events:eu-central-1:1:event-bus/platform")]);
    let right =
        json!({ "Effect": "Allow", "Resource": reference("EventBusArn"), "Action": "events:PutEvents" });
    let template = template::resolved(&[]);
    let statements = "Resources/DeliverFeeds/Properties/PolicyDocument/Statement";
    let number = template.pointer(&format!("/{statements}")).unwrap().as_array().unwrap().len();
    let added = (format!("{statements}/{number}"), [json!(null), right]);
    assert_eq!(with.into_iter().collect::<Vec<_>>(), [added]);
}

#[test]
fn kms_key_encrypts_table_and_logs_and_may_be_used_by_functions_and_operators_through_dynamodb_only() {
    let mut with = changes(&[("KmsKeyArn", KEY)]);
    for name in ["SSEType", "KMSMasterKeyId"] {
        let [_, value] = with.remove(&format!("Resources/Table/Properties/SSESpecification/{name}")).unwrap();
        assert_eq!(value, if name == "SSEType" { json!("KMS") } else { reference("KmsKeyArn") });
    }
    let right = json!({
        "Effect": "Allow",
        "Resource": reference("KmsKeyArn"),
        "Action": "kms:Decrypt",
        "Condition": { "StringEquals": { "kms:ViaService": { "Fn::Sub": "dynamodb.${AWS::Region}.amazonaws.com" } } },
    });
    let template = template::resolved(&[]);
    for policy in ["ReadConnector", "SweepDirectory", "DeliverFeeds", "OperateDirectory", "AuditDirectory"] {
        let statements = format!("Resources/{policy}/Properties/PolicyDocument/Statement");
        let pointer = format!("/{statements}");
        let number = template.pointer(&pointer).unwrap().as_array().unwrap().len();
        assert_eq!(with.remove(&format!("{statements}/{number}")), Some([Value::Null, right.clone()]));
    }
    for (function, properties) in template::functions(&template) {
        let policies = template::policies(properties);
        let has_key =
            ["ReadConnector", "SweepDirectory", "DeliverFeeds"].iter().any(|one| policies.contains(one));
        assert!(has_key, "{function}");
    }
    for (log, _) in template::resources(&template, "AWS::Logs::LogGroup") {
        let key = with.remove(&format!("Resources/{log}/Properties/KmsKeyId"));
        assert_eq!(key, Some([Value::Null, reference("KmsKeyArn")]), "{log}");
    }
    assert_eq!(with, BTreeMap::new());
}

#[test]
fn reserved_concurrency_is_reserved_for_each_function_of_a_route() {
    let mut with = changes(&[("ReservedConcurrency", "5")]);
    let template = template::resolved(&[]);
    let functions = template::resources(&template, "AWS::Serverless::Function").into_iter();
    let other = ["DirectorySweepFunction", "FeedsDeliverFunction"];
    let functions: Vec<&str> = functions.map(|(id, _)| id).filter(|id| !other.contains(id)).collect();
    let routed: BTreeSet<&str> = ROUTES.iter().map(|route| route.function).chain([FALLBACK]).collect();
    assert_eq!(functions.len(), routed.len());
    let description = template["Parameters"]["ReservedConcurrency"]["Description"].as_str().unwrap();
    assert!(description.contains(&format!(" {} functions", functions.len())), "{description}");
    for function in functions {
        let reserved = with.remove(&format!("Resources/{function}/Properties/ReservedConcurrentExecutions"));
        assert_eq!(reserved, Some([Value::Null, reference("ReservedConcurrency")]), "{function}");
    }
    assert_eq!(with, BTreeMap::new());
}

#[test]
fn origin_secret_dynamodb_endpoint_and_public_url_change_no_resource() {
    assert_eq!(changes(&[("OriginSecret", "0123456789abcdef")]), BTreeMap::new());
    assert_eq!(changes(&[("DynamoDbEndpoint", "http://172.17.0.1:8000")]), BTreeMap::new());
    let with = changes(&[("PublicUrl", "https://scim.example.com")]);
    assert_eq!(
        with.keys().collect::<Vec<_>>(),
        ["Outputs/BaseUrl/Value/Fn::Sub", "Outputs/BaseUrl/Value/Ref"]
    );
}

/// The names of the environment variables that the sources in a folder read, except those that Lambda sets.
fn variables_read_in(folder: &Path, names: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_dir() {
            variables_read_in(&entry, names);
        } else if entry.extension().is_some_and(|extension| extension == "rs") {
            let source = fs::read_to_string(&entry).unwrap();
            for call in ["variable(\"", "var(\"", "var_os(\""] {
                names.extend(
                    source.split(call).skip(1).filter_map(|after| after.split('"').next()).map(str::to_owned),
                );
            }
        }
    }
    names.retain(|name| !name.starts_with("AWS_"));
}

#[test]
fn template_declares_every_variable_that_the_functions_read_and_no_other() {
    // sam local does not pass a variable on that is not declared.
    let mut read = BTreeSet::new();
    for package in ["functions", "runtime", "service", "directory", "shared"] {
        variables_read_in(&workspace().join(package).join("src"), &mut read);
    }
    let template = template::read();
    let declared = template["Globals"]["Function"]["Environment"]["Variables"].as_object().unwrap();
    assert_eq!(read, declared.keys().cloned().collect());
    for (function, properties) in template::functions(&template) {
        assert_eq!(properties.get("Environment"), None, "{function} has variables of its own");
    }
}
