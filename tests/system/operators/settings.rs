//! The settings of a connector (`on-deactivate`, `on-delete`, `attribute-only`), local users, groups and
//! roles, and audit records: what they change for clients.

use directory::settings::{OnDeactivate, OnDelete, Settings};
use serde_json::{Value, json};
use tests::client::Client;
use tests::invariants::assert_invariants;
use tests::provisioning::{
    GROUP, USER, add_members_body, create_group, create_user, create_users, members_of, patch_body,
    set_active_body,
};
use tests::scimctl::{operator, run, scimctl};
use tests::service::{TestConnector, service};
use tests::table::read_items;

/// Creates a connector with these settings, and a client of it.
async fn connector_with(settings: Settings) -> (TestConnector, Client) {
    let connector = service().connector_with(settings).await;
    let client = connector.local(service());
    (connector, client)
}

#[tokio::test]
async fn on_deactivate_keep_groups_keeps_memberships() {
    let (_, client) =
        connector_with(Settings { on_deactivate: OnDeactivate::KeepGroups, ..Settings::default() }).await;
    let created = create_users(&client, 2).await;
    let group = create_group(&client, "Tour Guides", &created[..1]).await;
    let path = format!("/Users/{}", created[0]);
    let away = client.patch(&path, &set_active_body(false)).await.json();
    assert_eq!((&away["active"], &away["groups"][0]["value"]), (&json!(false), &json!(group)));
    assert_eq!(client.get(&path).await.json(), away);
    assert_eq!(client.patch(&path, &set_active_body(true)).await.json()["groups"][0]["value"], json!(group));
    // A deactivated user can join a group with this setting.
    client.patch(&format!("/Users/{}", created[1]), &set_active_body(false)).await;
    let joins = add_members_body(&created[1..]);
    assert_eq!(client.patch(&format!("/Groups/{group}"), &joins).await.status, 200);
    assert_eq!(members_of(&client, &group).await, created.iter().cloned().collect());
}

#[tokio::test]
async fn on_delete_deactivate_hides_the_user_from_the_client_only() {
    let (connector, client) =
        connector_with(Settings { on_delete: OnDelete::Deactivate, ..Settings::default() }).await;
    let leaver = create_user(&client, "ann@example.com").await;
    let group = create_group(&client, "Tour Guides", std::slice::from_ref(&leaver)).await;
    let path = format!("/Users/{leaver}");
    assert_eq!(client.delete(&path).await.status, 204);
    for reply in [
        client.get(&path).await,
        client.delete(&path).await,
        client.patch(&path, &set_active_body(true)).await,
    ] {
        assert_eq!(reply.status, 404);
    }
    assert_eq!(client.get("/Users").await.json()["totalResults"], 0);
    assert_eq!(members_of(&client, &group).await, [].into());
    let shown = run(&connector, &["user", "show", &leaver]).ok();
    assert!(shown.contains("deleted by the client") && shown.contains("ann@example.com"), "{shown}");
    assert_invariants(service(), &connector.id).await;
    let again = create_user(&client, "ann@example.com").await;
    assert_ne!(again, leaver, "the name was free");
    run(&connector, &["user", "delete", &leaver]).ok();
    assert!(run(&connector, &["user", "show", &leaver]).failed().contains("no user"));
    assert_eq!(client.delete(&format!("/Groups/{group}")).await.status, 204);
    assert_invariants(service(), &connector.id).await;
}

#[tokio::test]
async fn on_delete_refuse_answers_405() {
    let (connector, client) =
        connector_with(Settings { on_delete: OnDelete::Refuse, ..Settings::default() }).await;
    let user = create_user(&client, "ann@example.com").await;
    let group = create_group(&client, "Tour Guides", std::slice::from_ref(&user)).await;
    for (path, advice) in [
        (format!("/Users/{user}"), "deactivate the user instead"),
        (
            format!("/Groups/{group}"),
            "remove the members of the group instead; an operator can then delete it",
        ),
    ] {
        let refused = client.delete(&path).await;
        assert_eq!((refused.status, refused.header("allow")), (405, Some("GET, HEAD, PUT, PATCH")));
        let detail = format!("Connector {} refuses DELETE; {advice}", connector.id);
        assert_eq!(refused.json()["detail"], json!(detail));
        assert_eq!(client.get(&path).await.status, 200);
    }
}

#[tokio::test]
async fn attribute_only_client_cannot_create_users_but_takes_over_local_ones() {
    let (connector, client) = connector_with(Settings { attribute_only: true, ..Settings::default() }).await;
    let post =
        async |name: &str| client.post("/Users", &json!({ "schemas": [USER], "userName": name })).await;
    let refused = post("ann@example.com").await;
    assert_eq!((refused.status, refused.json()["scimType"].as_str()), (403, None));
    assert!(refused.json()["detail"].as_str().unwrap().contains("creates none"));
    run(&connector, &["user", "create", "ann@example.com"]).ok();
    assert_eq!(post("ANN@example.com").await.status, 201);
    assert_eq!(post("ann@example.com").await.status, 409);
    assert_invariants(service(), &connector.id).await;
}

#[tokio::test]
async fn client_takes_over_a_local_user_with_the_same_id() {
    let (connector, client) = connector_with(Settings::default()).await;
    let create_user_named = |name: &str| {
        let printed =
            run(&connector, &["user", "create", name, "--first-name", "Ann", "--email", "a@b.c"]).ok();
        printed.trim().rsplit(' ').next().unwrap().to_owned()
    };
    let owner = |id: &str| {
        let entry: Value =
            serde_json::from_str(&run(&connector, &["user", "show", id, "--json"]).ok()).unwrap();
        entry["origin"].clone()
    };
    let (posted, put, patched, seen) = (
        create_user_named("posted"),
        create_user_named("put"),
        create_user_named("patched"),
        create_user_named("seen"),
    );
    let found = client.get("/Users?filter=userName%20eq%20%22POSTED%22").await.json();
    assert_eq!(found["Resources"][0]["id"], json!(posted), "a look-up finds the operator's user");
    let reply =
        client.post("/Users", &json!({ "schemas": [USER], "userName": "Posted", "title": "x" })).await;
    let body = reply.json();
    assert_eq!((reply.status, &body["id"], &body["title"]), (201, &json!(posted), &json!("x")));
    assert_eq!(
        (body.get("name"), body.get("emails")),
        (None, None),
        "attributes that the client omits are removed"
    );
    assert!(reply.header("location").unwrap().ends_with(&posted));
    let again = client.post("/Users", &json!({ "schemas": [USER], "userName": "posted" })).await;
    assert_eq!((again.status, &again.json()["scimType"]), (409, &json!("uniqueness")));
    let path = format!("/Users/{put}");
    assert_eq!(client.put(&path, &json!({ "schemas": [USER], "userName": "put" })).await.status, 200);
    let nothing = patch_body(json!([{ "op": "replace", "path": "userName", "value": "patched" }]));
    assert_eq!(client.patch(&format!("/Users/{patched}"), &nothing).await.status, 200);
    assert_eq!(client.get(&format!("/Users/{seen}")).await.status, 200);
    assert_eq!(
        [&posted, &put, &patched, &seen].map(|id| owner(id)),
        ["scim", "scim", "scim", "local"].map(Value::from)
    );
    let refused = run(&connector, &["user", "set", "posted", "--email", "x@y.z"]).failed();
    assert!(
        refused.contains(&format!("belongs to the identity provider of connector {}", connector.id)),
        "{refused}"
    );
    assert!(run(&connector, &["user", "delete", "posted"]).failed().contains("belongs to"));
    run(&connector, &["user", "delete", "seen"]).ok();
    client.patch(&format!("/Users/{put}"), &set_active_body(false)).await;
    run(&connector, &["user", "delete", "put"]).ok();
    assert_eq!(client.get("/Users").await.json()["totalResults"], 2);
    assert_invariants(service(), &connector.id).await;
}

#[tokio::test]
async fn client_cannot_see_or_change_local_groups_and_roles() {
    let (connector, client) = connector_with(Settings::default()).await;
    let ann = create_user(&client, "ann").await;
    let sales = create_group(&client, "Sales", std::slice::from_ref(&ann)).await;
    let printed = run(&connector, &["group", "create", "Stewards"]).ok();
    let stewards = printed.trim().rsplit(' ').next().unwrap().to_owned();
    run(&connector, &["group", "add", "Stewards", "ann", "Sales"]).ok();
    run(&connector, &["role", "create", "approver"]).ok();
    run(&connector, &["role", "assign", "approver", "Sales"]).ok();
    let path = format!("/Groups/{stewards}");
    let put = json!({ "schemas": [GROUP], "displayName": "Mine" });
    for reply in [client.get(&path).await, client.put(&path, &put).await, client.delete(&path).await] {
        assert_eq!(reply.status, 404);
    }
    let groups = client.get("/Groups?sortBy=displayName").await.json();
    assert_eq!((&groups["totalResults"], &groups["Resources"][0]["id"]), (&json!(1), &json!(sales)));
    assert_eq!(
        client.get("/Groups?filter=displayName%20eq%20%22stewards%22").await.json()["totalResults"],
        0
    );
    let shown = client.get(&format!("/Users/{ann}")).await.json();
    assert_eq!(shown["groups"].as_array().unwrap().len(), 1);
    for name in ["STEWARDS", "Public"] {
        let pushed = json!({ "schemas": [GROUP], "displayName": name });
        for reply in
            [client.post("/Groups", &pushed).await, client.put(&format!("/Groups/{sales}"), &pushed).await]
        {
            assert_eq!((reply.status, &reply.json()["scimType"]), (409, &json!("uniqueness")));
            let detail = reply.json()["detail"].as_str().unwrap().to_owned();
            assert!(detail.ends_with("; rename the group in the identity provider"), "{detail}");
        }
    }
    assert!(run(&connector, &["group", "create", "sales"]).failed().contains("of the identity provider"));
    assert!(run(&connector, &["group", "create", "public"]).failed().contains("built-in"));
    assert!(run(&connector, &["group", "rename", "Sales", "x"]).failed().contains("belongs to"));
    assert!(run(&connector, &["group", "remove", "Sales", "ann"]).failed().contains("belongs to"));
    let entry: Value =
        serde_json::from_str(&run(&connector, &["user", "show", "ann", "--json"]).ok()).unwrap();
    assert_eq!(
        (&entry["groups"], &entry["effective_groups"], &entry["roles"]),
        (&json!(["Sales", "Stewards"]), &json!(["Sales", "Stewards", "public"]), &json!(["approver"]))
    );
    for group in ["Stewards", "public", "Sales"] {
        assert_eq!(run(&connector, &["group", "members", group]).ok(), "ann\n");
    }
    assert_invariants(service(), &connector.id).await;
    client.patch(&format!("/Users/{ann}"), &set_active_body(false)).await;
    let entry: Value =
        serde_json::from_str(&run(&connector, &["user", "show", "ann", "--json"]).ok()).unwrap();
    assert_eq!((&entry["groups"], &entry["hidden"]), (&json!([]), &json!("deactivated")));
    assert_eq!(run(&connector, &["group", "show", "Stewards"]).value("Members:"), "0 users, 1 group");
    run(&connector, &["group", "rename", "Stewards", "Keepers"]).ok();
    run(&connector, &["role", "withdraw", "approver", "Sales"]).ok();
    run(&connector, &["role", "delete", "approver", "--yes"]).ok();
    run(&connector, &["group", "delete", "Keepers"]).ok();
    assert_invariants(service(), &connector.id).await;
}

#[tokio::test]
async fn each_change_leaves_one_audit_record_without_the_attributes_of_people() {
    let (connector, client) = connector_with(Settings::default()).await;
    let credentials = service().table().connector(&connector.id).await.unwrap().unwrap().credentials;
    let password = credentials.iter().find(|one| directory::connectors::scheme(one) == "Basic");
    let credential = password.unwrap().id.clone();
    let ann = create_user(&client, "ann").await;
    let group = create_group(&client, "Sales", &[]).await;
    let joins = add_members_body(std::slice::from_ref(&ann));
    client.patch(&format!("/Groups/{group}"), &joins).await;
    client.patch(&format!("/Groups/{group}"), &joins).await;
    let named =
        patch_body(json!([{ "op": "replace", "value": { "name.familyName": "Secret", "title": "Hidden" } }]));
    client.patch(&format!("/Users/{ann}"), &named).await;
    client.patch(&format!("/Users/{ann}"), &set_active_body(false)).await;
    client.delete(&format!("/Users/{ann}")).await;
    run(&connector, &["group", "create", "Stewards"]).ok();
    let read = |arguments: &[&str]| -> Vec<Value> {
        let id = connector.id.to_string();
        let printed = scimctl(service(), &[&["audit", &id, "--json"], arguments].concat()).ok();
        assert!(!printed.contains("Secret") && !printed.contains("Hidden"), "{printed}");
        printed.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let short = |record: &Value| {
        let attributes = record["attributes"].as_array().unwrap().iter().map(|name| name.as_str().unwrap());
        format!(
            "{} {} {}",
            record["operation"].as_str().unwrap(),
            record["kind"].as_str().unwrap(),
            attributes.collect::<Vec<_>>().join(" ")
        )
    };
    let of_ann = read(&["--resource", &ann]);
    let mut changes: Vec<String> = of_ann.iter().map(short).collect();
    changes.reverse();
    assert_eq!(
        changes,
        [
            "create User schemas userName",
            "update Group members",
            "update User name title",
            "update User active groups",
            "delete User "
        ]
    );
    assert!(of_ann.iter().all(|record| record["by"] == "client"
        && record["who"] == json!(credential)
        && record["id"] == json!(if record["kind"] == "Group" { &group } else { &ann })));
    let all = read(&[]);
    assert_eq!(all.len(), 9, "2 of the connector, 7 changes, none for the repeated addition: {all:?}");
    let (newest, times): (&Value, Vec<&str>) =
        (&all[0], all.iter().map(|record| record["time"].as_str().unwrap()).collect());
    assert_eq!(
        (&newest["by"], &newest["who"], short(newest)),
        (&json!("operator"), &json!(operator()), "create LocalGroup schemas displayName".to_owned())
    );
    assert!(times.is_sorted_by(|newer, older| newer >= older), "{times:?}");
    assert_eq!(read(&["--limit", "3"]), all[..3]);
    assert_eq!(
        read(&["--until", "2020-01-01T00:00:00Z", "--since", "2019-10-01T00:00:00Z"]),
        [Value::Null; 0]
    );
    let items = read_items(service(), &connector.id).await;
    let expires: Vec<i64> = items
        .iter()
        .filter(|((pk, _), _)| pk.contains("#audit/"))
        .map(|(_, item)| item["expires"].as_n().unwrap().parse().unwrap())
        .collect();
    assert_eq!(expires.len(), all.len(), "every audit record is a separate item");
    let year = jiff::Timestamp::now().as_second() + 365 * 86_400;
    assert!(expires.iter().all(|expires| (year - 600..=year).contains(expires)), "{expires:?}");
}
