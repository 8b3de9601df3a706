//! A simulated identity provider as a client: how many requests it sends at once, and what it does after a 429.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use futures_util::stream::{self, StreamExt as _};
use http::header::{ACCEPT, ACCEPT_CHARSET, ACCEPT_ENCODING, CONTENT_TYPE, HeaderName};
use http::{HeaderMap, HeaderValue, Method};
use serde_json::Value;
use service::Service;
use tokio::time::Instant;

use super::requests::{Requests, plain_body};

/// The resources of a page that Okta's import asks for.
const PAGE_SIZE: usize = 100;
/// The most attempts of one request. Okta gives up after ten.
const ATTEMPTS: u32 = 10;

/// The simulated identity provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Provider {
    /// Okta, as an application of its catalogue.
    Okta,
    /// Microsoft Entra ID.
    Entra,
}

impl Provider {
    /// The name for readers.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Okta => "Okta",
            Self::Entra => "Entra",
        }
    }

    /// The id of its connector.
    pub const fn connector(self) -> &'static str {
        match self {
            Self::Okta => "okta",
            Self::Entra => "entra",
        }
    }

    /// The most requests that it sends at once. Neither publishes this number. Okta: "Even large bulk loads rarely require more
    /// than 10 simultaneous transactions" ("Additional rate limits"). Entra wants 25 requests a second to be served, which are
    /// 25 at once if each takes a second.
    pub const fn concurrency(self) -> usize {
        match self {
            Self::Okta => 10,
            Self::Entra => 25,
        }
    }

    /// How long it waits after this attempt, counted from 1, got a 429 with this Retry-After. `None` when it gives up.
    pub fn pause(self, retry_after: Option<&str>, attempt: u32) -> Option<Duration> {
        if attempt >= ATTEMPTS {
            return None;
        }
        match (self, retry_after.and_then(|seconds| seconds.parse().ok())) {
            (_, Some(seconds)) => Some(Duration::from_secs(seconds)),
            // It waits five minutes, then twice as long each time.
            (Self::Okta, None) => Some(Duration::from_secs(300 << (attempt - 1))),
            // The change counts as failed until a later cycle.
            (Self::Entra, None) => None,
        }
    }

    fn headers(self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let mut set = |name: HeaderName, value| headers.insert(name, HeaderValue::from_static(value));
        set(ACCEPT, "application/scim+json");
        set(CONTENT_TYPE, "application/scim+json; charset=utf-8");
        if self == Self::Okta {
            set(ACCEPT_CHARSET, "utf-8");
            set(ACCEPT_ENCODING, "gzip,deflate");
        }
        headers
    }
}

/// The client.
pub struct Client {
    provider: Provider,
    requests: Requests,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Entra sends nothing until then.
    paused_until: Option<Instant>,
    waits: Waits,
}

/// The pages of a list.
#[derive(Clone, Copy, Debug, Default)]
pub struct Listed {
    /// All pages.
    pub pages: usize,
    /// The pages that were shorter than the page size although more followed.
    pub short_pages: usize,
}

/// What a client waited for in a phase, and the largest response that it got.
#[derive(Clone, Copy, Debug, Default)]
pub struct Waits {
    /// How often it waited after a 429.
    pub pauses: usize,
    /// The longest of these pauses.
    pub longest_pause: Duration,
    /// The size of the largest response without compression, in bytes.
    pub largest_response: usize,
}

impl Client {
    /// Creates the client of a connector.
    pub fn new(service: &Arc<Service>, provider: Provider, authorization: &str) -> Self {
        let base = format!("/{}/scim/v2", provider.connector());
        let requests = Requests::new(service, &base, authorization, provider.headers());
        Self { provider, requests, state: Mutex::default() }
    }

    /// Returns what it waited since the last call.
    pub fn take_waits(&self) -> Waits {
        std::mem::take(&mut self.state().waits)
    }

    /// Sends a GET and returns the body.
    ///
    /// # Panics
    /// When the last response is not 200.
    pub async fn get(&self, target: &str) -> Value {
        self.send(Method::GET, target, None, &[200]).await
    }

    /// Creates a resource and returns its id.
    ///
    /// # Panics
    /// When the last response is not 201 with an id.
    pub async fn create(&self, target: &str, body: &Value) -> String {
        let created = self.send(Method::POST, target, Some(body), &[201]).await;
        created["id"].as_str().expect("an id").to_owned()
    }

    /// Changes a resource.
    ///
    /// # Panics
    /// When the last response is not 200 or 204.
    pub async fn patch(&self, target: &str, body: &Value) {
        self.send(Method::PATCH, target, Some(body), &[200, 204]).await;
    }

    /// Deletes a resource.
    ///
    /// # Panics
    /// When the last response is not 204.
    pub async fn delete(&self, target: &str) {
        self.send(Method::DELETE, target, None, &[204]).await;
    }

    /// Reads a list to its end, page after page, and visits each resource. Returns how many pages it read, and how many of them
    /// were shorter than the page size although more followed.
    ///
    /// # Panics
    /// When a response is not 200.
    pub async fn list(&self, target: &str, mut visit: impl FnMut(&Value)) -> Listed {
        let mut listed = Listed::default();
        let mut start = 1;
        let separator = if target.contains('?') { '&' } else { '?' };
        loop {
            let page = self.get(&format!("{target}{separator}startIndex={start}&count={PAGE_SIZE}")).await;
            let resources = page["Resources"].as_array().map(Vec::as_slice).unwrap_or_default();
            resources.iter().for_each(&mut visit);
            listed.pages += 1;
            start += resources.len();
            if resources.is_empty() || start as u64 > page["totalResults"].as_u64().expect("a number") {
                return listed;
            }
            listed.short_pages += usize::from(resources.len() < PAGE_SIZE);
        }
    }

    /// Runs these tasks, as many at once as the identity provider sends requests. Returns the results in the order of the tasks.
    ///
    /// # Panics
    /// When a task does.
    pub async fn all<T, F>(&self, tasks: impl Iterator<Item = F>) -> Vec<T>
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        let numbered =
            tasks.enumerate().map(|(number, task)| tokio::spawn(async move { (number, task.await) }));
        let results = stream::iter(numbered).buffer_unordered(self.provider.concurrency());
        let mut results: Vec<(usize, T)> =
            results.map(|result| result.expect("no task panics")).collect().await;
        results.sort_unstable_by_key(|(number, _)| *number);
        results.into_iter().map(|(_, result)| result).collect()
    }

    async fn send(&self, method: Method, target: &str, body: Option<&Value>, expected: &[u16]) -> Value {
        let mut attempt = 0;
        loop {
            attempt += 1;
            let paused_until = self.state().paused_until;
            if let Some(paused_until) = paused_until {
                tokio::time::sleep_until(paused_until).await;
            }
            let response = self.requests.send(method.clone(), target, body).await;
            let status = response.status().as_u16();
            if status == 429 {
                let retry_after = response.headers().get("retry-after").and_then(|value| value.to_str().ok());
                let pause = self.provider.pause(retry_after, attempt);
                self.wait(pause.unwrap_or_else(|| panic!("{method} {target}: 429, attempt {attempt}"))).await;
                continue;
            }
            let body = plain_body(&response);
            let text = || String::from_utf8_lossy(body.get(..500).unwrap_or(&body)).into_owned();
            assert!(expected.contains(&status), "{method} {target} returned {status}: {}", text());
            self.note_response(body.len());
            return if body.is_empty() { Value::Null } else { serde_json::from_slice(&body).expect("JSON") };
        }
    }

    fn note_response(&self, bytes: usize) {
        let mut state = self.state();
        state.waits.largest_response = state.waits.largest_response.max(bytes);
    }

    async fn wait(&self, pause: Duration) {
        {
            let mut state = self.state();
            state.waits.pauses += 1;
            state.waits.longest_pause = pause.max(state.waits.longest_pause);
            if self.provider == Provider::Entra {
                // Entra pauses all requests of the connector.
                state.paused_until = state.paused_until.max(Some(Instant::now() + pause));
                return;
            }
        }
        tokio::time::sleep(pause).await;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no thread panicked with the lock")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_obey_whole_seconds_and_okta_doubles_five_minutes_without_them() {
        let seconds = |provider: Provider, retry_after, attempt| {
            provider.pause(retry_after, attempt).map(|pause| pause.as_secs())
        };
        for (provider, retry_after, attempt, expected) in [
            (Provider::Okta, Some("2"), 1, Some(2)),
            (Provider::Okta, Some("1.5"), 1, Some(300)),
            (Provider::Okta, None, 1, Some(300)),
            (Provider::Okta, None, 3, Some(1_200)),
            (Provider::Okta, None, 10, None),
            (Provider::Entra, Some("2"), 9, Some(2)),
            (Provider::Entra, None, 1, None),
        ] {
            assert_eq!(
                seconds(provider, retry_after, attempt),
                expected,
                "{provider:?} {retry_after:?} {attempt}"
            );
        }
    }
}
