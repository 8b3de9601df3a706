//! Writes docs/functions_performance.md.

use std::fmt::Write as _;

use jiff::Timestamp;

use super::cold::{Cold, STARTS};
use super::cost::{Bill, DEPLOYED_SIZE, MEMORY_OF_A_CPU, OTHER_LOG, ROUND_TRIP, SIZES, duration, gb_seconds};
use super::warm::{MEMBERS, REQUESTS, Warm};
use crate::plot::{grouped, short};
use crate::prices::{
    API_PRICE, ARCHITECTURES, DAY_OF_PRICES, LAMBDA_PRICE, LOG_PRICE, READ_PRICE, WRITE_PRICE,
};
use crate::report::YEARLY_OPERATIONS;
use crate::versions::machine;

/// How long the first request of a cold function may take, in seconds.
const FIRST_REQUEST: f64 = 0.015;
/// The numbers of users of the organisations whose year is computed.
const ORGANISATIONS: [f64; 3] = [10_000.0, 100_000.0, 1_000_000.0];

/// The page.
pub fn text(cold: &[Cold], warm: &[Warm]) -> String {
    let sections = [head(), targets(cold), cold_starts(cold), warm_requests(warm), memory(warm), bills(warm)];
    sections.concat() + &year(warm, cold)
}

fn head() -> String {
    format!(
        "# Performance of functions\n\n\
         `make bench-functions` wrote this file on {}. All figures are from one run on one machine: {}.\n\n\
         Each function is a release build. It runs as a process of its own, with a local substitute for Lambda's runtime API, and \
         with the environment that `template.yaml` gives it: it writes its log and its metrics. Its DynamoDB is an embedded \
         engine on the same machine, which it reaches through TLS, as in AWS. The CPU time of the engine is not counted.\n\n\
         **Untried**: nothing here was measured in AWS. The network of this machine takes no time, so each table says what is \
         measured, and what is computed for Lambda.\n\n",
        Timestamp::now().strftime("%Y-%m-%d"),
        machine()
    )
}

fn targets(cold: &[Cold]) -> String {
    let generated = cold.iter().filter(|cold| !cold.is_chosen);
    let slowest = generated.map(|cold| cold.first).fold(0.0, f64::max);
    let verdict = if slowest <= FIRST_REQUEST { "met" } else { "**missed**" };
    format!(
        "## Target\n\n| what | target | measured | |\n| --- | --- | --- | --- |\n\
         | first response of a cold function after its event, slowest of four operations with a generated secret | at most {} | \
         {} | {verdict} |\n\n",
        milliseconds(FIRST_REQUEST),
        milliseconds(slowest)
    )
}

fn cold_starts(cold: &[Cold]) -> String {
    let mut text = format!(
        "## Cold starts\n\n\
         Measured: medians of {STARTS} starts. A start is the time from the start of the process until it asks for its first event. \
         In this time, a function reads the certificates of the machine, loads its credentials, and opens two connections to \
         DynamoDB by reading a connector that does not exist. A request that is answered without DynamoDB opens none. If \
         DynamoDB does not answer within two seconds, the function goes on without. Lambda adds the time to make a sandbox.\n\n\
         The last column is computed: the CPU time of the first request at the share of a CPU that Lambda gives {DEPLOYED_SIZE} MB. \
         Lambda gives a function more CPU while it starts, so work in the start takes less time than in the first request.\n\n\
         | first request | secret | start | CPU time of the start | first response after its event | its CPU time | second \
         response | connections | CPU time at {DEPLOYED_SIZE} MB |\n\
         | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n"
    );
    for one in cold {
        writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} | {} | {} | {} |",
            one.operation,
            if one.is_chosen { "chosen" } else { "generated" },
            milliseconds(one.ready),
            milliseconds(one.ready_cpu),
            milliseconds(one.first),
            milliseconds(one.first_cpu),
            milliseconds(one.second),
            short(one.connections),
            milliseconds(duration(one.first_cpu, 0.0, DEPLOYED_SIZE))
        )
        .expect("memory");
    }
    text.push_str(
        "\nA password that a person chose is checked with argon2id, which is slow on purpose and takes nearly all of the first \
         request. Each process checks it once. Generated secrets, which `scimctl` prints, need one SHA-256.\n\n",
    );
    text
}

fn warm_requests(warm: &[Warm]) -> String {
    let mut text = format!(
        "## CPU time of a request\n\n\
         Measured: averages of {REQUESTS} requests of a warm function, which knows the connector and its credentials. The CPU time \
         is that of the whole process, in user mode and in the kernel: the runtime API, TLS, the SDK, the log and the metrics. The \
         large group has {} members. Round trips are requests to DynamoDB one after another.\n\n\
         | operation | function | CPU time | round trips | log |\n| --- | --- | ---: | ---: | ---: |\n",
        grouped(MEMBERS as f64)
    );
    for one in warm {
        let cost = &one.cost;
        writeln!(
            text,
            "| {} | `{}` | {} | {} | {} bytes |",
            one.operation,
            one.function,
            milliseconds(one.cpu),
            cost.round_trips,
            grouped(one.log)
        )
        .expect("memory");
    }
    text.push('\n');
    text
}

fn memory(warm: &[Warm]) -> String {
    let mut text = format!(
        "## Memory size\n\n\
         Computed: Lambda gives {} MB one whole CPU, and less memory a share in proportion. So a request takes its CPU time divided \
         by the share, and {} for each round trip to DynamoDB, which is an assumption (3 to 5 ms are usual). Lambda measures the \
         share over some milliseconds, so short requests can be faster than this.\n\n",
        grouped(MEMORY_OF_A_CPU),
        milliseconds(ROUND_TRIP)
    );
    text.push_str(&by_size("Duration, in ms", warm, |one, size| short(one.duration(size) * 1e3)));
    text.push_str(&by_size("GB-seconds of a million requests", warm, |one, size| {
        grouped(gb_seconds(one.duration(size), size) * 1e6)
    }));
    for (architecture, price) in ARCHITECTURES {
        let title = format!("Lambda time of a million requests on {architecture}, in dollars");
        let value = |one: &Warm, size| format!("{:.3}", gb_seconds(one.duration(size), size) * 1e6 * price);
        text.push_str(&by_size(&title, warm, value));
    }
    let cheapest =
        SIZES.into_iter().min_by(|one, other| mean_price(warm, *one).total_cmp(&mean_price(warm, *other)));
    let cheapest = cheapest.expect("there are sizes");
    let slower = mean(warm, |one| one.duration(cheapest)) - mean(warm, |one| one.duration(DEPLOYED_SIZE));
    write!(
        text,
        "The prices for arm64 assume the same CPU time.\n\n\
         **The size with the least cost is {cheapest} MB.** A function waits for DynamoDB most of the time, and memory costs while it \
         waits. With the operations of a year (below), the time of a million requests costs ${:.3} with {cheapest} MB and ${:.3} with \
         {DEPLOYED_SIZE} MB, but a request takes {} longer on average. `template.yaml` has {DEPLOYED_SIZE} MB all the same, for all functions: \
         a request of 6 MB may need 128 MB of memory, more than a function of that size has left, and the check of a chosen \
         password would take {} times as long. The log lines cost more than the difference.\n\n",
        mean_price(warm, cheapest),
        mean_price(warm, DEPLOYED_SIZE),
        milliseconds(slower),
        DEPLOYED_SIZE / cheapest
    )
    .expect("memory");
    text
}

/// A table with a row for each operation and a column for each memory size.
fn by_size(title: &str, warm: &[Warm], value: impl Fn(&Warm, f64) -> String) -> String {
    let mut text = format!("{title}:\n\n| operation |");
    for size in SIZES {
        write!(text, " {} MB |", grouped(size)).expect("memory");
    }
    text.push_str("\n| --- |");
    text.push_str(&" ---: |".repeat(SIZES.len()));
    text.push('\n');
    for one in warm {
        write!(text, "| {} |", one.operation).expect("memory");
        for size in SIZES {
            write!(text, " {} |", value(one, size)).expect("memory");
        }
        text.push('\n');
    }
    text.push('\n');
    text
}

/// The average over the operations of a year.
fn mean(warm: &[Warm], value: impl Fn(&Warm) -> f64) -> f64 {
    let times: f64 = yearly(warm).map(|(_, times)| times).sum();
    yearly(warm).map(|(one, number)| value(one) * number).sum::<f64>() / times
}

/// The average price of the Lambda time of a million requests on x86_64, in dollars.
fn mean_price(warm: &[Warm], size: f64) -> f64 {
    let (_, price) = ARCHITECTURES[0];
    mean(warm, |one| gb_seconds(one.duration(size), size)) * 1e6 * price
}

/// The operations of a year, and how often a user causes each.
fn yearly(warm: &[Warm]) -> impl Iterator<Item = (&Warm, f64)> {
    YEARLY_OPERATIONS.iter().map(|(operation, times, _)| {
        let one = warm.iter().find(|one| one.operation.trim_matches('`') == operation.trim_matches('`'));
        (one.expect("each operation of a year is measured"), *times)
    })
}

fn bills(warm: &[Warm]) -> String {
    let (_, x86_64) = ARCHITECTURES[0];
    let mut text = format!(
        "## Cost of a million requests\n\n\
         Computed, in dollars, with {DEPLOYED_SIZE} MB on x86_64. Prices of us-east-1 without free tiers. Those of Lambda \
         agreed on {DAY_OF_PRICES} with copies of AWS's price page (aws.amazon.com/lambda/pricing); the others are those of \
         [Cost](operate/cost.md): HTTP API ${API_PRICE:.2} a million requests up to 512 KB, Lambda ${LAMBDA_PRICE:.2} a million requests \
         and ${x86_64:.10} a GB-second, DynamoDB on demand ${WRITE_PRICE} a million write units and ${READ_PRICE} a million read \
         units, CloudWatch ${LOG_PRICE:.2} a GB of logs. The log is the measured one of the function and, as an assumption, {} bytes \
         of Lambda and the API. Storage, metrics and alarms are extra.\n\n\
         | operation | DynamoDB | API Gateway | Lambda requests | Lambda time | logs | sum |\n\
         | --- | ---: | ---: | ---: | ---: | ---: | ---: |\n",
        grouped(OTHER_LOG)
    );
    for one in warm {
        writeln!(text, "| {} | {} |", one.operation, amounts(Bill::of(one))).expect("memory");
    }
    text.push('\n');
    text
}

fn year(warm: &[Warm], cold: &[Cold]) -> String {
    let mut text = "## Cost of a year\n\n\
         Computed, in dollars. Each user causes these operations in a year: "
        .to_owned();
    let operations =
        YEARLY_OPERATIONS.map(|(operation, times, why)| format!("{times} × {operation} ({why})"));
    writeln!(text, "{}.\n", operations.join(", ")).expect("memory");
    text.push_str(
        "| users | requests | DynamoDB | API Gateway | Lambda requests | Lambda time | logs | sum |\n\
         | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n",
    );
    for users in ORGANISATIONS {
        let requests: f64 = yearly(warm).map(|(_, times)| times * users).sum();
        let bills = yearly(warm).map(|(one, times)| Bill::of(one).times(times * users / 1e6));
        let bill = bills.fold(Bill::default(), Bill::plus);
        writeln!(text, "| {} | {} | {} |", grouped(users), grouped(requests), amounts(bill)).expect("memory");
    }
    let (_, price) = ARCHITECTURES[0];
    let start = cold.iter().map(|cold| cold.ready).fold(0.0, f64::max);
    let starts = gb_seconds(start, DEPLOYED_SIZE) * 1e6 * price;
    write!(
        text,
        "\nCold starts are not in these tables. Lambda bills the time of a start as that of a request: {} are ${starts:.2} for a \
         million starts. The two read units of the connections are ${:.2}.\n",
        milliseconds(start),
        2.0 * READ_PRICE
    )
    .expect("memory");
    text
}

/// The amounts of a bill as cells of a table.
fn amounts(bill: Bill) -> String {
    bill.columns().map(|amount| format!("{amount:.2}")).join(" | ")
}

fn milliseconds(seconds: f64) -> String {
    format!("{} ms", short(seconds * 1e3))
}
