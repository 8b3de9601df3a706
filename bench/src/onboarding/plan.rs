//! The organisation that is brought: its users, its groups with their members, and who leaves.

use serde_json::{Value, json};

use bench::directory::{user, user_name};

/// The members of the smallest group.
const SMALLEST_GROUP: usize = 10;
/// The largest group has one user of this many.
const USERS_FOR_A_MEMBER_OF_THE_LARGEST: usize = 5;
/// One user of this many leaves.
const USERS_FOR_A_LEAVER: usize = 20;

/// The organisation. It is the same in every run with the same sizes.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The number of users. They are numbered from 0.
    pub users: usize,
    /// The numbers of the members of each group. The largest group is the first.
    pub groups: Vec<Vec<usize>>,
    /// The numbers of the users who leave at once.
    pub leavers: Vec<usize>,
}

impl Plan {
    /// Plans an organisation of this size. With 100,000 users and 1,000 groups, the groups have 20,000 to 10 members.
    ///
    /// # Panics
    /// When there are fewer than 50 users or fewer than 2 groups.
    pub fn new(users: usize, groups: usize) -> Self {
        let largest = users / USERS_FOR_A_MEMBER_OF_THE_LARGEST;
        assert!(largest >= SMALLEST_GROUP && groups >= 2, "at least 50 users and 2 groups are needed");
        // Zipf's law: the group of rank r has largest / r^exponent members, and the last one has the fewest.
        let exponent = (largest as f64 / SMALLEST_GROUP as f64).ln() / (groups as f64).ln();
        let size = |rank: usize| (largest as f64 / (rank as f64).powf(exponent)).round() as usize;
        let groups = (1..=groups).map(|rank| members(rank, size(rank), users)).collect();
        let leavers = (0..users).skip(USERS_FOR_A_LEAVER / 2).step_by(USERS_FOR_A_LEAVER).collect();
        Self { users, groups, leavers }
    }

    /// The number of memberships.
    pub fn memberships(&self) -> usize {
        self.groups.iter().map(Vec::len).sum()
    }

    /// The number of memberships that the leavers have.
    pub fn memberships_of_leavers(&self) -> usize {
        let groups_of = self.groups_of_users();
        self.leavers.iter().map(|user| groups_of[*user]).sum()
    }

    /// The number of groups of each user.
    pub fn groups_of_users(&self) -> Vec<usize> {
        let mut counts = vec![0; self.users];
        for member in self.groups.iter().flatten() {
            counts[*member] += 1;
        }
        counts
    }
}

/// The members of a group: users at equal distances, which differ between groups, so that groups overlap as if at random.
fn members(rank: usize, size: usize, users: usize) -> Vec<usize> {
    let distance = (7_919 + 13 * rank..).find(|distance| greatest_common_divisor(*distance, users) == 1);
    let distance = distance.expect("there is a next prime number");
    // The distance has no factor in common with the number of users, so no user comes twice.
    (0..size).map(|step| (rank * 104_729 + step * distance) % users).collect()
}

const fn greatest_common_divisor(a: usize, b: usize) -> usize {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

/// The name of a group.
pub fn group_name(group: usize) -> String {
    format!("Team {group:04}")
}

/// A user as Okta creates it.
pub fn okta_user(number: usize) -> Value {
    let mut user = user(number);
    user["groups"] = json!([]);
    user["password"] = json!("1mz050nq");
    user
}

/// A user as Entra creates it.
pub fn entra_user(number: usize) -> Value {
    let (given, family) = (format!("Given{number:07}"), format!("Family{number:07}"));
    let user_name = user_name(number);
    json!({
        "schemas": [
            "urn:ietf:params:scim:schemas:core:2.0:User",
            "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
        ],
        "externalId": format!("user{number:07}"),
        "userName": user_name,
        "active": true,
        "displayName": format!("{given} {family}"),
        "emails": [{ "type": "work", "value": user_name, "primary": true }],
        "meta": { "resourceType": "User" },
        "name": { "formatted": format!("{given} {family}"), "familyName": family, "givenName": given },
        "addresses": null,
        "phoneNumbers": null,
        "roles": [],
        "title": "Tour Guide",
        "department": null,
        "manager": null
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn groups_of_the_full_size_have_20_000_to_10_members_and_no_user_twice() {
        let plan = Plan::new(100_000, 1_000);
        let sizes: Vec<usize> = plan.groups.iter().map(Vec::len).collect();
        assert_eq!((sizes.len(), sizes[0], sizes[1], sizes[999]), (1_000, 20_000, 9_328, 10));
        assert!(sizes.is_sorted_by(|larger, smaller| larger >= smaller));
        for group in &plan.groups {
            assert_eq!(group.iter().collect::<BTreeSet<_>>().len(), group.len());
            assert!(group.iter().all(|user| *user < plan.users));
        }
        assert_eq!(plan.leavers.len(), 5_000);
    }

    #[test]
    fn leavers_have_their_share_of_the_memberships() {
        let plan = Plan::new(500, 10);
        let leavers: BTreeSet<usize> = plan.leavers.iter().copied().collect();
        let expected = plan.groups.iter().flatten().filter(|user| leavers.contains(user)).count();
        assert_eq!((plan.leavers.len(), plan.memberships_of_leavers()), (25, expected));
        assert!(expected > 0);
    }
}
