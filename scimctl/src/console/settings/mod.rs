//! The settings of a connector: all of them on one page, and a page with a preview for each kind of change. The wizard uses the same
//! pages as its steps.

mod behaviour;
mod mapping;
mod preview;
mod rules;

use axum::Router;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::get;
use directory::connectors::Connector;
use directory::settings::Settings;
use http::StatusCode;
use maud::{Markup, html};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use shared::schema::Schemas;

use super::Console;
use super::form::{Errors, Fields};
use super::page::{Part, Section, Tone, notice, redirect, table};
use super::problem::Problem;
use super::setup::Step;
use crate::connector::settings::{Stored, changes, store, values};
use crate::context::Context;

/// The field with the revision of the connector whose settings the operator saw.
const REVISION: &str = "revision";

/// The id of the part of a page that the script replaces while the operator types.
const PREVIEW: &str = "live-preview";

/// The pages.
pub fn routes() -> Router<Console> {
    Router::new()
        .route("/connectors/{connector}/settings", get(show))
        .route("/connectors/{connector}/settings/{kind}", get(edit).post(change))
        .route("/connectors/{connector}/setup/{kind}", get(edit_in_wizard).post(change_in_wizard))
}

/// A page of settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Rules,
    Mapping,
    Behaviour,
}

impl Kind {
    const ALL: [Self; 3] = [Self::Rules, Self::Mapping, Self::Behaviour];

    fn name(self) -> &'static str {
        match self {
            Self::Rules => "rules",
            Self::Mapping => "mapping",
            Self::Behaviour => "behaviour",
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::Rules => "Which users and groups are shown",
            Self::Mapping => "From which attributes users are made",
            Self::Behaviour => "What the connector does",
        }
    }

    /// The names of the fields, which are those of the settings.
    fn fields(self) -> &'static [&'static str] {
        match self {
            Self::Rules => &rules::FIELDS,
            Self::Mapping => &mapping::FIELDS,
            Self::Behaviour => &behaviour::FIELDS,
        }
    }

    fn draw(self, settings: &Settings, errors: &Errors) -> Markup {
        match self {
            Self::Rules => rules::draw(settings, errors),
            Self::Mapping => mapping::draw(settings, errors),
            Self::Behaviour => behaviour::draw(settings, errors),
        }
    }

    /// Reads the settings of a form. The others stay as they are.
    fn read(self, fields: &Fields, present: &Settings, errors: &mut Errors) -> Settings {
        match self {
            Self::Rules => rules::read(fields, present),
            Self::Mapping => mapping::read(fields, present, errors),
            Self::Behaviour => behaviour::read(fields, present, errors),
        }
    }
}

/// Where a page of settings is: among the settings, or in the wizard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Settings,
    Wizard,
}

impl Place {
    fn path(self, connector: &Connector, kind: Kind) -> String {
        let place = match self {
            Self::Settings => "settings",
            Self::Wizard => "setup",
        };
        format!("{}/{place}/{}", Part::Overview.path(&connector.id), kind.name())
    }

    /// The page that follows when the settings are stored, or when nothing has changed.
    fn next(self, connector: &Connector, kind: Kind) -> String {
        match (self, kind) {
            (Self::Settings, _) => Part::Settings.path(&connector.id),
            (Self::Wizard, Kind::Rules) => self.path(connector, Kind::Mapping),
            (Self::Wizard, _) => format!("{}/setup/done", Part::Overview.path(&connector.id)),
        }
    }
}

async fn show(
    State(console): State<Console>,
    Path(id): Path<String>,
    query: Fields,
) -> Result<Response, Problem> {
    let connector = console.connector(&console.context(), &id).await?;
    let all = values(&connector.record.settings)?;
    let content = html! {
        @if query.has("saved") {
            (notice(Tone::Good, html! { p { "The settings are stored. All functions use them within a minute." } }))
        }
        @if query.has("reindex") {
            (notice(Tone::Warning, html! {
                p {
                    "The usernames of the new mapping are not indexed yet. Until you have run "
                    code { "scimctl reindex " (connector.id) } ", the directory API responds to requests for users with 503."
                }
            }))
        }
        @for kind in Kind::ALL {
            h2 id=(kind.name()) { (kind.title()) }
            @let rows = all.iter().filter(|(name, _)| kind.fields().contains(&name.as_str()));
            @let rows = rows.map(|(name, value)| vec![html! { code { (name) } }, html! { code { (value) } }]);
            (table(kind.title(), &["Setting", "Value"], rows.collect(), "There is no such setting."))
            @if console.is_writable() && !connector.record.is_deleting {
                p { a href=(Place::Settings.path(&connector, kind)) { "Change: " (kind.title()) } }
            }
        }
    };
    Ok(console.page("Settings", Section::Of(&connector.id, Part::Settings), content))
}

async fn edit(
    State(console): State<Console>,
    Path((id, kind)): Path<(String, String)>,
) -> Result<Response, Problem> {
    Page::open(&console, &id, &kind, Place::Settings).await?.edit().await
}

async fn edit_in_wizard(
    State(console): State<Console>,
    Path((id, kind)): Path<(String, String)>,
) -> Result<Response, Problem> {
    Page::open(&console, &id, &kind, Place::Wizard).await?.edit().await
}

async fn change(
    State(console): State<Console>,
    Path((id, kind)): Path<(String, String)>,
    fields: Fields,
) -> Result<Response, Problem> {
    Page::open(&console, &id, &kind, Place::Settings).await?.change(&fields).await
}

async fn change_in_wizard(
    State(console): State<Console>,
    Path((id, kind)): Path<(String, String)>,
    fields: Fields,
) -> Result<Response, Problem> {
    Page::open(&console, &id, &kind, Place::Wizard).await?.change(&fields).await
}

/// One page of settings of one connector.
struct Page<'c> {
    console: &'c Console,
    context: Context,
    connector: Connector,
    kind: Kind,
    place: Place,
}

impl<'c> Page<'c> {
    async fn open(console: &'c Console, id: &str, kind: &str, place: Place) -> Result<Self, Problem> {
        console.require_write()?;
        let kind = Kind::ALL.into_iter().find(|one| one.name() == kind);
        let kind = kind.ok_or_else(|| Problem::not_found("There is no such page of settings."))?;
        let context = console.context();
        let connector = console.connector(&context, id).await?;
        if connector.record.is_deleting {
            return Err(Problem::conflict(format!("Connector {id} is being deleted.")));
        }
        Ok(Self { console, context, connector, kind, place })
    }

    async fn edit(&self) -> Result<Response, Problem> {
        let settings = &self.connector.record.settings;
        let sample = self.sample(settings, "").await?;
        Ok(self.page(settings, &Errors::default(), sample))
    }

    /// Previews the settings of a form, or stores those that were previewed.
    async fn change(&self, fields: &Fields) -> Result<Response, Problem> {
        let present = &self.connector.record.settings;
        let mut errors = Errors::default();
        let entered = self.kind.read(fields, present, &mut errors);
        let checked = entered.clone().check(Schemas::built_in());
        let checked = checked.map_err(|error| {
            // The detail begins with the name of the setting.
            let all = self.kind.fields();
            let field = all.iter().find(|name| error.detail.starts_with(**name)).or(all.first());
            errors.add(field.copied().unwrap_or_default(), error.detail);
        });
        let Some(settings) = checked.ok().filter(|_| errors.is_empty()) else {
            let mut response = self.page(&entered, &errors, html! {});
            *response.status_mut() = StatusCode::UNPROCESSABLE_ENTITY;
            return Ok(response);
        };
        if fields.has("apply") {
            return self.apply(fields, settings).await;
        }
        let preview = html! {
            (self.preview(fields, &settings).await?)
            (self.sample(&settings, fields.get(mapping::SAMPLE)).await?)
        };
        Ok(self.page(&settings, &errors, preview))
    }

    async fn apply(&self, fields: &Fields, settings: Settings) -> Result<Response, Problem> {
        let id = &self.connector.id;
        let changed = || {
            Problem::conflict(format!(
                "Another operator changed connector {id} since you saw its settings. Load the page of its settings again."
            ))
        };
        if fields.get(REVISION) != self.connector.revision.to_string() {
            return Err(changed());
        }
        let next = self.place.next(&self.connector, self.kind);
        if settings == self.connector.record.settings {
            return Ok(redirect(&next));
        }
        let Some(Stored { needs_index }) = store(&self.context, &self.connector, settings).await? else {
            return Err(changed());
        };
        let note = if needs_index { "?saved&reindex" } else { "?saved" };
        Ok(redirect(&format!("{next}{note}")))
    }

    /// The form with these settings, and what follows it.
    fn page(&self, settings: &Settings, errors: &Errors, after: Markup) -> Response {
        let next = self.place.next(&self.connector, self.kind);
        let form = html! {
            (self.kind.draw(settings, errors))
            div class="actions" {
                button type="submit" name="preview" value="true" class="second" data-preview=(PREVIEW) { "Preview" }
                @if self.place == Place::Wizard { a href=(next) { "Continue without a change" } } @else { a href=(next) { "Cancel" } }
            }
        };
        let content = html! {
            @if self.place == Place::Wizard {
                (match self.kind { Kind::Rules => Step::Rules.list(), _ => Step::Mapping.list() })
            }
            (errors.summary())
            (self.console.form(&self.place.path(&self.connector, self.kind), form))
            div id=(PREVIEW) { (after) }
        };
        let part = if self.place == Place::Wizard { Part::Overview } else { Part::Settings };
        self.console.page(self.kind.title(), Section::Of(&self.connector.id, part), content)
    }

    /// What the settings change, and the button that stores them exactly as they were previewed.
    async fn preview(&self, fields: &Fields, settings: &Settings) -> Result<Markup, Problem> {
        let changes = changes(&self.connector.record.settings, settings)?;
        let differences = preview::differences(&self.context, &self.connector, settings).await?;
        let form = html! {
            @for name in self.kind.fields() {
                @if fields.has(name) { input type="hidden" name=(name) value=(fields.raw(name)); }
            }
            input type="hidden" name=(REVISION) value=(self.connector.revision);
            div class="actions" {
                button type="submit" name="apply" value="true" {
                    @if self.place == Place::Wizard { "Apply and continue" } @else { "Apply" }
                }
            }
        };
        Ok(html! {
            h2 id="preview" { "Preview" }
            @if changes.is_empty() {
                p { "These are the present settings." }
            } @else {
                (preview::changes(&changes))
                (differences)
                (self.console.form(&self.place.path(&self.connector, self.kind), form))
            }
        })
    }

    /// How one real user looks before and after.
    async fn sample(&self, settings: &Settings, user: &str) -> Result<Markup, Problem> {
        match self.kind {
            Kind::Mapping => mapping::sample(&self.context, &self.connector, settings, user).await,
            Kind::Rules | Kind::Behaviour => Ok(html! {}),
        }
    }
}

/// The text of a setting that is a choice: `keep-groups`.
fn text_of(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(Value::String(text)) => text,
        _ => String::new(),
    }
}

/// Reads a setting that is a choice.
fn choice<T: DeserializeOwned>(fields: &Fields, name: &'static str, present: T, errors: &mut Errors) -> T {
    match serde_json::from_value(Value::String(fields.get(name).to_owned())) {
        Ok(chosen) => chosen,
        Err(_) => {
            errors.add(name, format!("{name} is {:?}; choose a value of the list", fields.get(name)));
            present
        }
    }
}

/// The value of a checkbox.
fn tick(is_ticked: bool) -> &'static str {
    if is_ticked { "true" } else { "" }
}
