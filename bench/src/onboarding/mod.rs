//! Simulated identity providers bring a large organisation, read it again, and let many users leave at once: `make
//! bench-onboarding` writes docs/onboarding_performance.md.

mod check;
mod client;
mod cost;
mod entra;
mod limits;
mod meter;
mod okta;
mod page;
mod plan;
mod requests;
mod world;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use check::{Leavers, check};
use client::{Listed, Provider, Waits};
use meter::Counts;
use plan::Plan;
use world::World;

use crate::delayed::DELAY;

/// The size of the run whose results are published.
const USERS: usize = 100_000;
const GROUPS: usize = 1_000;

/// A step of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// All users are looked up and created.
    Users,
    /// All groups are created, and their members are added.
    Groups,
    /// Entra looks everything up again.
    Restart,
    /// Everything is read, page after page.
    Import,
    /// The leavers are deactivated.
    Leavers,
    /// Entra deletes the leavers.
    Deletion,
}

/// What a step took.
#[derive(Debug)]
struct Phase {
    step: Step,
    time: Duration,
    counts: Counts,
    waits: Waits,
}

/// All steps of one identity provider.
#[derive(Debug)]
struct Run {
    provider: Provider,
    phases: Vec<Phase>,
    /// The pages of users and of groups of the step [`Step::Import`].
    imported: [Listed; 2],
    /// The requests that DynamoDB throttled, by the kind of their partition key.
    throttled: BTreeMap<String, u64>,
    /// The users, groups and memberships that were compared after the groups, and after the last step.
    checked: [[usize; 3]; 2],
}

/// The runs of one organisation.
#[derive(Debug)]
struct Results {
    plan: Plan,
    delay: Duration,
    /// Okta and Entra, one after the other, without limits of partitions.
    unlimited: [Run; 2],
    /// Okta and Entra at the same time, each with limits of partitions.
    limited: [Run; 2],
    /// The load average of the machine in the minute before the run.
    load_before: f64,
    /// How long everything took.
    time: Duration,
}

/// Measures and writes the page. The arguments are the number of users and of groups. A run of another size than the published
/// one writes its page into the folder of work.
///
/// # Panics
/// When a request fails, or the directory differs from the plan.
pub async fn run(arguments: &[&str], work: &Path, docs: &Path) {
    let size = |position: usize, default| {
        let argument = arguments.get(position).filter(|argument| !argument.is_empty());
        argument.map_or(default, |argument| argument.parse().expect("a number"))
    };
    let (users, groups) = (size(0, USERS), size(1, GROUPS));
    let results = measure_all(Plan::new(users, groups), DELAY).await;
    let folder = if (users, groups) == (USERS, GROUPS) { docs } else { work };
    let file = folder.join("onboarding_performance.md");
    std::fs::write(&file, page::text(&results)).expect("the page is written");
    println!("Wrote {}", file.display());
}

async fn measure_all(plan: Plan, delay: Duration) -> Results {
    let (began, plan, load_before) = (Instant::now(), Arc::new(plan), load_average());
    let okta = measure(Provider::Okta, Arc::clone(&plan), delay, false).await;
    let entra = measure(Provider::Entra, Arc::clone(&plan), delay, false).await;
    // With limits they wait for DynamoDB most of the time, so both have enough of the processors.
    let limited = |provider| tokio::spawn(measure(provider, Arc::clone(&plan), delay, true));
    let (okta_limited, entra_limited) = (limited(Provider::Okta), limited(Provider::Entra));
    let limited =
        [okta_limited.await.expect("Okta's run ends"), entra_limited.await.expect("Entra's run ends")];
    Results {
        plan: Arc::unwrap_or_clone(plan),
        delay,
        unlimited: [okta, entra],
        limited,
        load_before,
        time: began.elapsed(),
    }
}

/// The load average of the last minute. It is 0 where the system has no such file.
fn load_average() -> f64 {
    let line = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    line.split(' ').next().and_then(|load| load.parse().ok()).unwrap_or_default()
}

/// Measures all steps of an identity provider in a table of its own.
async fn measure(provider: Provider, plan: Arc<Plan>, delay: Duration, has_limits: bool) -> Run {
    let world = World::start(provider, delay, has_limits).await;
    let client = &world.client;
    let mut recorder = Recorder { world: &world, provider, has_limits, phases: Vec::new() };
    let users = match provider {
        Provider::Okta => recorder.record(Step::Users, okta::create_users(client, &plan)).await,
        Provider::Entra => recorder.record(Step::Users, entra::create_users(client, &plan)).await,
    };
    match provider {
        Provider::Okta => recorder.record(Step::Groups, okta::push_groups(client, &plan, &users)).await,
        Provider::Entra => recorder.record(Step::Groups, entra::create_groups(client, &plan, &users)).await,
    }
    let arrived = check(&world.reader, &plan, Leavers::Present, provider).await;
    let (imported, left) = match provider {
        Provider::Okta => {
            let imported = recorder.record(Step::Import, okta::import(client, &plan)).await;
            recorder.record(Step::Leavers, okta::deactivate(client, &plan, &users)).await;
            (imported, check(&world.reader, &plan, Leavers::Deactivated, provider).await)
        }
        Provider::Entra => {
            recorder.record(Step::Restart, entra::restart(client, &plan)).await;
            let imported = recorder.record(Step::Import, entra::discover(client, &plan)).await;
            recorder.record(Step::Leavers, entra::disable(client, &plan, &users)).await;
            check(&world.reader, &plan, Leavers::Deactivated, provider).await;
            recorder.record(Step::Deletion, entra::delete(client, &plan, &users)).await;
            (imported, check(&world.reader, &plan, Leavers::Deleted, provider).await)
        }
    };
    let throttled = world.throttled(provider);
    Run { provider, phases: recorder.phases, imported, throttled, checked: [arrived, left] }
}

/// Measures the steps of a run.
struct Recorder<'w> {
    world: &'w World,
    provider: Provider,
    has_limits: bool,
    phases: Vec<Phase>,
}

impl Recorder<'_> {
    async fn record<T>(&mut self, step: Step, work: impl Future<Output = T>) -> T {
        let began = Instant::now();
        let result = work.await;
        let phase = Phase {
            step,
            time: began.elapsed(),
            counts: self.world.meter.take(),
            waits: self.world.client.take_waits(),
        };
        eprintln!(
            "{}{}: {step:?}: {} requests in {:.1} s",
            self.provider.name(),
            if self.has_limits { " with limits" } else { "" },
            phase.counts.requests(),
            phase.time.as_secs_f64()
        );
        self.phases.push(phase);
        result
    }
}

impl Run {
    fn phase(&self, step: Step) -> &Phase {
        self.phases.iter().find(|phase| phase.step == step).expect("the step was run")
    }

    /// The time and the requests until all users, groups and memberships are there.
    fn onboarding(&self) -> (Duration, Counts) {
        let (users, groups) = (self.phase(Step::Users), self.phase(Step::Groups));
        (users.time + groups.time, users.counts.plus(&groups.counts))
    }

    /// The requests of all steps.
    fn counts(&self) -> Counts {
        self.phases.iter().fold(Counts::default(), |sum, phase| sum.plus(&phase.counts))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn requests(run: &Run) -> Vec<(Step, usize)> {
        run.phases.iter().map(|phase| (phase.step, phase.counts.requests())).collect()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn small_organisation_arrives_and_leaves_as_planned_with_the_expected_requests() {
        let plan = Plan::new(60, 3);
        let (memberships, leavers) = (plan.memberships(), plan.leavers.len());
        let results = measure_all(plan, Duration::ZERO).await;
        for [okta, entra] in [&results.unlimited, &results.limited] {
            // Two to test the connection; a look-up and a creation; the members in one PATCH; one page of users and one of groups.
            assert_eq!(
                requests(okta),
                [(Step::Users, 2 + 120), (Step::Groups, 9), (Step::Import, 2), (Step::Leavers, leavers)]
            );
            // One to test the connection; a look-up and a creation; a look-up, a creation, a read and a PATCH for each member.
            assert_eq!(
                requests(entra),
                [
                    (Step::Users, 1 + 120),
                    (Step::Groups, 9 + memberships),
                    (Step::Restart, 63),
                    (Step::Import, 2),
                    (Step::Leavers, leavers),
                    (Step::Deletion, leavers)
                ]
            );
            assert_eq!((okta.checked[0], entra.checked[1][0]), ([60, 3, memberships], 60 - leavers));
            for run in [okta, entra] {
                let counts = run.counts();
                assert_eq!(counts.too_many_requests, 0);
                assert!(counts.usage.write_units > 0.0 && counts.usage.read_units > 0.0);
            }
        }
        let text = page::text(&results);
        assert!(text.contains("60 users") && text.contains("3 groups"), "{text}");
        assert!(!text.contains("NaN") && !text.contains("inf "), "{text}");
    }
}
