//! Rules hide users and groups that the identity provider sends. They do not hide what operators created, nor `public`. A
//! hidden group does not give its roles.

use directory::settings::{Rules, Settings};
use serde_json::{Value, json};
use tests::client::Client;
use tests::provisioning::{create_group, create_user};
use tests::scimctl::run;
use tests::service::{TestConnector, service};

async fn connector_with(rules: Rules) -> (TestConnector, Client) {
    let connector = service().connector_with(Settings { rules, ..Settings::default() }).await;
    let client = connector.local(service());
    (connector, client)
}

fn entry(connector: &TestConnector, user: &str) -> Value {
    serde_json::from_str(&run(connector, &["user", "show", user, "--json"]).ok()).unwrap()
}

fn list(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[tokio::test]
async fn rules_hide_neither_local_users_and_groups_nor_public() {
    for rules in [
        Rules { exclude_users: list(&["*"]), exclude_groups: list(&["*"]), ..Rules::default() },
        Rules { include_users: list(&["zoe"]), include_groups: list(&["Zoo"]), ..Rules::default() },
    ] {
        let (connector, client) = connector_with(rules).await;
        let ann = create_user(&client, "ann").await;
        create_group(&client, "Sales", std::slice::from_ref(&ann)).await;
        run(&connector, &["user", "create", "ben"]).ok();
        run(&connector, &["group", "create", "Stewards"]).ok();
        run(&connector, &["group", "add", "Stewards", "ann", "ben"]).ok();
        assert!(!entry(&connector, "ann")["hidden"].is_null());
        let ben = entry(&connector, "ben");
        assert_eq!(
            (&ben["hidden"], &ben["groups"], &ben["effective_groups"]),
            (&json!(null), &json!(["Stewards"]), &json!(["Stewards", "public"]))
        );
        assert_eq!(run(&connector, &["group", "members", "public"]).ok(), "ben\n");
        for (group, hidden) in [("public", "no"), ("Stewards", "no")] {
            assert_eq!(run(&connector, &["group", "show", group]).value("Hidden:"), hidden, "{group}");
        }
        assert_ne!(run(&connector, &["group", "show", "Sales"]).value("Hidden:"), "no");
        let groups = run(&connector, &["group", "list", "--json"]).ok();
        let names: Vec<Value> =
            groups.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["name"].clone()).collect();
        assert_eq!(names, ["Stewards", "public"]);
    }
}

#[tokio::test]
async fn hidden_group_does_not_give_its_roles() {
    let rules = Rules { exclude_groups: list(&["hidden*"]), ..Rules::default() };
    let (connector, client) = connector_with(rules).await;
    let (ann, ben) = (create_user(&client, "ann").await, create_user(&client, "ben").await);
    let inner = create_group(&client, "Inner", std::slice::from_ref(&ben)).await;
    create_group(&client, "Hidden Club", &[ann.clone(), inner.clone()]).await;
    create_group(&client, "Sales", &[ann, inner]).await;
    for (role, member) in [("club", "Hidden Club"), ("seller", "Sales"), ("steward", "ann")] {
        run(&connector, &["role", "create", role]).ok();
        run(&connector, &["role", "assign", role, member]).ok();
    }
    let roles = |user: &str| entry(&connector, user)["roles"].clone();
    assert_eq!((roles("ann"), roles("ben")), (json!(["seller", "steward"]), json!(["seller"])));
    let shown = Rules::default();
    service().change_settings(&connector.id, |settings| Settings { rules: shown, ..settings }).await;
    assert_eq!(
        (roles("ann"), roles("ben")),
        (json!(["club", "seller", "steward"]), json!(["club", "seller"]))
    );
}
