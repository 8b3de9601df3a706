//! Checks that each request without a definite answer did everything or nothing.

use std::fmt::Debug;
use std::hash::Hash;

use super::history::Kind;
use super::linear::{Effect, Step, Verdict, check};
use super::subjects::{Attempt, Subjects};
use super::violation::{Violation, described};

/// Finds the requests without a definite answer that did a part: on one register every order needs them, and on
/// another no order allows them. At the time `quiet` all requests had ended. A creation begins the histories of
/// its registers, so it needs no check here.
pub fn find_partial_changes(subjects: &Subjects, quiet: u64) -> Vec<Violation> {
    let mut violations = Vec::new();
    for attempt in &subjects.attempts {
        let (None, Some(id), None) = (attempt.until, attempt.id, &attempt.change.creation) else { continue };
        if !subjects.is_known(id) {
            continue;
        }
        let mut evidence = Evidence { record: attempt.record, quiet, ..Evidence::default() };
        let (initial, steps) = subjects.document_history(id);
        evidence.add("document".to_owned(), &[initial], steps);
        for (group, member) in subjects.memberships_of(attempt, id) {
            let (initial, steps) = subjects.membership_history(group, member);
            evidence.add(format!("membership of {member} in {group}"), &initial, steps);
        }
        if let (Some(done), Some(not_done)) = (evidence.only_done, evidence.only_not_done) {
            violations.push(Violation {
                what: format!(
                    "a request without a definite answer did a part: it took effect on the {done}, and not on the \
                     {not_done}"
                ),
                register: Some(format!("{:?} {id}", attempt.change.kind)),
                records: evidence.records,
                at: Some(attempt.record),
            });
        }
    }
    violations
}

impl<'h> Subjects<'h> {
    /// The memberships that a change concerns, as pairs of a group and a member.
    fn memberships_of(&self, attempt: &Attempt<'h>, id: &'h str) -> Vec<(&'h str, &'h str)> {
        let mut pairs = Vec::new();
        let change = attempt.change;
        if change.kind == Kind::Group && (change.changes_members() || change.deletes) {
            pairs.extend(self.possible_members(id).into_iter().map(|member| (id, member)));
        }
        if change.deletes || change.active == Some(false) {
            for (group, subject) in &self.by_id {
                if subject.kind == Kind::Group
                    && subject.is_known()
                    && self.possible_members(group).contains(id)
                {
                    pairs.push((*group, id));
                }
            }
        }
        pairs.retain(|(_, member)| self.is_known(member));
        pairs
    }
}

/// On which registers a request certainly took effect, and on which it certainly did not.
#[derive(Default)]
struct Evidence {
    /// The request.
    record: usize,
    /// The time at which all requests had ended.
    quiet: u64,
    only_done: Option<String>,
    only_not_done: Option<String>,
    records: Vec<(usize, String)>,
}

impl Evidence {
    /// Adds the history of a register.
    fn add<S, E>(&mut self, register: String, initial: &[S], steps: Vec<Step<E>>)
    where
        S: Clone + Eq + Hash,
        E: Effect<S> + Clone + Debug,
    {
        let concerns = |step: &Step<E>| step.record == self.record && !step.effect.is_read();
        let is_first = |step: &Step<E>| concerns(step) && !step.effect.is_repetition();
        // A Bulk request changes a resource several times. Which of the changes were made is not known.
        if steps.iter().filter(|step| is_first(step)).count() != 1 {
            return;
        }
        let done: Vec<Step<E>> = steps
            .iter()
            .cloned()
            .map(|step| if is_first(&step) { Step { until: Some(self.quiet), ..step } } else { step })
            .collect();
        let not_done: Vec<Step<E>> = steps.iter().filter(|step| !concerns(step)).cloned().collect();
        let is_possible = |steps: &[Step<E>]| !matches!(check(initial, steps), Verdict::Impossible { .. });
        match (is_possible(&done), is_possible(&not_done)) {
            (true, false) if self.only_done.is_none() => self.only_done = Some(register),
            (false, true) if self.only_not_done.is_none() => self.only_not_done = Some(register),
            _ => return,
        }
        self.records.extend(described(&steps));
    }
}
