//! Settings from environment variables. An empty variable counts as one that is not set.

/// The table name that is used when `TABLE_NAME` is not set.
pub const DEFAULT_TABLE: &str = "rollcall";

/// The value of an environment variable; `None` if it is not set, is empty, or is not text.
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The name of the table (`TABLE_NAME`).
pub fn table_name() -> String {
    variable("TABLE_NAME").unwrap_or_else(|| DEFAULT_TABLE.to_owned())
}

/// The URL at which clients reach the service (`PUBLIC_URL`), without a slash at its end.
pub fn public_url() -> Option<String> {
    Some(variable("PUBLIC_URL")?.trim_end_matches('/').to_owned())
}

/// The secret that a proxy sends with every request (`ORIGIN_SECRET`): one value, or several separated by commas.
pub fn origin_secret() -> Option<String> {
    variable("ORIGIN_SECRET")
}

/// Whether the events of feeds may be sent to private and loopback addresses (`ALLOW_PRIVATE_TARGETS` is `true`).
pub fn allows_private_targets() -> bool {
    variable("ALLOW_PRIVATE_TARGETS").is_some_and(|value| value == "true")
}

/// The stack that the metrics name if `METRICS` is not set.
const DEFAULT_STACK: &str = "rollcall";

/// The name of the stack in the metrics (`METRICS`); `None` if it is `off`, and no metrics are wanted.
pub fn metrics() -> Option<String> {
    let stack = variable("METRICS").unwrap_or_else(|| DEFAULT_STACK.to_owned());
    (stack != "off").then_some(stack)
}

/// The URL of a DynamoDB to use instead of AWS's (`DYNAMODB_ENDPOINT`).
pub fn dynamodb_endpoint() -> Option<String> {
    variable("DYNAMODB_ENDPOINT")
}
