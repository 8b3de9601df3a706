//! The wizard that sets up a connector. Each step is a page of its own, which can be loaded again, left and resumed.

mod done;
mod name;
mod secret;

use axum::Router;
use maud::{Markup, html};

use super::Console;

/// The steps, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Its name and the URL of the service.
    Name,
    /// The credential, whose secret is shown once.
    Credential,
    /// Which users and groups the directory shows.
    Rules,
    /// From which attributes entries are made.
    Mapping,
    /// What to enter in the identity provider.
    Done,
}

impl Step {
    const ALL: [(Self, &'static str); 5] = [
        (Self::Name, "Name"),
        (Self::Credential, "Credential"),
        (Self::Rules, "Users and groups"),
        (Self::Mapping, "Attributes"),
        (Self::Done, "Identity provider"),
    ];

    /// The list of steps, of which this is the present one.
    pub fn list(self) -> Markup {
        html! {
            nav aria-label="Steps" {
                ol class="steps" {
                    @for (step, name) in Self::ALL {
                        li aria-current=[(step == self).then_some("step")] { (name) }
                    }
                }
            }
        }
    }
}

/// The pages of the wizard that are not pages of settings.
pub fn routes() -> Router<Console> {
    Router::new().merge(name::routes()).merge(secret::routes()).merge(done::routes())
}
