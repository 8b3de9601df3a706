//! `scimctl policies check --cedar`: policies, templates, links and entities that name users and groups who are gone.

use directory::settings::{Rules, Settings};
use serde_json::{Value, json};
use tests::folder::Folder;
use tests::provisioning::{create_group, create_user, set_active_body};
use tests::scimctl::{Done, run};
use tests::service::{TestConnector, service};

fn check(connector: &TestConnector, paths: &[&str]) -> Done {
    run(connector, &[&["policies", "check", "--json", "--cedar"], paths].concat())
}

/// The lines of a report without the times, which differ in each run.
fn lines(done: &Done) -> Vec<Value> {
    let parse = |line: &str| {
        let mut line: Value = serde_json::from_str(line).unwrap();
        line.as_object_mut().unwrap().remove("since");
        line
    };
    done.out.lines().map(parse).collect()
}

#[tokio::test]
async fn every_place_that_names_a_user_or_group_who_is_gone_is_reported() {
    let rules = Rules {
        exclude_users: vec!["svc-*".to_owned()],
        exclude_groups: vec!["hidden*".to_owned()],
        ..Rules::default()
    };
    let connector = service().connector_with(Settings { rules, ..Settings::default() }).await;
    let client = connector.local(service());
    let (ann, ben) = (create_user(&client, "ann").await, create_user(&client, "ben").await);
    let (carl, svc) = (create_user(&client, "carl").await, create_user(&client, "svc-backup").await);
    let sales = create_group(&client, "Sales", std::slice::from_ref(&ann)).await;
    let (club, old) = (create_group(&client, "Hidden", &[]).await, create_group(&client, "Old", &[]).await);
    assert_eq!(client.patch(&format!("/Users/{ben}"), &set_active_body(false)).await.status, 200);
    for path in [format!("/Users/{carl}"), format!("/Groups/{old}")] {
        assert_eq!(client.delete(&path).await.status, 204);
    }
    let folder = Folder::new();
    let text = folder.write(
        "a.cedar",
        &format!(
            r#"permit (principal in Rollcall::Group::"{sales}", action, resource);
@id("readers")
permit (principal == Rollcall::User::"{ben}", action, resource)
when {{ resource.owner == Rollcall::User::"{ann}" || resource.owner == Rollcall::User::"{ben}" }};
forbid (principal is Rollcall::User in Rollcall::Group::"{club}", action, resource);
permit (principal, action, resource == Rollcall::User::"{svc}");
permit (principal in ?principal, action, resource) unless {{ principal in Rollcall::Group::"{old}" }};
permit (principal in Rollcall::Group::"public", action, resource == User::"{ben}");
"#
        ),
    );
    let any = json!({ "op": "All" });
    let template = json!({
        "effect": "permit", "principal": { "op": "==", "slot": "?principal" }, "action": any, "resource": any, "conditions": []
    });
    let link = |id: &str, user: &str| {
        let user = json!({ "type": "Rollcall::User", "id": user });
        json!({ "newId": id, "templateId": "reader", "values": { "?principal": { "__entity": user } } })
    };
    let set = folder.write(
        "b.cedar.json",
        &json!({
            "staticPolicies": {}, "templates": { "reader": template },
            "templateLinks": [link("of ann", &ann), link("of carl", &carl), link("of zoe", "zoe")]
        })
        .to_string(),
    );
    let user = |id: &str| json!({ "type": "Rollcall::User", "id": id });
    let entities = folder.write(
        "c.json",
        &json!([
            { "uid": user(&ben), "attrs": {}, "parents": [{ "type": "Rollcall::Group", "id": sales }] },
            {
                "uid": { "type": "Document", "id": "plan" }, "parents": [],
                "attrs": { "owner": { "__entity": user(&ben) }, "readers": [{ "__entity": user(&ann) }, user(&carl)] }
            }
        ])
        .to_string(),
    );
    let done = check(&connector, &[&text, &set, &entities]);
    let gone = |principal: Value,
                id: Value,
                why: Value,
                file: &str,
                policy: Value,
                place: &str,
                effect: &str,
                last: bool| {
        let mut line = json!({
            "id": id, "why": why, "engine": "cedar", "service": file, "policy": policy[0], "name": policy[1],
            "where": place, "effect": effect, "enabled": true, "last_principal": last
        });
        line.as_object_mut().unwrap().extend(principal.as_object().unwrap().clone());
        line
    };
    let user_ben = || (json!({ "user": "ben" }), json!(ben), json!("deactivated"));
    let of_ben = |file: &str, policy: Value, place: &str, effect: &str, last| {
        let (principal, id, why) = user_ben();
        gone(principal, id, why, file, policy, place, effect, last)
    };
    let of_carl = |file: &str, policy: Value, place: &str, effect: &str, last| {
        gone(json!({ "user": "carl" }), json!(carl), json!("deleted"), file, policy, place, effect, last)
    };
    let excluded = |pattern: &str| json!({ "hidden": format!("excluded by {pattern}") });
    let plan = json!(["Document::\"plan\"", ""]);
    let ben_entity = json!([format!("Rollcall::User::\"{ben}\""), ""]);
    let expected = [
        of_ben(&text, json!(["policy1", "readers"]), "line 2, condition", "allow", false),
        of_ben(&text, json!(["policy1", "readers"]), "line 2, principal", "allow", true),
        gone(
            json!({ "group": "Hidden" }),
            json!(club),
            excluded("hidden*"),
            &text,
            json!(["policy2", ""]),
            "line 5, principal",
            "deny",
            true,
        ),
        gone(
            json!({ "user": "svc-backup" }),
            json!(svc),
            excluded("svc-*"),
            &text,
            json!(["policy3", ""]),
            "line 6, resource",
            "allow",
            true,
        ),
        gone(
            json!({ "group": "Old" }),
            json!(old),
            json!("deleted"),
            &text,
            json!(["policy4", ""]),
            "line 7, condition",
            "allow",
            true,
        ),
        of_carl(&set, json!(["of carl", ""]), "?principal", "allow", true),
        gone(
            json!({ "user": "zoe" }),
            json!(null),
            json!("not_in_directory"),
            &set,
            json!(["of zoe", ""]),
            "?principal",
            "allow",
            true,
        ),
        of_ben(&entities, ben_entity, "uid", "data", true),
        of_ben(&entities, plan.clone(), "attrs.owner", "data", true),
        of_carl(&entities, plan, "attrs.readers", "data", false),
    ];
    assert_eq!((done.code, done.err.as_str()), (1, ""));
    assert_eq!(lines(&done), expected);
}

#[tokio::test]
async fn report_is_empty_after_the_policies_were_cleaned_and_a_broken_file_ends_with_2() {
    let connector = service().connector().await;
    let client = connector.local(service());
    let ann = create_user(&client, "ann").await;
    let sales = create_group(&client, "Sales", std::slice::from_ref(&ann)).await;
    let folder = Folder::new();
    let policies = folder.path().to_str().unwrap();
    let group = format!("permit (principal in Rollcall::Group::\"{sales}\", action, resource);\n");
    let user = format!("permit (principal == Rollcall::User::\"{ann}\", action, resource);\n");
    let empty = (0, "0 places name principals that are gone\n", "");
    let assert_checked = |text: &str, (code, out, err): (i32, &str, &str), step: &str| {
        folder.write("docs.cedar", text);
        let done = run(&connector, &["policies", "check", "--cedar", policies]);
        assert_eq!((done.code, done.out.as_str(), done.err.as_str()), (code, out, err), "{step}");
    };
    assert_checked(&format!("{group}{user}"), empty, "while the user is active");
    assert_eq!(client.patch(&format!("/Users/{ann}"), &set_active_body(false)).await.status, 200);
    folder.write("docs.cedar", &format!("{group}{user}"));
    let done = run(&connector, &["policies", "check", "--cedar", policies]);
    assert_eq!((done.code, done.err.as_str(), done.out.lines().count()), (1, "", 3), "{done:?}");
    assert!(done.out.ends_with("\n1 place names a principal that is gone\n"), "{done:?}");
    assert_checked(&group, empty, "after the policy of the user was removed");
    let file = folder.file_path("docs.cedar");
    let broken = format!("scimctl: {file}:2: unexpected end of input; expected `(`\n");
    assert_checked(&format!("{group}permit"), (2, "", &broken), "after the file was broken");
}
