//! One phase of a run: clients send requests while faults, kills and outages occur. Then comes a rest point, and
//! the history is checked.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use jiff::{SignedDuration, Timestamp};
use tokio::time::{Instant, sleep, sleep_until};

use super::Storm;
use super::client::Client;
use super::history::Kind;
use super::model::{Model, State, Violation};
use super::processes::Process;
use super::proxy::{Outage, Proxy, Writes};
use super::report::{Report, violation_text};
use super::rest::read_state;
use super::weather::{Event, Phase, Weather};
use super::wire::{Connector, Sender};
use super::world::World;

/// The most violations that are printed for a connector. They often have one cause.
const MAX_PRINTED: usize = 3;

/// A connector with its clients.
pub struct Place {
    /// The clients.
    pub clients: Vec<Client>,
    /// Reads the state at rest points.
    pub reader: Sender,
    /// The connector.
    pub connector: Arc<Connector>,
    /// What its clients know.
    pub world: Arc<World>,
    /// The state at the last rest point.
    pub state: State,
    /// The time of the last rest point.
    pub since: Timestamp,
}

impl Storm {
    /// Creates users in all places, without faults.
    pub(super) async fn create_users(&mut self, report: &mut Report) {
        let first = self.places.iter_mut().filter_map(|place| place.clients.first_mut());
        join_all(first.map(Client::create_users)).await;
        self.rest(report).await;
        report.requests = 0;
    }

    /// Runs the phase with this number for at most this time, with the rest point after it.
    pub(super) async fn run_phase(&mut self, number: usize, limit: Duration, report: &mut Report) {
        let seed = self.options.seed;
        let phase = Phase::new(seed, number, self.services.len(), limit);
        for (index, proxy) in self.proxies.iter().enumerate() {
            proxy.set_weather(Weather::new(seed, number, index));
        }
        self.is_calm.store(false, Ordering::Relaxed);
        let start = Instant::now();
        let is_over = AtomicBool::new(false);
        let clients = self.places.iter_mut().flat_map(|place| &mut place.clients);
        let clients = join_all(clients.map(|client| client.run(&is_over)));
        let events = async {
            let mut director = Director {
                engine: &mut self.engine,
                services: &mut self.services,
                proxies: &self.proxies,
                writes: &self.writes,
                report,
            };
            director.run(&phase, start).await;
            // The service answers what is left without faults.
            for proxy in &self.proxies {
                proxy.set_weather(Weather::calm());
                proxy.set_outage(Outage::None);
            }
            self.is_calm.store(true, Ordering::Relaxed);
            is_over.store(true, Ordering::Relaxed);
        };
        tokio::join!(clients, events);
        report.time += start.elapsed();
        self.rest(report).await;
    }

    /// Waits for a rest point, reads the state, and checks the history since the last rest point.
    async fn rest(&mut self, report: &mut Report) {
        for place in &mut self.places {
            let connector = &place.connector;
            let mut history = connector.take_records();
            report.requests += history.len();
            let rested = self.scimctl.wait_for_rest(&self.proxies, &connector.id).await;
            let quiet = self.run.now();
            // Clocks of audit records have milliseconds.
            let now = Timestamp::now() - SignedDuration::from_secs(1);
            let names: BTreeMap<Kind, Vec<String>> =
                [Kind::User, Kind::Group].map(|kind| (kind, place.world.names(kind))).into();
            let (state, mut violations) = read_state(
                &place.reader,
                &self.scimctl,
                &connector.id,
                &names,
                &place.state,
                &history,
                place.since,
            )
            .await;
            history.extend(connector.take_records());
            let before = std::mem::replace(&mut place.state, state);
            // The search takes no pause, and the runtime has other tasks.
            let findings = tokio::task::block_in_place(|| Model::new(&before, &history, quiet).check());
            report.registers += findings.checked;
            report.undecided += findings.undecided;
            violations.splice(0..0, findings.violations);
            violations.extend(rested.err());
            let texts = violations.iter().map(|violation| violation_text(&connector.id, violation, &history));
            report.violations.extend(texts.take(MAX_PRINTED));
            if violations.len() > MAX_PRINTED {
                let more = format!("{} more violations", violations.len() - MAX_PRINTED);
                report.violations.push(violation_text(&connector.id, &Violation::general(more), &history));
            }
            for kind in [Kind::User, Kind::Group] {
                let present: Vec<(String, String)> = place
                    .state
                    .iter()
                    .filter(|(_, resource)| resource.kind == kind)
                    .map(|(id, resource)| (id.clone(), resource.document.creation.clone()))
                    .collect();
                place.world.reconcile(kind, &present);
            }
            place.since = now;
        }
        report.rest_points += 1;
    }
}

/// Lets the events of a phase happen.
struct Director<'a> {
    engine: &'a mut Process,
    services: &'a mut [Process],
    proxies: &'a [Proxy],
    writes: &'a Writes,
    report: &'a mut Report,
}

impl Director<'_> {
    /// Lets the events happen until the end of the phase. All processes run afterwards.
    async fn run(&mut self, phase: &Phase, start: Instant) {
        let end = start + phase.length;
        for (after, event) in &phase.events {
            sleep_until((start + *after).min(end)).await;
            self.let_happen(*event, end).await;
        }
        sleep_until(end).await;
    }

    async fn let_happen(&mut self, event: Event, end: Instant) {
        match event {
            Event::KillService(number) => {
                self.report.service_kills += 1;
                self.services[number].kill().await;
                self.services[number].start().await;
            }
            Event::KillEngine => {
                self.report.engine_kills += 1;
                let writes = self.writes.hold().await;
                self.engine.kill().await;
                self.engine.start().await;
                drop(writes);
            }
            Event::Refuse(number, time) => self.suspend(number, Outage::Refuses, time, end),
            Event::Hang(number, time) => self.suspend(number, Outage::Hangs, time, end),
        }
    }

    /// Begins an outage. It ends by itself, while other events happen.
    fn suspend(&mut self, number: usize, outage: Outage, time: Duration, end: Instant) {
        let time = time.min(end.saturating_duration_since(Instant::now()));
        self.report.outages.push(time);
        let proxy = self.proxies[number].clone();
        proxy.set_outage(outage);
        tokio::spawn(async move {
            sleep(time).await;
            proxy.set_outage(Outage::None);
        });
    }
}
