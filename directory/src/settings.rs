//! How an operator wants a connector to behave, and what its directory is to show. One type is what the table keeps, what
//! `scimctl connector export` writes and what `scimctl connector apply` reads.

use serde::{Deserialize, Serialize};

use shared::error::ScimError;
use shared::patch::ValuePath;
use shared::resource::ResourceKind;
use shared::schema::Schemas;

/// Records of the audit trail are kept for so many days at most: ten years.
const LONGEST_AUDIT_DAYS: u32 = 3_653;

/// The settings of one connector.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Settings {
    /// What becomes of the memberships of a user whom the client deactivates.
    pub on_deactivate: OnDeactivate,
    /// What a DELETE does.
    pub on_delete: OnDelete,
    /// Whether the client only updates users who are there already, and makes none.
    pub attribute_only: bool,
    /// For how many days a record of the audit trail is kept.
    pub audit_days: u32,
    /// Who is shown.
    pub rules: Rules,
    /// As what they are shown.
    pub mapping: Mapping,
}

/// What becomes of the memberships of a user who is deactivated.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnDeactivate {
    /// The user leaves all groups.
    #[default]
    LeaveGroups,
    /// They stay, for clients that do not send them again when the user is back.
    KeepGroups,
}

/// What a DELETE does.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnDelete {
    /// The resource goes.
    #[default]
    Delete,
    /// A user goes for the client, and stays, hidden, for operators; a group goes.
    Deactivate,
    /// It is answered 405.
    Refuse,
}

/// Who is shown: names, and patterns in which `*` stands for any characters. They compare without case.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Rules {
    /// These users only; all if there is none.
    pub include_users: Vec<String>,
    /// Not these users, included or not.
    pub exclude_users: Vec<String>,
    /// These groups only; all if there is none.
    pub include_groups: Vec<String>,
    /// Not these groups, included or not.
    pub exclude_groups: Vec<String>,
}

/// From which attribute each part of an entry is taken: attribute paths, as PATCH has them (RFC 7644 §3.5.2).
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Mapping {
    /// The username.
    pub username: String,
    /// The username is what stands before the `@`.
    pub username_from_email: bool,
    /// In which case the username is shown.
    pub username_case: UsernameCase,
    /// The first name.
    pub first_name: String,
    /// The last name.
    pub last_name: String,
    /// The email address.
    pub email: String,
    /// The display name.
    pub display_name: DisplayName,
    /// The name of a group.
    pub group_name: String,
}

/// In which case usernames are shown.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum UsernameCase {
    /// As the client has it.
    #[default]
    AsIs,
    /// In lower case.
    Lower,
    /// In upper case.
    Upper,
}

/// Where the display name comes from.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DisplayName {
    /// The one that was given, else the first and last name together.
    #[default]
    GivenOrNames,
    /// The first and last name together.
    Names,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            on_deactivate: OnDeactivate::default(),
            on_delete: OnDelete::default(),
            attribute_only: false,
            audit_days: 365,
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
    /// Checks what the types do not say, and writes paths of another product's spelling as SCIM has them.
    ///
    /// # Errors
    /// `invalidValue` naming the setting, `invalidPath` for a path that names no attribute.
    pub fn check(mut self, schemas: &Schemas) -> Result<Self, ScimError> {
        let mapping = &mut self.mapping;
        for (name, path, kind) in [
            ("mapping.username", &mut mapping.username, ResourceKind::User),
            ("mapping.first-name", &mut mapping.first_name, ResourceKind::User),
            ("mapping.last-name", &mut mapping.last_name, ResourceKind::User),
            ("mapping.email", &mut mapping.email, ResourceKind::User),
            ("mapping.group-name", &mut mapping.group_name, ResourceKind::Group),
        ] {
            *path = accepts_hyphened_brackets(path);
            if let Err(error) = ValuePath::parse(path, schemas.of(kind)) {
                return Err(ScimError::new(error.kind, format!("{name}: {}", error.detail)));
            }
        }
        let rules = &self.rules;
        let patterns =
            [&rules.include_users, &rules.exclude_users, &rules.include_groups, &rules.exclude_groups];
        if patterns.into_iter().flatten().any(|pattern| pattern.trim().is_empty()) {
            return Err(ScimError::invalid_value("rules: an empty pattern matches nobody"));
        }
        if !(1..=LONGEST_AUDIT_DAYS).contains(&self.audit_days) {
            let detail = format!("audit-days is {}, and must be 1 to {LONGEST_AUDIT_DAYS}", self.audit_days);
            return Err(ScimError::invalid_value(detail));
        }
        Ok(self)
    }
}

/// `emails[type-work].value`, as PrivaceraCloud writes it, is `emails[type eq "work"].value`.
fn accepts_hyphened_brackets(path: &str) -> String {
    let rewritten = || {
        let (attribute, rest) = path.split_once('[')?;
        let (inside, behind) = rest.split_once(']')?;
        let (name, value) = inside.trim().split_once('-')?;
        let is_word = |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric());
        (is_word(name) && is_word(value)).then(|| match value {
            "true" | "false" => format!("{attribute}[{name} eq {value}]{behind}"),
            _ => format!("{attribute}[{name} eq \"{value}\"]{behind}"),
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
    fn a_mapping_names_attributes_that_there_are() {
        for (path, kept) in [
            ("emails[primary eq true].value", "emails[primary eq true].value"),
            ("emails[primary-true].value", "emails[primary eq true].value"),
            ("emails[type-work].value", "emails[type eq \"work\"].value"),
            ("urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department", ""),
            (" externalId ", "externalId"),
        ] {
            let kept = if kept.is_empty() { path } else { kept };
            assert_eq!(with_email(path).unwrap().mapping.email, kept);
        }
        for path in
            ["emials", "emails[kind eq \"work\"].value", "emails[", "emails.size", "", "name", "emails"]
        {
            let error = with_email(path).unwrap_err();
            assert!(error.detail.starts_with("mapping.email: "), "{path}: {error}");
        }
    }

    #[test]
    fn a_mapping_names_what_a_document_holds() {
        for (path, why) in [
            ("id", "is made for each answer, and nothing can be taken from it"),
            ("meta.location", "is made for each answer, and nothing can be taken from it"),
            ("groups.display", "is made for each answer, and nothing can be taken from it"),
            (
                "groups[display eq \"Sales\"].value",
                "is made for each answer, and nothing can be taken from it",
            ),
            ("urn:ietf:params:scim:schemas:core:2.0:User:password", "is never given away"),
            ("password", "is never given away"),
        ] {
            let error = with_email(path).unwrap_err();
            assert_eq!(error.detail, format!("mapping.email: {path:?} {why}"));
        }
        let mapping = Mapping { group_name: "members.display".to_owned(), ..Mapping::default() };
        let error = Settings { mapping, ..Settings::default() }.check(Schemas::built_in()).unwrap_err();
        assert!(error.detail.starts_with("mapping.group-name: \"members.display\" is made"), "{error}");
    }

    #[test]
    fn settings_are_the_defaults_unless_they_say_otherwise() {
        let settings: Settings = serde_json::from_str(r#"{"on-delete": "refuse"}"#).unwrap();
        assert_eq!(settings, Settings { on_delete: OnDelete::Refuse, ..Settings::default() });
        assert!(serde_json::from_str::<Settings>(r#"{"on-delte": "refuse"}"#).is_err());
        for days in [0, 3_654] {
            let settings = Settings { audit_days: days, ..Settings::default() };
            assert!(settings.check(Schemas::built_in()).unwrap_err().detail.contains("audit-days"));
        }
    }
}
