//! `scimctl group conflicts` says before the first push which names of groups are taken.

use tests::folder::Folder;
use tests::provisioning::create_group;
use tests::scimctl::{Done, run};
use tests::service::service;

#[tokio::test]
async fn names_of_local_and_built_in_groups_are_conflicts() {
    let connector = service().connector().await;
    let folder = Folder::new();
    let created = run(&connector, &["group", "create", "Data Stewards"]).ok();
    let id = created.trim().rsplit(' ').next().unwrap();
    // A role, and a group that the identity provider pushed already, take no name.
    run(&connector, &["role", "create", "Interns"]).ok();
    create_group(&connector.local(service()), "Sales", &[]).await;
    let taken = |name: &str| format!("{name}: taken by local group Data Stewards ({id})\n");
    let conflicts =
        |file: &str, options: &[&str]| run(&connector, &[&["group", "conflicts", file], options].concat());
    let expected = |out: String, numbers: &str| Done {
        code: 1,
        out,
        err: format!(
            "scimctl: {numbers} names are taken, so the identity provider would get 409. Rename or delete the local groups, or \
             rename the groups in the identity provider\n"
        ),
    };
    let lines = folder.write("lines.txt", "\u{feff}data stewards \n\nSales\nInterns\nPublic\nsales\n");
    assert_eq!(
        conflicts(&lines, &[]),
        expected(
            format!("{}Public: taken by the built-in group public\n", taken("data stewards ")),
            "2 of 4"
        )
    );
    let csv = folder.write("groups.csv", "displayName,id\n\"Data Stewards\",1\n\"Sales, EMEA\",2\n");
    assert_eq!(conflicts(&csv, &["--column", "displayName"]), expected(taken("Data Stewards"), "1 of 2"));
    assert_eq!(
        conflicts(&csv, &[]).failed(),
        format!("{csv}: there is no column \"name\"; the columns are displayName, id")
    );
    let free = folder.write("free.txt", "Sales\r\nInterns\r\n");
    assert_eq!(conflicts(&free, &[]).ok(), "no conflicts in 2 names\n");
}
