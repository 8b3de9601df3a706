//! `scimctl connector sign-ins`: the requests with wrong credentials, by day and address.

use directory::connectors::failed_sign_ins::FailedSignInCount;
use jiff::Timestamp;

use crate::context::Context;
use crate::failure::Failure;
use crate::output::{format_number, print_json};
use crate::table::{Table, print_total};
use crate::time::DateOrTime;

/// What the table shows for all addresses that are not counted one by one.
const OTHERS: &str = "other addresses";

/// Lists the failed sign-ins, the newest day first.
pub async fn list(
    context: &Context,
    id: &str,
    since: Option<DateOrTime>,
    is_json: bool,
) -> Result<(), Failure> {
    let connector = context.connector_or_deleting(id).await?;
    let since = since.map_or(Timestamp::UNIX_EPOCH, DateOrTime::first);
    let counts = context.table().failed_sign_ins(&connector.id).counts(since, context.now).await?;
    if is_json {
        return counts.iter().try_for_each(print_json);
    }
    let total = counts.len();
    let row = |FailedSignInCount { day, address, count }: FailedSignInCount| {
        let count = format_number(usize::try_from(count).unwrap_or(usize::MAX));
        vec![day, address.unwrap_or_else(|| OTHERS.to_owned()), count]
    };
    Table::new(["DAY (UTC)", "ADDRESS", "FAILED SIGN-INS"]).print(counts.into_iter().map(row).collect())?;
    print_total(total, 0, "line", "lines")
}
