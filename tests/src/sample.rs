//! The directory that tests of the command line list and export: an active user in nested groups, and a
//! deactivated user.

use serde_json::json;

use crate::client::Client;
use crate::provisioning::{USER, create_group, create_user, set_active_body};
use crate::service::{TestConnector, service};

/// The user `Ann@example.com` in the group `Sales, EMEA`, which is in the group `Everybody`. The user `bob`
/// is deactivated.
pub struct SampleDirectory {
    /// The connector, on the shared service.
    pub connector: TestConnector,
    /// A client of the connector.
    pub client: Client,
    /// The id of `Ann@example.com`.
    pub ann: String,
}

impl SampleDirectory {
    /// Creates the users and the groups over SCIM, for a new connector.
    ///
    /// # Panics
    /// When a request is refused.
    pub async fn create() -> Self {
        let connector = service().connector().await;
        let client = connector.local(service());
        let ann = json!({
            "schemas": [USER], "userName": "Ann@example.com", "name": { "givenName": "Ann", "familyName": "Ash" },
            "emails": [{ "value": "ann@work.example", "primary": true }]
        });
        let created = client.post("/Users", &ann).await;
        assert_eq!(created.status, 201, "{created:?}");
        let ann = created.json()["id"].as_str().expect("a created user has an id").to_owned();
        let bob = create_user(&client, "bob").await;
        let deactivated = client.patch(&format!("/Users/{bob}"), &set_active_body(false)).await;
        assert_eq!(deactivated.status, 200, "{deactivated:?}");
        let inner = create_group(&client, "Sales, EMEA", std::slice::from_ref(&ann)).await;
        create_group(&client, "Everybody", &[inner]).await;
        Self { connector, client, ann }
    }
}
