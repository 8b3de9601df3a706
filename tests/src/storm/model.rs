//! The model: makes the history of each register from the requests since the last rest point, and checks it.
//!
//! The four rules follow from the orders of [`linear`](super::linear):
//! 1. A 2xx is visible to every later read: its step must take effect before its answer.
//! 2. A 4xx other than 429 wrote nothing: it has no step, so a read that shows its tag or its effect is
//!    impossible.
//! 3. A request without a definite answer did everything or nothing: see [`unanswered`](super::unanswered).
//! 4. A read shows only values that an overlapping or earlier request left.
//!
//! Some checks are weaker than they could be, so that they never report what is allowed:
//! - Each register is checked alone. That two replacements of members at the same time mix is found only if
//!   one of them has no answer.
//! - A change of many members may be seen, be replaced by another request, and be seen again, before it ends.
//! - A request that adds a user who may be inactive or deleted at that time may add it or not.
//! - A user that is deactivated and activated at the same time may keep memberships.
//! - A refusal because of a name must have a reason, except while a group of this name is being created.
//!   Other refusals need no reason, except that 404 needs a missing resource.
//! - DELETE may succeed for a resource that does not exist.
//! - If-Match is compared with the document, not with the members of a group.
//! - A page need not be complete. It is complete at a rest point.

use std::fmt::Debug;
use std::hash::Hash;

use super::history::{Kind, Record, State};
use super::linear::{Effect, Step, Verdict, check};
use super::subjects::Subjects;
use super::unanswered::find_partial_changes;
use super::violation::{Violation, described};

/// The result of a check.
#[derive(Debug, Default)]
pub struct Findings {
    /// The broken rules.
    pub violations: Vec<Violation>,
    /// How many registers were checked.
    pub checked: usize,
    /// How many registers had histories that were too large to check.
    pub undecided: usize,
}

/// Checks all registers. `before` is the state at the last rest point. At the time `quiet` all changes had
/// ended; the requests after it read the state at the new rest point.
pub fn check_history(before: &State, records: &[Record], quiet: u64) -> Findings {
    let (subjects, violations) = Subjects::new(before, records);
    let mut findings = Findings { violations, ..Findings::default() };
    let known: Vec<(&str, Kind)> = subjects.known().collect();
    for (id, kind) in &known {
        let (initial, steps) = subjects.document_history(id);
        findings.judge(&format!("document of {kind:?} {id}"), &[initial], &steps);
    }
    for (kind, name) in subjects.names() {
        let (initial, steps) = subjects.owner_history(kind, &name);
        findings.judge(&format!("owner of the {} {name:?}", kind.name_attribute()), &[initial], &steps);
    }
    for (group, _) in known.iter().filter(|(_, kind)| *kind == Kind::Group) {
        for member in subjects.possible_members(group).into_iter().filter(|id| subjects.is_known(id)) {
            let (initial, steps) = subjects.membership_history(group, member);
            findings.judge(&format!("membership of {member} in group {group}"), &initial, &steps);
        }
    }
    // A register without an order would make every request a partial one.
    if findings.violations.is_empty() {
        findings.violations = find_partial_changes(&subjects, quiet);
    }
    findings
}

impl Findings {
    fn judge<S, E>(&mut self, register: &str, initial: &[S], steps: &[Step<E>])
    where
        S: Clone + Eq + Hash + Debug,
        E: Effect<S> + Debug,
    {
        self.checked += 1;
        match check(initial, steps) {
            Verdict::Ordered => {}
            Verdict::Undecided => self.undecided += 1,
            Verdict::Impossible { step, states } => {
                let Step { effect, record, .. } = &steps[step];
                let records = described(steps);
                self.violations.push(Violation {
                    what: format!("{effect:?} is impossible. Before it, the register can be: {states:?}"),
                    register: Some(format!("{register}; at the last rest point: {initial:?}")),
                    records,
                    at: Some(*record),
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::history::{Change, Document, Lookup, Outcome, Record, Resource, Sighting};
    use super::*;

    /// The end of all requests.
    const QUIET: u64 = 1_000;

    fn document(name: &str, active: bool, tag: &str) -> Document {
        Document { name: name.to_owned(), active, creation: "c".to_owned(), tag: tag.to_owned() }
    }

    fn ids(ids: &[&str]) -> BTreeSet<String> {
        ids.iter().map(|id| (*id).to_owned()).collect()
    }

    /// User `u` with the name `ann`, active, in group `g` with the name `team`.
    fn before() -> State {
        let user = Resource { kind: Kind::User, document: document("ann", true, "t0"), links: ids(&["g"]) };
        let group =
            Resource { kind: Kind::Group, document: document("team", true, "t0"), links: ids(&["u"]) };
        State::from([("u".to_owned(), user), ("g".to_owned(), group)])
    }

    fn record(sent: u64, answered: u64) -> Record {
        Record {
            client: "client".to_owned(),
            sent,
            answered,
            request: String::new(),
            answer: String::new(),
            changes: Vec::new(),
            sightings: Vec::new(),
            lookups: Vec::new(),
        }
    }

    fn changes(sent: u64, answered: u64, change: Change, outcome: Outcome) -> Record {
        Record { changes: vec![(change, outcome)], ..record(sent, answered) }
    }

    fn done(id: &str) -> Outcome {
        Outcome::Done { id: id.to_owned(), shown: None }
    }

    fn shows(time: u64, kind: Kind, id: &str, document: Option<Document>, links: &[&str]) -> Record {
        let links = document.is_some().then(|| ids(links));
        let sighting = Sighting { kind, id: id.to_owned(), document: Some(document), links };
        Record { sightings: vec![sighting], ..record(time, time + 1) }
    }

    fn deactivation() -> Change {
        Change { active: Some(false), tag: Some("t1".to_owned()), ..Change::of(Kind::User, "u") }
    }

    fn removal() -> Change {
        Change { members: [("u".to_owned(), false)].into(), ..Change::of(Kind::Group, "g") }
    }

    fn creation() -> Change {
        Change {
            name: Some("bob".to_owned()),
            active: Some(true),
            creation: Some("c".to_owned()),
            tag: Some("c".to_owned()),
            ..Change::creation_of(Kind::User)
        }
    }

    fn inactive() -> Option<Document> {
        Some(document("ann", false, "t1"))
    }

    fn unchanged() -> Option<Document> {
        Some(document("ann", true, "t0"))
    }

    fn team() -> Option<Document> {
        Some(document("team", true, "t0"))
    }

    fn bob() -> Option<Document> {
        Some(document("bob", true, "c"))
    }

    fn violations(records: &[Record]) -> Vec<Violation> {
        check_history(&before(), records, QUIET).violations
    }

    #[track_caller]
    fn assert_allowed(records: &[Record]) {
        let found = violations(records);
        assert!(found.is_empty(), "{found:?}");
    }

    /// Checks that there is a violation, and that this text describes it.
    #[track_caller]
    fn assert_violation(records: &[Record], text: &str) {
        let found = violations(records);
        assert!(found.iter().any(|violation| format!("{violation:?}").contains(text)), "{text}: {found:?}");
    }

    #[test]
    fn answered_change_must_be_visible_and_be_complete() {
        let change = changes(10, 20, deactivation(), done("u"));
        let group = |links: &[&str]| shows(QUIET + 3, Kind::Group, "g", team(), links);
        let user = |document, links: &[&str]| shows(QUIET + 1, Kind::User, "u", document, links);
        assert_allowed(&[change.clone(), user(inactive(), &[]), group(&[])]);
        assert_violation(&[change.clone(), user(unchanged(), &[]), group(&[])], "document of User u");
        assert_violation(
            &[change.clone(), user(inactive(), &["g"]), group(&[])],
            "membership of u in group g",
        );
        assert_violation(&[change, user(inactive(), &[]), group(&["u"])], "membership of u in group g");
    }

    #[test]
    fn unanswered_change_must_be_done_completely_or_not_at_all() {
        let change = changes(10, 20, deactivation(), Outcome::Unknown);
        let group = |links: &[&str]| shows(QUIET + 3, Kind::Group, "g", team(), links);
        let user = |document, links: &[&str]| shows(QUIET + 1, Kind::User, "u", document, links);
        assert_allowed(&[change.clone(), user(inactive(), &[]), group(&[])]);
        assert_allowed(&[change.clone(), user(unchanged(), &["g"]), group(&["u"])]);
        assert_violation(&[change.clone(), user(inactive(), &["g"]), group(&["u"])], "did a part");
        assert_violation(&[change.clone(), user(unchanged(), &[]), group(&[])], "did a part");
        // Another request may have removed the user.
        let removal = changes(10, 20, removal(), done("g"));
        assert_allowed(&[change, removal, user(unchanged(), &[]), group(&[])]);
    }

    #[test]
    fn refused_change_must_change_nothing() {
        let change = changes(10, 20, deactivation(), Outcome::Refused(412));
        assert_allowed(&[change.clone(), shows(QUIET, Kind::User, "u", unchanged(), &["g"])]);
        assert_violation(&[change, shows(QUIET, Kind::User, "u", inactive(), &[])], "document of User u");
        let refused = changes(10, 20, creation(), Outcome::Refused(400));
        assert_allowed(std::slice::from_ref(&refused));
        assert_violation(&[refused, shows(30, Kind::User, "b", bob(), &[])], "no request can have created");
    }

    #[test]
    fn unanswered_creation_makes_at_most_one_resource() {
        let attempt = changes(10, 20, creation(), Outcome::Unknown);
        let seen = |id| shows(30, Kind::User, id, bob(), &[]);
        assert_allowed(&[attempt.clone(), seen("b")]);
        assert_violation(&[attempt.clone(), seen("b"), seen("d")], "no request can have created");
        let repeated = changes(40, 50, creation(), Outcome::Refused(409));
        assert_allowed(&[attempt.clone(), seen("b"), repeated.clone()]);
        assert_violation(&[repeated, seen("b")], "no request can have created");
    }

    #[test]
    fn name_has_one_owner_and_a_refusal_has_a_reason() {
        let rename = |name: &str| Change {
            name: Some(name.to_owned()),
            tag: Some("t1".to_owned()),
            ..Change::of(Kind::User, "u")
        };
        let second = |from, until| {
            changes(from, until, Change { name: Some("ann".to_owned()), ..creation() }, done("b"))
        };
        assert_violation(&[second(10, 20)], "owner of the userName");
        assert_allowed(&[changes(10, 20, rename("zoe"), done("u")), second(15, 30)]);
        assert_violation(&[second(5, 8), changes(10, 20, rename("zoe"), done("u"))], "owner of the userName");
        let refused = changes(10, 20, rename("zoe"), Outcome::Refused(409));
        assert_violation(std::slice::from_ref(&refused), "IsTaken");
        let taken = changes(5, 8, Change { name: Some("zoe".to_owned()), ..creation() }, Outcome::Unknown);
        let seen = shows(30, Kind::User, "b", Some(document("zoe", true, "c")), &[]);
        assert_allowed(&[taken, refused, seen]);
        let lookup = |found: Option<&str>| {
            let found = found.map(str::to_owned);
            let lookup = Lookup { kind: Kind::User, name: "ann".to_owned(), found };
            Record { lookups: vec![lookup], ..record(10, 20) }
        };
        assert_allowed(&[lookup(Some("u"))]);
        assert_violation(&[lookup(None)], "owner of the userName");
    }

    #[test]
    fn new_group_is_visible_only_with_all_members() {
        let creation = Change {
            name: Some("new".to_owned()),
            creation: Some("c".to_owned()),
            tag: Some("c".to_owned()),
            members: [("u".to_owned(), true)].into(),
            ..Change::creation_of(Kind::Group)
        };
        let creation = changes(10, 50, creation, done("n"));
        let seen = |links: &[&str]| shows(20, Kind::Group, "n", Some(document("new", true, "c")), links);
        assert_allowed(&[creation.clone(), seen(&["u"])]);
        assert_violation(&[creation.clone(), seen(&[])], "membership of u in group n");
        // A user who is deactivated at the same time need not join.
        assert_allowed(&[changes(5, 15, deactivation(), done("u")), creation.clone(), seen(&[])]);
        // One who was deactivated and activated before that joins.
        let activation =
            Change { active: Some(true), tag: Some("t2".to_owned()), ..Change::of(Kind::User, "u") };
        let gone = [changes(1, 2, deactivation(), done("u")), changes(4, 5, activation, done("u"))];
        assert_violation(&[&gone[..], &[creation, seen(&[])]].concat(), "membership of u in group n");
    }

    #[test]
    fn lost_update_is_a_violation() {
        let rename = Change {
            name: Some("zoe".to_owned()),
            tag: Some("t2".to_owned()),
            ..Change::of(Kind::User, "u")
        };
        let both = [changes(10, 20, deactivation(), done("u")), changes(10, 20, rename, done("u"))];
        let end = |name, active, tag| shows(QUIET, Kind::User, "u", Some(document(name, active, tag)), &[]);
        assert_allowed(&[&both[..], &[end("zoe", false, "t1")]].concat());
        assert_allowed(&[&both[..], &[end("zoe", false, "t2")]].concat());
        assert_violation(&[&both[..], &[end("ann", false, "t1")]].concat(), "document of User u");
    }
}
