//! The role of a user in Ranger Admin, which decides what the user can do there. It is not one of Ranger's roles that policies name.
//!
//! A role of the directory with the name of one of these roles gives it to its users; everyone else has [`DEFAULT`]. Administrators'
//! roles are neither given nor taken.

use super::accounts::Account;

/// The role of users who administer nothing.
pub const DEFAULT: &str = "ROLE_USER";
/// The roles that this command gives and takes: auditors read everything, and change nothing.
const AUDITORS: [&str; 2] = ["ROLE_ADMIN_AUDITOR", "ROLE_KEY_ADMIN_AUDITOR"];
/// The roles of administrators.
const ADMINISTRATORS: [&str; 2] = ["ROLE_SYS_ADMIN", "ROLE_KEY_ADMIN"];

/// Finds the role that a user gets; `None` if it has the right one. The error says why the role stays as it is.
pub fn change(directory_roles: &[String], account: Option<&Account>) -> Result<Option<&'static str>, String> {
    let has = |roles: &[String], role: &str| roles.iter().any(|one| one == role);
    let present = account.map_or(&[][..], |account| account.roles.as_slice());
    if let Some(role) = ADMINISTRATORS.iter().find(|role| has(present, role)) {
        return Err(format!("the user has {role} in Ranger, which is never taken"));
    }
    if let Some(role) = ADMINISTRATORS.iter().find(|role| has(directory_roles, role)) {
        return Err(format!("{role} is never given"));
    }
    let wanted = AUDITORS.into_iter().find(|role| has(directory_roles, role)).unwrap_or(DEFAULT);
    let is_right = has(present, wanted) || (present.is_empty() && wanted == DEFAULT);
    Ok((!is_right).then_some(wanted))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn auditors_roles_are_given_and_taken_and_administrators_roles_never() {
        let account = |role: &str| Account { roles: vec![role.to_owned()], ..Account::default() };
        for (of_directory, in_ranger, expected) in [
            (&[][..], None, Ok(None)),
            (&["approver"], None, Ok(None)),
            (&["ROLE_ADMIN_AUDITOR"], None, Ok(Some("ROLE_ADMIN_AUDITOR"))),
            (&["ROLE_ADMIN_AUDITOR"], Some("ROLE_USER"), Ok(Some("ROLE_ADMIN_AUDITOR"))),
            (&["ROLE_ADMIN_AUDITOR"], Some("ROLE_ADMIN_AUDITOR"), Ok(None)),
            (&[], Some("ROLE_KEY_ADMIN_AUDITOR"), Ok(Some("ROLE_USER"))),
            (&["ROLE_SYS_ADMIN"], Some("ROLE_USER"), Err("ROLE_SYS_ADMIN is never given")),
            (&[], Some("ROLE_SYS_ADMIN"), Err("the user has ROLE_SYS_ADMIN in Ranger, which is never taken")),
        ] {
            let of_directory: Vec<String> = of_directory.iter().map(|role| (*role).to_owned()).collect();
            let account = in_ranger.map(account);
            let expected = expected.map_err(str::to_owned);
            assert_eq!(change(&of_directory, account.as_ref()), expected, "{of_directory:?} {in_ranger:?}");
        }
    }
}
