//! `docs/openapi.yaml` describes every route, and the service does what it says.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::Value;
use service::routes::ROUTES;
use tests::client::Client;
use tests::folder::Folder;
use tests::provisioning::{create_group, create_user};
use tests::scimctl::run;
use tests::service::service;
use tests::{template, workspace};

const DOCUMENT: &str = "docs/openapi.yaml";

fn document() -> Value {
    template::parse(&std::fs::read_to_string(workspace().join(DOCUMENT)).unwrap())
}

#[test]
fn every_route_is_documented_and_every_documented_route_exists() {
    let routes: BTreeSet<(String, String)> = ROUTES
        .iter()
        .map(|route| (route.method.to_owned(), route.full_path().replacen("/{connector}", "", 1)))
        .collect();
    let document = document();
    let mut documented = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys() {
            documented.insert((method.to_uppercase(), path.clone()));
        }
    }
    assert_eq!(documented, routes);
}

#[test]
fn every_response_is_documented_with_the_id_of_its_request() {
    let document = document();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            for (status, response) in operation["responses"].as_object().unwrap() {
                let shared =
                    response["$ref"].as_str().and_then(|path| document.pointer(path.strip_prefix('#')?));
                let header = &shared.unwrap_or(response)["headers"]["x-request-id"]["$ref"];
                assert_eq!(header, "#/components/headers/RequestId", "{method} {path} {status}");
            }
        }
    }
}

/// Sends generated requests to the operations whose paths begin with this. The seed is constant, so each run sends the same.
fn send_generated_requests(client: &Client, base: &str, checks: &str) {
    let program = workspace().join(".tools/openapi/bin/schemathesis");
    assert!(program.exists(), "the tool is not installed; run `make openapi` first, as `make test` does");
    let url = client.base_url.strip_suffix(base).unwrap();
    let folder = Folder::new();
    let mut command = Command::new(program);
    command.current_dir(folder.path()).arg("run").arg(workspace().join(DOCUMENT)).args(["--url", url]);
    command.args(["--include-path-regex", &format!("^{base}"), "--checks", checks]);
    command.args(["--header", &format!("Authorization: {}", client.basic())]);
    command.args(["--seed", "1", "--max-examples", "15", "--phases", "examples,coverage,fuzzing"]);
    command.args(["--suppress-health-check", "all", "--generation-database", "none", "--warnings", "off"]);
    let output = command.output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}{err}");
}

const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,response_schema_conformance";

#[tokio::test]
async fn directory_api_answers_generated_requests_as_documented() {
    let connector = service().connector().await;
    let client = connector.local(service());
    let (ann, ben) = (create_user(&client, "ann").await, create_user(&client, "ben").await);
    let inner = create_group(&client, "Inner", &[ann]).await;
    create_group(&client, "Outer", &[ben, inner]).await;
    run(&connector, &["role", "create", "approver"]).ok();
    run(&connector, &["role", "assign", "approver", "Outer"]).ok();
    let reader = connector.reader(service()).await;
    send_generated_requests(&reader, "/directory/v1", &format!("{CHECKS},negative_data_rejection"));
}

#[tokio::test]
async fn scim_api_answers_generated_requests_as_documented() {
    let connector = service().connector().await;
    send_generated_requests(&connector.local(service()), "/scim/v2", CHECKS);
}

#[tokio::test]
async fn feeds_answer_generated_requests_as_documented() {
    let connector = service().connector().await;
    let reader = connector.reader(service()).await;
    let consumer = reader.at(&reader.base_url.replace("/directory/v1", "/events/v1"));
    send_generated_requests(&consumer, "/events/v1", CHECKS);
}
