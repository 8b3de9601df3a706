//! Checks the settings of the DynamoDB table.

use std::error::Error;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{PointInTimeRecoveryStatus, TableDescription, TimeToLiveStatus};
use shared::error::chain;

use super::{CheckResult, failed, passed};
use crate::context::Context;

const EMBEDDED: &str = "the table is in the embedded engine of this machine. In AWS, this command also checks its stream, its deletion \
                        protection and its point-in-time recovery, which the engine does not have";

/// Checks the table. If it cannot be described, that is the only result.
pub async fn check(context: &Context) -> Vec<CheckResult> {
    let (client, name) = (context.client(), context.table_name());
    let table = match client.describe_table().table_name(name).send().await {
        Ok(described) => described.table.unwrap_or_else(|| TableDescription::builder().build()),
        Err(error) => {
            return vec![failed(
                format!("table {name} cannot be described: {}", chain(&error)),
                "Check that --table is the stack's output TableName, and that your AWS credentials and region are the stack's.",
            )];
        }
    };
    if context.is_embedded() {
        return vec![
            passed(format!("table {name} exists")),
            check_time_to_live(client, name).await,
            CheckResult::Noted(EMBEDDED.to_owned()),
        ];
    }
    let has_stream = table.stream_specification.is_some_and(|stream| stream.stream_enabled);
    let stream = match has_stream {
        true => passed("the table has a stream"),
        false => failed("the table has no stream", redeploy("StreamSpecification")),
    };
    let protection = match table.deletion_protection_enabled {
        Some(true) => passed("the table has deletion protection"),
        _ => failed("the table has no deletion protection", redeploy("DeletionProtectionEnabled")),
    };
    vec![
        passed(format!("table {name} exists")),
        stream,
        protection,
        check_time_to_live(client, name).await,
        check_recovery(client, name).await,
    ]
}

async fn check_time_to_live(client: &Client, name: &str) -> CheckResult {
    let described = match client.describe_time_to_live().table_name(name).send().await {
        Ok(described) => described.time_to_live_description,
        Err(error) => return unreadable("the table's TTL", "DescribeTimeToLive", &error),
    };
    let is_enabled = described.is_some_and(|ttl| {
        ttl.attribute_name.as_deref() == Some("expires")
            && ttl.time_to_live_status == Some(TimeToLiveStatus::Enabled)
    });
    match is_enabled {
        true => passed("the table deletes expired items"),
        false => failed(
            "the table keeps expired items, such as audit records and counts of wrong passwords",
            redeploy("TimeToLiveSpecification"),
        ),
    }
}

async fn check_recovery(client: &Client, name: &str) -> CheckResult {
    let described = match client.describe_continuous_backups().table_name(name).send().await {
        Ok(described) => described.continuous_backups_description,
        Err(error) => {
            return unreadable("the table's point-in-time recovery", "DescribeContinuousBackups", &error);
        }
    };
    let recovery = described.and_then(|backups| backups.point_in_time_recovery_description);
    let status = recovery.and_then(|recovery| recovery.point_in_time_recovery_status);
    match status == Some(PointInTimeRecoveryStatus::Enabled) {
        true => passed("the table has point-in-time recovery"),
        false => {
            failed("the table has no point-in-time recovery", redeploy("PointInTimeRecoverySpecification"))
        }
    }
}

fn redeploy(setting: &str) -> String {
    format!("Deploy the stack again: template.yaml sets {setting}.")
}

fn unreadable(subject: &str, operation: &str, error: &(dyn Error + 'static)) -> CheckResult {
    failed(
        format!("{subject} cannot be read: {}", chain(error)),
        format!("Check that your AWS credentials allow {operation} on the table."),
    )
}
