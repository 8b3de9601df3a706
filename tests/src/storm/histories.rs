//! The histories of the registers: the steps that the requests between two rest points can take.

use std::collections::BTreeSet;

use super::history::{Document, Kind, Outcome, Record};
use super::linear::Step;
use super::registers::{DocumentEffect, MembershipEffect, OwnerEffect};
use super::subjects::{Attempt, Subjects};

impl Subjects<'_> {
    /// The history of a document. It begins with the state at the last rest point, or with the creation.
    pub fn document_history(&self, id: &str) -> (Option<Document>, Vec<Step<DocumentEffect>>) {
        let subject = &self.by_id[id];
        let mut steps = Vec::new();
        for attempt in self.attempts_of(id) {
            let change = attempt.change.clone();
            // The answer shows the document after the last transaction.
            let shown = attempt.shown.filter(|_| !attempt.may_be_split).cloned();
            if attempt.may_be_split && change.tag.is_some() {
                steps.push(attempt.step(DocumentEffect::MayRepeat(change.clone())));
            }
            steps.push(attempt.step(DocumentEffect::Changes(change, shown)));
        }
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

    /// Every name that a resource can have had, or that a request asked for.
    pub fn names(&self) -> BTreeSet<(Kind, String)> {
        let mut names = BTreeSet::new();
        for subject in self.by_id.values() {
            names.extend(subject.first_document().map(|document| (subject.kind, document.name)));
        }
        for record in self.records {
            for (change, _) in &record.changes {
                names.extend(change.name.clone().map(|name| (change.kind, name)));
            }
            names.extend(record.lookups.iter().map(|lookup| (lookup.kind, lookup.name.clone())));
        }
        names
    }

    /// The history of the owner of a name. It begins with the owner at the last rest point.
    pub fn owner_history(&self, kind: Kind, name: &str) -> (Option<String>, Vec<Step<OwnerEffect>>) {
        let mut owner = None;
        let mut owners = BTreeSet::new();
        let mut steps = Vec::new();
        for (id, subject) in self.by_id.iter().filter(|(_, subject)| subject.kind == kind) {
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
                if attempt.may_be_split {
                    steps.push(attempt.step(effect.repeated()));
                }
                steps.push(attempt.step(effect));
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

    /// The history of a membership. It begins with the state at the last rest point, or with the creation of the
    /// group: a group is visible only with all members that it was created with.
    pub fn membership_history(&self, group: &str, member: &str) -> (Vec<bool>, Vec<Step<MembershipEffect>>) {
        let (subject, of_member) = (&self.by_id[group], &self.by_id[member]);
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
            steps.push(attempt.step(effect));
        };
        for attempt in self.attempts_of(group) {
            let is_member = match attempt.change.deletes {
                true => Some(false),
                false => attempt.change.membership(of_member.kind, member),
            };
            if let Some(value) = is_member
                && attempt.may_be_split
            {
                write(attempt, MembershipEffect::MayRepeat(value));
            }
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
}

/// A step that reads.
fn read<E>(position: usize, record: &Record, effect: E) -> Step<E> {
    Step { from: record.sent, until: Some(record.answered), effect, record: position }
}
