//! A simulation of clients, faults and kills (`make storm`), with a model that says what each answer may be.
//!
//! Two service processes run over one engine. Each has a proxy of its own to the engine, which injects faults.
//! Several clients of two connectors send requests that conflict. The run has phases: in each, faults occur as
//! the seed says. After each phase the faults stop, interrupted work is finished, and the state is read in
//! every way (a rest point). Then the history of the phase is checked.
//!
//! | file | contents |
//! | --- | --- |
//! | `choices` | pseudo-random choices that follow from the seed |
//! | `weather` | which faults, kills and outages occur when |
//! | `proxy` | injects faults between a service process and the engine |
//! | `processes` | the engine and the service processes, which are killed and started again |
//! | `world` | which users and groups the clients of a connector know |
//! | `request` | the requests, and the changes that they ask for |
//! | `answer` | what an answer says |
//! | `wire` | sends requests, and keeps them as records |
//! | `client` | chooses requests |
//! | `feeds` | consumers of feeds, whose copies must equal the directory at each rest point |
//! | `history` | records |
//! | `registers` | what a request does to a register of the model |
//! | `linear` | checks whether the history of a register has an order |
//! | `subjects` | sorts records by the resources that they concern |
//! | `histories` | makes the histories of the registers from them |
//! | `model` | checks all registers |
//! | `unanswered` | checks that requests without an answer did everything or nothing |
//! | `violation` | broken rules |
//! | `rest` | waits for a rest point, and reads the state |
//! | `report` | counts, and prints violations |
//! | `phase` | runs one phase: clients, events, rest point, check |

mod answer;
mod choices;
mod client;
mod feeds;
mod histories;
mod history;
mod linear;
mod model;
mod phase;
mod processes;
mod proxy;
mod registers;
mod report;
mod request;
mod rest;
mod subjects;
mod unanswered;
mod violation;
mod weather;
mod wire;
mod world;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use directory::connectors::{ConnectorId, Connectors};
use directory::secrets::{credential_of_generated, generate_secret};
use directory::{Actor, By, Table};
use jiff::Timestamp;
use runtime::data_folder;
use shared::credential::CredentialKind;
use shared::schema::Schemas;
use tokio::time::Instant;

pub use report::Report;

use choices::Choices;
use client::{Client, Habits};
use feeds::Follower;
use history::State;
use phase::Site;
use processes::Process;
use proxy::{Proxy, Writes};
use rest::Scimctl;
use wire::{Connector, Run, Sender};
use world::World;

use crate::folder::Folder;

/// The name of the table.
const TABLE: &str = "rollcall";
/// The number of service processes.
const SERVICES: usize = 2;
/// The ids of the connectors. `local` creates the first.
const CONNECTORS: [&str; 2] = ["default", "second"];
/// The ids of the feeds of each connector.
const FEEDS: [&str; 2] = ["one", "other"];

/// The options of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// The seed, which fixes all choices and faults.
    pub seed: u64,
    /// How long the clients send requests, in seconds.
    pub seconds: u64,
    /// The number of clients of each connector.
    pub clients: usize,
    /// The most members that a request names.
    pub members: usize,
    /// The percentage of requests without a definite answer that the client repeats.
    pub repeats: usize,
}

impl Options {
    /// Reads the command line. The seed is random if it has none.
    ///
    /// # Errors
    /// What is wrong, and the usage.
    pub fn parse(arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let seed = u64::from(uuid::Uuid::new_v4().as_fields().0);
        let mut options = Self { seed, seconds: 60, clients: 6, members: 120, repeats: 50 };
        let mut arguments = arguments;
        let usage = "usage: storm [--seed N] [--seconds S] [--clients C] [--members M] [--repeats PERCENT]";
        while let Some(name) = arguments.next() {
            if name == "--help" {
                return Err(usage.to_owned());
            }
            let value = arguments.next();
            let number: u64 = value
                .as_ref()
                .and_then(|value| value.parse().ok())
                .ok_or_else(|| format!("{name} is {value:?}; it must be a number\n{usage}"))?;
            let size = usize::try_from(number).map_err(|error| format!("{name}: {error}"))?;
            match name.as_str() {
                "--seed" => options.seed = number,
                "--seconds" => options.seconds = number,
                "--clients" => options.clients = size.max(1),
                "--members" => options.members = size.max(1),
                "--repeats" => options.repeats = size.min(100),
                _ => return Err(format!("{name} is not an option\n{usage}")),
            }
        }
        Ok(options)
    }

    /// The command that repeats the run.
    fn command(&self) -> String {
        let Self { seed, seconds, clients, members, repeats } = self;
        format!(
            "storm --seed {seed} --seconds {seconds} --clients {clients} --members {members} --repeats {repeats}"
        )
    }
}

/// Runs the simulation with the programs in this folder, until the time is over or a violation is found. Calls `progress` after
/// each rest point.
///
/// # Panics
/// When a process does not start.
pub async fn run(options: &Options, binaries: &Path, progress: impl Fn(&Report)) -> Report {
    let mut storm = Storm::start(options, binaries).await;
    let mut report = Report { command: options.command(), ..Report::default() };
    let limit = Duration::from_secs(options.seconds);
    storm.create_users(&mut report).await;
    let mut number = 0;
    while report.time < limit && report.violations.is_empty() {
        storm.run_phase(number, limit - report.time, &mut report).await;
        progress(&report);
        number += 1;
    }
    report.set_statuses(&storm.run.counts);
    for proxy in &storm.proxies {
        for (fault, count) in proxy.faults() {
            *report.faults.entry(fault).or_default() += count;
        }
    }
    report
}

/// Everything that a run consists of.
struct Storm {
    options: Options,
    run: Arc<Run>,
    engine: Process,
    services: Vec<Process>,
    proxies: Vec<Proxy>,
    writes: Writes,
    scimctl: Scimctl,
    sites: Vec<Site>,
    followers: Vec<Follower>,
    is_calm: Arc<AtomicBool>,
    /// The folders of the processes. They are removed after the processes have ended.
    _folders: Vec<Folder>,
}

impl Storm {
    async fn start(options: &Options, binaries: &Path) -> Self {
        let folders: Vec<Folder> = (0..=SERVICES).map(|_| Folder::missing()).collect();
        let mut engine = Process::engine(binaries, folders[SERVICES].path()).await;
        let started = engine.start().await;
        let writes = Writes::default();
        let (mut services, mut proxies) = (Vec::new(), Vec::new());
        for folder in &folders[..SERVICES] {
            let proxy = Proxy::start(&engine.url, folders[SERVICES].path(), &writes).await;
            let mut service = Process::service(binaries, folder.path(), &proxy.endpoint, &started).await;
            service.start().await;
            services.push(service);
            proxies.push(proxy);
        }
        let password = generate_secret().expect("randomness is available");
        create_connector(folders[SERVICES].path(), CONNECTORS[1], &started.username, &password).await;
        let mut followers = Vec::new();
        for (number, connector) in CONNECTORS.iter().enumerate() {
            for (feed, id) in FEEDS.iter().enumerate() {
                // Each consumer has the faults of another service process.
                let client = runtime::dynamodb::client_at(&proxies[feed % SERVICES].endpoint).await;
                let choices = Choices::new(options.seed, weather::stream(4, number, feed));
                let table = Table::new(client, TABLE.to_owned());
                followers.push(Follower::create(table, connector, id, choices).await);
            }
        }
        let run = Arc::new(Run::start());
        let passwords = [started.password.clone(), password];
        let origins: Vec<String> = services.iter().map(|service| service.url.clone()).collect();
        let is_calm = Arc::new(AtomicBool::new(true));
        let habits = Habits { members: options.members, repeats: options.repeats };
        let sites = CONNECTORS.iter().zip(passwords).enumerate().map(|(number, (id, password))| {
            let connector = Arc::new(Connector::new(id, &started.username, &password));
            let world = Arc::new(World::new(options.members));
            let client = |client: usize| {
                let sender = Sender::new(&run, &connector, &origins, &format!("client {client} of {id}"));
                let choices = Choices::new(options.seed, weather::stream(3, number, client));
                Client::new(sender, &world, choices, habits, &is_calm)
            };
            Site {
                clients: (0..options.clients).map(client).collect(),
                reader: Sender::new(&run, &connector, &origins, "rest point"),
                connector: Arc::clone(&connector),
                world: Arc::clone(&world),
                state: State::new(),
                since: Timestamp::now(),
            }
        });
        let sites = sites.collect();
        let scimctl = Scimctl::new(binaries, folders[SERVICES].path(), TABLE);
        Self {
            options: *options,
            run,
            engine,
            services,
            proxies,
            writes,
            scimctl,
            sites,
            followers,
            is_calm,
            _folders: folders,
        }
    }
}

/// Creates a connector with Basic credentials.
async fn create_connector(folder: &Path, id: &str, username: &str, password: &str) {
    let now = Timestamp::now();
    let engine = data_folder::read_engine(folder).expect("the engine runs");
    let table = Table::new(runtime::dynamodb::client_of_engine(&engine).await, TABLE.to_owned())
        .until(Instant::now() + Duration::from_secs(30));
    let actor = Actor { by: By::Operator("storm".to_owned()), request: "storm".to_owned() };
    let kind = CredentialKind::Basic { username: username.to_owned() };
    let credential = credential_of_generated(kind, password, now).expect("the password is valid");
    let id = ConnectorId::parse(id).expect("the name is a valid id");
    let created = Connectors::new(table, actor, now)
        .create(&id, id.to_string(), vec![credential], Schemas::built_in())
        .await;
    assert!(created.expect("DynamoDB answers").is_some(), "the table is new");
}

/// The folder of the running program, in which the other programs of the same build are.
///
/// # Panics
/// When the running program has no path.
pub fn own_folder() -> PathBuf {
    let program = std::env::current_exe().expect("the program has a path");
    program.parent().expect("a program is in a folder").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_and_repeated() {
        let parse = |line: &str| Options::parse(line.split_whitespace().map(str::to_owned));
        let options = parse("--seed 7 --seconds 5 --members 20 --repeats 100").unwrap();
        let expected = Options { seed: 7, seconds: 5, clients: 6, members: 20, repeats: 100 };
        assert_eq!(options, expected);
        assert_eq!(parse(options.command().trim_start_matches("storm")).unwrap(), options);
        assert!(parse("--seed").unwrap_err().starts_with("--seed is None"));
        assert!(parse("--other 1").unwrap_err().starts_with("--other is not an option"));
    }
}
