//! One phase of a run: clients send requests while faults, kills and outages occur. Then comes a rest point, and
//! the history is checked.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use jiff::Timestamp;
use tokio::time::{Instant, sleep, sleep_until};

use super::Storm;
use super::client::Client;
use super::history::{Kind, Record, State};
use super::model::check_history;
use super::processes::Process;
use super::proxy::{Outage, Proxy, Writes};
use super::report::Report;
use super::rest::{Known, Scimctl, read_state};
use super::violation::Violation;
use super::weather::{Event, Phase, Weather};
use super::wire::{Connector, Sender};
use super::world::World;

/// How often the state is read again because something was written meanwhile.
const MAX_READS: usize = 10;

/// A connector with its clients.
pub struct Site {
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
        let first = self.sites.iter_mut().filter_map(|site| site.clients.first_mut());
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
        let clients = self.sites.iter_mut().flat_map(|site| &mut site.clients);
        let clients = join_all(clients.map(|client| client.run(&is_over)));
        let followers = join_all(self.followers.iter_mut().map(|follower| follower.run(&is_over)));
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
        tokio::join!(clients, followers, events);
        report.time += start.elapsed();
        self.rest(report).await;
    }

    /// Waits for a rest point, reads the state of each connector, and checks the history since the last rest point.
    async fn rest(&mut self, report: &mut Report) {
        let start = Instant::now();
        let mut histories: Vec<Vec<Record>> =
            self.sites.iter().map(|site| site.connector.take_records()).collect();
        report.requests += histories.iter().map(Vec::len).sum::<usize>();
        let rested = self.scimctl.wait_for_rest(&self.proxies).await;
        for (site, history) in self.sites.iter_mut().zip(&mut histories) {
            let (quiet, state, mut violations) =
                read_at_rest(site, &self.scimctl, &self.proxies, history).await;
            let before = std::mem::replace(&mut site.state, state);
            // The search takes no pause, and the runtime has other tasks.
            let findings = tokio::task::block_in_place(|| check_history(&before, history, quiet));
            report.registers += findings.checked;
            report.undecided += findings.undecided;
            violations.splice(0..0, findings.violations);
            report.add_violations(&site.connector.id, &violations, history);
            site.reconcile();
        }
        report.add_violations("any", rested.err().as_slice(), &[]);
        for follower in &mut self.followers {
            let checked = follower.check().await;
            report.add_violations("any", checked.err().as_slice(), &[]);
        }
        report.rest_points += 1;
        report.rest_time += start.elapsed();
    }
}

impl Site {
    /// Lets the clients know what exists.
    fn reconcile(&self) {
        for kind in [Kind::User, Kind::Group] {
            let of_kind = self.state.iter().filter(|(_, resource)| resource.kind == kind);
            let present: Vec<(String, String)> =
                of_kind.map(|(id, resource)| (id.clone(), resource.document.creation.clone())).collect();
            self.world.reconcile(kind, &present);
        }
    }
}

/// Reads the state of a connector. If the service finishes interrupted work meanwhile, waits for rest and reads
/// the state again. Returns the time from which nothing was written, and adds the reads to the history.
async fn read_at_rest(
    site: &mut Site,
    scimctl: &Scimctl,
    proxies: &[Proxy],
    history: &mut Vec<Record>,
) -> (u64, State, Vec<Violation>) {
    let written = || proxies.iter().map(Proxy::writes).sum::<usize>();
    // The clock of the audit records is that of this machine.
    let since = std::mem::replace(&mut site.since, Timestamp::now());
    let names = [Kind::User, Kind::Group].map(|kind| (kind, site.world.names(kind))).into();
    let mut attempt = 0;
    loop {
        attempt += 1;
        let (quiet, before) = (site.reader.run().now(), written());
        let known = Known { names: &names, before: &site.state, history, since };
        let (state, mut violations) = read_state(&site.reader, scimctl, &site.connector.id, &known).await;
        history.extend(site.connector.take_records());
        if before == written() || attempt == MAX_READS {
            return (quiet, state, violations);
        }
        violations.clear();
        if let Err(violation) = scimctl.wait_for_rest(proxies).await {
            return (quiet, state, vec![violation]);
        }
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
