//! Checks of a deployment of the functions over HTTP, as clients call it: with `make sam-local` on this machine, and with
//! `make aws-check` in AWS. They create connectors in its table, whose names begin with `t`.

use directory::Table;
use directory::connectors::Connectors;
use directory::secrets::credential_of_chosen;
use jiff::Timestamp;
use shared::credential::CredentialKind;
use tokio::time::Instant;

use crate::client::{Client, SCIM_JSON};
use crate::fixture::conversations;
use crate::service::{TIME_LIMIT, TestConnector, actor, create_connector};

/// How many checks of a chosen password fail in two quarters of an hour before an address gets 429. A quarter may end while
/// the requests are sent.
const FAILURES_IN_TWO_QUARTERS: u8 = 20;

/// A deployment: its URL, and the table of its functions.
pub struct Deployment {
    base_url: String,
    table: Table,
}

impl Deployment {
    /// The deployment with this URL, which has no path, and this table.
    pub fn new(base_url: &str, table: Table) -> Self {
        Self { base_url: base_url.trim_end_matches('/').to_owned(), table }
    }

    /// Replays every conversation of Okta, each with a new connector. Returns how many there are.
    ///
    /// # Errors
    /// The steps with other answers than expected.
    pub async fn check_okta_conversations(&self) -> Result<usize, String> {
        let conversations = conversations("okta");
        let mut failures = Vec::new();
        for conversation in &conversations {
            let client = self.client(&self.connector().await);
            if let Err(failure) = conversation.replay(&client).await {
                failures.push(failure);
            }
        }
        if failures.is_empty() { Ok(conversations.len()) } else { Err(failures.join("\n\n")) }
    }

    /// Sends wrong passwords, each with another address in X-Forwarded-For. The functions must count them for the one address
    /// that sends them, and so answer 429. Returns how many checks failed before that.
    ///
    /// # Errors
    /// A sentence if the functions count the addresses of the header, or answer with other statuses.
    pub async fn check_forged_addresses(&self) -> Result<u8, String> {
        let connector = self.connector().await;
        let kind = CredentialKind::Basic { username: "okta".to_owned() };
        let chosen = credential_of_chosen(kind, "correct horse battery staple", Timestamp::now());
        let chosen = chosen.expect("the password is valid");
        let replaced = self.connectors().replace_credentials(&connector.id, &[chosen]).await;
        replaced.expect("DynamoDB answers");
        let mut client = self.client(&connector);
        "wrong".clone_into(&mut client.password);
        for failures in 0..=FAILURES_IN_TWO_QUARTERS {
            let forged = format!("203.0.113.{failures}");
            let headers = [("accept", SCIM_JSON), ("x-forwarded-for", forged.as_str())];
            match client.send("GET", "/Users", &headers, "").await.status {
                401 => {}
                429 if failures > 0 => return Ok(failures),
                status => return Err(format!("wrong password {} got {status}", failures + 1)),
            }
        }
        Err("every address in X-Forwarded-For has its own limit of wrong passwords".to_owned())
    }

    /// Creates a connector with a random name.
    async fn connector(&self) -> TestConnector {
        create_connector(&self.connectors()).await
    }

    fn client(&self, connector: &TestConnector) -> Client {
        connector.deployed(&self.base_url)
    }

    fn connectors(&self) -> Connectors {
        Connectors::new(self.table.until(Instant::now() + TIME_LIMIT), actor(), Timestamp::now())
    }
}
