//! The model: makes the history of each register from the requests since the last rest point, and checks it.
//!
//! The four rules follow from the orders of [`linear`](super::linear):
//! 1. A 2xx is visible to every later read: its step must take effect before its answer.
//! 2. A 4xx other than 429 wrote nothing: it has no step, so a read that shows its tag or its effect is
//!    impossible.
//! 3. A request without a definite answer did everything or nothing: see [`Model::check_unanswered`].
//! 4. A read shows only values that an overlapping or earlier request left.
//!
//! Some checks are weaker than they could be, so that they never report what is allowed:
//! - Each register is checked alone. That two replacements of members at the same time mix is found only if
//!   one of them has no answer.
//! - A request that adds a user who may be inactive or deleted at that time may add it or not.
//! - A user that is deactivated and activated at the same time may keep memberships.
//! - A refusal because of a name must have a reason, except while a group of this name is being created.
//!   Other refusals need no reason, except that 404 needs a missing resource.
//! - DELETE may succeed for a resource that does not exist.
//! - If-Match is compared with the document, not with the members of a group.
//! - A page need not be complete. It is complete at a rest point.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::history::{Change, Document, Kind, Outcome, Record};
use super::linear::{Effect, Step, Verdict, check};
use super::registers::{DocumentEffect, MembershipEffect, OwnerEffect};

/// A broken rule.
#[derive(Clone, Debug)]
pub struct Violation {
    /// What is wrong.
    pub what: String,
    /// The register, if it is about one.
    pub register: Option<String>,
    /// The positions of the requests that concern the register, with what each means for it.
    pub records: Vec<(usize, String)>,
    /// The position of the request that cannot be explained.
    pub at: Option<usize>,
}

impl Violation {
    /// A violation that no register has.
    pub fn general(what: String) -> Self {
        Self { what, register: None, records: Vec::new(), at: None }
    }
}

/// A resource at a rest point.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    /// Its kind.
    pub kind: Kind,
    /// Its document.
    pub document: Document,
    /// The direct groups of a user, or the members of a group.
    pub links: BTreeSet<String>,
}

/// The resources that existed at the last rest point, by id.
pub type State = BTreeMap<String, Resource>;

/// A change that was not refused.
struct Attempt<'h> {
    change: &'h Change,
    record: usize,
    from: u64,
    /// The time of the answer. `None` if there is no definite one.
    until: Option<u64>,
    /// The id of the resource. `None` for a creation without an answer.
    id: Option<&'h str>,
    shown: Option<&'h Document>,
}

impl Attempt<'_> {
    /// The time after which it has no effect.
    fn end(&self) -> u64 {
        self.until.unwrap_or(u64::MAX)
    }
}

/// What is known of one resource.
struct Subject<'h> {
    kind: Kind,
    /// Its state at the last rest point. `None` if it was created after that.
    before: Option<&'h Resource>,
    /// The change that created it, and the times between which it was created.
    creation: Option<(&'h Change, usize, u64, u64)>,
    /// The changes of it.
    attempts: Vec<usize>,
    /// The positions of requests that show it, and of its sightings in them.
    sightings: Vec<(usize, usize)>,
    /// The time from which every read shows it, if it was not deleted.
    visible_from: u64,
}

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

/// The requests between two rest points, by what they concern.
pub struct Model<'h> {
    records: &'h [Record],
    attempts: Vec<Attempt<'h>>,
    subjects: BTreeMap<&'h str, Subject<'h>>,
    /// The time at which all requests had ended, before the state was read at the new rest point.
    quiet: u64,
    findings: Findings,
}

impl<'h> Model<'h> {
    /// Sorts the requests by what they concern. `before` is the state at the last rest point. At the time `quiet`
    /// all changes had ended; the requests after it read the state at the new rest point.
    pub fn new(before: &'h State, records: &'h [Record], quiet: u64) -> Self {
        let mut model = Self {
            records,
            attempts: Vec::new(),
            subjects: BTreeMap::new(),
            quiet,
            findings: Findings::default(),
        };
        for (id, resource) in before {
            let subject = Subject::new(resource.kind, Some(resource), 0);
            model.subjects.insert(id, subject);
        }
        model.add_attempts();
        model.add_sightings();
        model.find_creations();
        model
    }

    fn add_attempts(&mut self) {
        for (position, record) in self.records.iter().enumerate() {
            for (change, outcome) in &record.changes {
                let (until, id, shown) = match outcome {
                    Outcome::Refused(_) => continue,
                    Outcome::Unknown => (None, change.id.as_deref(), None),
                    Outcome::Done { id, shown } => (Some(record.answered), Some(id.as_str()), shown.as_ref()),
                };
                let attempt = self.attempts.len();
                self.attempts.push(Attempt { change, record: position, from: record.sent, until, id, shown });
                let Some(id) = id else { continue };
                let subject =
                    self.subjects.entry(id).or_insert_with(|| Subject::new(change.kind, None, u64::MAX));
                if change.creation.is_none() {
                    subject.attempts.push(attempt);
                } else {
                    subject.creation = Some((change, position, record.sent, record.answered));
                    subject.visible_from = subject.visible_from.min(record.answered);
                }
            }
        }
    }

    fn add_sightings(&mut self) {
        for (position, record) in self.records.iter().enumerate() {
            for (number, sighting) in record.sightings.iter().enumerate() {
                let subject = self
                    .subjects
                    .entry(&sighting.id)
                    .or_insert_with(|| Subject::new(sighting.kind, None, u64::MAX));
                subject.sightings.push((position, number));
                if matches!(sighting.document, Some(Some(_))) {
                    subject.visible_from = subject.visible_from.min(record.answered);
                }
            }
        }
    }

    /// Finds the request that created each new resource whose creation has no answer, by the tag in its document.
    fn find_creations(&mut self) {
        let mut unanswered: HashMap<&str, Vec<usize>> = HashMap::new();
        for (number, attempt) in self.attempts.iter().enumerate() {
            if let (Some(tag), None) = (&attempt.change.creation, attempt.until) {
                unanswered.entry(tag).or_default().push(number);
            }
        }
        let mut violations = Vec::new();
        for (id, subject) in &mut self.subjects {
            if subject.before.is_some() || subject.creation.is_some() {
                continue;
            }
            let shown = subject.sightings.iter().find_map(|(position, number)| {
                let document = self.records[*position].sightings[*number].document.as_ref()?.as_ref()?;
                Some((*position, document))
            });
            let Some((position, document)) = shown else { continue };
            // Each request creates one resource.
            let attempts = unanswered.get_mut(document.creation.as_str());
            // Which of several attempts it was is not known, so the creation can have begun with the first.
            let taken = attempts.and_then(|attempts| {
                let last = attempts.pop()?;
                Some((attempts.first().copied().unwrap_or(last), last))
            });
            match taken {
                Some((first, last)) => {
                    let (change, record) = (self.attempts[last].change, self.attempts[last].record);
                    subject.creation =
                        Some((change, record, self.attempts[first].from, subject.visible_from));
                }
                None => {
                    let requests = |record: &Record| {
                        record
                            .changes
                            .iter()
                            .any(|(change, _)| change.creation.as_deref() == Some(document.creation.as_str()))
                    };
                    let mut records: Vec<(usize, String)> = (0..self.records.len())
                        .filter(|record| requests(&self.records[*record]))
                        .map(|record| (record, "asks for the creation".to_owned()))
                        .collect();
                    records.push((position, "shows the resource".to_owned()));
                    violations.push(Violation {
                        what: "a resource exists that no request can have created: a request that was refused, or \
                               that was answered with another id, has its tag"
                            .to_owned(),
                        register: Some(format!("{:?} {id}", subject.kind)),
                        records,
                        at: Some(position),
                    });
                }
            }
        }
        self.findings.violations.extend(violations);
    }

    /// Checks all registers.
    pub fn check(mut self) -> Findings {
        let ids: Vec<&str> = self.subjects.keys().copied().collect();
        let known: Vec<&str> = ids.into_iter().filter(|id| self.subjects[id].is_known()).collect();
        for id in &known {
            let (initial, steps) = self.document_history(id);
            self.judge(&format!("document of {:?} {id}", self.subjects[id].kind), &[initial], &steps);
        }
        for (kind, name) in self.names() {
            let (initial, steps) = self.owner_history(kind, &name);
            self.judge(&format!("owner of the {} {name:?}", kind.name_attribute()), &[initial], &steps);
        }
        for group in known {
            if self.subjects[group].kind != Kind::Group {
                continue;
            }
            for member in self.possible_members(group) {
                if !self.subjects.get(member).is_some_and(Subject::is_known) {
                    continue;
                }
                let (initial, steps) = self.membership_history(group, member);
                self.judge(&format!("membership of {member} in group {group}"), &initial, &steps);
            }
        }
        if self.findings.violations.is_empty() {
            self.check_unanswered();
        }
        self.findings
    }

    fn judge<S, E>(&mut self, register: &str, initial: &[S], steps: &[Step<E>])
    where
        S: Clone + Eq + std::hash::Hash + std::fmt::Debug,
        E: Effect<S> + std::fmt::Debug,
    {
        self.findings.checked += 1;
        match check(initial, steps) {
            Verdict::Ordered => {}
            Verdict::Undecided => self.findings.undecided += 1,
            Verdict::Impossible { step, states } => {
                let Step { effect, record, .. } = &steps[step];
                let records = described(steps);
                self.findings.violations.push(Violation {
                    what: format!("{effect:?} is impossible. Before it, the register can be: {states:?}"),
                    register: Some(format!("{register}; at the last rest point: {initial:?}")),
                    records,
                    at: Some(*record),
                });
            }
        }
    }

    fn attempts_of(&self, id: &str) -> impl Iterator<Item = &Attempt<'h>> {
        let numbers = self.subjects.get(id).map(|subject| subject.attempts.as_slice()).unwrap_or_default();
        numbers.iter().map(|number| &self.attempts[*number])
    }

    /// The history of a document. It begins with the state at the last rest point, or with the creation.
    fn document_history(&self, id: &str) -> (Option<Document>, Vec<Step<DocumentEffect>>) {
        let subject = &self.subjects[id];
        let mut steps: Vec<Step<DocumentEffect>> = self
            .attempts_of(id)
            .map(|attempt| Step {
                from: attempt.from,
                until: attempt.until,
                effect: DocumentEffect::Changes(attempt.change.clone(), attempt.shown.cloned()),
                record: attempt.record,
            })
            .collect();
        for (position, number) in &subject.sightings {
            let record = &self.records[*position];
            if let Some(document) = &record.sightings[*number].document {
                steps.push(read(*position, record, DocumentEffect::Shows(document.clone())));
            }
        }
        for (position, record) in self.records.iter().enumerate() {
            for (change, outcome) in &record.changes {
                if *outcome == Outcome::Refused(404) && change.id.as_deref() == Some(id) {
                    steps.push(read(position, record, DocumentEffect::Shows(None)));
                }
            }
        }
        (subject.first_document(), steps)
    }

    /// Every name that a resource can have had, or that a filter looked for.
    fn names(&self) -> BTreeSet<(Kind, String)> {
        let mut names = BTreeSet::new();
        for subject in self.subjects.values() {
            names.extend(subject.first_document().map(|document| (subject.kind, document.name)));
        }
        for attempt in &self.attempts {
            names.extend(attempt.change.name.clone().map(|name| (attempt.change.kind, name)));
        }
        for record in self.records {
            names.extend(record.lookups.iter().map(|lookup| (lookup.kind, lookup.name.clone())));
        }
        names
    }

    fn owner_history(&self, kind: Kind, name: &str) -> (Option<String>, Vec<Step<OwnerEffect>>) {
        let mut owner = None;
        let mut owners = BTreeSet::new();
        let mut steps = Vec::new();
        for (id, subject) in self.subjects.iter().filter(|(_, subject)| subject.kind == kind) {
            let first = subject.first_document().is_some_and(|document| document.name == name);
            if first && let Some((_, record, from, until)) = subject.creation {
                let effect = OwnerEffect::Takes((*id).to_owned());
                steps.push(Step { from, until: Some(until), effect, record });
            } else if first {
                owner = Some((*id).to_owned());
            }
            if first || self.attempts_of(id).any(|attempt| attempt.change.name.as_deref() == Some(name)) {
                owners.insert(*id);
            }
        }
        for id in owners {
            for attempt in self.attempts_of(id) {
                let effect = match &attempt.change.name {
                    Some(new) if new == name => OwnerEffect::Takes(id.to_owned()),
                    Some(_) => OwnerEffect::Releases(id.to_owned()),
                    None if attempt.change.deletes => OwnerEffect::Releases(id.to_owned()),
                    None => continue,
                };
                steps.push(Step { from: attempt.from, until: attempt.until, effect, record: attempt.record });
            }
        }
        for (position, record) in self.records.iter().enumerate() {
            for lookup in record.lookups.iter().filter(|lookup| lookup.kind == kind && lookup.name == name) {
                steps.push(read(position, record, OwnerEffect::Shows(lookup.found.clone())));
            }
            for (change, outcome) in &record.changes {
                if *outcome == Outcome::Refused(409)
                    && change.kind == kind
                    && change.name.as_deref() == Some(name)
                    && !self.may_be_reserved(kind, name, record)
                {
                    steps.push(read(position, record, OwnerEffect::IsTaken(change.id.clone())));
                }
            }
        }
        (owner, steps)
    }

    /// Whether a group of this name may be in creation at the same time. Such a group may be given up, and is
    /// invisible until then.
    fn may_be_reserved(&self, kind: Kind, name: &str, during: &Record) -> bool {
        kind == Kind::Group
            && self.records.iter().any(|record| {
                record.sent <= during.answered
                    && record.changes.iter().any(|(change, outcome)| {
                        let may_last = *outcome == Outcome::Unknown || record.answered >= during.sent;
                        change.creation.is_some()
                            && change.kind == kind
                            && change.name.as_deref() == Some(name)
                            && !matches!(outcome, Outcome::Done { .. })
                            && may_last
                            && !std::ptr::eq(record, during)
                    })
            })
    }

    /// The users and groups that can have been members of a group.
    fn possible_members(&self, group: &str) -> BTreeSet<&'h str> {
        let subject = &self.subjects[group];
        let mut members: BTreeSet<&'h str> = BTreeSet::new();
        if let Some(before) = subject.before {
            members.extend(before.links.iter().map(String::as_str));
        }
        if let Some((change, ..)) = subject.creation {
            members.extend(change.members.keys().map(String::as_str));
        }
        for attempt in self.attempts_of(group) {
            let joining = attempt.change.members.iter().filter(|(_, is_member)| **is_member);
            members.extend(joining.map(|(id, _)| id.as_str()));
        }
        for (position, number) in &subject.sightings {
            let links = &self.records[*position].sightings[*number].links;
            members.extend(links.iter().flatten().map(String::as_str));
        }
        members
    }

    /// The history of a membership. It begins with the state at the last rest point, or with the creation of the
    /// group: a group is visible only with all members that it was created with.
    fn membership_history(&self, group: &str, member: &str) -> (Vec<bool>, Vec<Step<MembershipEffect>>) {
        let (subject, of_member) = (&self.subjects[group], &self.subjects[member]);
        let initial = match (subject.before, subject.creation) {
            (Some(before), _) => vec![before.links.contains(member)],
            (None, Some((change, _, from, until))) => match change.members.get(member) {
                Some(true) if self.may_be_out(member, from, until) => vec![true, false],
                Some(true) => vec![true],
                _ => vec![false],
            },
            (None, None) => vec![false],
        };
        let mut steps = Vec::new();
        let mut write = |attempt: &Attempt, effect| {
            steps.push(Step { from: attempt.from, until: attempt.until, effect, record: attempt.record });
        };
        for attempt in self.attempts_of(group) {
            let is_member = match attempt.change.deletes {
                true => Some(false),
                false => attempt.change.membership(of_member.kind, member),
            };
            match is_member {
                Some(true) if self.may_be_out(member, attempt.from, attempt.end()) => {
                    write(attempt, MembershipEffect::MayWrite(true));
                }
                Some(value) => write(attempt, MembershipEffect::Writes(value)),
                None => {}
            }
        }
        let (created_from, created_until) =
            subject.creation.map_or((0, 0), |(_, _, from, until)| (from, until));
        for attempt in self.attempts_of(member).filter(|attempt| attempt.end() >= created_from) {
            match self.effect_on_memberships(member, attempt) {
                // It may have been made before the group was created.
                Some(MembershipEffect::Writes(value)) if attempt.from <= created_until => {
                    write(attempt, MembershipEffect::MayWrite(value));
                }
                Some(effect) => write(attempt, effect),
                None => {}
            }
        }
        for (position, number) in &subject.sightings {
            let record = &self.records[*position];
            if let Some(links) = &record.sightings[*number].links {
                steps.push(read(*position, record, MembershipEffect::Shows(links.contains(member))));
            }
        }
        // Only users show their groups.
        for (position, number) in of_member.sightings.iter().filter(|_| of_member.kind == Kind::User) {
            let record = &self.records[*position];
            let Some(links) = &record.sightings[*number].links else { continue };
            let is_member = links.contains(group);
            if is_member || record.sent >= subject.visible_from {
                steps.push(read(*position, record, MembershipEffect::Shows(is_member)));
            }
        }
        (initial, steps)
    }

    /// What a change of a user or group does to its memberships in other groups.
    fn effect_on_memberships(&self, id: &str, attempt: &Attempt) -> Option<MembershipEffect> {
        let change = attempt.change;
        if change.deletes {
            return Some(MembershipEffect::Writes(false));
        }
        match (change.kind, change.active) {
            (Kind::Group, _) | (Kind::User, Some(true)) => None,
            // A user that is activated meanwhile keeps the memberships that are left.
            (Kind::User, Some(false)) if self.may_be_activated(id, attempt) => {
                Some(MembershipEffect::MayWrite(false))
            }
            (Kind::User, Some(false)) => Some(MembershipEffect::Writes(false)),
            // A change of an inactive user completes a deactivation that was interrupted.
            (Kind::User, None) => {
                self.may_be_out(id, attempt.from, attempt.end()).then_some(MembershipEffect::MayWrite(false))
            }
        }
    }

    /// Whether another request may activate a user while this one is processed.
    fn may_be_activated(&self, id: &str, during: &Attempt) -> bool {
        self.attempts_of(id).any(|attempt| {
            attempt.change.active == Some(true)
                && attempt.from <= during.end()
                && attempt.end() >= during.from
        })
    }

    /// Whether a user may be inactive, or a user or group may be deleted, at some time between these.
    fn may_be_out(&self, id: &str, from: u64, until: u64) -> bool {
        let Some(subject) = self.subjects.get(id) else { return true };
        // The last activation that is certain before that.
        let activation = self
            .attempts_of(id)
            .filter(|attempt| attempt.change.active == Some(true))
            .filter(|attempt| attempt.until.is_some_and(|until| until < from))
            .map(|attempt| attempt.from)
            .max();
        let is_out_first = subject.first_document().is_none_or(|document| !document.active);
        if activation.is_none() && is_out_first {
            return true;
        }
        self.attempts_of(id).any(|attempt| {
            (attempt.change.deletes || attempt.change.active == Some(false))
                && attempt.from <= until
                && activation.is_none_or(|activation| attempt.end() >= activation)
        })
    }

    /// Checks that each request without a definite answer did everything or nothing: that all registers that it
    /// concerns have an order in which it took effect, or that all have one in which it did not. A creation
    /// begins the histories of its registers, so it is not checked again.
    fn check_unanswered(&mut self) {
        for number in 0..self.attempts.len() {
            let attempt = &self.attempts[number];
            let (None, Some(id), None) = (attempt.until, attempt.id, &attempt.change.creation) else {
                continue;
            };
            if !self.subjects.get(id).is_some_and(Subject::is_known) {
                continue;
            }
            let mut evidence = Evidence::default();
            let (record, end) = (attempt.record, self.quiet);
            let (initial, steps) = self.document_history(id);
            evidence.add("document".to_owned(), &[initial], steps, record, end);
            for (group, member) in self.memberships_of(attempt, id) {
                let (initial, steps) = self.membership_history(group, member);
                evidence.add(format!("membership of {member} in {group}"), &initial, steps, record, end);
            }
            if let (Some(done), Some(not_done)) = (&evidence.only_done, &evidence.only_not_done) {
                let violation = Violation {
                    what: format!(
                        "a request without a definite answer did a part: it took effect on the {done}, and not on the \
                         {not_done}"
                    ),
                    register: Some(format!("{:?} {id}", attempt.change.kind)),
                    records: evidence.records,
                    at: Some(record),
                };
                self.findings.violations.push(violation);
            }
        }
    }

    /// The memberships that a change concerns, as pairs of a group and a member.
    fn memberships_of(&self, attempt: &Attempt<'h>, id: &'h str) -> Vec<(&'h str, &'h str)> {
        let mut pairs = Vec::new();
        let change = attempt.change;
        if change.kind == Kind::Group && (change.changes_members() || change.deletes) {
            pairs.extend(self.possible_members(id).into_iter().map(|member| (id, member)));
        }
        if change.deletes || change.active == Some(false) {
            for (group, subject) in &self.subjects {
                if subject.kind == Kind::Group
                    && subject.is_known()
                    && self.possible_members(group).contains(id)
                {
                    pairs.push((*group, id));
                }
            }
        }
        pairs.retain(|(_, member)| self.subjects.get(member).is_some_and(Subject::is_known));
        pairs
    }
}

/// On which registers a request certainly took effect, and on which it certainly did not.
#[derive(Default)]
struct Evidence {
    only_done: Option<String>,
    only_not_done: Option<String>,
    records: Vec<(usize, String)>,
}

impl Evidence {
    /// Adds the history of a register. `record` is the request.
    fn add<S, E>(&mut self, register: String, initial: &[S], steps: Vec<Step<E>>, record: usize, end: u64)
    where
        S: Clone + Eq + std::hash::Hash,
        E: Effect<S> + Clone + std::fmt::Debug,
    {
        let concerns = |step: &Step<E>| step.record == record && !step.effect.is_read();
        // A Bulk request changes a resource several times. Which of the changes were made is not known.
        if steps.iter().filter(|step| concerns(step)).count() != 1 {
            return;
        }
        let done: Vec<Step<E>> = steps
            .iter()
            .cloned()
            .map(|step| if concerns(&step) { Step { until: Some(end), ..step } } else { step })
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

impl<'h> Subject<'h> {
    fn new(kind: Kind, before: Option<&'h Resource>, visible_from: u64) -> Self {
        Self { kind, before, creation: None, attempts: Vec::new(), sightings: Vec::new(), visible_from }
    }

    /// Whether its first state is known.
    fn is_known(&self) -> bool {
        self.before.is_some() || self.creation.is_some()
    }

    /// Its document at the last rest point, or the one with which it was created.
    fn first_document(&self) -> Option<Document> {
        if let Some(before) = self.before {
            return Some(before.document.clone());
        }
        let (change, ..) = self.creation?;
        Some(Document {
            name: change.name.clone()?,
            active: change.active.unwrap_or(true),
            creation: change.creation.clone()?,
            tag: change.tag.clone()?,
        })
    }
}

/// The requests of these steps, with what they do.
fn described<E: std::fmt::Debug>(steps: &[Step<E>]) -> Vec<(usize, String)> {
    let describe = |step: &Step<E>| {
        let certainty = if step.until.is_some() { "" } else { " at a later time, or never" };
        (step.record, format!("{:?}{certainty}", step.effect))
    };
    steps.iter().map(describe).collect()
}

/// A step that reads.
fn read<E>(position: usize, record: &Record, effect: E) -> Step<E> {
    Step { from: record.sent, until: Some(record.answered), effect, record: position }
}
