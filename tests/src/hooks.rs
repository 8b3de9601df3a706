//! Hooks of the proxy before DynamoDB: what happens at the n-th request that a predicate selects.
//!
//! A hook can hold the request or its answer until a test releases it, let the request fail or get lost, or
//! run an action, such as a change by another client or the end of a process. [`FaultyDynamoDb::at_call`]
//! sets one:
//!
//! ```no_run
//! # async fn example(faulty: &tests::faults::FaultyDynamoDb) {
//! use tests::hooks::Action;
//! let hook = faulty.at_call(0, |call| call.operation == "TransactWriteItems", Action::HoldAnswer);
//! // Start a request that writes, then:
//! hook.reached().await;
//! // The transaction is applied, and its client still waits.
//! hook.release();
//! # }
//! ```
//!
//! [`FaultyDynamoDb::at_call`]: crate::faults::FaultyDynamoDb::at_call

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use futures_util::future::BoxFuture;
use tokio::sync::watch;

use crate::call::Call;
use crate::faults::Fault;
use crate::layout::Key;

/// Selects the items of a transaction that become visible last.
pub type IsLate = Box<dyn Fn(&Key) -> bool + Send + Sync>;

/// What a hook does.
pub enum Action {
    /// The request fails, or it or its answer gets lost.
    Fail(Fault),
    /// The request waits before it reaches DynamoDB, until the hook is released.
    HoldRequest,
    /// DynamoDB processes the request. The answer waits until the hook is released.
    HoldAnswer,
    /// The transaction is applied, and its answer waits until the hook is released. Until then, Query,
    /// BatchGetItem and Scan show the earlier versions of the late items (see [`torn`](crate::torn)).
    Tear(IsLate),
    /// This runs before the request reaches DynamoDB. The request waits for it.
    Run(BoxFuture<'static, ()>),
}

impl Action {
    /// An action that runs this future before the request reaches DynamoDB.
    pub fn run(action: impl Future<Output = ()> + Send + 'static) -> Self {
        Self::Run(Box::pin(action))
    }

    /// An action that makes these items of a transaction visible after the others.
    pub fn tear(is_late: impl Fn(&Key) -> bool + Send + Sync + 'static) -> Self {
        Self::Tear(Box::new(is_late))
    }
}

impl fmt::Debug for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fail(fault) => write!(f, "Fail({fault:?})"),
            Self::HoldRequest => f.write_str("HoldRequest"),
            Self::HoldAnswer => f.write_str("HoldAnswer"),
            Self::Tear(_) => f.write_str("Tear"),
            Self::Run(_) => f.write_str("Run"),
        }
    }
}

/// A hook that was set. A request that it holds goes on when the hook is released or dropped.
#[derive(Debug)]
#[must_use = "a dropped hook does not hold requests"]
pub struct Hook(Arc<Progress>);

impl Hook {
    /// Waits until the request arrived. A held answer is complete, so DynamoDB has processed the request.
    ///
    /// # Panics
    /// When the hook was removed before the request arrived.
    pub async fn reached(&self) {
        let mut reached = self.0.reached.subscribe();
        reached.wait_for(|is_reached| *is_reached).await.expect("the hook is not dropped");
    }

    /// Whether the request arrived.
    pub fn was_reached(&self) -> bool {
        *self.0.reached.borrow()
    }

    /// Lets the held request go on.
    pub fn release(&self) {
        self.0.release();
    }

    /// The number of requests that the predicate selected since the hook was set.
    pub fn calls(&self) -> usize {
        self.0.calls.load(Ordering::SeqCst)
    }
}

impl Drop for Hook {
    fn drop(&mut self) {
        self.release();
    }
}

/// How far a hook is.
#[derive(Debug)]
pub(crate) struct Progress {
    calls: AtomicUsize,
    reached: watch::Sender<bool>,
    released: watch::Sender<bool>,
}

impl Progress {
    fn new() -> Self {
        let (reached, _) = watch::channel(false);
        let (released, _) = watch::channel(false);
        Self { calls: AtomicUsize::new(0), reached, released }
    }

    /// Tells the test that the request arrived.
    pub(crate) fn reach(&self) {
        self.reached.send_replace(true);
    }

    fn release(&self) {
        self.released.send_replace(true);
    }

    /// Waits until the test releases the hook.
    pub(crate) async fn released(&self) {
        let mut released = self.released.subscribe();
        // The sender is in `self`, so it is not dropped while this waits.
        let _ = released.wait_for(|is_released| *is_released).await;
    }
}

struct Armed {
    selects: Box<dyn Fn(&Call) -> bool + Send + Sync>,
    position: usize,
    action: Option<Action>,
    progress: Arc<Progress>,
}

/// The hooks of a proxy.
#[derive(Default)]
pub(crate) struct Hooks(Mutex<Vec<Armed>>);

impl Hooks {
    fn lock(&self) -> MutexGuard<'_, Vec<Armed>> {
        self.0.lock().expect("no thread panicked with the lock")
    }

    /// Sets a hook for the request at this position among those that the predicate selects, counted from 0.
    pub(crate) fn set(
        &self,
        position: usize,
        selects: impl Fn(&Call) -> bool + Send + Sync + 'static,
        action: Action,
    ) -> Hook {
        let progress = Arc::new(Progress::new());
        let hook = Hook(Arc::clone(&progress));
        self.lock().push(Armed { selects: Box::new(selects), position, action: Some(action), progress });
        hook
    }

    /// Counts a request. Returns what happens to it: the action of the first hook that is due.
    pub(crate) fn meet(&self, call: &Call) -> Option<(Action, Arc<Progress>)> {
        let mut met = None;
        for hook in self.lock().iter_mut().filter(|hook| (hook.selects)(call)) {
            let position = hook.progress.calls.fetch_add(1, Ordering::SeqCst);
            // Two hooks can be due at the same request. The second one meets the next request.
            if met.is_none() && position >= hook.position {
                met = hook.action.take().map(|action| (action, Arc::clone(&hook.progress)));
            }
        }
        met
    }

    /// Removes all hooks and lets held requests go on.
    pub(crate) fn clear(&self) {
        for hook in self.lock().drain(..) {
            hook.progress.release();
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn call(operation: &str) -> Call {
        Call { operation: operation.to_owned(), body: json!({}) }
    }

    #[test]
    fn hook_acts_once_at_its_position_among_the_selected_calls() {
        let hooks = Hooks::default();
        let hook = hooks.set(1, |call| call.operation == "Query", Action::Fail(Fault::Throttled));
        let met: Vec<bool> = ["Query", "GetItem", "Query", "Query"]
            .into_iter()
            .map(|operation| hooks.meet(&call(operation)).is_some())
            .collect();
        assert_eq!(met, [false, false, true, false]);
        assert_eq!(hook.calls(), 3);
    }

    #[test]
    fn second_hook_for_the_same_call_acts_at_the_next_one() {
        let hooks = Hooks::default();
        let _first = hooks.set(0, |_| true, Action::HoldRequest);
        let _second = hooks.set(0, |_| true, Action::Fail(Fault::Throttled));
        assert!(matches!(hooks.meet(&call("Query")), Some((Action::HoldRequest, _))));
        assert!(matches!(hooks.meet(&call("Query")), Some((Action::Fail(_), _))));
        assert!(hooks.meet(&call("Query")).is_none());
    }

    #[tokio::test]
    async fn held_request_goes_on_after_a_release_a_drop_or_a_clear() {
        let hooks = Hooks::default();
        // Each end returns the hook if it still exists, so that only the second one drops it.
        let ends: [fn(&Hooks, Hook) -> Option<Hook>; 3] = [
            |_, hook| {
                hook.release();
                Some(hook)
            },
            |_, _dropped| None,
            |hooks, hook| {
                hooks.clear();
                Some(hook)
            },
        ];
        for end in ends {
            let hook = hooks.set(0, |_| true, Action::HoldRequest);
            let (_, progress) = hooks.meet(&call("Query")).unwrap();
            assert!(!hook.was_reached());
            progress.reach();
            hook.reached().await;
            assert!(!*progress.released.borrow());
            let _kept = end(&hooks, hook);
            progress.released().await;
        }
    }
}
