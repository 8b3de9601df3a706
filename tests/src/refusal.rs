//! Requests that must be refused: the expected status, `scimType` and `detail` (RFC 7644 §3.12). They must
//! change nothing.

use serde_json::json;

use crate::client::{Client, Reply, SCIM_JSON};
use crate::service::{Service, TestConnector};
use crate::table::read_items;

/// The schema of an error body (RFC 7644 §3.12).
pub const ERROR: &str = "urn:ietf:params:scim:api:messages:2.0:Error";

/// A request that must be refused, and the expected error.
#[derive(Clone, Debug)]
pub struct Refusal<'t> {
    /// The method.
    pub method: &'t str,
    /// The target, without the base URL.
    pub target: String,
    /// The body, as it is sent.
    pub body: String,
    /// The expected status.
    pub status: u16,
    /// The expected `scimType`, or an empty string for none.
    pub scim_type: &'t str,
    /// The expected `detail`, in full.
    pub detail: String,
}

/// The status, `scimType` and `detail` of an error.
///
/// # Panics
/// When the body is not an error body as RFC 7644 §3.12 defines it.
pub fn error_of(reply: &Reply) -> (u16, Option<String>, String) {
    let body = reply.json();
    assert_eq!(body["schemas"], json!([ERROR]), "{body}");
    assert_eq!(body["status"], reply.status.to_string(), "the body names the status of the response");
    let text = |name: &str| body[name].as_str().map(str::to_owned);
    (reply.status, text("scimType"), text("detail").expect("an error has a detail"))
}

/// The result that [`error_of`] must have. An empty `scim_type` means that the error has none.
pub fn expected_error(status: u16, scim_type: &str, detail: &str) -> (u16, Option<String>, String) {
    (status, (!scim_type.is_empty()).then(|| scim_type.to_owned()), detail.to_owned())
}

/// Sends requests that must be refused, and compares every part of each error. No item may change.
///
/// # Panics
/// When an answer differs, or a refused request changed an item.
pub async fn assert_refused(
    service: &Service,
    connector: &TestConnector,
    client: &Client,
    cases: &[Refusal<'_>],
) {
    assert!(!cases.is_empty(), "there are cases");
    let before = read_items(service, &connector.id).await;
    for case in cases {
        let headers = [("content-type", SCIM_JSON)];
        let reply = client.send(case.method, &case.target, &headers, case.body.clone()).await;
        let expected = expected_error(case.status, case.scim_type, &case.detail);
        let shown: String = case.body.chars().take(300).collect();
        assert_eq!(error_of(&reply), expected, "{} {} {shown}", case.method, case.target);
        assert_eq!(reply.header("content-type"), Some(SCIM_JSON), "{} {}", case.method, case.target);
    }
    assert_eq!(read_items(service, &connector.id).await, before, "a refused request changes nothing");
}
