//! The cost of each operation, and of a year.

use std::fmt::Write as _;
use std::path::Path;

use tests::heat::{READ_UNITS_A_SECOND, WRITE_UNITS_A_SECOND};

use super::Report;
use crate::growth::{Ceiling, Point};
use crate::plot::{self, Part, StackPanel, grouped};
use crate::prices::{API_PRICE, LAMBDA_PRICE, LAMBDA_TIME_PRICE, READ_PRICE, WRITE_PRICE};

/// The time of a request in a function, in seconds, and the memory of the function, in gigabytes. The time is assumed.
const LAMBDA_SECONDS: f64 = 0.05;
const LAMBDA_MEMORY: f64 = 0.25;

/// The number of users with which the operations are priced.
const USERS: usize = 10_000;
/// The sizes of organisations.
const ORGANISATIONS: [f64; 3] = [10_000.0, 100_000.0, 1_000_000.0];

/// The average number of operations per user and year, and the reason for each.
pub const YEARLY_OPERATIONS: [(&str, f64, &str); 8] = [
    ("create", 0.2, "one user in five joins"),
    ("deactivate", 0.2, "as many users leave"),
    ("delete", 0.2, "as many users are deleted later"),
    ("PATCH one attribute", 12.0, "an attribute changes every month"),
    ("add a member to the large group", 5.0, "the user joins five groups"),
    ("remove a member of the large group", 5.0, "the user leaves five groups"),
    ("userName eq", 22.6, "a look-up before each of the operations above"),
    ("page of 100 at the end", 0.12, "all users are listed once a month"),
];

const PARTS: [Part; 3] = [
    Part { name: "DynamoDB", colour: "#1f5fa8" },
    Part { name: "Lambda", colour: "#e08a1e" },
    Part { name: "API Gateway", colour: "#8250a8" },
];

/// The cost of a year, in dollars.
pub struct YearlyCost {
    /// The users of the organisation.
    pub users: f64,
    /// The requests of a year.
    pub requests: f64,
    /// Capacity units of DynamoDB.
    pub dynamodb: f64,
    /// Requests and time of Lambda.
    pub lambda: f64,
    /// Requests of API Gateway.
    pub api_gateway: f64,
}

impl YearlyCost {
    fn sum(&self) -> f64 {
        self.dynamodb + self.lambda + self.api_gateway
    }
}

impl Report {
    pub(super) fn costs(&self, text: &mut String) {
        write!(
            text,
            "## Cost of each operation\n\n\
             Sequential round trips to DynamoDB, and the capacity units that DynamoDB reports, with {} users: the maximum of \
             21 requests. A tenth of the users are members of the large group. Dollars are at the on-demand price in us-east-1: \
             ${WRITE_PRICE} per million write units, ${READ_PRICE} per million read units. Lambda, API Gateway and storage cost \
             extra.\n\n\
             A partition of DynamoDB serves {WRITE_UNITS_A_SECOND} WCU and {READ_UNITS_A_SECOND} RCU a second. The last columns show \
             the partition key and the item that reach this ceiling first, and the requests a second of one connector at the \
             ceiling. When a partition key gets more load, DynamoDB splits its items over several partitions after some minutes; \
             it cannot split an item. `c` is the connector.\n\n\
             | operation | round trips | RCU | WCU | $ per million | hottest partition | requests a second before a split | \
             hottest shared item | requests a second |\n\
             | --- | ---: | ---: | ---: | ---: | --- | ---: | --- | ---: |\n",
            grouped(USERS as f64)
        )
        .expect("memory");
        for operation in self.growth.operations() {
            let Some(point) = self.growth.point(operation, USERS) else { continue };
            writeln!(
                text,
                "| {operation} | {} | {} | {} | {:.2} | {} | {} |",
                point.round_trips,
                point.read_units,
                point.write_units,
                dollars(point),
                ceiling(point.hottest_partition.as_ref()),
                ceiling(point.hottest_item.as_ref())
            )
            .expect("memory");
        }
        text.push_str(
            "\n## Cost of a year\n\nThe assumption is that each user causes these operations on average:\n\n\
             | operation | times a year | reason |\n| --- | ---: | --- |\n",
        );
        for (operation, times, why) in YEARLY_OPERATIONS {
            writeln!(text, "| {operation} | {times} | {why} |").expect("memory");
        }
        write!(
            text,
            "\nPrices are those of us-east-1 without free tiers. DynamoDB is what the engine counted. API Gateway costs \
             ${API_PRICE:.2} a million requests. Lambda costs ${LAMBDA_PRICE:.2} a million requests, and \
             ${LAMBDA_TIME_PRICE} a gigabyte and second; the {:.0} ms at {:.0} MB of a request are assumed, not measured. Logs, metrics and \
             storage are in [Cost](operate/cost.md).\n\n\
             ![cost of a year by size of the organisation](performance-cost.svg)\n\n\
             | users | requests a year | DynamoDB | Lambda | API Gateway | $ a year |\n| ---: | ---: | ---: | ---: | ---: | ---: |\n",
            LAMBDA_SECONDS * 1e3,
            LAMBDA_MEMORY * 1024.0
        )
        .expect("memory");
        for cost in self.yearly_costs() {
            let YearlyCost { users, requests, dynamodb, lambda, api_gateway } = cost;
            writeln!(
                text,
                "| {} | {} | {dynamodb:.2} | {lambda:.2} | {api_gateway:.2} | {:.2} |",
                grouped(users),
                grouped(requests),
                cost.sum()
            )
            .expect("memory");
        }
        text.push('\n');
    }

    pub(super) fn plot_costs(&self, docs: &Path) {
        let panels = self.yearly_costs().into_iter().map(|cost| StackPanel {
            title: format!("{} users", grouped(cost.users)),
            dollars: vec![cost.dynamodb, cost.lambda, cost.api_gateway],
        });
        plot::stacks(
            &docs.join("performance-cost.svg"),
            "Cost of a year by size of the organisation",
            "US dollars. Each panel has its own scale, which begins at zero.",
            &PARTS,
            &panels.collect::<Vec<_>>(),
        );
    }

    /// The cost of a year of each organisation.
    fn yearly_costs(&self) -> Vec<YearlyCost> {
        let cost = |users: f64| {
            let requests: f64 = YEARLY_OPERATIONS.iter().map(|(_, times, _)| times * users).sum();
            let price = |(operation, times, _): &(&str, f64, &str)| {
                self.growth.point(operation, USERS).map_or(0.0, |point| dollars(point) / 1e6 * times * users)
            };
            YearlyCost {
                users,
                requests,
                dynamodb: YEARLY_OPERATIONS.iter().map(price).sum(),
                lambda: requests * (LAMBDA_PRICE / 1e6 + LAMBDA_SECONDS * LAMBDA_MEMORY * LAMBDA_TIME_PRICE),
                api_gateway: requests * API_PRICE / 1e6,
            }
        };
        ORGANISATIONS.into_iter().map(cost).collect()
    }
}

/// Returns the price of a million requests, in dollars.
fn dollars(point: &Point) -> f64 {
    point.read_units * READ_PRICE + point.write_units * WRITE_PRICE
}

/// The cells for the ceiling of a partition or an item.
fn ceiling(ceiling: Option<&Ceiling>) -> String {
    ceiling.map_or("none | ".to_owned(), |ceiling| {
        format!("`{}` | {}", ceiling.pattern, grouped(ceiling.requests_a_second.round()))
    })
}
