//! Prints what explains a user.

use directory::trail::Record;
use directory::view::{Explanation, Hidden, Way};
use runtime::escape::escape;

use super::find::{Event, FeedState, Push, State, Why};
use super::hiding::HidingChange;
use super::policies::Mention;
use crate::output::{count, format_fact_list, format_time};

/// A title, and the lines under it.
pub type Section = (&'static str, Vec<String>);

/// Formats it as facts, followed by a section for each list.
pub fn format(why: &Why) -> String {
    let mut text = format_fact_list(&facts(why));
    let failed = ("Failed requests", why.failed_requests.iter().map(request).collect());
    let mut sections = sections(why);
    // Policies come last.
    let position = sections.iter().position(|(title, _)| *title == POLICIES).unwrap_or(sections.len());
    sections.insert(position, failed);
    for (title, lines) in sections.iter().filter(|(_, lines)| !lines.is_empty()) {
        text.push_str(&format!("\n{title}\n"));
        lines.iter().for_each(|line| text.push_str(&format!("  {}\n", escape(line))));
    }
    text
}

const POLICIES: &str = "Policies";

const FOUND_BY_SEARCH: &str = "its display name, its email address or the beginning of a name. To find a deleted user, enter its whole userName";

/// The facts about a user.
pub fn facts(why: &Why) -> Vec<(&'static str, String)> {
    let mut facts = vec![("User:", why.asked.clone())];
    facts.extend(why.is_by_search.then(|| ("Found by:", FOUND_BY_SEARCH.to_owned())));
    facts.push(("State:", state(why)));
    facts.extend(hidden_by(why));
    facts.extend(why.id.clone().map(|id| ("Id:", id)));
    if let Some(user) = &why.user {
        facts.push(("Stored userName:", user.user_name.clone()));
        facts.push(("Shown username:", user.entry.username.clone()));
    }
    let push = why.last_push.as_ref().map_or_else(|| "none in the trails".to_owned(), push);
    facts.push(("Last push:", push));
    if !why.others.is_empty() {
        facts.push(("Deleted users of this name:", why.others.join(", ")));
    }
    facts
}

/// The lists, without the failed requests. Lists that do not apply are left out or empty.
pub fn sections(why: &Why) -> Vec<Section> {
    let mut events: Vec<String> = why.events.iter().map(event).collect();
    events.extend(
        why.has_older_events.then(|| "there are older audit records, which were not read".to_owned()),
    );
    let mut sections = vec![("Events", events)];
    if let Some(user) = &why.user {
        sections.push(("Groups", groups(user)));
        sections.push(("Roles", user.roles.iter().map(|role| way(role, "given by an operator")).collect()));
    }
    sections.push(("Feeds", why.feeds.iter().map(feed).collect()));
    if let Some(policies) = &why.policies {
        let none = || vec!["none of these policies names the user".to_owned()];
        sections.push((
            POLICIES,
            if policies.is_empty() { none() } else { policies.iter().map(mention).collect() },
        ));
    }
    sections
}

fn state(why: &Why) -> String {
    let hidden = why.user.as_ref().and_then(|user| Some((user.entry.hidden.as_ref()?, &user.keeper)));
    match (why.state, hidden) {
        (_, Some((Hidden::NameTakenBy(id), Some(keeper)))) => {
            format!("hidden: the username is taken by {keeper} ({id}), who was created earlier")
        }
        (_, Some((hidden, _))) => format!("hidden: {hidden}"),
        (State::Deleted, None) => "deleted".to_owned(),
        (State::NeverSeen, None) => "the directory never had this user".to_owned(),
        (State::Shown | State::Hidden, None) => "shown".to_owned(),
    }
}

/// Who hid the user, and when. If another user has the same username, the state says it.
fn hidden_by(why: &Why) -> Option<(&'static str, String)> {
    let hidden = why.user.as_ref()?.entry.hidden.as_ref()?;
    let label = match hidden {
        Hidden::NameTakenBy(_) => return None,
        Hidden::Deactivated | Hidden::Deleted => "Hidden by:",
        Hidden::NotIncluded | Hidden::Excluded(_) => "Rule last changed:",
        Hidden::NoUsername => "Mapping last changed:",
    };
    let Some(HidingChange { time, what, by, who, request, .. }) = &why.hidden_by else {
        return Some((label, "no audit record has the change".to_owned()));
    };
    Some((label, format!("{}: {what} by {by} {who} (request {request})", format_time(*time))))
}

fn push(push: &Push) -> String {
    let Push { time, request, credential, what, status, detail } = push;
    let result = match (status, detail) {
        (Some(status), Some(detail)) => format!("{status}, {detail}"),
        (Some(status), None) => status.to_string(),
        (None, _) => "carried out".to_owned(),
    };
    format!("{}: {what}: {result} (credential {credential}, request {request})", format_time(*time))
}

fn event(event: &Event) -> String {
    let Event { time, what, name_before, by, who, request } = event;
    let before = name_before.as_ref().map(|name| format!(" from {name}")).unwrap_or_default();
    format!("{}: {what}{before} by {by} {who} (request {request})", format_time(*time))
}

fn groups(user: &Explanation) -> Vec<String> {
    let shown = user.groups.iter().map(|group| way(group, "direct"));
    let hidden = user.hidden_groups.iter();
    shown.chain(hidden.map(|group| format!("{}: hidden, {}", group.group.name, group.hidden))).collect()
}

fn way(way: &Way, direct: &str) -> String {
    let Way { group, through } = way;
    if through.is_empty() {
        return format!("{}: {direct}", group.name);
    }
    let names: Vec<&str> = through.iter().map(|group| group.name.as_str()).collect();
    format!("{}: through {}", group.name, names.join(" → "))
}

fn feed(feed: &FeedState) -> String {
    let FeedState { feed, delivery, is_paused, waiting, delivered, next_delivery, last_error } = feed;
    let mut parts = vec![match waiting.oldest {
        Some(oldest) => {
            let changes = count(waiting.waiting, "change of this user waits", "changes of this user wait");
            format!("{changes}, the oldest since {}", format_time(oldest))
        }
        None => "nothing about this user waits".to_owned(),
    }];
    parts.extend(is_paused.then(|| "paused".to_owned()));
    parts.extend(delivered.map(|time| format!("last delivered {}", format_time(time))));
    parts.extend(next_delivery.map(|time| format!("next attempt {}", format_time(time))));
    parts.extend(last_error.as_ref().map(|error| format!("last error: {error}")));
    format!("{feed} ({delivery}): {}", parts.join("; "))
}

fn request(record: &Record) -> String {
    let Record { time, status, method, path, detail, request, .. } = record;
    let detail = detail.as_ref().map(|detail| format!(": {detail}")).unwrap_or_default();
    format!("{}: {status} for {method} {path}{detail} (request {request})", format_time(*time))
}

fn mention(mention: &Mention) -> String {
    let Mention { service, policy, name, place, effect, enabled } = mention;
    let disabled = if *enabled { "" } else { ", disabled" };
    format!("{service}: policy {policy} {name}, {place}: {effect}{disabled}")
}
