//! Forms: reading their fields, and drawing them with labels, hints and errors.

use std::collections::BTreeMap;
use std::convert::Infallible;

use axum::extract::FromRequestParts;
use http::request::Parts;
use maud::{Markup, html};
use percent_encoding::percent_decode;

/// The name of the field with the token of the session. `Console::form` adds it.
pub const CSRF: &str = "csrf";

/// The fields of a form, or the parameters of a query, which have the same syntax (URL Standard §5.1). As an argument of a handler,
/// it is the form of a POST, which the server has checked, or the query of a GET.
#[derive(Clone, Debug, Default)]
pub struct Fields(Vec<(String, String)>);

impl Fields {
    /// Parses `name=value&name=value`.
    pub fn parse(text: &str) -> Self {
        let decode = |text: &str| {
            let spaces = text.replace('+', " ");
            percent_decode(spaces.as_bytes()).decode_utf8_lossy().into_owned()
        };
        let pairs = text.split('&').filter(|pair| !pair.is_empty());
        let pairs = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        Self(pairs.map(|(name, value)| (decode(name), decode(value))).collect())
    }

    /// The value of a field without spaces around it; empty if the field is missing.
    pub fn get(&self, name: &str) -> &str {
        self.raw(name).trim()
    }

    /// The value of a field as it was entered; empty if the field is missing.
    pub fn raw(&self, name: &str) -> &str {
        self.0.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }

    /// Whether the form has a field: a checkbox that is ticked, or the button that was pressed.
    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(key, _)| key == name)
    }

    /// The lines of a field that are not empty, without spaces around them.
    pub fn lines(&self, name: &str) -> Vec<String> {
        self.raw(name).lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect()
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Fields {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let form = parts.extensions.get::<Self>().cloned();
        Ok(form.unwrap_or_else(|| Self::parse(parts.uri.query().unwrap_or_default())))
    }
}

/// What is wrong with a form: a sentence for each field.
#[derive(Clone, Debug, Default)]
pub struct Errors(BTreeMap<&'static str, String>);

impl Errors {
    /// Adds what is wrong with a field.
    pub fn add(&mut self, field: &'static str, sentence: impl Into<String>) {
        self.0.entry(field).or_insert_with(|| sentence.into());
    }

    /// One wrong field.
    pub fn of(field: &'static str, sentence: impl Into<String>) -> Self {
        let mut errors = Self::default();
        errors.add(field, sentence);
        errors
    }

    /// Whether nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The errors as a list of links to the fields. It gets the focus when the page loads, so a screen reader reads it first.
    pub fn summary(&self) -> Markup {
        html! {
            @if !self.0.is_empty() {
                div class="summary" role="alert" tabindex="-1" autofocus aria-labelledby="errors" {
                    h2 id="errors" { @if self.0.len() == 1 { "1 field is wrong" } @else { (self.0.len()) " fields are wrong" } }
                    ul {
                        @for (field, sentence) in &self.0 { li { a href={ "#" (field) } { (sentence) } } }
                    }
                }
            }
        }
    }

    fn get(&self, field: &str) -> Option<&str> {
        self.0.get(field).map(String::as_str)
    }
}

/// One field of a form: a label, the present value, and a hint under the label, which can be empty.
#[derive(Clone, Copy, Debug)]
pub struct Field<'f> {
    /// The name in the form, which is also the id in the page.
    pub name: &'static str,
    /// The label.
    pub label: &'f str,
    /// What to enter.
    pub hint: &'f str,
    /// The present value.
    pub value: &'f str,
}

impl Field<'_> {
    /// A field of one line.
    pub fn text(&self, errors: &Errors) -> Markup {
        self.frame(errors, html! {
            input type="text" id=(self.name) name=(self.name) value=(self.value) autocomplete="off" autocapitalize="none"
                spellcheck="false" aria-describedby=[self.described_by(errors)] aria-invalid=[self.invalid(errors)];
        })
    }

    /// A field with one value on each line.
    pub fn lines(&self, errors: &Errors) -> Markup {
        self.frame(
            errors,
            html! {
                textarea id=(self.name) name=(self.name) rows="4" autocapitalize="none" spellcheck="false"
                    aria-describedby=[self.described_by(errors)] aria-invalid=[self.invalid(errors)] {
                    // A browser leaves out the first line end.
                    "\n" (self.value)
                }
            },
        )
    }

    /// A list of choices: each has a value and a label.
    pub fn select(&self, choices: &[(&str, &str)], errors: &Errors) -> Markup {
        self.frame(
            errors,
            html! {
                select id=(self.name) name=(self.name) aria-describedby=[self.described_by(errors)]
                    aria-invalid=[self.invalid(errors)] {
                    @for (value, label) in choices {
                        option value=(value) selected[*value == self.value] { (label) }
                    }
                }
            },
        )
    }

    /// A group of choices of which one is chosen. Each has a value and a label.
    pub fn radios(&self, choices: &[(&str, &str)], errors: &Errors) -> Markup {
        html! {
            fieldset class="field" aria-describedby=[self.described_by(errors)] {
                legend { (self.label) }
                (self.hint_and_error(errors))
                @for (position, (value, label)) in choices.iter().enumerate() {
                    label class="choice" {
                        // The summary of errors leads to the first choice.
                        input type="radio" id=[(position == 0).then_some(self.name)] name=(self.name) value=(value) checked[*value == self.value];
                        " " (label)
                    }
                }
            }
        }
    }

    /// A box to tick. It is ticked if the value is not empty.
    pub fn checkbox(&self, errors: &Errors) -> Markup {
        html! {
            div class="field" {
                label class="choice" {
                    input type="checkbox" id=(self.name) name=(self.name) value="true" checked[!self.value.is_empty()]
                        aria-describedby=[self.described_by(errors)] aria-invalid=[self.invalid(errors)];
                    " " (self.label)
                }
                (self.hint_and_error(errors))
            }
        }
    }

    fn frame(&self, errors: &Errors, input: Markup) -> Markup {
        html! {
            div class="field" {
                label for=(self.name) { (self.label) }
                (self.hint_and_error(errors))
                (input)
            }
        }
    }

    fn hint_and_error(&self, errors: &Errors) -> Markup {
        html! {
            @if !self.hint.is_empty() { p class="hint" id={ (self.name) "-hint" } { (self.hint) } }
            @if let Some(error) = errors.get(self.name) {
                p class="error" id={ (self.name) "-error" } { "Error: " (error) }
            }
        }
    }

    fn described_by(&self, errors: &Errors) -> Option<String> {
        let hint = (!self.hint.is_empty()).then(|| format!("{}-hint", self.name));
        let error = errors.get(self.name).map(|_| format!("{}-error", self.name));
        let ids: Vec<String> = hint.into_iter().chain(error).collect();
        (!ids.is_empty()).then(|| ids.join(" "))
    }

    fn invalid(&self, errors: &Errors) -> Option<&'static str> {
        errors.get(self.name).map(|_| "true")
    }
}

/// The field in which the operator confirms a change by entering a name.
pub fn confirmation(what: &str, name: &str, errors: &Errors) -> Markup {
    let label = format!("To confirm, enter {what}: {name}");
    Field { name: CONFIRMATION, label: &label, hint: "", value: "" }.text(errors)
}

/// Checks the field of [`confirmation`].
pub fn check_confirmation(fields: &Fields, name: &str) -> Result<(), Errors> {
    let entered = fields.get(CONFIRMATION);
    if entered == name {
        return Ok(());
    }
    Err(Errors::of(CONFIRMATION, format!("{entered:?} is not {name}, so nothing is changed")))
}

const CONFIRMATION: &str = "confirmation";

/// A button that sends the form. `name` tells several buttons apart.
pub fn button(name: &str, label: &str) -> Markup {
    html! { button type="submit" name=(name) value="true" { (label) } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_decoded() {
        let fields = Fields::parse("a=1+2&b=%C3%A4%26&a=3&empty=&flag&lines=x%0D%0A%20y%20%0A%0A&bad=%zz%ff");
        assert_eq!(fields.get("a"), "1 2");
        assert_eq!((fields.get("b"), fields.get("empty"), fields.get("none")), ("ä&", "", ""));
        assert_eq!((fields.has("flag"), fields.has("empty"), fields.has("none")), (true, true, false));
        assert_eq!(fields.lines("lines"), ["x", "y"]);
        assert_eq!(fields.get("bad"), "%zz\u{fffd}");
    }
}
