//! The settings of a connector: its behaviour, and what its directory shows. The table stores them as the
//! JSON that `scimctl connector export` writes and `scimctl connector apply` reads.

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use crate::index::{USER_NAME, username_index};
use shared::error::ScimError;
use shared::patch::ValuePath;
use shared::resource::ResourceKind;
use shared::schema::Schemas;

/// The maximum of `audit-days`: ten years.
const MAX_AUDIT_DAYS: u32 = 3_653;
/// The range of `token-minutes`. Microsoft requires tokens of 60 minutes to 6 hours.
const TOKEN_MINUTES: RangeInclusive<u32> = 60..=360;
/// The maximum length of an attribute path, in bytes. The key of an index contains the path.
const MAX_PATH_BYTES: usize = 500;

/// The settings of one connector.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Settings {
    /// What happens to the memberships of a deactivated user.
    pub on_deactivate: OnDeactivate,
    /// What DELETE does.
    pub on_delete: OnDelete,
    /// Whether the client can update existing users, but cannot create any.
    pub attribute_only: bool,
    /// Whether requests must follow the SCIM interoperability profile: see [`shared::interop_profile`].
    pub strict: bool,
    /// Whether a user that the client creates is linked to the one local user with its email address, if none has its userName.
    pub link_by_email: bool,
    /// The number of days that audit records are kept.
    pub audit_days: u32,
    /// How long an access token of the token endpoint is valid, in minutes.
    pub token_minutes: u32,
    /// Which requests the request trail records.
    pub trail: TrailScope,
    /// Which users and groups the directory shows.
    pub rules: Rules,
    /// The attributes from which entries are created.
    pub mapping: Mapping,
}

/// What happens to the memberships of a deactivated user.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnDeactivate {
    /// The user leaves all groups.
    #[default]
    LeaveGroups,
    /// The memberships stay, for clients that do not send them again when they reactivate the user.
    KeepGroups,
}

/// What DELETE does.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnDelete {
    /// The resource is deleted.
    #[default]
    Delete,
    /// A user is deleted for the client, but operators keep it as a hidden user. A group is deleted.
    Deactivate,
    /// DELETE gets 405.
    Refuse,
}

/// Which requests the request trail records.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum TrailScope {
    /// Only those that failed.
    #[default]
    Failures,
    /// All.
    All,
}

/// Which users and groups the directory shows. The lists hold names and patterns, in which `*` matches any
/// number of characters. The comparison ignores upper and lower case.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Rules {
    /// The users to show; an empty list means everyone.
    pub include_users: Vec<String>,
    /// The users to hide. This list wins over `include_users`.
    pub exclude_users: Vec<String>,
    /// The groups to show; an empty list means all groups.
    pub include_groups: Vec<String>,
    /// The groups to hide. This list wins over `include_groups`.
    pub exclude_groups: Vec<String>,
}

/// The attributes from which entries are created. Paths have the syntax of PATCH paths (RFC 7644 §3.5.2).
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Mapping {
    /// The path of the attribute that usernames are made of.
    pub username: String,
    /// Whether the username is only the part before the `@`.
    pub username_from_email: bool,
    /// Whether the username is changed to lower or upper case. Characters without exactly one counterpart stay, such as `ß`.
    pub username_case: UsernameCase,
    /// The path of the first name.
    pub first_name: String,
    /// The path of the last name.
    pub last_name: String,
    /// The path of the email address.
    pub email: String,
    /// How the display name is composed.
    pub display_name: DisplayName,
    /// The path of the name of a group.
    pub group_name: String,
}

impl Mapping {
    /// The name of the index of the values that usernames are made of; `None` if that is the index of `userName`, which every
    /// connector has.
    pub(crate) fn username_index(&self) -> Option<String> {
        (self.username != USER_NAME).then(|| username_index(&self.username))
    }

    /// Whether two users can have one username. The `userName`s of two users always differ.
    pub(crate) fn can_give_one_username_twice(&self) -> bool {
        self.username_from_email || self.username != USER_NAME
    }
}

/// The case of usernames in the directory.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum UsernameCase {
    /// As the client sends it.
    #[default]
    AsIs,
    /// In lower case.
    Lower,
    /// In upper case.
    Upper,
}

/// How the display name is composed.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DisplayName {
    /// The `displayName` of the user or, if it is missing, the first and last name.
    #[default]
    GivenOrNames,
    /// The first and last name.
    Names,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            on_deactivate: OnDeactivate::default(),
            on_delete: OnDelete::default(),
            attribute_only: false,
            strict: false,
            link_by_email: false,
            audit_days: 365,
            token_minutes: 60,
            trail: TrailScope::default(),
            rules: Rules::default(),
            mapping: Mapping::default(),
        }
    }
}

impl Default for Mapping {
    fn default() -> Self {
        Self {
            username: "userName".to_owned(),
            username_from_email: false,
            username_case: UsernameCase::default(),
            first_name: "name.givenName".to_owned(),
            last_name: "name.familyName".to_owned(),
            email: "emails[primary eq true].value".to_owned(),
            display_name: DisplayName::default(),
            group_name: "displayName".to_owned(),
        }
    }
}

impl Settings {
    /// Checks the values of the settings and their combination, and rewrites paths in the syntax of PrivaceraCloud as SCIM paths.
    ///
    /// # Errors
    /// `invalidValue` for an invalid value, `invalidPath` for a path that does not name a text attribute. The
    /// detail begins with the name of the setting.
    pub fn check(mut self, schemas: &Schemas) -> Result<Self, ScimError> {
        let mapping = &mut self.mapping;
        for (name, path, kind) in [
            ("mapping.username", &mut mapping.username, ResourceKind::User),
            ("mapping.first-name", &mut mapping.first_name, ResourceKind::User),
            ("mapping.last-name", &mut mapping.last_name, ResourceKind::User),
            ("mapping.email", &mut mapping.email, ResourceKind::User),
            ("mapping.group-name", &mut mapping.group_name, ResourceKind::Group),
        ] {
            *path = accepts_hyphens_in_brackets(path);
            if path.len() > MAX_PATH_BYTES {
                let detail = format!("{name} is {} bytes; the maximum is {MAX_PATH_BYTES}", path.len());
                return Err(ScimError::invalid_value(detail));
            }
            if let Err(error) = ValuePath::parse(path, schemas.of(kind)) {
                return Err(ScimError::new(error.kind, format!("{name}: {}", error.detail)));
            }
        }
        let rules = &self.rules;
        let patterns =
            [&rules.include_users, &rules.exclude_users, &rules.include_groups, &rules.exclude_groups];
        if patterns.into_iter().flatten().any(|pattern| pattern.trim().is_empty()) {
            return Err(ScimError::invalid_value("rules: a pattern is empty; remove it, or write a name"));
        }
        if !(1..=MAX_AUDIT_DAYS).contains(&self.audit_days) {
            let detail = format!("audit-days is {}; it must be from 1 to {MAX_AUDIT_DAYS}", self.audit_days);
            return Err(ScimError::invalid_value(detail));
        }
        if !TOKEN_MINUTES.contains(&self.token_minutes) {
            let (minutes, first, last) = (self.token_minutes, TOKEN_MINUTES.start(), TOKEN_MINUTES.end());
            let detail = format!("token-minutes is {minutes}; it must be from {first} to {last}");
            return Err(ScimError::invalid_value(detail));
        }
        if self.strict && self.on_delete != OnDelete::Delete {
            // draft-zollner-scim-interop-profile-02 §6.6: DELETE deletes the resource.
            return Err(ScimError::invalid_value(
                "strict is true, so on-delete must be delete: the interoperability profile requires that DELETE deletes",
            ));
        }
        Ok(self)
    }
}

/// PrivaceraCloud writes `emails[type-work].value` for `emails[type eq "work"].value`.
fn accepts_hyphens_in_brackets(path: &str) -> String {
    let rewritten = || {
        let (attribute, rest) = path.split_once('[')?;
        let (inside, after) = rest.split_once(']')?;
        let (name, value) = inside.trim().split_once('-')?;
        let is_word = |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric());
        (is_word(name) && is_word(value)).then(|| match value {
            "true" | "false" => format!("{attribute}[{name} eq {value}]{after}"),
            _ => format!("{attribute}[{name} eq \"{value}\"]{after}"),
        })
    };
    rewritten().unwrap_or_else(|| path.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_email(path: &str) -> Result<Settings, ScimError> {
        let mapping = Mapping { email: path.to_owned(), ..Mapping::default() };
        Settings { mapping, ..Settings::default() }.check(Schemas::built_in())
    }

    #[test]
    fn mapping_to_an_unknown_or_complex_attribute_is_rejected() {
        for (path, stored) in [
            ("emails[primary eq true].value", "emails[primary eq true].value"),
            ("emails[primary-true].value", "emails[primary eq true].value"),
            ("emails[type-work].value", "emails[type eq \"work\"].value"),
            ("urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department", ""),
            (" externalId ", "externalId"),
        ] {
            let stored = if stored.is_empty() { path } else { stored };
            assert_eq!(with_email(path).unwrap().mapping.email, stored);
        }
        for path in
            ["emials", "emails[kind eq \"work\"].value", "emails[", "emails.size", "", "name", "emails"]
        {
            let error = with_email(path).unwrap_err();
            assert!(error.detail.starts_with("mapping.email: "), "{path}: {error}");
        }
    }

    #[test]
    fn mapping_to_an_attribute_that_is_not_stored_is_rejected() {
        let generated = "is generated for each response; name an attribute that is stored";
        let never_returned = "is never returned; name another attribute";
        for (path, why) in [
            ("id", generated),
            ("meta.location", generated),
            ("groups.display", generated),
            ("groups[display eq \"Sales\"].value", generated),
            ("urn:ietf:params:scim:schemas:core:2.0:User:password", never_returned),
            ("password", never_returned),
        ] {
            let error = with_email(path).unwrap_err();
            assert_eq!(error.detail, format!("mapping.email: {path:?} {why}"));
        }
        let mapping = Mapping { group_name: "members.display".to_owned(), ..Mapping::default() };
        let error = Settings { mapping, ..Settings::default() }.check(Schemas::built_in()).unwrap_err();
        assert!(error.detail.starts_with("mapping.group-name: \"members.display\" is generated"), "{error}");
    }

    #[test]
    fn missing_settings_have_defaults_and_invalid_ones_are_rejected() {
        let settings: Settings = serde_json::from_str(r#"{"on-delete": "refuse"}"#).unwrap();
        assert_eq!(settings, Settings { on_delete: OnDelete::Refuse, ..Settings::default() });
        assert!(serde_json::from_str::<Settings>(r#"{"on-delte": "refuse"}"#).is_err());
        for days in [0, 3_654] {
            let settings = Settings { audit_days: days, ..Settings::default() };
            assert!(settings.check(Schemas::built_in()).unwrap_err().detail.contains("audit-days"));
        }
        for (minutes, is_valid) in [(59, false), (60, true), (360, true), (361, false)] {
            let settings = Settings { token_minutes: minutes, ..Settings::default() };
            assert_eq!(settings.check(Schemas::built_in()).is_ok(), is_valid, "{minutes}");
        }
    }
}
