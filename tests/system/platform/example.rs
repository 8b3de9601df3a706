//! The example program keeps a copy of a directory that equals it.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tests::client::Client;
use tests::consumer::Consumer;
use tests::provisioning::{
    add_members, create_group, create_user, create_users, group_body, remove_members_body, set_active_body,
};
use tests::scimctl::run;
use tests::service::service;
use tests::workspace;

/// The most batches of events of the conversation.
const MAX_LINES: usize = 30;

/// The program, which is ended with the test.
struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// All entries of a list of the directory API.
async fn entries(reader: &Client, path: &str) -> Vec<Value> {
    reader.get(&format!("{path}?limit=1000")).await.json()["entries"].as_array().unwrap().clone()
}

/// The directory in the form in which the program prints its copy.
async fn directory(reader: &Client) -> Value {
    let users = entries(reader, "/users").await;
    let users = users.iter().map(|user| (user["id"].as_str().unwrap().to_owned(), user["username"].clone()));
    let mut groups = serde_json::Map::new();
    for kind in ["groups", "roles"] {
        for group in entries(reader, &format!("/{kind}")).await {
            let path = format!("/{kind}/{}", group["id"].as_str().unwrap());
            let members = entries(reader, &format!("{path}/members")).await;
            let mut members: Vec<String> =
                members.iter().map(|member| member["id"].as_str().unwrap().to_owned()).collect();
            members.sort();
            groups.insert(path, json!({ "name": group["name"], "members": members }));
        }
    }
    json!({ "users": users.collect::<serde_json::Map<_, _>>(), "groups": groups })
}

#[tokio::test]
async fn example_program_keeps_a_copy_that_equals_the_directory() {
    let connector = service().connector().await;
    Consumer::create(service().table(), &connector.id, "platform").await;
    let (client, reader) = (connector.local(service()), connector.reader(service()).await);
    let url = format!("{}/{}", service().origin(), connector.id);
    let basic = STANDARD.decode(reader.basic().strip_prefix("Basic ").unwrap()).unwrap();
    let credentials = String::from_utf8(basic).unwrap();
    let mut command = Command::new("python3");
    command.arg(workspace().join("examples/follow_directory.py")).args([&url, "platform", &credentials]);
    let mut program = Program(command.stdout(Stdio::piped()).spawn().unwrap());
    let output = BufReader::new(program.0.stdout.take().unwrap());

    let users = create_users(&client, 8).await;
    let inner = create_group(&client, "Inner", &users[..3]).await;
    let outer = create_group(&client, "Outer", &[users[3].clone(), inner.clone()]).await;
    create_group(&client, "Gone", &users).await;
    run(&connector, &["role", "create", "approver"]).ok();
    run(&connector, &["role", "assign", "approver", "Outer"]).ok();
    add_members(&client, &outer, &users[4..6]).await;
    client.patch(&format!("/Groups/{outer}"), &remove_members_body(&users[3..4])).await;
    client.put(&format!("/Groups/{inner}"), &group_body("Renamed", &users[1..4])).await;
    client.patch(&format!("/Users/{}", users[1]), &set_active_body(false)).await;
    client.patch(&format!("/Users/{}", users[2]), &set_active_body(false)).await;
    client.patch(&format!("/Users/{}", users[2]), &set_active_body(true)).await;
    client.delete(&format!("/Users/{}", users[5])).await;
    let gone = create_user(&client, "short lived").await;
    client.delete(&format!("/Users/{gone}")).await;

    let expected = directory(&reader).await;
    assert_eq!(expected["users"].as_object().unwrap().len(), 6);
    let lines = tokio::task::spawn_blocking(move || {
        output
            .lines()
            .take(MAX_LINES)
            .map_while(Result::ok)
            .any(|line| serde_json::from_str::<Value>(&line).unwrap() == expected)
    });
    assert!(lines.await.unwrap(), "the copy never equals the directory");
}
