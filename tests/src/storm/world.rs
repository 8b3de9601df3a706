//! What the clients of one connector know of its directory: the users and groups that they created, by places.
//!
//! A place holds at most one resource, and a group takes its members from a fixed range of places. So groups
//! keep a bounded number of members, although users are deleted and created again.

use std::collections::HashMap;
use std::sync::Mutex;

use super::choices::Choices;
use super::history::Kind;

/// The number of places for groups.
const GROUPS: usize = 10;
/// The number of names for groups. It is not much larger than the number of groups, so that names clash.
const GROUP_NAMES: usize = 13;
/// The number of userNames that all places share.
const SHARED_USER_NAMES: usize = 12;
/// The number of other groups that can be members of a group.
const NESTED: usize = 2;

/// The places of one connector.
pub struct World {
    /// The number of places from which a group takes its members.
    members: usize,
    places: Mutex<Places>,
}

#[derive(Default)]
struct Places {
    users: Vec<Option<String>>,
    groups: Vec<Option<String>>,
    /// The resources that were created when their place was taken.
    extra: Vec<(Kind, String)>,
    /// The tag of the creation by id.
    creations: HashMap<String, String>,
}

impl World {
    /// Empty places, for groups of at most this number of users.
    pub fn new(members: usize) -> Self {
        let users = members + members / 4 + 10;
        let places = Places { users: vec![None; users], groups: vec![None; GROUPS], ..Places::default() };
        Self { members, places: Mutex::new(places) }
    }

    fn places(&self) -> std::sync::MutexGuard<'_, Places> {
        self.places.lock().expect("no thread panicked with the lock")
    }

    /// The number of places for users.
    pub fn users(&self) -> usize {
        self.places().users.len()
    }

    /// Every name that a user or group can have.
    pub fn names(&self, kind: Kind) -> Vec<String> {
        match kind {
            Kind::User => {
                let own = (0..self.users()).map(own_name);
                own.chain((0..SHARED_USER_NAMES).map(shared_name)).collect()
            }
            Kind::Group => (0..GROUP_NAMES).map(|number| format!("team-{number}")).collect(),
        }
    }

    /// A name for a resource at this place.
    pub fn name(&self, choices: &mut Choices, kind: Kind, place: usize) -> String {
        match kind {
            Kind::User if choices.percent(60) => own_name(place),
            Kind::User => self.shared_user_name(choices),
            Kind::Group => format!("team-{}", choices.below(GROUP_NAMES)),
        }
    }

    /// A userName that all places share.
    pub fn shared_user_name(&self, choices: &mut Choices) -> String {
        shared_name(choices.below(SHARED_USER_NAMES))
    }

    /// A place for a new resource: a free one, if there is one after a place chosen by chance.
    pub fn free_place(&self, choices: &mut Choices, kind: Kind) -> usize {
        let places = self.places();
        let of_kind = places.of(kind);
        let start = choices.below(of_kind.len());
        let order = (start..of_kind.len()).chain(0..start);
        order.into_iter().find(|place| of_kind[*place].is_none()).unwrap_or(start)
    }

    /// The id of a resource, and its place if it has one. `None` if the chosen place is free.
    pub fn resource(&self, choices: &mut Choices, kind: Kind) -> Option<(Option<usize>, String)> {
        let places = self.places();
        let extra: Vec<&String> =
            places.extra.iter().filter(|(of, _)| *of == kind).map(|(_, id)| id).collect();
        if !extra.is_empty() && choices.percent(20) {
            return Some((None, (*choices.pick(&extra)).clone()));
        }
        let place = choices.below(places.of(kind).len());
        Some((Some(place), places.of(kind)[place].clone()?))
    }

    /// Up to `most` ids that can be members of the group at this place.
    pub fn members(&self, choices: &mut Choices, group: usize, most: usize) -> Vec<String> {
        let places = self.places();
        let count = choices.between(1, most.max(1));
        let first = group * 7;
        // Half of the requests name members one after another, so that two requests name the same ones.
        let start = choices.below(self.members);
        let offset =
            |number| if count > 3 { (start + number) % self.members } else { choices.below(self.members) };
        let mut ids: Vec<String> = (0..count)
            .map(offset)
            .filter_map(|offset| places.users[(first + offset) % places.users.len()].clone())
            .collect();
        if choices.percent(12) {
            let nested = (group + 1 + choices.below(NESTED) * 2) % GROUPS;
            ids.extend(places.groups[nested].clone());
        }
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    /// Keeps the tag of the creation of a resource, and puts it in its place if the place is free.
    pub fn created(&self, kind: Kind, place: Option<usize>, id: &str, creation: &str) {
        let mut places = self.places();
        places.creations.insert(id.to_owned(), creation.to_owned());
        match place {
            Some(place) if places.of(kind)[place].is_none() => {
                places.of_mut(kind)[place] = Some(id.to_owned());
            }
            _ => places.extra.push((kind, id.to_owned())),
        }
    }

    /// Frees the place of a resource that was deleted.
    pub fn deleted(&self, kind: Kind, id: &str) {
        let mut places = self.places();
        places.extra.retain(|(_, extra)| extra != id);
        for place in places.of_mut(kind) {
            if place.as_deref() == Some(id) {
                *place = None;
            }
        }
    }

    /// The tag of the creation of a resource.
    pub fn creation(&self, id: &str) -> Option<String> {
        self.places().creations.get(id).cloned()
    }

    /// Takes over what exists at a rest point: frees the places of resources that do not exist, and keeps
    /// resources that no client knows without a place. `present` has ids with the tags of their creations.
    pub fn reconcile(&self, kind: Kind, present: &[(String, String)]) {
        let mut places = self.places();
        let exists = |id: &String| present.iter().any(|(other, _)| other == id);
        places.extra.retain(|(of, id)| *of != kind || exists(id));
        for place in places.of_mut(kind) {
            if place.as_ref().is_some_and(|id| !exists(id)) {
                *place = None;
            }
        }
        for (id, creation) in present {
            places.creations.insert(id.clone(), creation.clone());
            let is_known = places.extra.iter().any(|(_, other)| other == id)
                || places.of(kind).iter().flatten().any(|other| other == id);
            if !is_known {
                places.extra.push((kind, id.clone()));
            }
        }
    }
}

impl Places {
    fn of(&self, kind: Kind) -> &[Option<String>] {
        match kind {
            Kind::User => &self.users,
            Kind::Group => &self.groups,
        }
    }

    fn of_mut(&mut self, kind: Kind) -> &mut [Option<String>] {
        match kind {
            Kind::User => &mut self.users,
            Kind::Group => &mut self.groups,
        }
    }
}

fn own_name(place: usize) -> String {
    format!("user-{place}")
}

fn shared_name(number: usize) -> String {
    format!("shared-{number}")
}
