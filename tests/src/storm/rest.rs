//! Rest points: no fault, no client, no interrupted work. The state of a connector is read in every way that
//! SCIM offers, and all ways must agree.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;

use futures_util::stream::{self, StreamExt as _};
use jiff::Timestamp;
use serde_json::Value;
use tokio::process::Command;
use tokio::time::{Instant, sleep};

use super::answer::page;
use super::history::{Kind, Outcome, Record, Resource, State};
use super::proxy::Proxy;
use super::request::Request;
use super::violation::Violation;
use super::wire::{Answer, Sender};

/// How long interrupted work may take until it is finished.
const TIME_TO_REST: Duration = Duration::from_secs(60);
/// How long no write may have run: longer than the longest pause before the service retries.
const QUIET: Duration = Duration::from_millis(1_500);
/// How often it is checked whether the service is quiet.
const POLL: Duration = Duration::from_millis(50);
/// The size of the pages. It is small, so that there are several pages.
const PAGE: usize = 37;
/// More pages than this mean that they never end.
const MAX_PAGES: usize = 1_000;
/// How often a request is sent that has no answer.
const MAX_ATTEMPTS: usize = 3;
/// The number of requests at the same time.
const CONCURRENCY: usize = 8;
/// The kinds of resources.
const KINDS: [Kind; 2] = [Kind::User, Kind::Group];

/// `scimctl` on the table of a run.
pub struct Scimctl {
    program: PathBuf,
    folder: PathBuf,
    table: String,
}

impl Scimctl {
    /// The command in the folder `binaries`, for the engine with this data folder.
    pub fn new(binaries: &Path, folder: &Path, table: &str) -> Self {
        Self { program: binaries.join("scimctl"), folder: folder.to_owned(), table: table.to_owned() }
    }

    async fn run(&self, arguments: &[&str]) -> Output {
        let output = Command::new(&self.program)
            .args(["--table", &self.table, "--local"])
            .arg(&self.folder)
            .args(arguments)
            .output()
            .await;
        output.unwrap_or_else(|error| panic!("{} cannot be run: {error}", self.program.display()))
    }

    /// Waits until no write runs and `scimctl check` has no finding in any connector.
    ///
    /// # Errors
    /// A violation if findings are left after a minute.
    pub async fn wait_for_rest(&self, proxies: &[Proxy]) -> Result<(), Violation> {
        let start = Instant::now();
        loop {
            while proxies.iter().any(|proxy| proxy.idle() < QUIET) && start.elapsed() < TIME_TO_REST {
                sleep(POLL).await;
            }
            let checked = self.run(&["check"]).await;
            if checked.status.success() {
                return Ok(());
            }
            if start.elapsed() > TIME_TO_REST {
                return Err(Violation::general(format!(
                    "scimctl check has findings {} s after the last request:\n{}{}",
                    start.elapsed().as_secs(),
                    String::from_utf8_lossy(&checked.stdout),
                    String::from_utf8_lossy(&checked.stderr)
                )));
            }
        }
    }

    /// The ids that have an audit record since this time, by operation.
    async fn audited(&self, connector: &str, since: Timestamp) -> BTreeMap<String, BTreeSet<String>> {
        let since = since.to_string();
        let output =
            self.run(&["audit", connector, "--json", "--limit", "10000000", "--since", &since]).await;
        assert!(output.status.success(), "scimctl audit: {}", String::from_utf8_lossy(&output.stderr));
        let mut audited: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for line in String::from_utf8_lossy(&output.stdout).lines() {
            let record: Value = serde_json::from_str(line).expect("scimctl prints JSON");
            let text = |name: &str| record[name].as_str().unwrap_or_default().to_owned();
            audited.entry(text("operation")).or_default().insert(text("id"));
        }
        audited
    }
}

/// What is known before the state is read.
pub struct Known<'a> {
    /// Every name that a resource can have.
    pub names: &'a BTreeMap<Kind, Vec<String>>,
    /// The state at the last rest point.
    pub before: &'a State,
    /// The requests since the last rest point.
    pub history: &'a [Record],
    /// The time of the last rest point.
    pub since: Timestamp,
}

/// Reads the state of a connector, and checks that all ways of reading it agree.
pub async fn read_state(
    sender: &Sender,
    scimctl: &Scimctl,
    connector: &str,
    known: &Known<'_>,
) -> (State, Vec<Violation>) {
    let Known { names, before, history, since } = known;
    let mut problems = Problems::default();
    let mut state = State::new();
    for kind in KINDS {
        let listed = list_by_cursor(sender, kind, &mut problems).await;
        let by_index = list_by_index(sender, kind, &mut problems).await;
        problems.compare(&format!("{kind:?}s by index paging and by cursor"), &by_index, &listed);
        let mut ids = known_ids(kind, before, history);
        ids.extend(listed.iter().cloned());
        let resources = read_all(sender, kind, &ids, &mut problems).await;
        let present: BTreeSet<String> = resources.keys().cloned().collect();
        problems.compare(&format!("{kind:?}s by id and by cursor"), &present, &listed);
        state.extend(resources);
        find_by_name(sender, kind, names.get(&kind).map_or(&[], Vec::as_slice), &state, &mut problems).await;
    }
    check_memberships(&state, &mut problems);
    check_nesting(&state, &mut problems);
    let audited = scimctl.audited(connector, *since).await;
    check_audit(&audited, before, history, &state, &mut problems);
    (state, problems.0)
}

#[derive(Default)]
struct Problems(Vec<Violation>);

impl Problems {
    fn add(&mut self, what: String) {
        self.0.push(Violation::general(format!("at rest, {what}")));
    }

    fn compare(&mut self, what: &str, one: &BTreeSet<String>, other: &BTreeSet<String>) {
        if one != other {
            let only = |one: &BTreeSet<String>, other: &BTreeSet<String>| {
                one.difference(other).cloned().collect::<Vec<_>>().join(", ")
            };
            self.add(format!(
                "{what} differ: only the first has [{}], only the second has [{}]",
                only(one, other),
                only(other, one)
            ));
        }
    }
}

/// Sends a request to one of the service processes. A connection to a process that was killed may end without an
/// answer, so the request is repeated then.
async fn read(sender: &Sender, number: usize, request: &Request) -> Option<Answer> {
    for _ in 0..MAX_ATTEMPTS {
        let answer = sender.send(number % sender.services(), request, None).await;
        if answer.as_ref().is_some_and(|answer| answer.status.is_some()) {
            return answer;
        }
    }
    None
}

/// Sends a request to one of the service processes. All must answer at rest.
async fn send(sender: &Sender, number: usize, request: &Request, problems: &mut Problems) -> Option<Answer> {
    let answer = read(sender, number, request).await;
    match answer.as_ref().and_then(|answer| answer.status) {
        Some(200 | 404) => answer,
        status => {
            problems.add(format!("{} {} is answered with {status:?}", request.method, request.target));
            None
        }
    }
}

fn json_of(answer: &Answer) -> Value {
    serde_json::from_slice(&answer.body).unwrap_or_default()
}

/// The ids of a page. Adds them to those of the pages before.
fn add_ids(kind: Kind, body: &Value, ids: &mut BTreeSet<String>, problems: &mut Problems) -> usize {
    let resources = page(kind, body);
    for resource in &resources {
        if !ids.insert(resource.id.clone()) {
            problems.add(format!("{kind:?} {} is on two pages", resource.id));
        }
    }
    resources.len()
}

async fn list_by_cursor(sender: &Sender, kind: Kind, problems: &mut Problems) -> BTreeSet<String> {
    let (mut ids, mut cursor) = (BTreeSet::new(), String::new());
    for number in 0..MAX_PAGES {
        let request = Request::page(kind, &format!("count={PAGE}&cursor={cursor}"));
        let Some(answer) = send(sender, number, &request, problems).await else { return ids };
        let body = json_of(&answer);
        add_ids(kind, &body, &mut ids, problems);
        let Some(next) = body["nextCursor"].as_str() else { break };
        next.clone_into(&mut cursor);
    }
    ids
}

async fn list_by_index(sender: &Sender, kind: Kind, problems: &mut Problems) -> BTreeSet<String> {
    let mut ids = BTreeSet::new();
    for number in 0..MAX_PAGES {
        let request = Request::page(kind, &format!("startIndex={}&count={PAGE}", ids.len() + 1));
        let Some(answer) = send(sender, number, &request, problems).await else { return ids };
        let body = json_of(&answer);
        let count = add_ids(kind, &body, &mut ids, problems);
        let total = body["totalResults"].as_u64().unwrap_or_default();
        if count == 0 || ids.len() as u64 >= total {
            if ids.len() as u64 != total {
                problems.add(format!("totalResults of {kind:?}s is {total}, and there are {}", ids.len()));
            }
            break;
        }
    }
    ids
}

/// The ids that existed at the last rest point, or that requests named or showed since then.
fn known_ids(kind: Kind, before: &State, history: &[Record]) -> BTreeSet<String> {
    let mut ids: BTreeSet<String> =
        before.iter().filter(|(_, resource)| resource.kind == kind).map(|(id, _)| id.clone()).collect();
    for record in history {
        for (change, outcome) in record.changes.iter().filter(|(change, _)| change.kind == kind) {
            ids.extend(change.id.clone());
            if let Outcome::Done { id, .. } = outcome {
                ids.insert(id.clone());
            }
        }
        let sightings = record.sightings.iter().filter(|sighting| sighting.kind == kind);
        ids.extend(sightings.map(|sighting| sighting.id.clone()));
    }
    ids
}

/// Reads each of these resources by its id. Returns those that exist.
async fn read_all(sender: &Sender, kind: Kind, ids: &BTreeSet<String>, problems: &mut Problems) -> State {
    let read = |(number, id): (usize, &String)| {
        let request = Request::get(kind, id);
        async move { read(sender, number, &request).await }
    };
    let reads: Vec<_> = ids.iter().enumerate().map(read).collect();
    let answers: Vec<Option<Answer>> = stream::iter(reads).buffered(CONCURRENCY).collect().await;
    let mut state = State::new();
    for (id, answer) in ids.iter().zip(answers) {
        let shown = answer.as_ref().and_then(|answer| answer.meaning.sightings.first());
        match shown.map(|shown| (shown.document.clone(), shown.links.clone())) {
            Some((Some(Some(document)), Some(links))) => {
                state.insert(id.clone(), Resource { kind, document, links });
            }
            Some((Some(None), _)) => {}
            _ => {
                let status = answer.and_then(|answer| answer.status);
                problems.add(format!("GET of {kind:?} {id} is answered with {status:?}"));
            }
        }
    }
    state
}

/// Compares filters by name with the resources that have the names.
async fn find_by_name(sender: &Sender, kind: Kind, names: &[String], state: &State, problems: &mut Problems) {
    let find = |(number, name): (usize, &String)| {
        let request = Request::lookup(kind, name);
        async move { read(sender, number, &request).await }
    };
    let lookups: Vec<_> = names.iter().enumerate().map(find).collect();
    let answers: Vec<Option<Answer>> = stream::iter(lookups).buffered(CONCURRENCY).collect().await;
    for (name, answer) in names.iter().zip(answers) {
        let Some(answer) = answer.filter(|answer| answer.status == Some(200)) else {
            problems.add(format!("a filter on the name {name:?} is not answered with 200"));
            continue;
        };
        let found: BTreeSet<String> =
            answer.meaning.sightings.into_iter().map(|sighting| sighting.id).collect();
        let owners: BTreeSet<String> = state
            .iter()
            .filter(|(_, resource)| resource.kind == kind && resource.document.name == *name)
            .map(|(id, _)| id.clone())
            .collect();
        if owners.len() > 1 {
            problems.add(format!("several {kind:?}s have the name {name:?}: {owners:?}"));
        }
        problems.compare(&format!("{kind:?}s by id and by a filter on the name {name:?}"), &owners, &found);
    }
}

/// Compares both sides of each membership. Only active users can be members, and only users show their groups.
fn check_memberships(state: &State, problems: &mut Problems) {
    for (id, user) in state.iter().filter(|(_, resource)| resource.kind == Kind::User) {
        let groups: BTreeSet<String> = state
            .iter()
            .filter(|(_, group)| group.kind == Kind::Group && group.links.contains(id))
            .map(|(group, _)| group.clone())
            .collect();
        problems.compare(&format!("the groups that user {id} shows and that show it"), &user.links, &groups);
        if !user.document.active && !groups.is_empty() {
            problems.add(format!("the inactive user {id} is a member of {groups:?}"));
        }
    }
    for (id, group) in state.iter().filter(|(_, resource)| resource.kind == Kind::Group) {
        for member in group.links.iter().filter(|member| !state.contains_key(*member)) {
            problems.add(format!("group {id} has the member {member}, which does not exist"));
        }
    }
}

fn check_nesting(state: &State, problems: &mut Problems) {
    let groups_in = |id: &String| -> BTreeSet<String> {
        let group = state.get(id).filter(|group| group.kind == Kind::Group);
        let links = group.map(|group| group.links.clone()).unwrap_or_default();
        links.into_iter().filter(|link| state.get(link).is_some_and(|one| one.kind == Kind::Group)).collect()
    };
    for id in state.keys() {
        let (mut seen, mut rest) = (BTreeSet::new(), groups_in(id));
        while let Some(next) = rest.pop_first() {
            if next == *id {
                problems.add(format!("group {id} is a member of itself, by way of {seen:?}"));
                break;
            }
            if seen.insert(next.clone()) {
                rest.extend(groups_in(&next));
            }
        }
    }
}

/// Checks that the creations and deletions since the last rest point have audit records.
fn check_audit(
    audited: &BTreeMap<String, BTreeSet<String>>,
    before: &State,
    history: &[Record],
    state: &State,
    problems: &mut Problems,
) {
    let has = |operation: &str, id: &String| audited.get(operation).is_some_and(|ids| ids.contains(id));
    let mut created: BTreeSet<&String> = state.keys().collect();
    for (change, outcome) in history.iter().flat_map(|record| &record.changes) {
        if let (Some(_), Outcome::Done { id, .. }) = (&change.creation, outcome) {
            created.insert(id);
        }
    }
    for id in created.iter().filter(|id| !before.contains_key(**id) && !has("create", id)) {
        problems.add(format!("the creation of {id} has no audit record"));
    }
    for id in created.into_iter().chain(before.keys()) {
        if !state.contains_key(id) && !has("delete", id) {
            problems.add(format!("the deletion of {id} has no audit record"));
        }
    }
}
