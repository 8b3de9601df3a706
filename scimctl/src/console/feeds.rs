//! The feeds of a connector: what waits, the last delivery and error, the next attempt; and replaying, pausing, resuming and testing one.

use axum::Router;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::{get, post};
use directory::feeds::{Feed, FeedId};
use maud::{Markup, html};

use super::Console;
use super::form::Fields;
use super::opened::Opened;
use super::page::{Part, Tone, badge, facts, notice, redirect, table, time, time_or};
use super::problem::Problem;
use crate::feed::{ShownFeed, send_test};
use crate::output::{count, format_number};

/// The most changes of a feed that are counted.
const MAX_COUNTED: usize = 10_000;

/// The pages.
pub fn routes() -> Router<Console> {
    Router::new()
        .route("/connectors/{connector}/feeds", get(list))
        .route("/connectors/{connector}/feeds/{feed}", get(show).post(change))
        .route("/connectors/{connector}/feeds/{feed}/test", post(test))
}

async fn list(State(console): State<Console>, Path(id): Path<String>) -> Result<Response, Problem> {
    let opened = Opened::read(&console, &id).await?;
    let mut rows = Vec::new();
    for feed in opened.context.table().feeds(&opened.id).await? {
        let feed = counted(&opened, feed).await?;
        rows.push(vec![
            html! { a href=(opened.page_of(Part::Feeds, &feed.id)) { (feed.id) } },
            html! { (feed.delivery) },
            state(&feed),
            html! { (waiting(&feed)) },
            time_or(feed.oldest, "–"),
            time_or(feed.delivered, "–"),
            html! { (if feed.last_error.is_some() { feed.error() } else { "–".to_owned() }) },
            time_or(feed.next_delivery, "–"),
        ]);
    }
    let columns =
        ["Feed", "Delivery", "State", "Waiting", "Oldest", "Last delivered", "Last error", "Next attempt"];
    let empty = "No feed. scimctl feed create makes one.";
    Ok(console.page("Feeds", opened.section(Part::Feeds), table("Feeds", &columns, rows, empty)))
}

fn state(feed: &ShownFeed) -> Markup {
    let tone = match feed.state {
        "active" => Tone::Good,
        "retrying" => Tone::Bad,
        "paused" => Tone::Warning,
        _ => Tone::Plain,
    };
    badge(tone, feed.state)
}

/// Counts what waits in a feed.
async fn counted(opened: &Opened, feed: Feed) -> Result<ShownFeed, Problem> {
    let counted = opened.context.table().feed_info_up_to(&opened.id, feed, MAX_COUNTED).await?;
    Ok(ShownFeed::of(counted))
}

/// The number of changes that wait. More than the maximum are not counted.
fn waiting(feed: &ShownFeed) -> String {
    let or_more = if feed.waiting >= MAX_COUNTED { " or more" } else { "" };
    format!("{}{or_more}", format_number(feed.waiting))
}

/// Reads the feed of a path.
async fn read(opened: &Opened, feed: &str) -> Result<(FeedId, Feed), Problem> {
    let missing = || Problem::not_found(format!("Connector {} has no feed {feed}.", opened.id));
    let id = FeedId::parse(feed).ok_or_else(missing)?;
    let found = opened.context.table().feed(&opened.id, &id).await?.ok_or_else(missing)?;
    Ok((id, found))
}

async fn show(
    State(console): State<Console>,
    Path((id, feed)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let opened = Opened::read(&console, &id).await?;
    let (_, feed) = read(&opened, &feed).await?;
    page(&console, &opened, feed, html! {}).await
}

async fn page(console: &Console, opened: &Opened, feed: Feed, answer: Markup) -> Result<Response, Problem> {
    let is_paused = feed.is_paused();
    let feed = counted(opened, feed).await?;
    let delivery = match &feed.destination {
        Some(destination) => format!("{} to {destination}", feed.delivery),
        None => format!("its consumer polls POST /{}/events/v1/{}/poll", opened.id, feed.id),
    };
    let content = html! {
        (answer)
        (facts([
            ("State", state(&feed)),
            ("Waiting", html! { (waiting(&feed)) " " (if feed.waiting == 1 { "change" } else { "changes" }) }),
            ("Oldest", time_or(feed.oldest, "–")),
            ("Delivery", html! { (delivery) }),
            ("Last delivered", time_or(feed.delivered, "–")),
            ("Failed deliveries", html! { (count(usize::try_from(feed.failed_deliveries).unwrap_or(usize::MAX),
                "delivery, one after another", "deliveries, one after another")) }),
            ("Last error", html! { (if feed.last_error.is_some() { feed.error() } else { "–".to_owned() }) }),
            ("Next attempt", time_or(feed.next_delivery, "–")),
            ("Marks everything as changed", time_or(feed.marked_at, "–")),
            ("Audience", html! { (feed.audience.as_deref().unwrap_or("–")) }),
            ("Created", time(feed.created)),
        ]))
        (actions(console, opened, &feed, is_paused))
        p { a href=(opened.path(Part::Feeds)) { "All feeds" } }
    };
    Ok(console.page(&format!("Feed {}", feed.id), opened.section(Part::Feeds), content))
}

fn actions(console: &Console, opened: &Opened, feed: &ShownFeed, is_paused: bool) -> Markup {
    let path = opened.page_of(Part::Feeds, &feed.id);
    let button = |action: &str, label: &str| {
        html! {
            button type="submit" class="second" name=(action) value="true" { (label) }
        }
    };
    html! {
        @if console.is_writable() { h2 { "Change" } }
        (console.form(&path, html! {
            @if is_paused {
                p { "Its events are kept, and not delivered." }
                (button("resume", "Deliver again"))
            } @else {
                p { "While it is paused, its events are kept, and not delivered." }
                (button("pause", "Pause"))
            }
        }))
        (console.form(&path, html! {
            p { "For a consumer that begins anew, all users, groups and roles are marked as changed, within a minute." }
            (button("replay", "Mark everything as changed"))
        }))
        @if feed.destination.is_some() {
            (console.form(&format!("{path}/test"), html! {
                p { "Sends a test event, and shows the answer. This reads private keys: it needs the stack's DelivererPolicy." }
                (button("test", "Send a test event"))
            }))
        }
    }
}

async fn change(
    State(console): State<Console>,
    Path((id, feed)): Path<(String, String)>,
    fields: Fields,
) -> Result<Response, Problem> {
    let opened = Opened::read(&console, &id).await?;
    let (feed, _) = read(&opened, &feed).await?;
    let connectors = opened.context.connectors();
    if fields.has("pause") {
        connectors.pause_feed(&opened.id, &feed).await?;
    } else if fields.has("resume") {
        connectors.resume_feed(&opened.id, &feed).await?;
    } else if fields.has("replay") {
        connectors.replay_feed(&opened.id, &feed).await?;
    } else {
        return Err(Problem::bad_request("The form has no action."));
    }
    Ok(redirect(&opened.page_of(Part::Feeds, feed)))
}

async fn test(
    State(console): State<Console>,
    Path((id, feed)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let opened = Opened::read(&console, &id).await?;
    let (feed, found) = read(&opened, &feed).await?;
    let answer = match send_test(&opened.context, &opened.id, &feed).await? {
        Ok(status) => notice(Tone::Good, html! { p { "The consumer accepted the test event: " (status) } }),
        Err(error) => notice(Tone::Bad, html! { p { "The test event was not accepted: " (error) } }),
    };
    page(&console, &opened, found, answer).await
}
