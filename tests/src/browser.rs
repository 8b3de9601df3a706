//! A browser of `scimctl console`: runs the console as a process, signs in with its link, loads pages and sends forms. It has no
//! JavaScript.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;

use crate::client::{Client, Reply};
use crate::provisioning::percent_encoded;
use crate::service::{Service, TABLE, binaries};

/// A console that runs, and the session of its browser.
pub struct Browser {
    child: Child,
    http: Client,
    cookie: String,
    /// What every form contains, from the last page with a form.
    csrf: Mutex<Option<String>>,
}

/// A page that was loaded.
#[derive(Debug)]
pub struct Page {
    /// The status.
    pub status: u16,
    /// The address to which the response leads.
    pub location: Option<String>,
    /// The HTML.
    pub html: String,
}

impl Browser {
    /// Starts a console on the table of a service, with these options, and signs in. The operator has the policy `OperateDirectory`.
    ///
    /// # Panics
    /// When the console does not start, or does not accept its own link.
    pub async fn open(service: &Service, options: &[&str]) -> Self {
        Self::open_at(&service.endpoint_for("OperateDirectory"), options).await
    }

    /// Starts a console on the table at this URL of DynamoDB.
    ///
    /// # Panics
    /// When the console does not start, or does not accept its own link.
    pub async fn open_at(endpoint: &str, options: &[&str]) -> Self {
        let mut child = Command::new(binaries().join("scimctl"))
            .args(["--table", TABLE, "--endpoint", endpoint, "console"])
            .args(options)
            .env("BROWSER", "true")
            .env("ALLOW_PRIVATE_TARGETS", "true")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("scimctl starts");
        let mut line = String::new();
        let out = child.stdout.take().expect("standard output is piped");
        BufReader::new(out).read_line(&mut line).expect("the console prints its link");
        let link = line.trim().strip_prefix("Console:").expect("the console prints its link").trim();
        let (base, path) = link.split_at(link.find("/sign-in").expect("the link signs in"));
        let http = Client::new(base, "", "");
        let reply = http.send("GET", path, &[("authorization", "")], "").await;
        assert_eq!(reply.status, 303, "{reply:?}");
        let cookie = reply.header("set-cookie").expect("signing in sets a cookie");
        let cookie = cookie.split(';').next().unwrap_or_default().to_owned();
        Self { child, http, cookie, csrf: Mutex::default() }
    }

    /// Loads a page.
    pub async fn get(&self, path: &str) -> Page {
        let headers = [("authorization", ""), ("cookie", self.cookie.as_str())];
        let page = Page::of(self.http.send("GET", path, &headers, "").await);
        if let Some(csrf) = page.csrf() {
            *self.csrf.lock().expect("no thread panicked with the lock") = Some(csrf);
        }
        page
    }

    /// Loads a page.
    ///
    /// # Panics
    /// When its status is not 200.
    pub async fn show(&self, path: &str) -> Page {
        let page = self.get(path).await;
        assert_eq!(page.status, 200, "{path}: {}", page.text());
        page
    }

    /// Sends a form of the last page that had one.
    pub async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Page {
        let csrf = self.csrf.lock().expect("no thread panicked with the lock").clone().unwrap_or_default();
        let fields = [&[("csrf", csrf.as_str())], fields].concat();
        let body: Vec<String> =
            fields.iter().map(|(name, value)| format!("{name}={}", percent_encoded(value))).collect();
        let headers = [
            ("authorization", ""),
            ("cookie", self.cookie.as_str()),
            ("origin", self.http.base_url.as_str()),
            ("content-type", "application/x-www-form-urlencoded"),
        ];
        Page::of(self.http.send("POST", path, &headers, body.join("&")).await)
    }

    /// Sends a form, and loads the page to which the response leads.
    ///
    /// # Panics
    /// When the change is refused.
    pub async fn change(&self, path: &str, fields: &[(&str, &str)]) -> Page {
        let page = self.post(path, fields).await;
        assert_eq!(page.status, 303, "{path} {fields:?}: {}", page.text());
        self.show(&page.location.expect("the response leads to a page")).await
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Page {
    fn of(reply: Reply) -> Self {
        Self {
            status: reply.status,
            location: reply.header("location").map(str::to_owned),
            html: String::from_utf8(reply.body).expect("a page is UTF-8"),
        }
    }

    fn csrf(&self) -> Option<String> {
        let (_, rest) = self.html.split_once("name=\"csrf\" value=\"")?;
        Some(rest.split_once('"')?.0.to_owned())
    }

    /// The text of the page, without tags, with one space between words.
    pub fn text(&self) -> String {
        text_of(&self.html)
    }

    /// The address of the first link with this text.
    pub fn link(&self, text: &str) -> Option<String> {
        let links = self.html.split("<a ").skip(1);
        let link = links
            .filter_map(|link| link.split_once("</a>"))
            .find(|(link, _)| link.split_once('>').is_some_and(|(_, label)| text_of(label) == text));
        let (_, rest) = link?.0.split_once("href=\"")?;
        Some(unescape(rest.split_once('"')?.0))
    }

    /// The rows of the table with this caption, the first one with the headings. Empty if there is no such table.
    pub fn table(&self, caption: &str) -> Vec<Vec<String>> {
        let mut tables = self.html.split("<table>").skip(1).filter_map(|table| table.split_once("</table>"));
        let table = tables.find(|(table, _)| {
            let found = table.split_once("<caption>").and_then(|(_, rest)| rest.split_once("</caption>"));
            found.is_some_and(|(found, _)| text_of(found) == caption)
        });
        let Some((table, _)) = table else { return Vec::new() };
        let cells = |row: &str| {
            let cells = row.split("<t").skip(1).filter(|cell| cell.starts_with('h') || cell.starts_with('d'));
            cells.map(|cell| text_of(cell.split_once('>').map_or("", |(_, text)| text))).collect()
        };
        table.split("<tr>").skip(1).map(cells).collect()
    }

    /// The value of a label in a list of facts.
    pub fn fact(&self, label: &str) -> Option<String> {
        let (_, rest) = self.html.split_once(&format!("<dt>{label}</dt>"))?;
        Some(text_of(rest.split_once("</dd>")?.0))
    }

    /// The text that follows a heading, up to the next heading.
    pub fn section(&self, heading: &str) -> String {
        let found = self.html.split("<h2").skip(1).find(|section| {
            section
                .split_once('>')
                .and_then(|(_, rest)| rest.split_once("</h2>"))
                .is_some_and(|(text, _)| text == heading)
        });
        text_of(found.and_then(|section| section.split_once("</h2>")).map_or("", |(_, text)| text))
    }
}

/// The text of HTML without its tags.
fn text_of(html: &str) -> String {
    let (first, tags) = html.split_once('<').unwrap_or((html, ""));
    let mut text = first.to_owned();
    for part in tags.split('<') {
        text.push(' ');
        text.push_str(part.split_once('>').map_or("", |(_, text)| text));
    }
    let words: Vec<&str> = text.split_whitespace().collect();
    unescape(&words.join(" "))
}

fn unescape(html: &str) -> String {
    html.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&amp;", "&")
}
