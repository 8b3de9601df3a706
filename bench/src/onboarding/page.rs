//! Writes docs/onboarding_performance.md: what the runs took, compared with the limits of the identity providers.

use std::fmt::Write as _;
use std::time::Duration;

use jiff::Timestamp;

use super::client::Provider;
use super::cost::Cost;
use super::limits::{
    ENTRA_CYCLE, ENTRA_DISCOVERY, ENTRA_REQUESTS_A_SECOND, NEW_TABLE_WRITE_UNITS, OKTA_IMPORT_INTERVAL,
    OKTA_TIMEOUT, STACK_RATE_LIMIT, entra_initial_cycle,
};
use super::meter::Counts;
use super::{Phase, Results, Run, Step};
use crate::load::{Timing, timing};
use crate::plot::grouped;
use crate::versions::machine;

/// The whole page.
pub fn text(results: &Results) -> String {
    let mut text = String::from("# Onboarding of a large organisation\n\n");
    text += &introduction(results);
    text += &summary(results);
    text += &compared(results);
    text += &behaviour();
    for (title, runs) in [
        ("Without limits of partitions", &results.unlimited),
        ("With limits of partitions", &results.limited),
    ] {
        write!(text, "## {title}\n\n").expect("memory");
        for run in runs {
            text += &steps(run);
        }
    }
    text += &functions(results);
    text += &throttles(results);
    text += &costs(results);
    text += &method(results);
    text
}

fn introduction(results: &Results) -> String {
    let plan = &results.plan;
    let groups_of_users = plan.groups_of_users();
    let in_no_group = groups_of_users.iter().filter(|groups| **groups == 0).count();
    format!(
        "`make bench-onboarding` wrote this file on {}. A simulated Okta and a simulated Entra each bring {} users and {} groups with {} \
         memberships to an empty directory, read everything again, and then {} users leave at once. The largest group has {} members and \
         the smallest {}. A user is in at most {} groups, and {} users are in none. The leavers have {} memberships.\n\n\
         The service runs in one process on one machine: {}. Each call to DynamoDB takes {} ms longer than the embedded engine needs, which \
         stands for the network between a function and DynamoDB. No network lies between the clients and the service, and no function has a \
         cold start. Before the run, the load average of the machine was {:.1}: so many processes wanted a core. **Untried**: no real tenant and no AWS account were used.\n\n",
        Timestamp::now().strftime("%Y-%m-%d"),
        count(plan.users as f64),
        count(plan.groups.len() as f64),
        count(plan.memberships() as f64),
        count(plan.leavers.len() as f64),
        count(plan.groups.first().map_or(0, Vec::len) as f64),
        count(plan.groups.last().map_or(0, Vec::len) as f64),
        groups_of_users.iter().max().copied().unwrap_or_default(),
        count(in_no_group as f64),
        count(plan.memberships_of_leavers() as f64),
        machine(),
        results.delay.as_millis(),
        results.load_before,
    )
}

fn summary(results: &Results) -> String {
    let mut text = String::from(
        "## In short\n\n\
         *Onboarding* is the time from the first look-up until the last membership is there. *Leavers* is the time from the first \
         deactivation until the last leaver has no membership. *429* counts the responses that tell the client to try again later. \
         *Dollars* is the cost of the onboarding in AWS.\n\n\
         | | onboarding | requests | 429 | dollars | read everything | leavers |\n| --- | ---: | ---: | ---: | ---: | ---: | ---: |\n",
    );
    for (limits, runs) in [("", &results.unlimited), (", with limits of partitions", &results.limited)] {
        for run in runs {
            let (time, counts) = run.onboarding();
            writeln!(
                text,
                "| {}{limits} | {} | {} | {} | {:.2} | {} | {} |",
                run.provider.name(),
                duration(time),
                count(counts.requests() as f64),
                counts.too_many_requests,
                Cost::of(&counts).sum(),
                duration(run.phase(Step::Import).time),
                duration(run.phase(Step::Leavers).time),
            )
            .expect("memory");
        }
    }
    text += "\n*With limits of partitions* means that each partition key gets at most the 1,000 write units and 3,000 read units a second \
             of one partition of DynamoDB, and DynamoDB throttles what is above that. AWS splits a hot partition after some minutes; here it \
             is never split, so these times are upper limits. Okta and Entra then run at the same time, each in a table of its own.\n\n";
    text
}

fn compared(results: &Results) -> String {
    let mut text = String::from(
        "## Compared with the clients' own limits\n\n\
         Each row compares what Rollcall needed with what the client allows or needs itself, by its own documentation as read on 30 November \
         2026. Neither publishes how many requests it sends at once.\n\n\
         | client | its own limit | measured | |\n| --- | --- | --- | --- |\n",
    );
    let [okta, entra] = &results.unlimited;
    let [okta_limited, entra_limited] = &results.limited;
    let mut row = |client: &str, limit: String, measured: String, verdict: String| {
        writeln!(text, "| {client} | {limit} | {measured} | {verdict} |").expect("memory");
    };
    let longest = [longest(&okta.counts()), longest(&okta_limited.counts())];
    row(
        "Okta",
        format!("it waits {} for an answer", duration(OKTA_TIMEOUT)),
        format!(
            "longest request {}; {} with limits of partitions",
            duration(longest[0]),
            duration(longest[1])
        ),
        percent(longest[0].max(longest[1]), OKTA_TIMEOUT),
    );
    let import = okta.phase(Step::Import).time.max(okta_limited.phase(Step::Import).time);
    row(
        "Okta",
        format!("a scheduled import runs at most every {}", duration(OKTA_IMPORT_INTERVAL)),
        format!("an import of everything takes {}", duration(import)),
        percent(import, OKTA_IMPORT_INTERVAL),
    );
    row(
        "Okta",
        "after a 429 it waits as long as Retry-After says; without one 5 minutes, then twice as long each time, ten times".to_owned(),
        format!("{}; {} with limits of partitions", waits(okta), waits(okta_limited)),
        "the service always sends Retry-After".to_owned(),
    );
    let [shortest_cycle, longest_cycle] = entra_initial_cycle(&results.plan);
    let onboarding = [entra.onboarding().0, entra_limited.onboarding().0];
    row(
        "Entra",
        format!(
            "its initial cycle takes {} to {} for so many users, groups and members (0.01 to 0.08 minutes for each)",
            duration(shortest_cycle),
            duration(longest_cycle)
        ),
        format!("{}; {} with limits of partitions", duration(onboarding[0]), duration(onboarding[1])),
        format!("{} of its shortest time", percent(onboarding[0].max(onboarding[1]), shortest_cycle)),
    );
    let rates = [entra, entra_limited].map(|run| {
        let (time, counts) = run.onboarding();
        counts.requests() as f64 / time.as_secs_f64()
    });
    row(
        "Entra",
        format!("it wants {ENTRA_REQUESTS_A_SECOND} requests a second to be served"),
        format!("{:.0} a second; {:.0} with limits of partitions", rates[0], rates[1]),
        format!("{:.0} times as many", rates[0].min(rates[1]) / ENTRA_REQUESTS_A_SECOND),
    );
    let at_its_rate = entra.onboarding().1.requests() as f64 / ENTRA_REQUESTS_A_SECOND;
    row(
        "Entra",
        format!(
            "at {ENTRA_REQUESTS_A_SECOND} requests a second, its requests of the onboarding take {}",
            duration(Duration::from_secs_f64(at_its_rate))
        ),
        duration(onboarding[0].max(onboarding[1])),
        percent(onboarding[0].max(onboarding[1]), Duration::from_secs_f64(at_its_rate)),
    );
    row(
        "Entra",
        "quarantine: at least 5,000 changes fail, and more than 40 % of all or 40,000".to_owned(),
        "no change failed".to_owned(),
        String::new(),
    );
    row(
        "Entra",
        "after a 429 it sends nothing until Retry-After is over".to_owned(),
        format!("{}; {} with limits of partitions", waits(entra), waits(entra_limited)),
        "the service always sends Retry-After".to_owned(),
    );
    let leavers = entra.phase(Step::Leavers).time.max(entra_limited.phase(Step::Leavers).time);
    row(
        "Entra",
        format!("an incremental cycle starts every {}", duration(ENTRA_CYCLE)),
        format!("{} leavers are disabled in {}", count(results.plan.leavers.len() as f64), duration(leavers)),
        percent(leavers, ENTRA_CYCLE),
    );
    let discovery = entra.phase(Step::Import).time.max(entra_limited.phase(Step::Import).time);
    row(
        "Entra",
        format!("\"Discover identities\" takes at least {}", duration(ENTRA_DISCOVERY)),
        format!("all pages are read in {}", duration(discovery)),
        percent(discovery, ENTRA_DISCOVERY),
    );
    let busiest = [okta, entra].map(|run| run.counts().busiest_second());
    row(
        "your stack",
        format!("API Gateway answers 429 above `RateLimit`, {STACK_RATE_LIMIT} requests a second by default"),
        format!(
            "busiest second: {} requests of Okta, {} of Entra",
            count(busiest[0] as f64),
            count(busiest[1] as f64)
        ),
        if busiest[0].max(busiest[1]) > STACK_RATE_LIMIT {
            "**above it**, because no network slows the clients down here: see below".to_owned()
        } else {
            "below it".to_owned()
        },
    );
    let written = [okta, entra].map(|run| {
        let users = run.phase(Step::Users);
        users.counts.usage.write_units / users.time.as_secs_f64()
    });
    row(
        "your stack",
        format!(
            "a new on-demand table serves {} write units a second, and more after it was used",
            count(NEW_TABLE_WRITE_UNITS)
        ),
        format!(
            "while users are created: {} write units a second for Okta, {} for Entra",
            count(written[0]),
            count(written[1])
        ),
        if written[0].max(written[1]) > NEW_TABLE_WRITE_UNITS {
            "**above it**: see below".to_owned()
        } else {
            "below it".to_owned()
        },
    );
    text += "\nThe clients are simulated without pauses of their own, so they send more requests a second than a real one is known to send. If \
             yours reaches a limit of the stack, API Gateway's 429 has no Retry-After, and Okta then pauses for 5 minutes: raise the parameter \
             `RateLimit` before the onboarding. DynamoDB's throttling of a new table reaches the client only if a request cannot end in \
             its time; set the table's warm throughput if you expect that rate.\n\n";
    text
}

/// What the clients do in their steps, and what the columns mean.
fn behaviour() -> String {
    "## What the clients do\n\n\
     - **Okta** looks up each user by userName and creates it. It looks up each group, creates it without members, and adds the members with PATCH \
     requests. Its import reads all users, and all groups with their members. It deactivates each leaver with a PATCH.\n\
     - **Entra** looks up each user by userName and creates it. It looks up each group, creates it without members, reads it without members, \
     and adds each member with a PATCH. After \"Restart provisioning\" it looks up all users and groups again. \"Discover identities\" reads all users, \
     and here also all groups without members. It disables each leaver, which ends its memberships, and deletes it 30 days later.\n\n\
     In the next tables, *time* is that of the whole step, *a second* is the number of requests divided by it, and *p50* and *p99* are the times that half \
     and 99 of 100 of its requests took at most. *DynamoDB calls* include those that were throttled and sent again. *Dollars* are the cost of the \
     step in AWS.\n\n"
        .to_owned()
}

fn steps(run: &Run) -> String {
    let mut text = format!(
        "### {}\n\n| step | time | requests | a second | p50 | p99 | longest | 429 | DynamoDB calls | dollars |\n\
         | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n",
        run.provider.name()
    );
    for phase in &run.phases {
        let Timing { per_second, p50, p99, .. } = timing_of(phase);
        writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} | {} | {} | {} | {:.2} |",
            step_name(run.provider, phase.step),
            duration(phase.time),
            count(phase.counts.requests() as f64),
            count(per_second),
            milliseconds(p50),
            milliseconds(p99),
            milliseconds(longest(&phase.counts).as_secs_f64()),
            phase.counts.too_many_requests,
            count(phase.counts.usage.calls as f64),
            Cost::of(&phase.counts).sum(),
        )
        .expect("memory");
    }
    let import = run.phase(Step::Import);
    let [users, groups] = run.imported;
    write!(
        text,
        "\nThe pages had up to 100 users or groups: {} pages of users and {} of groups, one after another. The largest was {:.2} MB; Rollcall \
         ends a page before 4.5 MB, and {} pages were shorter for that reason. {}.\n\n",
        count(users.pages as f64),
        count(groups.pages as f64),
        import.waits.largest_response as f64 / 1e6,
        users.short_pages + groups.short_pages,
        checked(run),
    )
    .expect("memory");
    text
}

/// What was compared with the plan.
fn checked(run: &Run) -> String {
    let [[users, groups, memberships], [users_left, _, memberships_left]] =
        run.checked.map(|counts| counts.map(|number| count(number as f64)));
    let of_leavers = match run.provider {
        Provider::Okta => "with the deactivated ones, which are hidden",
        Provider::Entra => "without the deleted ones",
    };
    format!(
        "After the onboarding, the directory API showed exactly the planned {users} users, {groups} groups and {memberships} memberships; at \
         the end {users_left} users, {of_leavers}, and {memberships_left} memberships"
    )
}

fn functions(results: &Results) -> String {
    let mut text = String::from(
        "## Latency by function\n\n\
         The time of a request in the function, over all steps, without limits of partitions. A new member of a group costs three calls to DynamoDB one after another; the PATCH of Okta adds up to 255 members.\n\n\
         | function | client | requests | p50 | p99 | longest |\n| --- | --- | ---: | ---: | ---: | ---: |\n",
    );
    for run in &results.unlimited {
        for (function, latencies) in &run.counts().latencies {
            let longest = latencies.iter().max().copied().unwrap_or_default().as_secs_f64();
            let requests = latencies.len();
            let Timing { p50, p99, .. } = timing(latencies.clone(), Duration::from_secs(1));
            writeln!(
                text,
                "| `{function}` | {} | {} | {} | {} | {} |",
                run.provider.name(),
                count(requests as f64),
                milliseconds(p50),
                milliseconds(p99),
                milliseconds(longest)
            )
            .expect("memory");
        }
    }
    text.push('\n');
    text
}

fn throttles(results: &Results) -> String {
    let mut text = String::from(
        "## What DynamoDB throttled\n\n\
         Rollcall sends a throttled request again, with growing pauses, until the time of the client's request ends. Only then does the client get \
         429. These are the requests to DynamoDB that were throttled with limits of partitions, by their partition key: `c` is the connector.\n\n\
         | partition key | Okta | Entra |\n| --- | ---: | ---: |\n",
    );
    let [okta, entra] = &results.limited;
    let mut keys: Vec<&String> = okta.throttled.keys().chain(entra.throttled.keys()).collect();
    keys.sort_unstable();
    keys.dedup();
    for key in keys {
        let of = |run: &Run| count(run.throttled.get(key).copied().unwrap_or_default() as f64);
        writeln!(text, "| `{key}` | {} | {} |", of(okta), of(entra)).expect("memory");
    }
    let calls = |run: &Run| count(run.counts().usage.calls as f64);
    writeln!(text, "| all requests to DynamoDB, for comparison | {} | {} |\n", calls(okta), calls(entra))
        .expect("memory");
    text
}

fn costs(results: &Results) -> String {
    let mut text = String::from(
        "## Cost\n\n\
         Dollars for the onboarding, and for all steps together, with the prices of [Cost](operate/cost.md) (us-east-1, no free tiers). DynamoDB \
         is computed from the capacity units that the engine reported. The time of Lambda is the measured time of each request, rounded \
         up to a millisecond, at 256 MB. A function of 256 MB has a smaller share of a processor than the measured process, and a request on \
         this machine waits for others, so the time in AWS can be longer or shorter. Logs are 1.8 kB a request, of which 1 kB is an assumption.\n\n\
         | | Okta, onboarding | Okta, all steps | Entra, onboarding | Entra, all steps |\n| --- | ---: | ---: | ---: | ---: |\n",
    );
    let [okta, entra] = &results.unlimited;
    let counts = [okta.onboarding().1, okta.counts(), entra.onboarding().1, entra.counts()];
    let costs = counts.each_ref().map(Cost::of);
    let mut row = |name: &str, cells: [String; 4]| {
        writeln!(text, "| {name} | {} |", cells.join(" | ")).expect("memory");
    };
    row("requests", counts.each_ref().map(|counts| count(counts.requests() as f64)));
    row("write units", counts.each_ref().map(|counts| count(counts.usage.write_units)));
    row("read units", counts.each_ref().map(|counts| count(counts.usage.read_units)));
    row(
        "hours of Lambda",
        counts.each_ref().map(|counts| format!("{:.2}", counts.billed.as_secs_f64() / 3_600.0)),
    );
    type Part = fn(&Cost) -> f64;
    let parts: [(&str, Part); 5] = [
        ("DynamoDB", |cost| cost.dynamodb),
        ("API Gateway", |cost| cost.gateway),
        ("Lambda requests", |cost| cost.lambda_requests),
        ("Lambda time", |cost| cost.lambda_time),
        ("logs", |cost| cost.logs),
    ];
    for (name, part) in parts {
        row(name, costs.each_ref().map(|cost| format!("{:.2}", part(cost))));
    }
    row("**sum in dollars**", costs.each_ref().map(|cost| format!("**{:.2}**", cost.sum())));
    text.push('\n');
    text
}

fn method(results: &Results) -> String {
    format!(
        "## How it is simulated\n\n\
         - **The requests** are those of the conversations in `tests/fixtures/clients/`, which follow the vendors' documentation.\n\
         - **At once.** Okta sends up to {} requests at once: its documentation says that even large loads rarely need more. Entra sends up to {}, as \
         many as the requests a second that it wants to be served. The requests of one group follow each other.\n\
         - **429.** The clients do what their documentation says: see the table above. A run fails if a client would give up.\n\
         - **Members.** Okta sends at most 256 operations in one PATCH, of which the first repeats the group's name. Entra's documentation shows one \
         member in a PATCH, and reports of other servers confirm it, so each membership is one request.\n\
         - **Time limit.** A request has 27.5 seconds, as a function has.\n\
         - **The directory is checked** with all users, groups and members, as the directory API shows them, after the onboarding and after the \
         leavers. The run fails if one attribute or membership differs from the plan.\n\
         - **Not simulated**: the network between client and service, TLS, API Gateway and its limit, cold starts, several functions with \
         caches of their own, and the limits of a whole table.\n\n\
         The whole run took {}. `make bench-onboarding USERS=500 GROUPS=10` tries it with fewer.\n",
        Provider::Okta.concurrency(),
        Provider::Entra.concurrency(),
        duration(results.time),
    )
}

const fn step_name(provider: Provider, step: Step) -> &'static str {
    match (step, provider) {
        (Step::Users, _) => "look up and create the users",
        (Step::Groups, _) => "create the groups and add the members",
        (Step::Restart, _) => "restart: look up everything",
        (Step::Import, Provider::Okta) => "read everything: import",
        (Step::Import, Provider::Entra) => "read everything: discovery",
        (Step::Leavers, Provider::Okta) => "deactivate the leavers",
        (Step::Leavers, Provider::Entra) => "disable the leavers",
        (Step::Deletion, _) => "delete the leavers",
    }
}

fn timing_of(phase: &Phase) -> Timing {
    timing(phase.counts.sorted_latencies(), phase.time)
}

fn longest(counts: &Counts) -> Duration {
    counts.latencies.values().flatten().max().copied().unwrap_or_default()
}

fn waits(run: &Run) -> String {
    let pauses: usize = run.phases.iter().map(|phase| phase.waits.pauses).sum();
    let longest = run.phases.iter().map(|phase| phase.waits.longest_pause).max().unwrap_or_default();
    match pauses {
        0 => "no 429".to_owned(),
        _ => format!("{} times 429, longest pause {}", count(pauses as f64), duration(longest)),
    }
}

fn percent(part: Duration, whole: Duration) -> String {
    let percent = part.as_secs_f64() / whole.as_secs_f64() * 100.0;
    if percent < 10.0 { format!("{percent:.1} %") } else { format!("{percent:.0} %") }
}

fn count(number: f64) -> String {
    if number < 10.0 { format!("{number:.0}") } else { grouped(number) }
}

fn milliseconds(seconds: f64) -> String {
    format!("{} ms", grouped(seconds * 1_000.0))
}

/// A time as a reader says it: seconds, minutes or hours.
fn duration(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    match seconds {
        ..10.0 => format!("{seconds:.1} s"),
        ..120.0 => format!("{seconds:.0} s"),
        ..7_200.0 => format!("{:.0} min", seconds / 60.0),
        _ => format!("{:.0} h", seconds / 3_600.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_the_unit_that_fits() {
        for (seconds, expected) in [
            (0.04, "0.0 s"),
            (9.94, "9.9 s"),
            (60.0, "60 s"),
            (119.4, "119 s"),
            (2_400.0, "40 min"),
            (127_405.0, "35 h"),
        ] {
            assert_eq!(duration(Duration::from_secs_f64(seconds)), expected);
        }
        assert_eq!(percent(Duration::from_secs(3), Duration::from_secs(60)), "5.0 %");
        assert_eq!(percent(Duration::from_secs(30), Duration::from_secs(60)), "50 %");
    }
}
