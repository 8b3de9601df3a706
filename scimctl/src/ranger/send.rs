//! Sends a difference to Ranger, in batches: users, groups, memberships, visibility, roles. A membership of a user or group that
//! Ranger does not know is lost, so the order matters. Every call can be repeated, so a run that ends anywhere can be repeated too.

use http::Method;
use indicatif::ProgressBar;
use serde::Serialize;
use serde_json::{Value, json};

use super::client::{PAGE_SIZE, RangerClient};
use super::difference::{Difference, MemberChange};
use crate::failure::Failure;
use crate::output::{count, format_number};
use crate::progress::progress_bar;

/// The names in a call that changes memberships. Ranger loads all users for each such call, so the calls are few and large.
const MEMBERS_AT_ONCE: usize = 20_000;

/// The change of one group, as Ranger reads it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct GroupUsers {
    group_name: String,
    add_users: Vec<String>,
    del_users: Vec<String>,
}

/// Sends everything. Returns a sentence for each count of Ranger that differs from what was sent.
///
/// # Errors
/// Fails if Ranger does. Then a part is sent.
pub async fn send(client: &RangerClient, difference: &Difference) -> Result<Vec<String>, Failure> {
    let Difference { users, groups, members, hidden_users, hidden_groups, roles, .. } = difference;
    let total =
        users.len() + groups.len() + members.len() + hidden_users.len() + hidden_groups.len() + roles.len();
    let sender = Sender { client, bar: progress_bar("sending to Ranger", total) };
    let mut counts = Vec::new();
    let mut compare = |sent: usize, counted: usize, singular: &str, plural: &str| {
        if sent != counted {
            let sent = count(sent, singular, plural);
            counts.push(format!("Ranger counts {} of {sent} that were sent", format_number(counted)));
        }
    };
    let counted = sender.send_all(users, "ugsync/users", |users| list("vXUsers", users)).await?;
    compare(users.len(), counted, "user", "users");
    let counted = sender.send_all(groups, "ugsync/groups", |groups| list("vXGroups", groups)).await?;
    compare(groups.len(), counted, "group", "groups");
    let calls = in_calls(members, MEMBERS_AT_ONCE);
    let sent: usize = calls.iter().map(Vec::len).sum();
    let mut counted = 0;
    for call in &calls {
        counted += sender.send_one("ugsync/groupusers", call, call.len()).await?;
    }
    compare(sent, counted, "change of a group", "changes of groups");
    // Ranger answers these calls with the number of names, even if it does not know them.
    sender.send_all(hidden_users, "ugsync/users/visibility", |names| json!(names)).await?;
    sender.send_all(hidden_groups, "ugsync/groups/visibility", |names| json!(names)).await?;
    let names: Vec<&String> = roles.keys().collect();
    let mut changed = 0;
    for names in names.chunks(PAGE_SIZE) {
        let assignments: serde_json::Map<String, Value> = names
            .iter()
            .filter_map(|name| roles.get(*name).map(|role| ((*name).clone(), json!(role))))
            .collect();
        let body = json!({
            "users": names, "userRoleAssignments": assignments, "groupRoleAssignments": {}, "reset": false, "lastPage": true
        });
        let path = "xusers/users/roleassignments";
        let answer: Vec<Value> = sender.client.send(Method::POST, path, &body).await?;
        changed += answer.len();
        sender.bar.inc(names.len() as u64);
    }
    compare(roles.len(), changed, "role of a user", "roles of users");
    sender.bar.finish_and_clear();
    Ok(counts)
}

struct Sender<'s> {
    client: &'s RangerClient,
    bar: ProgressBar,
}

impl Sender<'_> {
    /// Sends elements in batches. Returns the sum of Ranger's counts.
    async fn send_all<T>(
        &self,
        all: &[T],
        path: &str,
        body: impl Fn(&[T]) -> Value,
    ) -> Result<usize, Failure> {
        let mut counted = 0;
        for batch in all.chunks(PAGE_SIZE) {
            counted += self.send_one(path, &body(batch), batch.len()).await?;
        }
        Ok(counted)
    }

    async fn send_one(&self, path: &str, body: &impl Serialize, elements: usize) -> Result<usize, Failure> {
        let answer: Value = self.client.send(Method::POST, &format!("xusers/{path}"), body).await?;
        self.bar.inc(elements as u64);
        let counted = answer.as_u64().or_else(|| answer.as_str()?.parse().ok());
        let Some(counted) = counted else {
            return Err(Failure(format!("Ranger answered {path} with {answer} instead of a count")));
        };
        Ok(usize::try_from(counted).unwrap_or(usize::MAX))
    }
}

fn list(field: &str, entries: &[Value]) -> Value {
    json!({ "totalCount": entries.len(), field: entries })
}

/// Divides changes of groups into calls of at most `most` names. A larger group is in several calls.
fn in_calls(changes: &[MemberChange], most: usize) -> Vec<Vec<GroupUsers>> {
    let mut calls: Vec<Vec<GroupUsers>> = Vec::new();
    let mut names = 0;
    for change in changes {
        let added = change.add.chunks(most).map(|users| (users.to_vec(), Vec::new()));
        let removed = change.remove.chunks(most).map(|users| (Vec::new(), users.to_vec()));
        for (add_users, del_users) in added.chain(removed) {
            let size = add_users.len() + del_users.len();
            names += size;
            let group_name = change.group.clone();
            match calls.last_mut() {
                Some(call) if names <= most => match call.last_mut() {
                    Some(last) if last.group_name == group_name => {
                        last.add_users.extend(add_users);
                        last.del_users.extend(del_users);
                    }
                    _ => call.push(GroupUsers { group_name, add_users, del_users }),
                },
                _ => {
                    calls.push(vec![GroupUsers { group_name, add_users, del_users }]);
                    names = size;
                }
            }
        }
    }
    calls
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_have_a_bounded_number_of_names() {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<String>>();
        let change = |group: &str, add: &[&str], remove: &[&str]| MemberChange {
            group: group.to_owned(),
            add: names(add),
            remove: names(remove),
            present: 0,
        };
        let one = |group: &str, add: &[&str], remove: &[&str]| GroupUsers {
            group_name: group.to_owned(),
            add_users: names(add),
            del_users: names(remove),
        };
        let changes = [
            change("A", &["1", "2"], &["3"]),
            change("B", &["1", "2", "3", "4"], &[]),
            change("C", &[], &["1"]),
        ];
        let expected = vec![
            vec![one("A", &["1", "2"], &["3"])],
            vec![one("B", &["1", "2", "3"], &[])],
            vec![one("B", &["4"], &[]), one("C", &[], &["1"])],
        ];
        assert_eq!(in_calls(&changes, 3), expected);
        assert_eq!(in_calls(&[], 3), Vec::<Vec<GroupUsers>>::new());
    }
}
