//! The example company of `make demo`, with a history of two weeks, and a console that shows it.

use std::sync::atomic::{AtomicI64, Ordering};

use directory::Table;
use directory::connectors::Connectors;
use jiff::{SignedDuration, Timestamp};
use local::credentials::Credentials;
use local::demo::Demo;
use local::server;
use serde_json::{Value, json};
use service::Service as Functions;
use shared::schema::Schemas;
use tests::client::Client;
use tests::console::Console;
use tests::folder::Folder;
use tests::provisioning::{USER, patch_body};
use tests::scimctl::scimctl;
use tests::service::{Service, TABLE, TIME_LIMIT, TestConnector, actor, create_connector_named, secret};
use tokio::net::TcpListener;

/// The id of the company's connector.
pub const CONNECTOR: &str = "okta";

/// The file with policies.
const POLICIES: &str = "warehouse.cedar";

/// How long before now the service's clock is, in seconds.
static PRESENT_AGE: AtomicI64 = AtomicI64::new(0);
/// How much each reading of the clock moves it, in seconds.
static STEP: AtomicI64 = AtomicI64::new(0);
/// The age of the company in seconds, and what each reading of the clock adds while the company is provisioned.
const AGE: (i64, i64) = (13 * 24 * 3_600, 4_000);

/// The company. One process has only one at a time, because all would use the same clock.
pub struct Company {
    service: Service,
    folder: Folder,
}

impl Company {
    /// Provisions the company: users who join and leave, groups in groups, local groups and roles, requests that fail, feeds, policies.
    ///
    /// # Panics
    /// When a request fails that should not.
    pub async fn start() -> Self {
        let service = Service::start();
        let (age, _) = AGE;
        let created = Timestamp::now() - SignedDuration::from_secs(age + 600);
        let connectors = Connectors::new(service.table(), actor(), created);
        let connector = create_connector_named(&connectors, CONNECTOR, "okta", &secret()).await;
        let entra = create_connector_named(&connectors, "entra", "entra", &secret()).await;
        service.expire_password(&entra.id, Timestamp::now() + SignedDuration::from_hours(12 * 24)).await;
        let origin = serve_in_the_past(&service).await;
        let client = connector.local(&service);
        let client = client.at(&format!("{origin}/{CONNECTOR}/scim/v2"));
        provision(&service, &connector, &origin, &client).await;
        fail(&client).await;
        operate(&service);
        let folder = Folder::new();
        write_policies(&folder, &client).await;
        Self { service, folder }
    }

    /// Starts a console that shows the company. It can make changes.
    pub fn console(&self) -> Console {
        let policies = self.folder.file_path(POLICIES);
        let url = "https://scim.example.com";
        Console::start(&self.service, &["--write", "--url", url, "--policies", &policies])
    }

    /// The id of the user, group or role with this name.
    ///
    /// # Panics
    /// When there is none.
    pub fn id(&self, noun: &str, name: &str) -> String {
        let shown = scimctl(&self.service, &[noun, "show", CONNECTOR, name]).ok();
        let mut ids =
            shown.split_whitespace().filter(|word| word.len() == 36 && word.matches('-').count() == 4);
        ids.next().unwrap_or_else(|| panic!("{noun} {name} has no id: {shown}")).to_owned()
    }

    /// The ids of the failed requests of the company, the newest first.
    ///
    /// # Panics
    /// When the output is not JSON.
    pub fn failed_requests(&self) -> Vec<String> {
        let printed = scimctl(&self.service, &["requests", CONNECTOR, "--json"]).ok();
        let parse = |line: &str| serde_json::from_str::<Value>(line).expect("each line is JSON");
        let id = |record: Value| record["request"].as_str().expect("a request has an id").to_owned();
        printed.lines().map(|line| id(parse(line))).collect()
    }

    /// The id of the first credential of the company's connector.
    ///
    /// # Panics
    /// When the output is not JSON.
    pub fn credential(&self) -> String {
        let shown = scimctl(&self.service, &["connector", "show", CONNECTOR, "--json"]).ok();
        let shown: Value = serde_json::from_str(&shown).expect("the output is JSON");
        shown["credentials"][0]["id"].as_str().expect("a credential has an id").to_owned()
    }
}

/// The clock of the service.
fn clock() -> Timestamp {
    let age = PRESENT_AGE.load(Ordering::Relaxed);
    PRESENT_AGE.store((age - STEP.load(Ordering::Relaxed)).max(0), Ordering::Relaxed);
    Timestamp::now() - SignedDuration::from_secs(age)
}

/// Serves the table of a service, with a clock that can be in the past.
async fn serve_in_the_past(service: &Service) -> String {
    let table = Table::new(service.dynamodb(), TABLE.to_owned());
    let functions = Functions::new(table, None, Schemas::built_in(), clock).expect("the service starts");
    let functions = functions.with_trail_timeout(TIME_LIMIT);
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let origin = format!("http://{}", listener.local_addr().expect("the listener has an address"));
    tokio::spawn(server::serve(listener, functions, None, TIME_LIMIT, std::future::pending()));
    origin
}

/// Sends the requests of `make demo`. The clock moves with each, so users join on several days.
async fn provision(service: &Service, connector: &TestConnector, origin: &str, client: &Client) {
    let (age, step) = AGE;
    PRESENT_AGE.store(age, Ordering::Relaxed);
    STEP.store(step, Ordering::Relaxed);
    let credentials = Credentials {
        username: client.username.clone(),
        password: client.password.clone(),
        is_from_environment: false,
    };
    let demo = Demo::new(origin, &credentials, service.table(), String::new()).of_connector(&connector.id);
    demo.run().await.unwrap_or_else(|error| panic!("{error}"));
    STEP.store(0, Ordering::Relaxed);
}

/// Sends requests that fail, some in each of the last hours.
async fn fail(client: &Client) {
    let duplicate = json!({ "schemas": [USER], "userName": "ada.adler@example.com" });
    let missing = "/Users/2f0c1d7e-6c8b-4f5e-9a3d-0b1c2d3e4f5a";
    for (hours, times) in
        [(22, 1), (19, 2), (17, 1), (16, 4), (15, 7), (14, 3), (11, 1), (8, 2), (5, 1), (2, 2)]
    {
        // In the middle of the hour.
        let into_hour = Timestamp::now().as_second().rem_euclid(3_600);
        PRESENT_AGE.store(hours * 3_600 + into_hour - 1_800, Ordering::Relaxed);
        for time in 0..times {
            let reply = match time % 4 {
                0 => client.post("/Users", &duplicate).await,
                1 => client.patch(missing, &patch_body(json!([{ "op": "remove", "path": "title" }]))).await,
                2 => client.get("/Users?filter=userName%20is%20%22ada%22").await,
                _ => client.post("/Users", &json!({ "schemas": [USER], "displayName": "No Name" })).await,
            };
            assert!((400..500).contains(&reply.status), "{}", reply.status);
        }
    }
    PRESENT_AGE.store(0, Ordering::Relaxed);
}

/// Does what an operator does.
fn operate(service: &Service) {
    let commands: [&[&str]; 9] = [
        &["connector", "rename", CONNECTOR, "Okta, production"],
        &["connector", "rename", "entra", "Entra, contractors"],
        &["feed", "create", CONNECTOR, "warehouse"],
        &["group", "create", CONNECTOR, "Data Stewards"],
        &["group", "add", CONNECTOR, "Data Stewards", "ada.adler@example.com", "Data"],
        &["role", "create", CONNECTOR, "approver"],
        &["role", "create", CONNECTOR, "auditor"],
        &["role", "assign", CONNECTOR, "approver", "Data Stewards"],
        &["role", "assign", CONNECTOR, "auditor", "ada.adler@example.com"],
    ];
    for command in commands {
        scimctl(service, command).ok();
    }
}

/// Writes policies that name users who left.
async fn write_policies(folder: &Folder, client: &Client) {
    let found = client.get("/Users?filter=active%20eq%20false").await.json();
    let id = |position: usize| found["Resources"][position]["id"].as_str().unwrap_or_default().to_owned();
    let text = format!(
        "@id(\"finance-reports\")\npermit (principal == Rollcall::User::\"{}\", action, resource);\n\
         @id(\"exports\")\npermit (principal == Rollcall::User::\"{}\", action, resource);\n",
        id(0),
        id(1)
    );
    folder.write(POLICIES, &text);
}
