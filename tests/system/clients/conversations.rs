//! The requests of real identity providers get the answers that they need, from the local server and from the
//! functions. The conversations are in `tests/fixtures/clients`.

use directory::settings::Settings;
use tests::fixture::{clients, conversations};
use tests::service::service;

/// Replays every conversation of a client, each with a new connector, on the functions or on the local
/// server.
async fn replay_all(client: &str, on_functions: bool) {
    let service = service();
    let mut failures = Vec::new();
    for conversation in conversations(client) {
        let connector = service.connector().await;
        if conversation.settings != Settings::default() {
            service.change_settings(&connector.id, |_| conversation.settings.clone()).await;
        }
        let client = if on_functions { connector.functions(service) } else { connector.local(service) };
        if let Err(failure) = conversation.replay(&client).await {
            failures.push(failure);
        }
    }
    assert!(failures.is_empty(), "{} conversations went wrong\n\n{}", failures.len(), failures.join("\n\n"));
}

macro_rules! conversations {
    ($($name:ident),*) => {
        $(mod $name {
            #[tokio::test]
            async fn is_served_by_the_local_server() {
                super::replay_all(stringify!($name), false).await;
            }

            #[tokio::test]
            async fn is_served_by_the_functions() {
                super::replay_all(stringify!($name), true).await;
            }
        })*

        #[test]
        fn every_client_folder_is_replayed() {
            let mut named = vec![$(stringify!($name).to_owned()),*];
            named.sort();
            assert_eq!(clients(), named);
        }
    };
}

conversations!(entra, google, jumpcloud, okta, onelogin, others, pingone, reported, sailpoint, strict);
