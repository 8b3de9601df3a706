//! Measures a group that has all users of the directory as its members.

use std::time::{Duration, Instant};

use bench::directory::{group, patch};
use directory::Swept;
use directory::connectors::ConnectorId;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use shared::resource::ResourceId;
use shared::schema::Schemas;
use tests::in_process::{InProcess, json_of};
use tests::ledger::CountedService;
use tests::service::{Service, TestConnector};

use crate::growth::{Point, add_members, create, point};

/// The time that a function has for a request: the timeout in `template.yaml`, without what it needs to answer.
const TIME_FOR_A_REQUEST: Duration = Duration::from_millis(27_500);
/// After this time, a change whose process ended counts as interrupted.
const AFTER_EVERY_LEASE: SignedDuration = SignedDuration::from_hours(1);

/// The measurements of the group that are no requests of one operation.
#[derive(Serialize, Deserialize)]
pub struct GroupOfAll {
    /// How long it took to add all users, in seconds.
    pub fill: f64,
    /// The number of pages when an application reads all members.
    pub pages: usize,
    /// How long it took to read them, in seconds.
    pub walk: f64,
    /// The status of the response to DELETE.
    pub deletion_status: u16,
    /// The time until this response, in seconds.
    pub deletion_response: f64,
    /// The runs of the sweeper that finished the deletion.
    pub sweeps: usize,
    /// The time from the request until all memberships were deleted, in seconds. `None` if the request ended before the deletion
    /// began.
    pub deletion: Option<f64>,
}

/// The programs that use the service: the client, an application that reads the directory, and the sweeper.
pub struct Programs<'s> {
    /// Requests of the client, whose cost is counted.
    pub client: CountedService,
    reader: CountedService,
    /// Requests of the client with the time limit of a function.
    limited: InProcess,
    service: &'s Service,
    connector: ConnectorId,
}

impl<'s> Programs<'s> {
    /// Starts the programs for one connector.
    pub async fn start(service: &'s Service, connector: &TestConnector) -> Self {
        Self {
            client: CountedService::new(service, connector).await,
            reader: CountedService::for_reader(service, connector).await,
            limited: InProcess::new(service.dynamodb(), connector.local(service)).await,
            service,
            connector: connector.id.clone(),
        }
    }

    /// Creates the group, measures it and deletes it.
    pub async fn measure(&self, ids: &[ResourceId]) -> (GroupOfAll, Vec<Point>) {
        let users = ids.len();
        let id = create(&self.client, "/Groups", &group("all users", &[])).await;
        let began = Instant::now();
        add_members(&self.client, &id, ids).await;
        let fill = began.elapsed().as_secs_f64();
        let (mut points, path) = (Vec::new(), format!("/Groups/{id}"));

        let user = |number: usize| ids[(number * 7_919) % users].to_string();
        let remove = |n| patch("remove", &format!("members[value eq \"{}\"]", user(n)), None);
        let add = |n| patch("add", "members", Some(json!([{ "value": user(n) }])));
        let rename = |n: usize| patch("replace", "displayName", Some(format!("all users {n}").into()));
        for (operation, change) in [
            ("remove a member of the group of all users", &remove as &dyn Fn(usize) -> Value),
            ("add a member to the group of all users", &add),
            ("rename the group of all users", &rename),
        ] {
            points.push(
                point(&self.client, users, operation, |n| ("PATCH", path.clone(), Some(change(n)))).await,
            );
        }
        let path_without_members = format!("{path}?excludedAttributes=members");
        let get = |_| ("GET", path_without_members.clone(), None);
        points.push(point(&self.client, users, "get the group of all users without members", get).await);

        let members = format!("/groups/{id}/members");
        let first = |_| ("GET", format!("{members}?limit=100"), None);
        points.push(point(&self.reader, users, "page of 100 of its members at the start", first).await);
        let began = Instant::now();
        let (pages, last) = self.walk(&members, users).await;
        let walk = began.elapsed().as_secs_f64();
        let last = |_| ("GET", format!("{members}?limit=100{last}"), None);
        points.push(point(&self.reader, users, "page of 100 of its members at the end", last).await);

        let (deletion_status, deletion_response, sweeps, deletion) = self.delete(&path).await;
        let group = GroupOfAll { fill, pages, walk, deletion_status, deletion_response, sweeps, deletion };
        (group, points)
    }

    /// Reads all members as an application does. Returns the number of pages, and the parameter with the cursor of the last 100
    /// members or less.
    async fn walk(&self, members: &str, users: usize) -> (usize, String) {
        let (mut pages, mut found, mut cursor) = (0, 0, String::new());
        loop {
            // The last 1,000 members are read in pages of 100.
            let limit = if users - found > 1_000 { 1_000 } else { 100 };
            let target = format!("{members}?limit={limit}{cursor}");
            let (_, response) = self.reader.cost("GET", &target, None, 200).await;
            let page = json_of(&response);
            pages += 1;
            found += page["entries"].as_array().expect("a list").len();
            match page["next"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        assert_eq!(found, users, "each user is a member once");
        (pages, cursor)
    }

    /// Deletes the group as a function and the sweeper do. Returns the status and the time of the response, the runs of the sweeper,
    /// and the time until all memberships were deleted.
    async fn delete(&self, path: &str) -> (u16, f64, usize, Option<f64>) {
        let began = Instant::now();
        let response = self.limited.send("DELETE", path, None, TIME_FOR_A_REQUEST).await;
        let (status, responded) = (response.status().as_u16(), began.elapsed().as_secs_f64());
        let mut sweeps = 0;
        while self.sweep().await != Swept::default() {
            sweeps += 1;
        }
        let deleted = began.elapsed().as_secs_f64();
        let gone = self.limited.send("GET", path, None, TIME_FOR_A_REQUEST).await;
        (status, responded, sweeps, (gone.status() == 404).then_some(deleted))
    }

    async fn sweep(&self) -> Swept {
        let now = Timestamp::now() + AFTER_EVERY_LEASE;
        let swept = self.service.table().sweep(Some(&self.connector), Schemas::built_in(), now).await;
        swept.expect("the intents can be read")
    }
}
