//! Runs `scimctl console` as a process, and uses it as a browser without JavaScript does.

use std::io::{BufRead as _, BufReader, Read as _};
use std::ops::Deref;
use std::process::{Child, Command, Stdio};

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::client::{Client, Reply};
use crate::service::{Service, TABLE, binaries};

/// A running console. It ends with the value.
pub struct Console {
    child: Child,
    /// The printed link, which works once.
    pub link: String,
}

/// A page, or a response that leads to one.
#[derive(Clone, Debug)]
pub struct Page {
    /// The response.
    pub reply: Reply,
    /// Its body.
    pub html: String,
}

/// A browser that signed in to a console.
pub struct Browser {
    client: Client,
    /// The header Cookie.
    pub cookie: String,
    /// What forms contain; empty if the console is read-only.
    pub csrf: String,
}

impl Console {
    /// Starts a console on the table of a service. The operator has the rights of `OperateDirectory`.
    ///
    /// # Panics
    /// When it does not print its link.
    pub fn start(service: &Service, arguments: &[&str]) -> Self {
        Self::start_with(service, arguments, "false")
    }

    /// The same with this program as the operator's browser.
    ///
    /// # Panics
    /// When it does not print its link.
    pub fn start_with(service: &Service, arguments: &[&str], browser: &str) -> Self {
        Self::start_at(&service.endpoint_for("OperateDirectory"), arguments, browser)
    }

    /// The same on the table at this URL of DynamoDB.
    ///
    /// # Panics
    /// When it does not print its link.
    pub fn start_at(endpoint: &str, arguments: &[&str], browser: &str) -> Self {
        let mut child = Command::new(binaries().join("scimctl"))
            .args(["--table", TABLE, "--endpoint", endpoint, "console"])
            .args(arguments)
            .env("BROWSER", browser)
            .env("ALLOW_PRIVATE_TARGETS", "true")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("scimctl starts");
        let mut line = String::new();
        let out = child.stdout.as_mut().expect("standard output is piped");
        BufReader::new(out).read_line(&mut line).expect("the output is UTF-8");
        let link = line.strip_prefix("Console:").unwrap_or_else(|| panic!("no link: {line:?}"));
        Self { link: link.trim().to_owned(), child }
    }

    /// The scheme, host and port.
    ///
    /// # Panics
    /// When the link has no path.
    pub fn origin(&self) -> &str {
        self.link.rsplit_once("/sign-in").expect("the link is that of the sign-in").0
    }

    /// The host and port.
    pub fn host(&self) -> &str {
        self.origin().trim_start_matches("http://")
    }

    /// A client that has not signed in.
    pub fn client(&self) -> Client {
        Client::new(self.origin(), "", "")
    }

    /// Opens the link, as the operator's browser does.
    ///
    /// # Panics
    /// When the link does not work, or the session is not accepted.
    pub async fn sign_in(&self) -> Browser {
        let client = self.client();
        let target = self.link.strip_prefix(self.origin()).expect("the link has a path");
        let reply = client.send("GET", target, &[("authorization", "")], "").await;
        assert_eq!((reply.status, reply.header("location")), (303, Some("/")));
        let cookie = reply.header("set-cookie").and_then(|cookie| cookie.split(';').next());
        let cookie = cookie.expect("the first use sets a cookie").to_owned();
        let mut browser = Browser { client, cookie, csrf: String::new() };
        // Every page needs the session, also this one, which needs no right on the table.
        assert_eq!(browser.get("/style.css").await.status(), 200);
        browser.csrf = browser.get("/new").await.hidden("csrf").unwrap_or_default();
        browser
    }

    /// Sends SIGINT, as Ctrl-C does. Returns the exit code and standard error.
    ///
    /// # Panics
    /// When the process cannot be stopped.
    pub fn interrupt(mut self) -> (Option<i32>, String) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-INT", &id]).status().expect("kill runs").success());
        let status = self.child.wait().expect("the console ends");
        let mut err = String::new();
        let pipe = self.child.stderr.as_mut().expect("standard error is piped");
        pipe.read_to_string(&mut err).expect("standard error is UTF-8");
        (status.code(), err)
    }
}

/// A browser that signed in, and its console.
pub struct SignedIn {
    browser: Browser,
    _console: Console,
}

impl SignedIn {
    /// Starts a console on the table of a service, and signs in. The operator has the rights of `OperateDirectory`.
    pub async fn to(service: &Service, arguments: &[&str]) -> Self {
        Self::at(&service.endpoint_for("OperateDirectory"), arguments).await
    }

    /// The same on the table at this URL of DynamoDB.
    pub async fn at(endpoint: &str, arguments: &[&str]) -> Self {
        let console = Console::start_at(endpoint, arguments, "false");
        Self { browser: console.sign_in().await, _console: console }
    }
}

impl Deref for SignedIn {
    type Target = Browser;

    fn deref(&self) -> &Browser {
        &self.browser
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        // It has ended already if the test interrupted it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Browser {
    /// Loads a page.
    pub async fn get(&self, path: &str) -> Page {
        self.send("GET", path, &[], "").await
    }

    /// Loads a page.
    ///
    /// # Panics
    /// When its status is not 200.
    pub async fn show(&self, path: &str) -> Page {
        let page = self.get(path).await;
        assert_eq!(page.status(), 200, "{path}: {}", page.text());
        page
    }

    /// Sends a form, with what every form contains.
    pub async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Page {
        let csrf = [("csrf", self.csrf.as_str())];
        let body = form(&[&csrf[..], fields].concat());
        let origin = self.client.base_url.clone();
        let headers = [("content-type", FORM_TYPE), ("origin", origin.as_str())];
        self.send("POST", path, &headers, &body).await
    }

    /// Sends a form, which must succeed, and loads the page that follows.
    ///
    /// # Panics
    /// When the response does not lead to another page.
    pub async fn submit(&self, path: &str, fields: &[(&str, &str)]) -> Page {
        let reply = self.post(path, fields).await;
        assert_eq!(reply.status(), 303, "{path} {fields:?}: {}", reply.text());
        self.get(reply.location()).await
    }

    /// Sends a request with the cookie.
    pub async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Page {
        let always = [("authorization", ""), ("cookie", self.cookie.as_str())];
        let reply = self.client.send(method, path, &[&always[..], headers].concat(), body.to_owned()).await;
        let html = String::from_utf8(reply.plain_body()).expect("the page is UTF-8");
        Page { reply, html }
    }
}

/// The media type of forms.
pub const FORM_TYPE: &str = "application/x-www-form-urlencoded";

/// Encodes the fields of a form.
pub fn form(fields: &[(&str, &str)]) -> String {
    let encode = |text| utf8_percent_encode(text, NON_ALPHANUMERIC);
    let pairs = fields.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value)));
    pairs.collect::<Vec<_>>().join("&")
}

impl Page {
    /// The status.
    pub fn status(&self) -> u16 {
        self.reply.status
    }

    /// The path that the response leads to.
    ///
    /// # Panics
    /// When it leads nowhere.
    pub fn location(&self) -> &str {
        self.reply.header("location").unwrap_or_else(|| panic!("no location: {}", self.text()))
    }

    /// The value of a hidden field.
    pub fn hidden(&self, name: &str) -> Option<String> {
        let (_, rest) = self.html.split_once(&format!("type=\"hidden\" name=\"{name}\" value=\""))?;
        Some(rest.split('"').next()?.to_owned())
    }

    /// The text of the main part as a person reads it: without tags, and with one space between words.
    pub fn text(&self) -> String {
        let main = self.html.split_once("<main").map_or(self.html.as_str(), |(_, main)| main);
        let main = main.split_once('>').map_or(main, |(_, main)| main);
        let mut text = String::new();
        for part in main.split('<') {
            text.push_str(part.split_once('>').map_or(part, |(_, text)| text));
            text.push(' ');
        }
        let decoded =
            text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&amp;", "&");
        decoded.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// The address of the first link with this text.
    pub fn link(&self, text: &str) -> Option<String> {
        let links = self.html.split("<a ").skip(1).filter_map(|link| link.split_once("</a>"));
        let mut links = links.filter_map(|(link, _)| link.split_once('>'));
        let (attributes, _) = links.find(|(_, label)| self.part(label).text() == text)?;
        let (_, rest) = attributes.split_once("href=\"")?;
        Some(rest.split_once('"')?.0.replace("&amp;", "&"))
    }

    /// The value of a label in a list of facts.
    pub fn fact(&self, label: &str) -> Option<String> {
        let (_, rest) = self.html.split_once(&format!("<dt>{label}</dt>"))?;
        Some(self.part(rest.split_once("</dd>")?.0).text())
    }

    /// The text that follows a heading, up to the next heading.
    pub fn section(&self, heading: &str) -> String {
        let sections = self.html.split("<h2").skip(1).filter_map(|section| section.split_once("</h2>"));
        let mut sections = sections.filter(|(title, _)| title.ends_with(&format!(">{heading}")));
        sections.next().map_or_else(String::new, |(_, text)| self.part(text).text())
    }

    /// The headings and the rows of the table with this caption. Empty if there is no such table.
    pub fn grid(&self, caption: &str) -> Vec<Vec<String>> {
        let Some((_, table)) = self.html.split_once(&format!("<caption>{caption}</caption>")) else {
            return Vec::new();
        };
        let head = table.split_once("</thead>").map_or("", |(head, _)| head);
        let heading = head.split("<th ").skip(1).filter_map(|cell| cell.split_once('>'));
        let heading = heading.map(|(_, cell)| self.part(cell).text()).collect();
        [vec![heading], self.table(caption)].concat()
    }

    /// A part of the page as a page.
    fn part(&self, html: &str) -> Self {
        Self { reply: self.reply.clone(), html: format!("<main>{html}") }
    }

    /// The cells of the rows of the table with this caption, as text.
    ///
    /// # Panics
    /// When the page has no such table.
    pub fn table(&self, caption: &str) -> Vec<Vec<String>> {
        let start = format!("<caption>{caption}</caption>");
        let (_, table) =
            self.html.split_once(&start).unwrap_or_else(|| panic!("no {caption:?}: {}", self.html));
        let body = table.split_once("<tbody>").map_or("", |(_, body)| body);
        let body = body.split_once("</tbody>").map_or(body, |(body, _)| body);
        let cell = |cell: &str| {
            let html = format!("<main>{}", cell.split_once('>').map_or(cell, |(_, cell)| cell));
            Self { reply: self.reply.clone(), html }.text()
        };
        let rows = body.split("<tr>").skip(1).map(|row| {
            let cells = row.replace("</td>", "").replace("</th>", "").replace("</tr>", "");
            let cells = cells.replace("<th scope=\"row\"", "<td");
            cells.split("<td").skip(1).map(cell).collect()
        });
        rows.collect()
    }
}
