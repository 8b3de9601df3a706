//! Sorts the requests between two rest points by the resources that they concern.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::history::{Change, Document, Kind, Outcome, Record, Removal, Resource, State};
use super::linear::Step;
use super::violation::Violation;

/// The most members that certainly fit into one transaction. Each needs at most five of its 100 items.
const ONE_TRANSACTION: usize = 15;

/// A change that was not refused.
pub struct Attempt<'h> {
    /// The change.
    pub change: &'h Change,
    /// The position of its request.
    pub record: usize,
    /// The time before the request was sent.
    pub from: u64,
    /// The time of the answer. `None` if there is no definite one.
    pub until: Option<u64>,
    /// The id of the resource. `None` for a creation without an answer.
    pub id: Option<&'h str>,
    /// The document in the answer.
    pub shown: Option<&'h Document>,
    /// Whether it may be too large for one transaction.
    pub may_be_split: bool,
}

impl Attempt<'_> {
    /// The time after which it has no effect.
    pub fn end(&self) -> u64 {
        self.until.unwrap_or(u64::MAX)
    }

    /// Its step in the history of a register.
    pub fn step<E>(&self, effect: E) -> Step<E> {
        Step { from: self.from, until: self.until, effect, record: self.record }
    }
}

/// What is known of one resource.
pub struct Subject<'h> {
    /// Its kind.
    pub kind: Kind,
    /// Its state at the last rest point. `None` if it was created after that.
    pub before: Option<&'h Resource>,
    /// The change that created it, and the times between which it was created.
    pub creation: Option<(&'h Change, usize, u64, u64)>,
    /// The changes of it.
    pub attempts: Vec<usize>,
    /// The positions of requests that show it, and of its sightings in them.
    pub sightings: Vec<(usize, usize)>,
    /// The time from which every read shows it, if it was not deleted.
    pub visible_from: u64,
}

impl<'h> Subject<'h> {
    fn new(kind: Kind, before: Option<&'h Resource>, visible_from: u64) -> Self {
        Self { kind, before, creation: None, attempts: Vec::new(), sightings: Vec::new(), visible_from }
    }

    /// Whether its first state is known.
    pub fn is_known(&self) -> bool {
        self.before.is_some() || self.creation.is_some()
    }

    /// Its document at the last rest point, or the one with which it was created.
    pub fn first_document(&self) -> Option<Document> {
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

/// The requests between two rest points, by the resources that they concern.
pub struct Subjects<'h> {
    /// All requests.
    pub records: &'h [Record],
    /// The changes that were not refused.
    pub attempts: Vec<Attempt<'h>>,
    /// The resources by id.
    pub by_id: BTreeMap<&'h str, Subject<'h>>,
}

impl<'h> Subjects<'h> {
    /// Sorts the requests. `before` is the state at the last rest point. Also returns the resources that no
    /// request can have created.
    pub fn new(before: &'h State, records: &'h [Record]) -> (Self, Vec<Violation>) {
        let mut subjects = Self { records, attempts: Vec::new(), by_id: BTreeMap::new() };
        for (id, resource) in before {
            subjects.by_id.insert(id, Subject::new(resource.kind, Some(resource), 0));
        }
        subjects.add_attempts();
        subjects.add_sightings();
        let violations = subjects.find_creations();
        subjects.find_removals_of_many();
        (subjects, violations)
    }

    /// Marks the changes that may remove many members without naming them.
    fn find_removals_of_many(&mut self) {
        let of_groups = self.by_id.iter().filter(|(_, subject)| subject.kind == Kind::Group);
        let large = of_groups.filter(|(id, _)| self.possible_members(id).len() > ONE_TRANSACTION);
        let attempts: Vec<usize> = large.flat_map(|(_, subject)| subject.attempts.iter().copied()).collect();
        for attempt in attempts {
            let attempt = &mut self.attempts[attempt];
            attempt.may_be_split |= attempt.change.removal != Removal::Nothing;
        }
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
                self.attempts.push(Attempt {
                    change,
                    record: position,
                    from: record.sent,
                    until,
                    id,
                    shown,
                    may_be_split: change.members.len() > ONE_TRANSACTION,
                });
                let Some(id) = id else { continue };
                let subject =
                    self.by_id.entry(id).or_insert_with(|| Subject::new(change.kind, None, u64::MAX));
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
                    .by_id
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
    fn find_creations(&mut self) -> Vec<Violation> {
        let mut unanswered: HashMap<&str, Vec<usize>> = HashMap::new();
        for (number, attempt) in self.attempts.iter().enumerate() {
            if let (Some(tag), None) = (&attempt.change.creation, attempt.until) {
                unanswered.entry(tag).or_default().push(number);
            }
        }
        let mut violations = Vec::new();
        for (id, subject) in &mut self.by_id {
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
        violations
    }

    /// The changes of a resource that exists already.
    pub fn attempts_of(&self, id: &str) -> impl Iterator<Item = &Attempt<'h>> {
        let numbers = self.by_id.get(id).map(|subject| subject.attempts.as_slice()).unwrap_or_default();
        numbers.iter().map(|number| &self.attempts[*number])
    }

    /// The users and groups that can have been members of a group.
    pub fn possible_members(&self, group: &str) -> BTreeSet<&'h str> {
        let subject = &self.by_id[group];
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

    /// Whether a group of this name may be in creation at the same time. Such a group may be given up, and is
    /// invisible until then. A creation that was refused because of the name has not begun.
    pub fn may_be_reserved(&self, kind: Kind, name: &str, during: &Record) -> bool {
        let reserves = |record: &Record, change: &Change, outcome: &Outcome| {
            let overlaps = match outcome {
                Outcome::Unknown => true,
                Outcome::Refused(status) => *status != 409 && record.answered >= during.sent,
                Outcome::Done { .. } => false,
            };
            overlaps
                && change.creation.is_some()
                && change.kind == kind
                && change.name.as_deref() == Some(name)
        };
        let mut earlier = self.records.iter().filter(|record| record.sent <= during.answered);
        kind == Kind::Group
            && earlier.any(|record| {
                record.changes.iter().any(|(change, outcome)| reserves(record, change, outcome))
            })
    }

    /// Whether another request may activate a user while this one is processed.
    pub fn may_be_activated(&self, id: &str, during: &Attempt) -> bool {
        self.attempts_of(id).any(|attempt| {
            attempt.change.active == Some(true)
                && attempt.from <= during.end()
                && attempt.end() >= during.from
        })
    }

    /// Whether a user may be inactive, or a user or group may be deleted, at some time between these.
    pub fn may_be_out(&self, id: &str, from: u64, until: u64) -> bool {
        let Some(subject) = self.by_id.get(id) else { return true };
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

    /// Whether the first state of a resource is known.
    pub fn is_known(&self, id: &str) -> bool {
        self.by_id.get(id).is_some_and(Subject::is_known)
    }

    /// The resources whose first state is known.
    pub fn known(&self) -> impl Iterator<Item = (&'h str, Kind)> {
        self.by_id.iter().filter(|(_, subject)| subject.is_known()).map(|(id, subject)| (*id, subject.kind))
    }
}
