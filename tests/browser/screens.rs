//! Every screen of the console, with the example company.

use tests::chromium::Chromium;

use crate::company::{CONNECTOR, Company};

/// A screen, and how to get there.
pub struct Screen {
    /// Its name, which is part of the name of its picture.
    pub name: &'static str,
    path: String,
    then: &'static [Step],
}

/// What to do on the page of a path.
enum Step {
    Enter(&'static str, &'static str),
    Click(&'static str),
    Follow(&'static str),
}

use Step::{Click, Enter, Follow};

/// A user who left the company, and one with several groups and roles.
const LEAVER: &str = "hugo.moreau@example.com";
const USER: &str = "ada.adler@example.com";

impl Screen {
    /// Loads the screen.
    pub async fn visit(&self, chromium: &mut Chromium) {
        chromium.open_path(&self.path).await;
        for step in self.then {
            match step {
                Enter(label, text) => chromium.enter(label, text).await,
                Click(name) => chromium.click(name).await,
                Follow(name) => chromium.follow(name).await,
            }
        }
    }
}

/// The screens about connectors: lists, the wizard, settings, changes.
pub fn of_connectors(company: &Company) -> Vec<Screen> {
    let of_connector = |name, path: &str| screen(name, &format!("/connectors/{CONNECTOR}{path}"), &[]);
    let credential = company.credential();
    vec![
        screen("connectors", "/", &[]),
        of_connector("overview", ""),
        screen("setup-name", "/new", &[]),
        screen("setup-wrong-name", "/new", &[Enter("Id", "Not valid"), Follow("Create the connector")]),
        screen(
            "setup-secret",
            "/new",
            &[
                Enter("Id", "onelogin"),
                Enter("Name (optional)", "OneLogin, production"),
                Click("Username and password: Okta, and most others"),
                Follow("Create the connector"),
            ],
        ),
        screen(
            "setup-rules",
            &format!("/connectors/{CONNECTOR}/setup/rules"),
            &[
                Enter("Users to hide", "svc-*\n*.novak@example.com"),
                Enter("Groups to hide", "Service Accounts\nFinance"),
                Follow("Preview"),
            ],
        ),
        screen(
            "setup-mapping",
            &format!("/connectors/{CONNECTOR}/setup/mapping"),
            &[Click("Only the part before the @"), Follow("Preview")],
        ),
        of_connector("setup-done", "/setup/done"),
        of_connector("settings", "/settings"),
        of_connector("settings-behaviour", "/settings/behaviour"),
        of_connector("rotate", "/rotate"),
        of_connector("retire", &format!("/credentials/{credential}/retire")),
        of_connector("disable", "/disable"),
        of_connector("delete", "/delete"),
        of_connector("feeds", "/feeds"),
        of_connector("feed", "/feeds/warehouse"),
        of_connector("policies", "/policies?check=true"),
        of_connector("not-found", "/nothing"),
    ]
}

/// The screens about users, groups, roles and what happened to them.
pub fn of_people(company: &Company) -> Vec<Screen> {
    let of_connector = |name, path: &str| screen(name, &format!("/connectors/{CONNECTOR}{path}"), &[]);
    let of = |name, noun: &str, whose: &str, more: &str| {
        of_connector(name, &format!("/{noun}s/{}{more}", company.id(noun, whose)))
    };
    let request = company.failed_requests().swap_remove(0);
    vec![
        of_connector("users", "/users"),
        of_connector("search", "/users?q=ma"),
        of_connector("hidden-users", "/users?show=hidden"),
        of("user", "user", USER, ""),
        of("leaver", "user", LEAVER, ""),
        of("user-why", "user", LEAVER, "/why"),
        of("user-history", "user", USER, "/history"),
        of("user-scim", "user", USER, "/scim"),
        of("user-edit", "user", USER, "/edit"),
        of("user-delete", "user", USER, "/delete"),
        of_connector("user-new", "/users/new"),
        of_connector("groups", "/groups"),
        of("group", "group", "Data Stewards", ""),
        of("group-everyone", "group", "Data Stewards", "/everyone"),
        of("group-of-groups", "group", "Company", ""),
        of_connector("roles", "/roles"),
        of("role", "role", "approver", ""),
        of_connector("requests", "/requests"),
        of_connector("wrong-filter", "/requests?status=999"),
        of_connector("request", &format!("/requests/{request}")),
        of_connector("audit", "/audit"),
        of_connector("charts", "/charts"),
    ]
}

fn screen(name: &'static str, path: &str, then: &'static [Step]) -> Screen {
    Screen { name, path: path.to_owned(), then }
}
