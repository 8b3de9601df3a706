//! What the lists of users, groups and roles share: the search form, labels and cells.

use directory::view::Hidden;
use maud::{Markup, html};

use super::Console;
use super::opened::Opened;
use super::page::{Part, Tone, badge};

/// The entries of a page.
pub const PAGE_SIZE: usize = 50;

/// The parameter of a list with the beginning of a name.
pub const TEXT: &str = "q";
/// The parameter of a list after which the page begins.
pub const AFTER: &str = "after";

/// The form that searches a list. It sends GET, so a search has an address. With JavaScript, the list follows what is typed.
pub fn form(path: &str, label: &str, hint: &str, text: &str, more: Markup) -> Markup {
    html! {
        form class="search" method="get" action=(path) role="search" data-live="results" {
            div class="field" {
                label for=(TEXT) { (label) }
                p class="hint" id="q-hint" { (hint) }
                input type="search" id=(TEXT) name=(TEXT) value=(text) autocomplete="off" autocapitalize="none" spellcheck="false"
                    aria-describedby="q-hint";
            }
            (more)
            button type="submit" { "Search" }
        }
    }
}

/// A list with a sentence that says what it shows. A screen reader says the sentence when a search replaces the list.
pub fn results(sentence: &str, list: Markup) -> Markup {
    html! {
        div id="results" {
            p class="soft" role="status" { (sentence) }
            (list)
        }
    }
}

/// The path of a page with these parameters. Empty ones are left out.
pub fn address(path: &str, parameters: &[(&str, &str)]) -> String {
    let encode = |text: &str| {
        percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
    };
    let given = parameters.iter().filter(|(_, value)| !value.is_empty());
    let query: Vec<String> = given.map(|(name, value)| format!("{name}={}", encode(value))).collect();
    if query.is_empty() { path.to_owned() } else { format!("{path}?{}", query.join("&")) }
}

/// The columns of a table, and one more for the buttons if there are any.
pub fn columns<'c>(console: &Console, columns: &[&'c str]) -> Vec<&'c str> {
    columns.iter().copied().chain(console.is_writable().then_some("Change")).collect()
}

/// Who created a resource.
pub fn origin(origin: &str) -> Markup {
    html! { @if origin == "local" { (badge(Tone::Plain, "local")) } @else { "identity provider" } }
}

/// Whether the platform sees a user or group, and why not.
pub fn visibility(opened: &Opened, hidden: Option<&Hidden>) -> Markup {
    html! {
        @match hidden {
            None => (badge(Tone::Good, "shown")),
            Some(reason) => {
                (badge(Tone::Warning, "hidden")) " "
                @match reason {
                    Hidden::NameTakenBy(id) => {
                        "the username is taken by " a href=(opened.page_of(Part::Users, id)) { (id) }
                    }
                    reason => (reason),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn address_has_the_parameters_that_are_given() {
        assert_eq!(address("/users", &[("q", ""), ("after", "")]), "/users");
        assert_eq!(address("/users", &[("q", "a&b c"), ("after", "ä")]), "/users?q=a%26b%20c&after=%C3%A4");
    }
}
