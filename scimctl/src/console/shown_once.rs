//! New secrets, until the page that shows each of them has done so once.

use std::sync::{Mutex, PoisonError};

use directory::secrets::generate_secret;

use crate::connector::new_credential::NewCredential;
use crate::failure::Failure;

/// The most secrets that wait for their page. A page that is never loaded does not keep its secret longer than this.
const MAX_WAITING: usize = 20;

/// A new secret.
pub struct NewSecret {
    /// The connector that it is for.
    pub connector: String,
    /// The credential with its secret.
    pub new: NewCredential,
}

/// The secrets by the random ids of their pages. A form redirects to such a page, so that loading it again neither shows the
/// secret again nor makes another one.
#[derive(Default)]
pub struct ShownOnce(Mutex<Vec<(String, NewSecret)>>);

impl ShownOnce {
    /// Keeps a secret, and returns the id of its page.
    pub fn keep(&self, secret: NewSecret) -> Result<String, Failure> {
        let id = generate_secret()?;
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() >= MAX_WAITING {
            waiting.remove(0);
        }
        waiting.push((id.clone(), secret));
        Ok(id)
    }

    /// Takes the secret of a page of this connector. `None` after the first time.
    pub fn take(&self, connector: &str, id: &str) -> Option<NewSecret> {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let position =
            waiting.iter().position(|(known, secret)| known == id && secret.connector == connector)?;
        Some(waiting.remove(position).1)
    }
}
