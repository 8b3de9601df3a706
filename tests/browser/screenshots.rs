//! The pictures of the console in `docs/images`. `make screenshots` writes them.

use std::fs;
use std::path::Path;

use tests::chromium::{Chromium, Scheme};
use tests::workspace;

use crate::company::Company;
use crate::screens::{Screen, of_connectors, of_people};

/// The most pixels of a picture from top to bottom.
const HIGHEST: u32 = 1_600;
/// The screen that README shows.
const OF_README: &str = "overview";
/// The screens that are in the documentation.
const PICTURED: [&str; 18] = [
    "connectors",
    "overview",
    "setup-name",
    "setup-secret",
    "setup-rules",
    "setup-mapping",
    "setup-done",
    "settings",
    "rotate",
    "users",
    "user",
    "user-why",
    "group",
    "requests",
    "request",
    "audit",
    "charts",
    "policies",
];

/// Replaces what is random: ids, the secret, and the name of the table. So a picture changes only if its page does.
const STEADY: &str = r#"
const replaced = new Map();
const random = /\b[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}\b|\b[0-9a-f]{8}\b|\b[\w-]{43}\b/g;
const steady = text => {
  if (!replaced.has(text)) {
    let state = replaced.size * 7919 + 12345;
    const digit = () => (state = (state * 1103515245 + 12345) % 2147483648, state >> 16);
    replaced.set(text, text.length === 43
      ? text.replace(/./g, () => "abcdefghijkmnpqrstuvwxyz23456789"[digit() % 32])
      : text.replace(/[0-9a-f]/g, (old, at) => at === 14 ? "4" : (digit() % 16).toString(16)));
  }
  return replaced.get(text);
};
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walker.nextNode()) {
  const node = walker.currentNode;
  node.data = node.data.replace(/\/tmp\/rollcall-test-[\w-]+/g, "policies").replaceAll("rollcall-test", "rollcall").replace(random, steady);
}
"#;

#[tokio::test]
#[ignore = "it writes files; `make screenshots` runs it"]
async fn pictures_of_the_console_are_written() {
    let company = Company::start().await;
    let screens: Vec<Screen> = of_connectors(&company).into_iter().chain(of_people(&company)).collect();
    let (console, mut chromium) = (company.console(), Chromium::start().await);
    chromium.open(&console.link).await;
    let (images, all) = (workspace().join("docs/images"), workspace().join("target/screenshots"));
    for folder in [&images, &all] {
        fs::create_dir_all(folder).unwrap();
    }
    for screen in &screens {
        chromium.set_window(1280, Scheme::Light).await;
        screen.visit(&mut chromium).await;
        chromium.run(STEADY).await;
        chromium.run("document.body.style.fontFamily = 'Inter';").await;
        for (width, scheme) in
            [1280, 360].into_iter().flat_map(|width| [(width, Scheme::Light), (width, Scheme::Dark)])
        {
            chromium.set_window(width, scheme).await;
            let picture = chromium.picture(HIGHEST).await;
            fs::write(all.join(format!("{}-{width}-{}.png", screen.name, scheme.name())), &picture).unwrap();
            if width == 1280 && PICTURED.contains(&screen.name) {
                write(&images, &format!("console-{}-{}.png", screen.name, scheme.name()), &picture);
                if screen.name == OF_README {
                    write(&images, &format!("console-{}.png", scheme.name()), &picture);
                }
            }
        }
    }
    for name in PICTURED {
        assert!(screens.iter().any(|screen| screen.name == name), "there is no screen {name}");
    }
}

fn write(folder: &Path, name: &str, picture: &[u8]) {
    fs::write(folder.join(name), picture).unwrap();
}
