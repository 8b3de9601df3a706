//! Growth: each operation by number of users, and what the directory needs.

use std::fmt::Write as _;
use std::path::Path;

use super::{MEGABYTE, Report};
use crate::growth::Point;
use crate::plot::{self, LinePanel, grouped, short};

impl Report {
    pub(super) fn growth(&self, text: &mut String) {
        let sizes: Vec<usize> = self.growth.sizes.iter().map(|size| size.users).collect();
        text.push_str(
            "## Growth\n\nOne request at a time, in the same process as the engine, with the data on disk. Each request to the engine is \
             also checked against the limits of DynamoDB and counted, so the times are longer than those above. The time is the median of \
             21 requests; round trips and capacity units are the maximum. A level line means that the number of users makes no \
             difference. The last column divides the time and the units with the most users by those with the fewest.\n\n\
             ![time by number of users](performance-growth-latency.svg)\n\n\
             ![capacity units by number of users](performance-growth-units.svg)\n\n| operation |",
        );
        for size in &sizes {
            write!(text, " {} users |", grouped(*size as f64)).expect("memory");
        }
        text.push_str(" growth of time, units |\n| --- |");
        text.push_str(&" ---: |".repeat(sizes.len() + 1));
        text.push('\n');
        for operation in self.growth.operations() {
            write!(text, "| {operation} |").expect("memory");
            let points: Vec<&Point> =
                sizes.iter().filter_map(|size| self.growth.point(operation, *size)).collect();
            for point in &points {
                write!(
                    text,
                    " {} ms, {}, {} |",
                    short(point.latency * 1e3),
                    counted(point.round_trips as f64, "round trip"),
                    counted(point.units(), "unit")
                )
                .expect("memory");
            }
            if let (Some(first), Some(last)) = (points.first(), points.last()) {
                let (time, units) = (last.latency / first.latency, last.units() / first.units());
                writeln!(text, " {}×, {}× |", short(time), short(units)).expect("memory");
            }
        }
        text.push('\n');
        self.sizes(text);
    }

    /// Writes the tables of what the directory and a group of all users need.
    fn sizes(&self, text: &mut String) {
        text.push_str(
            "The directory as a whole. 16 users are created at the same time, without HTTP. The memory is that of one process with the \
             engine, the service and the measurement; the most is while a group of all users is deleted.\n\n\
             | users | users created a second | seconds for all | on disk | memory | most memory |\n\
             | ---: | ---: | ---: | ---: | ---: | ---: |\n",
        );
        let mut seconds = 0.0;
        for size in &self.growth.sizes {
            seconds += size.seconds;
            writeln!(
                text,
                "| {} | {} | {} | {} MB | {} MB | {} MB |",
                grouped(size.users as f64),
                grouped(size.created as f64 / size.seconds),
                grouped(seconds),
                grouped(size.disk as f64 / MEGABYTE),
                grouped(size.memory as f64 / MEGABYTE),
                grouped(size.peak_memory as f64 / MEGABYTE)
            )
            .expect("memory");
        }
        text.push_str(
            "\nA group with all users as members. The client adds 1,000 members with each PATCH. An application reads all members through \
             the directory API, 1,000 on a page and the last 1,000 in pages of 100. DELETE has the 27.5 seconds of a function; then the \
             sweeper goes on until all memberships are deleted. The engine writes each deleted item to the disk in a transaction of \
             its own.\n\n\
             | members | seconds to add them | pages | seconds to read them | response to DELETE | after seconds | runs of the sweeper | \
             all deleted after seconds |\n\
             | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n",
        );
        for size in &self.growth.sizes {
            let group = &size.group;
            writeln!(
                text,
                "| {} | {} | {} | {} | {} | {} | {} | {} |",
                grouped(size.users as f64),
                short(group.fill),
                grouped(group.pages as f64),
                short(group.walk),
                group.deletion_status,
                short(group.deletion_response),
                group.sweeps,
                group.deletion.map_or("not deleted".to_owned(), short)
            )
            .expect("memory");
        }
        text.push('\n');
    }

    pub(super) fn plot_growth(&self, docs: &Path) {
        let panels = |value: fn(&Point) -> f64| -> Vec<LinePanel> {
            let panel = |operation: &str| {
                let points = self.growth.points.iter().filter(|point| point.operation == operation);
                let points = points.map(|point| (point.users as f64, value(point))).collect();
                LinePanel { title: operation.to_owned(), points }
            };
            self.growth.operations().into_iter().map(panel).collect()
        };
        plot::lines(
            &docs.join("performance-growth-latency.svg"),
            "Time of one request by number of users",
            "Milliseconds, median of 21 requests. Each panel has its own scale from zero. 1k: 1,000 users; 1M: a million.",
            &panels(|point| point.latency * 1e3),
        );
        plot::lines(
            &docs.join("performance-growth-units.svg"),
            "Capacity units of one request by number of users",
            "Read and write units of DynamoDB. Each panel has its own scale from zero. 1k: 1,000 users; 1M: a million.",
            &panels(Point::units),
        );
    }
}

/// Returns a count with its noun: `1 unit`, `2 units`.
fn counted(count: f64, noun: &str) -> String {
    let plural = if count == 1.0 { "" } else { "s" };
    format!("{count} {noun}{plural}")
}
