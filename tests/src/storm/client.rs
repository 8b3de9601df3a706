//! The clients: each chooses one request after another, in conflict with the others.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::Value;
use tokio::time::sleep;

use super::choices::Choices;
use super::history::{Kind, Outcome, Sighting};
use super::request::{GroupPatch, MemberPatch, RemovalForm, Request, Shows};
use super::wire::{Answer, Sender};
use super::world::World;
use crate::provisioning::percent_encoded;

/// The pause of a client that finds no service process, or repeats a request.
const PAUSE: Duration = Duration::from_millis(25);
/// How often a client repeats a request that has no definite answer.
const MAX_REPETITIONS: usize = 40;
/// The most pages that a client reads.
const MAX_PAGES: usize = 40;

/// What a client does next.
#[derive(Clone, Copy, Debug)]
enum Action {
    CreateUser,
    PutUser,
    PatchUser,
    RenameUser,
    DeactivateUser,
    ActivateUser,
    DeleteUser,
    ReadUser,
    FindUser,
    SwapUserNames,
    CreateGroup,
    PutGroup,
    RenameGroup,
    AddMembers,
    RemoveMembers,
    ReplaceMembers,
    ReplaceOneMember,
    RemoveKind,
    ChangeGroupAndMembers,
    DeleteGroup,
    ReadGroup,
    FindGroup,
    FilterUsers,
    ReadPage,
    ReadAllPages,
    Bulk,
}

/// How often each action is chosen, in relation to the others.
const ACTIONS: [(usize, Action); 26] = [
    (9, Action::CreateUser),
    (5, Action::PutUser),
    (5, Action::PatchUser),
    (5, Action::RenameUser),
    (4, Action::DeactivateUser),
    (9, Action::ActivateUser),
    (4, Action::DeleteUser),
    (10, Action::ReadUser),
    (7, Action::FindUser),
    (2, Action::SwapUserNames),
    (7, Action::CreateGroup),
    (5, Action::PutGroup),
    (3, Action::RenameGroup),
    (11, Action::AddMembers),
    (7, Action::RemoveMembers),
    (4, Action::ReplaceMembers),
    (3, Action::ReplaceOneMember),
    (2, Action::RemoveKind),
    (4, Action::ChangeGroupAndMembers),
    (4, Action::DeleteGroup),
    (12, Action::ReadGroup),
    (5, Action::FindGroup),
    (2, Action::FilterUsers),
    (3, Action::ReadPage),
    (1, Action::ReadAllPages),
    (4, Action::Bulk),
];

/// How the clients behave.
#[derive(Clone, Copy, Debug)]
pub struct Habits {
    /// The most members that a request names.
    pub members: usize,
    /// The percentage of requests without a definite answer that a client repeats.
    pub repeats: usize,
}

/// A client.
pub struct Client {
    sender: Sender,
    world: Arc<World>,
    choices: Choices,
    habits: Habits,
    /// Whether faults are injected. If not, clients do not disconnect either.
    is_calm: Arc<AtomicBool>,
}

impl Client {
    /// A client with these choices.
    pub fn new(
        sender: Sender,
        world: &Arc<World>,
        choices: Choices,
        habits: Habits,
        is_calm: &Arc<AtomicBool>,
    ) -> Self {
        Self { sender, world: Arc::clone(world), choices, habits, is_calm: Arc::clone(is_calm) }
    }

    /// Creates users in all places, so that the first groups have members.
    pub async fn create_users(&mut self) {
        for place in 0..self.world.users() {
            let request = Request::create_user(&format!("user-{place}"), true, &self.tag()).at(place);
            self.send(&request).await;
        }
    }

    /// Sends requests until `is_over`.
    pub async fn run(&mut self, is_over: &AtomicBool) {
        while !is_over.load(Ordering::Relaxed) {
            self.act().await;
        }
    }

    fn tag(&self) -> String {
        self.sender.run().new_tag()
    }

    /// Sends a request, and repeats it if it has no definite answer.
    async fn send(&mut self, request: &Request) -> Option<Answer> {
        let mut answer = None;
        for attempt in 0..MAX_REPETITIONS {
            if attempt > 0 {
                sleep(PAUSE).await;
            }
            let service = self.choices.below(self.sender.services());
            let disconnects = self.choices.percent(2);
            let after = Duration::from_millis(self.choices.below(30) as u64);
            let is_calm = self.is_calm.load(Ordering::Relaxed);
            let patience = (disconnects && !is_calm).then_some(after);
            answer = self.sender.send(service, request, patience).await;
            let Some(answer) = &answer else { continue };
            let outcomes = &answer.meaning.outcomes;
            self.learn(request, outcomes);
            let is_definite = !outcomes.contains(&Outcome::Unknown) && answer.status.is_some();
            if is_definite || !self.choices.percent(self.habits.repeats) {
                break;
            }
        }
        answer
    }

    /// Keeps which resources were created and deleted.
    fn learn(&self, request: &Request, outcomes: &[Outcome]) {
        for (change, outcome) in request.changes.iter().zip(outcomes) {
            match (outcome, &change.creation) {
                (Outcome::Done { id, .. }, Some(creation)) => {
                    self.world.created(change.kind, request.place, id, creation);
                }
                (Outcome::Done { id, .. }, None) if change.deletes => self.world.deleted(change.kind, id),
                (Outcome::Refused(404), None) => {
                    self.world.deleted(change.kind, change.id.as_deref().unwrap_or_default());
                }
                _ => {}
            }
        }
    }

    /// Sends a change. Some changes first read the resource, and require that it is unchanged.
    async fn change(&mut self, request: Request) {
        let target = request.changes.first().map(|change| (change.kind, change.id.clone()));
        if let Some((kind, Some(id))) = target
            && self.choices.percent(15)
            && let Some(answer) = self.send(&Request::get(kind, &id)).await
            && let (Some(entity_tag), Some(document)) = (&answer.entity_tag, document_of(&answer))
        {
            self.send(&request.if_match(entity_tag, &document)).await;
            return;
        }
        self.send(&request).await;
    }

    async fn act(&mut self) {
        let action = self.choices.weighted(&ACTIONS);
        match action {
            Action::CreateUser => {
                let request = self.creation_of_user();
                self.send(&request).await;
            }
            Action::CreateGroup => {
                let request = self.creation_of_group();
                self.send(&request).await;
            }
            Action::SwapUserNames => self.swap_user_names().await,
            Action::FindUser | Action::FindGroup => {
                let kind = if matches!(action, Action::FindUser) { Kind::User } else { Kind::Group };
                let name = self.choices.pick(&self.world.names(kind)).clone();
                self.send(&Request::lookup(kind, &name)).await;
            }
            Action::FilterUsers => {
                let filters =
                    ["active eq false", "userName sw \"shared\"", "displayName pr and active eq true"];
                let filter = percent_encoded(self.choices.pick::<&str>(&filters));
                let count = self.choices.between(1, 40);
                self.send(&Request::page(Kind::User, &format!("count={count}&filter={filter}"))).await;
            }
            Action::ReadPage => {
                let kind = *self.choices.pick(&[Kind::User, Kind::Group]);
                let (start, count) = (self.choices.between(1, 30), self.choices.between(1, 25));
                self.send(&Request::page(kind, &format!("startIndex={start}&count={count}"))).await;
            }
            Action::ReadAllPages => self.read_all_pages().await,
            Action::Bulk => self.send_bulk().await,
            _ => {
                if let Some(request) = self.change_of_one(action) {
                    self.change(request).await;
                }
            }
        }
    }

    /// A change or read of one user or group that was chosen by chance. `None` if there is none.
    fn change_of_one(&mut self, action: Action) -> Option<Request> {
        use Action::{ActivateUser, DeactivateUser, DeleteUser, PatchUser, PutUser, ReadUser, RenameUser};
        let is_user = matches!(
            action,
            PutUser | PatchUser | RenameUser | DeactivateUser | ActivateUser | DeleteUser | ReadUser
        );
        let kind = if is_user { Kind::User } else { Kind::Group };
        let (place, id) = self.world.resource(&mut self.choices, kind)?;
        let tag = self.tag();
        let creation = self.world.creation(&id)?;
        let name_place = place.unwrap_or_default();
        let name = self.world.name(&mut self.choices, kind, name_place);
        if !is_user && place.is_none() && !matches!(action, Action::ReadGroup) {
            // A group without a place has no range of members. Its deletion frees its name.
            return Some(Request::delete(kind, &id));
        }
        let most = self.habits.members;
        let members =
            |client: &mut Self, most: usize| client.world.members(&mut client.choices, name_place, most);
        Some(match action {
            PutUser => Request::put_user(&id, &name, self.choices.percent(85), &creation, &tag),
            PatchUser => Request::patch_user(&id, None, None, &tag),
            RenameUser => Request::patch_user(&id, Some(&name), None, &tag),
            DeactivateUser => Request::patch_user(&id, None, Some(false), &tag),
            ActivateUser => Request::patch_user(&id, None, Some(true), &tag),
            Action::PutGroup => {
                let members = members(self, most);
                Request::put_group(&id, &name, &members, &creation, &tag)
            }
            Action::RenameGroup => {
                let document = GroupPatch { name: Some(&name), creation: &creation, tag: &tag };
                Request::patch_group(&id, Some(document), &[])
            }
            Action::AddMembers => Request::patch_group(&id, None, &[MemberPatch::Add(members(self, most))]),
            Action::RemoveMembers => {
                let members = members(self, most);
                // A filter with many parts would be longer than the service accepts.
                let form = if members.len() < 8 && self.choices.percent(50) {
                    RemovalForm::Path
                } else {
                    RemovalForm::Value
                };
                Request::patch_group(&id, None, &[MemberPatch::Remove(members, form)])
            }
            Action::ReplaceMembers => {
                Request::patch_group(&id, None, &[MemberPatch::Replace(members(self, most))])
            }
            Action::ReplaceOneMember => {
                let one = members(self, 1).first()?.clone();
                let others = members(self, most.min(3));
                Request::patch_group(&id, None, &[MemberPatch::ReplaceOne(one, others)])
            }
            Action::RemoveKind => {
                let kind = *self.choices.pick(&[Kind::User, Kind::Group]);
                Request::patch_group(&id, None, &[MemberPatch::RemoveKind(kind)])
            }
            Action::ChangeGroupAndMembers => {
                let renames = self.choices.percent(50);
                let document =
                    GroupPatch { name: renames.then_some(name.as_str()), creation: &creation, tag: &tag };
                let half = most.div_ceil(2);
                let removed = MemberPatch::Remove(members(self, half), RemovalForm::Value);
                let mut patches = vec![removed, MemberPatch::Add(members(self, half))];
                patches.retain(MemberPatch::names_members);
                Request::patch_group(&id, Some(document), &patches)
            }
            DeleteUser | Action::DeleteGroup => Request::delete(kind, &id),
            _ => Request::get(kind, &id),
        })
        .filter(|request| request.method != "PATCH" || has_operands(request))
    }

    fn creation_of_user(&mut self) -> Request {
        let place = self.world.free_place(&mut self.choices, Kind::User);
        let name = self.world.name(&mut self.choices, Kind::User, place);
        Request::create_user(&name, self.choices.percent(90), &self.tag()).at(place)
    }

    fn creation_of_group(&mut self) -> Request {
        let place = self.world.free_place(&mut self.choices, Kind::Group);
        let name = self.world.name(&mut self.choices, Kind::Group, place);
        let members = self.world.members(&mut self.choices, place, self.habits.members);
        Request::create_group(&name, &members, &self.tag()).at(place)
    }

    /// Gives two users each other's name, by way of a third name.
    async fn swap_user_names(&mut self) {
        let chosen = [(); 2].map(|()| self.world.resource(&mut self.choices, Kind::User));
        let [Some((_, one)), Some((_, other))] = chosen else { return };
        let mut names = Vec::new();
        for id in [&one, &other] {
            let answer = self.send(&Request::get(Kind::User, id)).await;
            let document = answer.and_then(|answer| answer.meaning.sightings.into_iter().next());
            let Some(Sighting { document: Some(Some(document)), .. }) = document else { return };
            names.push(document.name);
        }
        let spare = self.world.shared_user_name(&mut self.choices);
        for (id, name) in [(&one, &spare), (&other, &names[0]), (&one, &names[1])] {
            let request = Request::patch_user(id, Some(name), None, &self.tag());
            self.send(&request).await;
        }
    }

    /// Reads all pages by cursor (RFC 9865). The pages are not from one moment, so only their resources are
    /// compared.
    async fn read_all_pages(&mut self) {
        let kind = *self.choices.pick(&[Kind::User, Kind::Group]);
        let count = self.choices.between(5, 40);
        let mut cursor = String::new();
        for _ in 0..MAX_PAGES {
            let request = Request::page(kind, &format!("count={count}&cursor={cursor}"));
            let Some(answer) = self.send(&request).await else { return };
            let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
            let Some(next) = body["nextCursor"].as_str() else { return };
            next.clone_into(&mut cursor);
        }
    }

    async fn send_bulk(&mut self) {
        let mut requests = Vec::new();
        for _ in 0..self.choices.between(1, 4) {
            let action = self.choices.weighted(&ACTIONS);
            let request = match action {
                Action::CreateUser => Some(self.creation_of_user()),
                Action::CreateGroup => Some(self.creation_of_group()),
                _ => self.change_of_one(action),
            };
            requests.extend(request.filter(|request| request.shows == Shows::Change));
        }
        if !requests.is_empty() {
            self.send(&Request::bulk(requests)).await;
        }
    }
}

/// Whether each operation of a PATCH names a value. A list without members is no operation.
fn has_operands(request: &Request) -> bool {
    let change = request.changes.first();
    change.is_some_and(|change| change.tag.is_some() || change.changes_members())
}

/// The tag of the resource in an answer.
fn document_of(answer: &Answer) -> Option<String> {
    let sighting = answer.meaning.sightings.first()?;
    Some(sighting.document.clone()??.tag)
}
