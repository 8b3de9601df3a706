//! The charts of a connector: failed requests by hour, all requests by hour if the trail keeps them, and users who joined and left by
//! day. Each reads a bounded part of the trails, and says so if there is more.

use axum::Router;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::get;
use directory::audit::{AuditRecord, PageSize};
use directory::settings::TrailScope;
use directory::trail::Filter;
use jiff::{SignedDuration, Timestamp};
use maud::{Markup, html};
use shared::resource::ResourceKind;

use super::Console;
use super::chart::{Chart, Series};
use super::opened::Opened;
use super::page::{Part, Tone, notice};
use super::problem::Problem;
use super::requests::kept;
use crate::output::{count, format_number};

const HOUR: SignedDuration = SignedDuration::from_hours(1);
const DAY: SignedDuration = SignedDuration::from_hours(24);
const HOURS: usize = 24;
const DAYS: usize = 14;
/// The records of the request trail that are read at once, and how often.
const REQUESTS: (usize, usize) = (2_000, 5);
/// The most records of the audit trail that are read.
const CHANGES: PageSize = PageSize { most: usize::MAX, look_at: 20_000 };

/// The pages.
pub fn routes() -> Router<Console> {
    Router::new().route("/connectors/{connector}/charts", get(show))
}

async fn show(State(console): State<Console>, Path(id): Path<String>) -> Result<Response, Problem> {
    let opened = Opened::read(&console, &id).await?;
    let (requests, changes) = tokio::try_join!(requests(&opened), changes(&opened))?;
    let content = html! {
        p class="soft" { (kept(&opened)) }
        (requests)
        (changes)
    };
    Ok(console.page("Charts", opened.section(Part::Charts), content))
}

/// Successive times of one length, up to now.
struct Times {
    first: Timestamp,
    length: SignedDuration,
    number: usize,
}

impl Times {
    /// The last `number` times up to the one that `now` is in. They begin at whole hours or days in UTC.
    fn until(now: Timestamp, length: SignedDuration, number: usize) -> Self {
        let seconds = length.as_secs();
        let earlier = i64::try_from(number).unwrap_or_default() - 1;
        let first = (now.as_second().div_euclid(seconds) - earlier) * seconds;
        Self { first: Timestamp::from_second(first).unwrap_or(now), length, number }
    }

    /// The position of the time that this one is in; `None` if it is before the first.
    fn position(&self, time: Timestamp) -> Option<usize> {
        let seconds = time.as_second() - self.first.as_second();
        let position = usize::try_from(seconds.div_euclid(self.length.as_secs())).ok()?;
        (position < self.number).then_some(position)
    }

    fn labels(&self, format: &str) -> Vec<String> {
        let starts = (0..self.number)
            .map(|position| self.first + self.length * i32::try_from(position).unwrap_or_default());
        starts.map(|start| start.strftime(format).to_string()).collect()
    }

    fn zeros(&self) -> Vec<u64> {
        vec![0; self.number]
    }
}

/// Adds one at the position of a time.
fn add(values: &mut [u64], position: Option<usize>) {
    if let Some(value) = position.and_then(|position| values.get_mut(position)) {
        *value += 1;
    }
}

async fn requests(opened: &Opened) -> Result<Markup, Problem> {
    let times = Times::until(opened.context.now, HOUR, HOURS);
    let [mut of_client, mut of_server, mut all] = [(); 3].map(|()| times.zeros());
    let filter = Filter { since: times.first, ..Filter::until(opened.context.now) };
    let table = opened.context.table();
    let trail = table.trail(&opened.id);
    let (mut read, mut oldest, mut cursor) = (0, opened.context.now, None);
    let (at_once, most) = REQUESTS;
    for _ in 0..most {
        let page = trail.page(&filter, cursor.as_deref(), at_once).await?;
        for record in &page.records {
            let position = times.position(record.time);
            match record.status {
                500.. => add(&mut of_server, position),
                400..500 => add(&mut of_client, position),
                _ => {}
            }
            // An operation belongs to a request that is counted already.
            if record.operation.is_none() {
                add(&mut all, position);
            }
            (read, oldest) = (read + 1, record.time);
        }
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    let labels = times.labels("%H:%M");
    let failures = [
        Series { name: "errors of clients (4xx)", values: of_client },
        Series { name: "errors of the service (5xx)", values: of_server },
    ];
    let all = [Series { name: "requests", values: all }];
    let chart = |id, title, unit, series, empty| {
        Chart { id, title, unit, axis: "Hour (UTC)", labels: &labels, series, empty }.draw()
    };
    let newest = format!(
        "Only the newest {} are counted, back to {}",
        count(read, "record", "records"),
        oldest.strftime("%Y-%m-%d %H:%M UTC")
    );
    let (failed, empty) =
        ("Failed requests and operations in the last 24 hours", "No request failed in the last 24 hours.");
    Ok(html! {
        (chart("errors", failed, "requests and operations", &failures[..], empty))
        @if opened.trail == TrailScope::All {
            (chart("requests", "All requests in the last 24 hours", "requests", &all[..], "No request in the last 24 hours."))
        }
        @if cursor.is_some() {
            (cut(&newest))
        }
    })
}

async fn changes(opened: &Opened) -> Result<Markup, Problem> {
    let times = Times::until(opened.context.now, DAY, DAYS);
    let (mut joined, mut left) = (times.zeros(), times.zeros());
    let is_of_user = |record: &AuditRecord| {
        record.kind == ResourceKind::User.name()
            && (has_joined(record) || record.is_deactivation() || record.is_deletion())
    };
    let table = opened.context.table();
    let page = table.audit_trail(&opened.id);
    let page = page.page(is_of_user, times.first, opened.context.now, None, CHANGES).await?;
    for record in &page.records {
        let position = record.time.parse().ok().and_then(|time| times.position(time));
        add(if has_joined(record) { &mut joined } else { &mut left }, position);
    }
    let labels = times.labels("%m-%d");
    let series = [
        Series { name: "joined: created, or activated again", values: joined },
        Series { name: "left: deactivated or deleted", values: left },
    ];
    let chart = Chart {
        id: "users",
        title: "Users who joined and left in the last 14 days",
        unit: "users",
        axis: "Day (UTC)",
        labels: &labels,
        series: &series,
        empty: "No user joined or left in the last 14 days.",
    };
    Ok(html! {
        (chart.draw())
        @if let Some(time) = page.looked_back_to() {
            (cut(&format!("Only the newest {} changes are counted, back to {time}", format_number(page.looked_at))))
        }
    })
}

fn has_joined(record: &AuditRecord) -> bool {
    record.is_creation() || record.is_reactivation()
}

/// Says that a chart does not count everything.
fn cut(sentence: &str) -> Markup {
    notice(Tone::Warning, html! { p { (sentence) "." } })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_end_with_the_present_one() {
        let time = |text: &str| text.parse::<Timestamp>().unwrap();
        let hours = Times::until(time("2026-11-30T14:59:59Z"), HOUR, 24);
        assert_eq!(hours.labels("%d %H:%M").first().unwrap(), "29 15:00");
        assert_eq!(hours.labels("%d %H:%M").last().unwrap(), "30 14:00");
        for (text, expected) in [
            ("2026-11-29T14:59:59.999Z", None),
            ("2026-11-29T15:00:00Z", Some(0)),
            ("2026-11-30T14:00:00Z", Some(23)),
            ("2026-11-30T14:59:59Z", Some(23)),
            ("2026-11-30T15:00:00Z", None),
        ] {
            assert_eq!(hours.position(time(text)), expected, "{text}");
        }
        let days = Times::until(time("2026-11-30T14:59:59Z"), DAY, 14);
        assert_eq!(
            (days.labels("%m-%d").first().unwrap().as_str(), days.labels("%m-%d").len()),
            ("11-17", 14)
        );
    }
}
