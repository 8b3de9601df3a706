//! The pages of `scimctl console` in a directory of 20,001 users: each needs a bounded number of requests to DynamoDB.

use directory::secrets::new_resource_id;
use tests::console::SignedIn;
use tests::faults::{Fault, FaultyDynamoDb};
use tests::folder::Folder;
use tests::hooks::Action;
use tests::provisioning::create_group;
use tests::scimctl::scimctl;
use tests::seed;
use tests::service::Service;

const USERS: usize = 20_001;

#[tokio::test(flavor = "multi_thread")]
async fn no_page_reads_the_whole_directory() {
    let service = Service::start();
    let connector = service.connector().await;
    let id = connector.id.to_string();
    let ids = seed::users(&service, &connector.id, USERS).await;
    let everybody = new_resource_id();
    seed::group_with_id(&service, &connector.id, everybody, "Everybody").await;
    seed::members(&service, &connector.id, everybody, &ids).await;
    for number in 0..100 {
        let group = new_resource_id();
        seed::group_with_id(&service, &connector.id, group, &format!("Group {number:03}")).await;
        let members: Vec<_> = ids.iter().skip(number * 200).take(200).copied().collect();
        seed::members(&service, &connector.id, group, &members).await;
    }
    let client = connector.local(&service);
    create_group(&client, "Outer", &[everybody.to_string()]).await;
    for arguments in [
        &["role", "create", &id, "approver"][..],
        &["role", "assign", &id, "approver", "Everybody"],
        &["feed", "create", &id, "platform"],
    ] {
        scimctl(&service, arguments).ok();
    }
    let role = service.directory(&connector.id).await;
    let role = role.find_by_name(shared::resource::ResourceKind::Role, "approver").await.unwrap().unwrap();
    let folder = Folder::new();
    let policies = folder.write("rules.cedar", "permit (principal, action, resource);\n");

    let counted = FaultyDynamoDb::start(&service.endpoint_for("OperateDirectory")).await;
    let browser = SignedIn::at(&counted.endpoint, &["--policies", &policies]).await;
    let user = ids[USERS / 2];
    let mut too_many: Vec<String> = Vec::new();
    // The page, and the most requests to DynamoDB that it may need. Two of them read the connector.
    for (page, most) in [
        ("users".to_owned(), 5),
        ("users?after=user010000%40example.com".to_owned(), 5),
        ("users?q=user".to_owned(), 9),
        ("users?show=hidden".to_owned(), 4),
        (format!("users/{user}"), 8),
        (format!("users/{user}/scim"), 8),
        (format!("users/{user}/history"), 140),
        (format!("users/{user}/why"), 60),
        ("groups".to_owned(), 8),
        (format!("groups/{everybody}"), 12),
        (format!("groups/{everybody}?after={user}"), 12),
        (format!("groups/{everybody}/everyone"), 70),
        ("roles".to_owned(), 5),
        (format!("roles/{role}"), 10),
        (format!("roles/{role}/everyone"), 70),
        ("requests".to_owned(), 12),
        ("audit".to_owned(), 140),
        ("charts".to_owned(), 160),
        ("feeds".to_owned(), 5),
        ("feeds/platform".to_owned(), 5),
        ("policies".to_owned(), 3),
        ("policies?check=true".to_owned(), 3),
    ] {
        let hook = counted.at_call(usize::MAX, |_| true, Action::Fail(Fault::Throttled));
        browser.show(&format!("/connectors/{id}/{page}")).await;
        println!("{:4} of {most:4}  {page}", hook.calls());
        too_many.extend((hook.calls() > most).then(|| format!("{page}: {} of {most}", hook.calls())));
    }
    assert_eq!(too_many, [""; 0], "pages need more requests to DynamoDB than they may");
    let page = browser.show(&format!("/connectors/{id}/policies?check=true")).await;
    let sentence = "This directory has 20,001 users; the console checks at most 20,000.";
    assert!(page.text().contains(sentence), "{}", page.text());
}
