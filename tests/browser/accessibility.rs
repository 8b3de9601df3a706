//! Every screen is accessible, fits into its window, and loads nothing from elsewhere: light and dark, on a wide and on a narrow window.

use tests::chromium::{Chromium, Scheme};
use tests::console::Console;
use tests::service::service;

use crate::company::Company;
use crate::screens::{Screen, of_connectors, of_people};

#[tokio::test]
async fn every_screen_is_accessible_in_every_window() {
    let company = Company::start().await;
    let (connectors, people) = (of_connectors(&company), of_people(&company));
    let (of_connectors, of_people) = tokio::join!(check(&company, &connectors), check(&company, &people));
    let wrong = [of_connectors, of_people].concat();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Returns what is wrong with these screens.
async fn check(company: &Company, screens: &[Screen]) -> Vec<String> {
    let console = company.console();
    let mut chromium = Chromium::start().await;
    chromium.open(&console.link).await;
    let mut wrong = Vec::new();
    for screen in screens {
        chromium.set_window(1280, Scheme::Light).await;
        screen.visit(&mut chromium).await;
        for width in [1280, 360] {
            for scheme in [Scheme::Light, Scheme::Dark] {
                chromium.set_window(width, scheme).await;
                let place = format!("{} ({width} pixels, {})", screen.name, scheme.name());
                let found = chromium.accessibility_violations().await;
                wrong.extend(found.into_iter().map(|rule| format!("{place}: {rule}")));
                let too_wide =
                    chromium.run("return document.documentElement.scrollWidth > innerWidth;").await;
                if too_wide == true {
                    wrong.push(format!("{place}: wider than the window"));
                }
            }
        }
    }
    let (requested, complaints) = chromium.take_observations();
    wrong.extend(complaints);
    let origin = format!("{}/", console.origin());
    wrong.extend(requested.into_iter().filter(|url| !url.starts_with(&origin) && !url.starts_with("data:")));
    wrong
}

#[tokio::test]
async fn page_for_a_browser_without_a_session_is_accessible() {
    let console = Console::start(service(), &[]);
    let mut chromium = Chromium::start().await;
    chromium.open(console.origin()).await;
    // The page has no style of its own, and axe-core does not know the colours of a dark Chromium.
    chromium.set_window(360, Scheme::Light).await;
    assert_eq!(chromium.accessibility_violations().await, [""; 0]);
}
