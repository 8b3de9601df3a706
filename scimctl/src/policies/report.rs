//! The report of `scimctl policies check`: the places in policies that name users or groups who are gone.

use std::fmt;

use jiff::Timestamp;
use serde::Serialize;

use crate::failure::Failure;
use crate::output::{format_time, print_json};
use crate::table::{Table, print_total};

/// A place in a policy, role or zone that names a user or group who is not in the directory as the platform sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Stale {
    /// The user or group, as the policy names it.
    #[serde(flatten)]
    pub principal: Principal,
    /// Why it is reported, with its id and the time, as far as they are known.
    #[serde(flatten)]
    pub gone: Gone,
    /// What evaluates the policy: `ranger` or `cedar`.
    pub engine: &'static str,
    /// The service that the policy belongs to, or the file. For Ranger's roles and zones, `roles` and `zones`.
    pub service: String,
    /// The id of the policy, role or zone.
    pub policy: String,
    /// The name of the policy, role or zone.
    pub name: String,
    /// The place in the policy, such as `policyItems[0]`.
    #[serde(rename = "where")]
    pub place: String,
    /// What the place does.
    pub effect: Effect,
    /// Whether the policy is in effect.
    pub enabled: bool,
    /// Whether the place names only principals that are gone.
    pub last_principal: bool,
}

/// A user or group, as a policy names it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Principal {
    /// A user: its username, or its id where the engine uses ids.
    User(String),
    /// A group: its name or id.
    Group(String),
}

/// A user or group that the directory does not show.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Gone {
    /// The id; `None` if the directory and its audit trail do not know the name.
    pub id: Option<String>,
    /// Why the directory does not show it.
    pub why: Why,
    /// Since when; `None` if no audit record says it.
    pub since: Option<Timestamp>,
}

/// Why the directory does not show a user or group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// The user is deactivated.
    Deactivated,
    /// It is deleted.
    Deleted,
    /// It has another name now.
    Renamed,
    /// It is hidden for another reason, which the text says: `excluded by svc-*`.
    Hidden(String),
    /// The directory has nothing with this name or id.
    NotInDirectory,
}

/// What a place in a policy does for the users and groups that it names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// It allows.
    Allow,
    /// It denies.
    Deny,
    /// It takes access out of what the policy allows.
    AllowException,
    /// It takes access out of what the policy denies.
    DenyException,
    /// It masks data.
    Mask,
    /// It filters rows.
    RowFilter,
    /// It makes principals members of a role, which policies name.
    Member,
    /// It lets principals change policies or roles.
    Administer,
    /// It lets principals read audit records.
    Audit,
    /// It is data that policies can read.
    Data,
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(name) => write!(f, "user {name}"),
            Self::Group(name) => write!(f, "group {name}"),
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Deactivated => f.write_str("deactivated"),
            Self::Deleted => f.write_str("deleted"),
            Self::Renamed => f.write_str("renamed"),
            Self::Hidden(reason) => f.write_str(reason),
            Self::NotInDirectory => f.write_str("not in the directory"),
        }
    }
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
            Self::AllowException => "except from allow",
            Self::DenyException => "except from deny",
            Self::Mask => "mask",
            Self::RowFilter => "row filter",
            Self::Member => "member",
            Self::Administer => "administer",
            Self::Audit => "audit",
            Self::Data => "data",
        })
    }
}

impl Stale {
    /// The cells of a row: principal, why, since when, service, policy, place, effect, note and id.
    pub fn row(&self) -> Vec<String> {
        let Self { principal, gone, engine, service, policy, name, place, effect, .. } = self;
        let since = gone.since.map_or_else(|| "-".to_owned(), format_time);
        let mut notes = Vec::new();
        notes.extend((!self.enabled).then_some("disabled"));
        notes.extend(self.last_principal.then_some("last principal"));
        let notes = if notes.is_empty() { "-".to_owned() } else { notes.join(", ") };
        vec![
            principal.to_string(),
            gone.why.to_string(),
            since,
            format!("{engine} {service}"),
            format!("{policy} {name}"),
            place.clone(),
            effect.to_string(),
            notes,
            gone.id.clone().unwrap_or_else(|| "-".to_owned()),
        ]
    }
}

/// Prints the report as a table, or as one JSON object on each line.
pub fn print(lines: &[Stale], is_json: bool) -> Result<(), Failure> {
    if is_json {
        return lines.iter().try_for_each(print_json);
    }
    Table::new(["PRINCIPAL", "WHY", "SINCE", "SERVICE", "POLICY", "PLACE", "EFFECT", "NOTE", "ID"])
        .print(lines.iter().map(Stale::row).collect())?;
    print_total(
        lines.len(),
        0,
        "place names a principal that is gone",
        "places name principals that are gone",
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn line(principal: Principal, why: Why) -> Stale {
        Stale {
            principal,
            gone: Gone {
                id: Some("2b2f".to_owned()),
                why,
                since: Some("2026-11-02T08:00:00Z".parse().unwrap()),
            },
            engine: "ranger",
            service: "hive_prod".to_owned(),
            policy: "42".to_owned(),
            name: "hr_salaries".to_owned(),
            place: "policyItems[0]".to_owned(),
            effect: Effect::Allow,
            enabled: true,
            last_principal: false,
        }
    }

    #[test]
    fn json_of_a_line_names_the_user_or_the_group() {
        let user = line(Principal::User("ann@example.com".to_owned()), Why::Deactivated);
        let expected = json!({
            "user": "ann@example.com", "id": "2b2f", "why": "deactivated", "since": "2026-11-02T08:00:00Z",
            "engine": "ranger", "service": "hive_prod", "policy": "42", "name": "hr_salaries",
            "where": "policyItems[0]", "effect": "allow", "enabled": true, "last_principal": false
        });
        assert_eq!(serde_json::to_value(&user).unwrap(), expected);
        let group = line(Principal::Group("Sales".to_owned()), Why::Hidden("excluded by S*".to_owned()));
        let group = serde_json::to_value(&group).unwrap();
        assert_eq!(
            (&group["group"], &group["why"]),
            (&json!("Sales"), &json!({ "hidden": "excluded by S*" }))
        );
    }

    #[test]
    fn row_of_a_line_notes_disabled_policies_and_last_principals() {
        let row = line(Principal::User("ann".to_owned()), Why::Deleted).row();
        let expected = [
            "user ann",
            "deleted",
            "2026-11-02 08:00 UTC",
            "ranger hive_prod",
            "42 hr_salaries",
            "policyItems[0]",
            "allow",
            "-",
            "2b2f",
        ];
        assert_eq!(row, expected);
        let mut last = line(Principal::User("ann".to_owned()), Why::NotInDirectory);
        (last.enabled, last.last_principal, last.gone.id, last.gone.since) = (false, true, None, None);
        assert_eq!(last.row()[7..], ["disabled, last principal", "-"]);
    }
}
