//! Requests that compute for long do not stop the others in the process that `make run` starts.

use std::num::NonZero;
use std::thread::available_parallelism;

use serde_json::json;
use tests::client::SCIM_JSON;
use tests::folder::Folder;
use tests::provisioning::{create_users, patch_body};

use super::process::Running;

/// The clock ticks of CPU time that a process has used. A second has 100.
fn cpu_ticks(process: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    // The name of the program is in parentheses and can have spaces. Times in user mode and in the kernel are fields
    // 14 and 15.
    let fields = stat.rsplit(") ").next().unwrap().split(' ').skip(11).take(2);
    fields.map(|field| field.parse::<u64>().unwrap()).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_compute_for_long_do_not_stop_others() {
    let folder = Folder::missing();
    let running = Running::start(folder.path(), &[]);
    let client = running.client();
    let user = create_users(&client, 1).await.remove(0);
    // Each replacement compares 20,000 values.
    let values: Vec<_> = (0..20_000).map(|number| json!({ "value": number.to_string() })).collect();
    let add = json!({ "op": "add", "path": "entitlements", "value": values });
    let replace = json!({ "op": "replace", "path": "entitlements[value eq \"x\" or value eq \"0\"].display", "value": "x" });
    let operations: Vec<_> = std::iter::once(add).chain(std::iter::repeat_n(replace, 200)).collect();
    let body = patch_body(operations.into()).to_string();
    let slow_requests = available_parallelism().map_or(8, NonZero::get) + 2;
    let slow: Vec<_> = (0..slow_requests)
        .map(|_| {
            let (client, body, path) = (client.clone(), body.clone(), format!("/Users/{user}"));
            tokio::spawn(async move {
                client.send("PATCH", &path, &[("content-type", SCIM_JSON)], body).await.status
            })
        })
        .collect();
    let before = cpu_ticks(running.child.id());
    while cpu_ticks(running.child.id()) < before + 50 {
        tokio::task::yield_now().await;
    }
    assert_eq!(client.get("/Users?count=1").await.status, 200);
    let running = slow.iter().filter(|slow| !slow.is_finished()).count();
    assert_eq!(running, slow_requests, "the other request got its response first");
    for slow in slow {
        assert_eq!(slow.await.unwrap(), 413, "the user would be larger than an item of the table");
    }
}
