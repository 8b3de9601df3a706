//! The brake: a run that would take much away stops, because the cause is rarely that so many people left at once. It is a wrong
//! rule, a wrong mapping, or a client that sent too little.

use super::difference::Difference;
use crate::output::{count, format_number};

/// Lists what the operator has to confirm: the users and members that a run takes away, if they are more than this percentage of
/// those that there are. One user or member alone is no mass change. If the directory shows no users, everything has to be
/// confirmed.
pub fn reasons(difference: &Difference, wanted_users: usize, percent: usize) -> Vec<String> {
    let is_mass = |removed: usize, present: usize| removed > 1 && removed * 100 > present * percent;
    let mut reasons = Vec::new();
    let hidden = difference.hidden_users.len();
    let removes_members = difference.members.iter().any(|change| !change.remove.is_empty());
    if wanted_users == 0 && (hidden > 0 || removes_members) {
        reasons.push("the directory shows no users".to_owned());
    }
    if is_mass(hidden, difference.present_users) {
        let present = format_number(difference.present_users);
        reasons.push(format!("{} of {present} would be hidden", count(hidden, "user", "users")));
    }
    for change in difference.members.iter().filter(|change| is_mass(change.remove.len(), change.present)) {
        reasons.push(format!(
            "{} of {} would leave group {}",
            count(change.remove.len(), "user", "users"),
            format_number(change.present),
            change.group
        ));
    }
    reasons
}

#[cfg(test)]
mod tests {
    use super::super::difference::MemberChange;
    use super::*;

    fn names(count: usize) -> Vec<String> {
        (0..count).map(|number| format!("user{number}")).collect()
    }

    #[test]
    fn more_than_the_percentage_has_to_be_confirmed() {
        for (hidden, present, percent, is_stopped) in [
            (0, 0, 10, false),
            (1, 5, 10, false),
            (2, 20, 10, false),
            (3, 20, 10, true),
            (2, 2, 10, true),
            (2, 2, 100, false),
            (2, 1_000, 0, true),
        ] {
            let difference =
                Difference { hidden_users: names(hidden), present_users: present, ..Difference::default() };
            let is_confirmed_later = !reasons(&difference, 1, percent).is_empty();
            assert_eq!(is_confirmed_later, is_stopped, "{hidden} of {present}, {percent} %");
        }
    }

    #[test]
    fn members_of_one_group_and_an_empty_directory_have_to_be_confirmed() {
        let change = MemberChange { group: "Sales".to_owned(), add: names(9), remove: names(2), present: 10 };
        let difference = Difference { members: vec![change], ..Difference::default() };
        assert_eq!(reasons(&difference, 5, 10), ["2 users of 10 would leave group Sales"]);
        let difference = Difference { hidden_users: names(1), present_users: 1, ..Difference::default() };
        assert_eq!(reasons(&difference, 0, 100), ["the directory shows no users"]);
        assert_eq!(reasons(&Difference::default(), 0, 10), [""; 0]);
    }
}
