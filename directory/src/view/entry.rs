//! Entries of the directory: users as the platform sees them. An entry is a pure function of the user, the
//! memberships of the user, and the connector's settings.

use std::fmt;

use serde::Serialize;

use crate::dynamodb::items::Stored;
use crate::dynamodb::keys;
use crate::index::USER_NAME;
use crate::settings::{DisplayName, Settings, UsernameCase};
use shared::error::ScimError;
use shared::filter::{fold, fold_name};
use shared::patch::ValuePath;
use shared::resource::{Origin, Resource, ResourceId, ResourceKind};
use shared::schema::Schemas;

/// The built-in group. Every user that is not hidden is a member. Clients and operators cannot create, change
/// or delete it.
pub const PUBLIC: &str = "public";

/// A user as the platform sees it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Entry {
    /// The user's id.
    pub id: String,
    /// The connector.
    pub connector: String,
    /// Who created the user: `scim` or `local`.
    pub origin: &'static str,
    /// The username.
    pub username: String,
    /// The first name.
    pub first_name: Option<String>,
    /// The last name.
    pub last_name: Option<String>,
    /// The display name.
    pub display_name: String,
    /// The email address.
    pub email: Option<String>,
    /// The names of the groups that the user is a direct member of.
    pub groups: Vec<String>,
    /// The names of the groups that the user is a direct or indirect member of.
    pub effective_groups: Vec<String>,
    /// The names of the user's roles.
    pub roles: Vec<String>,
    /// The reason why the user is hidden; `None` if the user is shown.
    pub hidden: Option<Hidden>,
}

/// The reason why a user or group is hidden.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Hidden {
    /// The client deactivated the user.
    Deactivated,
    /// The client deleted the user, and the connector keeps deleted users for operators.
    Deleted,
    /// The rules have an include list, and no pattern in it matches.
    NotIncluded,
    /// This pattern of the exclude list matches.
    Excluded(String),
    /// The mapping gives the user no username.
    NoUsername,
    /// The user with this id, who was created earlier, is shown with the same username.
    NameTakenBy(String),
}

impl fmt::Display for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Deactivated => f.write_str("deactivated"),
            Self::Deleted => f.write_str("deleted by the client"),
            Self::NotIncluded => f.write_str("not included"),
            Self::Excluded(pattern) => write!(f, "excluded by {pattern}"),
            Self::NoUsername => f.write_str("the mapping gives no username"),
            Self::NameTakenBy(id) => write!(f, "the username is taken by {id}"),
        }
    }
}

/// The names of the groups and roles of one user, without hidden groups.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MembershipNames {
    /// The groups that the user is a direct member of.
    pub direct: Vec<String>,
    /// The groups that the user is a direct or indirect member of.
    pub effective: Vec<String>,
    /// The roles of the user.
    pub roles: Vec<String>,
}

/// Makes entries with the settings of a connector.
#[derive(Debug)]
pub struct EntryMaker<'s> {
    connector: String,
    settings: &'s Settings,
    username: ValuePath<'s>,
    first_name: ValuePath<'s>,
    last_name: ValuePath<'s>,
    email: ValuePath<'s>,
    group_name: ValuePath<'s>,
}

impl<'s> EntryMaker<'s> {
    /// Parses the attribute paths of the mapping.
    ///
    /// # Errors
    /// `invalidPath` if a path does not name an attribute of these schemas.
    pub fn new(connector: &str, settings: &'s Settings, schemas: &'s Schemas) -> Result<Self, ScimError> {
        let mapping = &settings.mapping;
        let user = |path: &'s str| ValuePath::parse(path, schemas.of(ResourceKind::User));
        Ok(Self {
            connector: connector.to_owned(),
            settings,
            username: user(&mapping.username)?,
            first_name: user(&mapping.first_name)?,
            last_name: user(&mapping.last_name)?,
            email: user(&mapping.email)?,
            group_name: ValuePath::parse(&mapping.group_name, schemas.of(ResourceKind::Group))?,
        })
    }

    /// Makes the entry of a user. `taken_by` is the user who keeps the username, if it is another one
    /// (see [`super::ShownNames`]).
    pub fn entry(
        &self,
        stored: &Stored,
        memberships: MembershipNames,
        taken_by: Option<ResourceId>,
    ) -> Entry {
        let user = &stored.resource;
        let document = &user.document;
        let text = |path: &ValuePath<'_>| path.find(document).map(str::to_owned);
        let (first_name, last_name) = (text(&self.first_name), text(&self.last_name));
        let username = self.username(user);
        let names = [first_name.as_deref(), last_name.as_deref()].into_iter().flatten().collect::<Vec<_>>();
        let in_document = document.get("displayName").and_then(|name| name.as_str());
        let (entered, sent) = match user.origin {
            Origin::Local => (in_document, None),
            Origin::Scim => (stored.shown_name.as_deref(), in_document),
        };
        let sent = sent.filter(|_| self.settings.mapping.display_name == DisplayName::GivenOrNames);
        let display_name = match (entered.or(sent), names.is_empty()) {
            (Some(given), _) => given.to_owned(),
            (None, false) => names.join(" "),
            (None, true) => username.clone(),
        };
        let taken = || taken_by.map(|id| Hidden::NameTakenBy(id.to_string()));
        let hidden = self.hidden_user(stored).or_else(taken);
        let MembershipNames { direct: groups, effective: mut effective_groups, roles } = memberships;
        if hidden.is_none() {
            effective_groups.push(PUBLIC.to_owned());
        }
        Entry {
            id: user.id.to_string(),
            connector: self.connector.clone(),
            origin: user.origin.name(),
            email: text(&self.email),
            groups,
            effective_groups,
            roles,
            username,
            first_name,
            last_name,
            display_name,
            hidden,
        }
    }

    /// Returns the reason why a user is hidden, without regard to the names of other users. `None` if the user is shown with its
    /// username, unless another user keeps that.
    pub fn hidden_user(&self, stored: &Stored) -> Option<Hidden> {
        let user = &stored.resource;
        if stored.is_retained { Some(Hidden::Deleted) } else { self.hidden_resource(user) }
    }

    /// The same for a user whom the client has not deleted.
    pub(crate) fn hidden_resource(&self, user: &Resource) -> Option<Hidden> {
        if !user.is_active() {
            return Some(Hidden::Deactivated);
        }
        // Rules filter only what the client sends.
        let by_rule = (user.origin == Origin::Scim).then(|| {
            // A rule can name the user by the mapped username or by the `userName` that the client sent.
            let username = self.username(user);
            let sent = user.document.get("userName").and_then(|name| name.as_str()).unwrap_or_default();
            let rules = &self.settings.rules;
            hidden_by(&rules.include_users, &rules.exclude_users, &[&username, sent])
        });
        by_rule.flatten().or_else(|| self.name_key(user).is_none().then_some(Hidden::NoUsername))
    }

    /// The username that the mapping gives a user; empty if it gives none.
    pub(crate) fn username(&self, user: &Resource) -> String {
        self.map_username(self.username.find(&user.document).unwrap_or_default())
    }

    /// The username of a user in the form in which usernames are compared: in lower case, because a person would take `Ann` and
    /// `ann` for the same user, and some platforms change the case of usernames. `None` if the mapping gives no username.
    pub(crate) fn name_key(&self, user: &Resource) -> Option<String> {
        let source = self.username.find(&user.document)?;
        let name = self.name_part(source);
        // `ann @example.com` would be shown as `ann `, which looks like the `ann` of another user.
        let is_name = name.len() == source.len() || !name.ends_with(char::is_whitespace);
        let key = fold_name(name, false);
        (is_name && !key.is_empty()).then(|| key.into_owned())
    }

    /// The usernames that can be made of a value in the index of usernames, cut as in the index. Of a value that is cut, one of them is
    /// the value itself, so that every username which begins as it does counts.
    pub(crate) fn names_of_indexed<'v>(&self, value: &'v str) -> Vec<&'v str> {
        match keys::cut_value(value) {
            _ if !self.settings.mapping.username_from_email => vec![value],
            None => vec![self.name_part(value)],
            Some(beginning) => vec![self.name_part(beginning), value],
        }
    }

    /// Returns the username that the directory shows for this `userName`, or `None` if usernames are made of another attribute.
    pub fn username_of(&self, user_name: &str) -> Option<String> {
        (self.settings.mapping.username == USER_NAME).then(|| self.map_username(user_name))
    }

    /// Returns the settings.
    pub(crate) fn settings(&self) -> &'s Settings {
        self.settings
    }

    /// The path of the attribute that holds the email address, without a filter: `emails.value`.
    pub(crate) fn email_path(&self) -> Option<String> {
        self.email.attribute_path()
    }

    /// Returns the name of a group in the directory.
    pub fn group_name(&self, group: &Resource) -> String {
        let name = self.group_name.find(&group.document);
        // A group that does not have the mapped attribute keeps its displayName, so that it has a name.
        name.or_else(|| group.document.get("displayName")?.as_str()).unwrap_or_default().to_owned()
    }

    /// Returns the reason why a group is hidden, or `None` if it is shown. Rules hide only groups of the client.
    pub fn hidden_group(&self, group: &Resource) -> Option<Hidden> {
        if group.kind != ResourceKind::Group {
            return None;
        }
        let rules = &self.settings.rules;
        hidden_by(&rules.include_groups, &rules.exclude_groups, &[&self.group_name(group)])
    }

    /// Applies the mapping to a username.
    fn map_username(&self, username: &str) -> String {
        let username = self.name_part(username);
        match self.settings.mapping.username_case {
            UsernameCase::AsIs => username.to_owned(),
            UsernameCase::Lower => with_case(username, char::to_lowercase),
            UsernameCase::Upper => with_case(username, char::to_uppercase),
        }
    }

    /// The part of the mapped attribute that is the username.
    fn name_part<'n>(&self, username: &'n str) -> &'n str {
        match username.rsplit_once('@') {
            Some((before, _)) if self.settings.mapping.username_from_email && !before.is_empty() => before,
            _ => username,
        }
    }
}

/// Changes the case of each character that has exactly one counterpart. The others stay, such as `ß`: its upper case `SS` would
/// give two users one name whose stored names differ.
fn with_case<I: Iterator<Item = char>>(text: &str, change: fn(char) -> I) -> String {
    let changed = |character: char| {
        let mut changed = change(character);
        match (changed.next(), changed.next()) {
            (Some(one), None) if has_same_fold(one, character) => one,
            _ => character,
        }
    };
    text.chars().map(changed).collect()
}

fn has_same_fold(one: char, other: char) -> bool {
    fold(one.encode_utf8(&mut [0; 4]), false) == fold(other.encode_utf8(&mut [0; 4]), false)
}

/// Applies an include list and an exclude list to the names of a user or group. An exclude list wins over an
/// include list; an empty include list means everyone.
fn hidden_by(include: &[String], exclude: &[String], names: &[&str]) -> Option<Hidden> {
    let matches_any = |pattern: &&String| names.iter().any(|name| matches(pattern, name));
    if let Some(pattern) = exclude.iter().find(matches_any) {
        return Some(Hidden::Excluded(pattern.clone()));
    }
    let is_included = include.is_empty() || include.iter().any(|pattern| matches_any(&pattern));
    (!is_included).then_some(Hidden::NotIncluded)
}

/// Whether a name matches a pattern. Ignores upper and lower case. `*` in the pattern matches any number of characters.
fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.trim().to_lowercase(), name.to_lowercase());
    let Some((first, rest)) = pattern.split_once('*') else { return pattern == name };
    let Some(mut name) = name.strip_prefix(first) else { return false };
    let (middle, last) = rest.rsplit_once('*').unwrap_or(("", rest));
    for part in middle.split('*') {
        // The earliest match leaves the most text for the parts that follow.
        match name.find(part).and_then(|start| name.get(start + part.len()..)) {
            Some(after) => name = after,
            None => return false,
        }
    }
    name.ends_with(last)
}

/// Whether this name of a group is that of the built-in group.
pub fn is_built_in(group: &str) -> bool {
    group.trim().eq_ignore_ascii_case(PUBLIC)
}

/// Returns the owner of a resource, for messages to operators.
pub fn owner(origin: Origin, connector: &str) -> String {
    match origin {
        Origin::Scim => format!("the identity provider of connector {connector}"),
        Origin::Local => "this directory's operators".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::settings::{Mapping, Rules};
    use shared::resource::ResourceId;

    fn resource(kind: ResourceKind, origin: Origin, document: Value) -> Resource {
        let Value::Object(document) = document else { panic!("the document is not an object") };
        Resource {
            kind,
            id: ResourceId::from_random_bytes([1; 16]),
            version: 1,
            created: jiff::Timestamp::UNIX_EPOCH,
            last_modified: jiff::Timestamp::UNIX_EPOCH,
            origin,
            document,
        }
    }

    fn user(origin: Origin, document: Value) -> Stored {
        Stored {
            resource: resource(ResourceKind::User, origin, document),
            is_deleting: false,
            is_retained: false,
            is_nested: false,
            joins: 0,
            last_group: None,
            leaving: None,
            intent: None,
            intent_due: None,
            shown_name: None,
            merged_into: None,
        }
    }

    fn entry_of(settings: &Settings, user: &Stored) -> Entry {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let memberships = MembershipNames {
            direct: names(&["Sales"]),
            effective: names(&["Sales", "Everybody"]),
            roles: names(&["steward"]),
        };
        EntryMaker::new("okta", settings, Schemas::built_in()).unwrap().entry(user, memberships, None)
    }

    fn entry(settings: &Settings, document: Value) -> Entry {
        entry_of(settings, &user(Origin::Scim, document))
    }

    fn barbara() -> Value {
        json!({
            "userName": "Barbara@Example.com",
            "name": { "givenName": "Barbara", "familyName": "Jensen" },
            "emails": [{ "value": "home@example.com" }, { "value": "work@example.com", "primary": true }]
        })
    }

    #[test]
    fn entry_has_the_attributes_of_the_default_mapping() {
        let entry = entry(&Settings::default(), barbara());
        let expected = Entry {
            id: entry.id.clone(),
            connector: "okta".to_owned(),
            origin: "scim",
            username: "Barbara@Example.com".to_owned(),
            first_name: Some("Barbara".to_owned()),
            last_name: Some("Jensen".to_owned()),
            display_name: "Barbara Jensen".to_owned(),
            email: Some("work@example.com".to_owned()),
            groups: vec!["Sales".to_owned()],
            effective_groups: ["Sales", "Everybody", "public"].map(str::to_owned).to_vec(),
            roles: vec!["steward".to_owned()],
            hidden: None,
        };
        assert_eq!(entry, expected);
    }

    #[test]
    fn mapping_chooses_username_display_name_and_email() {
        let mapping = |mapping: Mapping| Settings { mapping, ..Settings::default() };
        let lower = mapping(Mapping {
            username_from_email: true,
            username_case: UsernameCase::Lower,
            email: "emails.value".to_owned(),
            ..Mapping::default()
        });
        let mut document = barbara();
        document["displayName"] = json!("Babs");
        let created = entry(&lower, document.clone());
        assert_eq!((created.username.as_str(), created.display_name.as_str()), ("barbara", "Babs"));
        assert_eq!(created.email.as_deref(), Some("home@example.com"));
        let names = mapping(Mapping {
            display_name: DisplayName::Names,
            username_case: UsernameCase::Upper,
            ..Mapping::default()
        });
        let created = entry(&names, document);
        assert_eq!(
            (created.username.as_str(), created.display_name.as_str()),
            ("BARBARA@EXAMPLE.COM", "Barbara Jensen")
        );
        let bare = entry(&Settings::default(), json!({ "userName": "x" }));
        assert_eq!((bare.display_name.as_str(), bare.first_name, bare.email), ("x", None, None));
    }

    #[test]
    fn names_that_the_mapping_makes_equal_are_equal_in_lower_case() {
        for case in [UsernameCase::AsIs, UsernameCase::Lower, UsernameCase::Upper] {
            let mapping = Mapping { username_case: case, ..Mapping::default() };
            let settings = Settings { mapping, ..Settings::default() };
            let maker = EntryMaker::new("okta", &settings, Schemas::built_in()).unwrap();
            for character in (0..=0x0010_ffff).filter_map(char::from_u32) {
                let name = character.to_string();
                let mapped = maker.map_username(&name);
                assert_eq!(fold(&mapped, false), fold(&name, false), "{name:?} is shown as {mapped:?}");
            }
        }
    }

    #[test]
    fn user_without_a_username_is_hidden() {
        let mapping = Mapping { username_from_email: true, ..Mapping::default() };
        let from_email = Settings { mapping, ..Settings::default() };
        let mapping = Mapping { username: "nickName".to_owned(), ..Mapping::default() };
        let from_nick_name = Settings { mapping, ..Settings::default() };
        let named = |name: &str| json!({ "userName": name });
        for (settings, document, hidden) in [
            (&from_email, named("ann@example.com"), None),
            (&from_email, named("@example.com"), None),
            (&from_email, named("ann @example.com"), Some(Hidden::NoUsername)),
            (&from_email, named(" ann@example.com"), None),
            (&Settings::default(), named("ann @example.com"), None),
            (&from_nick_name, named("ann"), Some(Hidden::NoUsername)),
            (&from_nick_name, json!({ "userName": "ann", "nickName": " " }), Some(Hidden::NoUsername)),
        ] {
            assert_eq!(entry(settings, document.clone()).hidden, hidden, "{document}");
        }
    }

    #[test]
    fn exclude_list_wins_over_include_list_and_deactivation_wins_over_both() {
        let rules = |include: &[&str], exclude: &[&str]| Settings {
            rules: Rules {
                include_users: include.iter().map(|name| (*name).to_owned()).collect(),
                exclude_users: exclude.iter().map(|name| (*name).to_owned()).collect(),
                ..Rules::default()
            },
            ..Settings::default()
        };
        let excluded = |pattern: &str| Some(Hidden::Excluded(pattern.to_owned()));
        for (include, exclude, hidden) in [
            (&[][..], &[][..], None),
            (&["BARBARA@example.com"], &[], None),
            (&["*@example.com"], &["barb*"], excluded("barb*")),
            (&["carl"], &[], Some(Hidden::NotIncluded)),
            (&["carl", "b*@*.com"], &["carl"], None),
        ] {
            let created = entry(&rules(include, exclude), barbara());
            assert_eq!(created.hidden, hidden, "{include:?} {exclude:?}");
        }
        let mut document = barbara();
        document["active"] = json!(false);
        let created = entry(&rules(&["carl"], &[]), document);
        assert_eq!(created.hidden, Some(Hidden::Deactivated));
        assert!(!created.effective_groups.contains(&PUBLIC.to_owned()), "a hidden user is not in public");
    }

    #[test]
    fn rules_hide_only_what_the_client_sends() {
        let rules = Rules {
            include_users: vec!["carl".to_owned()],
            exclude_users: vec!["barbara*".to_owned()],
            exclude_groups: vec!["*".to_owned()],
            ..Rules::default()
        };
        let settings = Settings { rules, ..Settings::default() };
        let created = entry_of(&settings, &user(Origin::Local, barbara()));
        assert_eq!((created.hidden, created.effective_groups.len()), (None, 3));
        let maker = EntryMaker::new("okta", &settings, Schemas::built_in()).unwrap();
        let hidden =
            |kind, origin| maker.hidden_group(&resource(kind, origin, json!({ "displayName": "x" })));
        assert_eq!(hidden(ResourceKind::LocalGroup, Origin::Local), None);
        assert_eq!(hidden(ResourceKind::Role, Origin::Local), None);
        assert_eq!(hidden(ResourceKind::Group, Origin::Scim), Some(Hidden::Excluded("*".to_owned())));
    }

    #[test]
    fn display_name_of_an_operator_wins_over_what_the_client_sends() {
        let names = Settings {
            mapping: Mapping { display_name: DisplayName::Names, ..Mapping::default() },
            ..Settings::default()
        };
        let mut document = barbara();
        document["displayName"] = json!("Babs");
        for settings in [&Settings::default(), &names] {
            let local = user(Origin::Local, document.clone());
            assert_eq!(entry_of(settings, &local).display_name, "Babs");
            let linked =
                Stored { shown_name: Some("Dr. Jensen".to_owned()), ..user(Origin::Scim, document.clone()) };
            assert_eq!(entry_of(settings, &linked).display_name, "Dr. Jensen");
        }
    }

    #[test]
    fn star_matches_any_number_of_characters() {
        for (pattern, name, expected) in [
            ("*", "", true),
            ("a*c", "abc", true),
            ("a*c", "ac", true),
            ("a*c", "acb", false),
            ("*a*a*", "aba", true),
            ("*a*a*", "ab", false),
            ("ab*ba", "aba", false),
            ("É*", "école", true),
            ("a.c", "abc", false),
            ("**", "x", true),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }
}
