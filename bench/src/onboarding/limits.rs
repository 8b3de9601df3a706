//! The limits that identity providers publish for their own clients, as read on 30 November 2026.

use std::time::Duration;

use super::plan::Plan;

/// Okta ends a request after this time without an answer ("SCIM technical questions").
pub const OKTA_TIMEOUT: Duration = Duration::from_secs(60);
/// The shortest interval of Okta's scheduled imports ("SCIM technical questions").
pub const OKTA_IMPORT_INTERVAL: Duration = Duration::from_secs(3_600);
/// Entra asks that an application serve this many requests a second for each tenant ("Develop and plan provisioning for a SCIM
/// endpoint").
pub const ENTRA_REQUESTS_A_SECOND: f64 = 25.0;
/// The time between Entra's incremental cycles.
pub const ENTRA_CYCLE: Duration = Duration::from_secs(40 * 60);
/// Entra's "Discover identities" takes at least this long ("Discover identities in target applications").
pub const ENTRA_DISCOVERY: Duration = Duration::from_secs(30 * 60);
/// The requests a second of the parameter `RateLimit` in `template.yaml`, above which API Gateway answers 429.
pub const STACK_RATE_LIMIT: usize = 500;
/// The write units a second that a new on-demand table serves at once ("DynamoDB throughput capacity" in the developer guide).
pub const NEW_TABLE_WRITE_UNITS: f64 = 4_000.0;

/// How long Entra's initial cycle takes: at least 0.01 and at most 0.08 minutes for each assigned user, group and group member
/// ("Check the status of user provisioning").
pub fn entra_initial_cycle(plan: &Plan) -> [Duration; 2] {
    let objects = plan.users + plan.groups.len() + plan.memberships();
    [0.01, 0.08].map(|minutes| Duration::from_secs_f64(objects as f64 * minutes * 60.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn initial_cycle_of_entra_follows_from_the_number_of_objects() {
        let plan = Plan::new(100_000, 1_000);
        assert_eq!(plan.memberships(), 111_341);
        // 212,341 objects.
        let minutes = entra_initial_cycle(&plan).map(|time| (time.as_secs_f64() / 60.0).round());
        assert_eq!(minutes, [2_123.0, 16_987.0]);
    }

    #[test]
    fn rate_limit_is_that_of_the_template() {
        let template = concat!(env!("CARGO_MANIFEST_DIR"), "/../template.yaml");
        let template = std::fs::read_to_string(template).expect("the template");
        let parameter = format!("  RateLimit:\n    Type: Number\n    Default: {STACK_RATE_LIMIT}\n");
        assert!(template.contains(&parameter), "{parameter}");
    }
}
