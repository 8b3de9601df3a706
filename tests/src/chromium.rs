//! Chromium without a window: a real browser for the tests of the console.
//!
//! Its DevTools protocol goes through two pipes, so it needs neither a port nor a driver, and Chromium ends when the pipes are closed, also
//! if the test is killed. Nothing waits for a fixed time: a click waits until the next page is loaded, and [`Chromium::wait_until`] until
//! a condition is true.

use std::process::Stdio;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Map, Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

use crate::folder::Folder;
use crate::workspace;

/// How long Chromium may take for anything. It is long, so that no test fails because a machine is slow.
const TIME_LIMIT: Duration = Duration::from_secs(120);

/// The program, in a folder of PATH.
const PROGRAM: &str = "chromium";

/// What Chromium is started with. As root it has no sandbox, and it only loads pages of the test. It reaches no other host.
const OPTIONS: [&str; 14] = [
    "--headless=new",
    "--no-sandbox",
    "--remote-debugging-pipe",
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-dev-shm-usage",
    "--disable-extensions",
    "--disable-gpu",
    "--disable-sync",
    "--hide-scrollbars",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
];

/// Elements and their names, as the functions of this module look for them in a page.
const HELPERS: &str = r#"
const named = element => (element.getAttribute("aria-label") ?? element.innerText).replace(/\s+/g, " ").trim();
const only = (found, what) => {
  // Names in the content win over the same names in the navigation.
  const inside = found.filter(element => element.closest("main"));
  if (inside.length > 0) found = inside;
  if (found.length !== 1) throw new Error(`${found.length} elements are ${what} in ${location.href}: ${document.body.innerText}`);
  return found[0];
};
const target = name => only([...document.querySelectorAll("a, button, summary, label.choice")]
  .filter(element => element.checkVisibility() && named(element) === name), name);
const field = name => only([...document.querySelectorAll("label")].filter(label => named(label) === name), name).control;
const describe = element => element === document.body ? "" : element.labels?.length ? named(element.labels[0]) : named(element);
"#;

/// A window of Chromium, with a profile of its own.
pub struct Chromium {
    // It ends before its folder is removed.
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    session: Option<String>,
    last_id: u64,
    loads: u64,
    requested: Vec<String>,
    complaints: Vec<String>,
    _profile: Folder,
}

/// The preferred colours of the user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// Dark text on a light page.
    Light,
    /// Light text on a dark page.
    Dark,
}

impl Scheme {
    /// The name in media queries.
    pub fn name(self) -> &'static str {
        match self {
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }
}

impl Chromium {
    /// Starts Chromium with a light window of 1280 × 800 pixels.
    ///
    /// # Panics
    /// When Chromium is not installed, or does not start.
    pub async fn start() -> Self {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let is_installed = std::env::split_paths(&path).any(|folder| folder.join(PROGRAM).exists());
        assert!(is_installed, "Chromium is not installed; run `make browser`, as `make test` does");
        let profile = Folder::new();
        // Chromium reads commands from descriptor 3 and writes to descriptor 4.
        let mut command = Command::new("sh");
        command.args(["-c", "exec \"$@\" 3<&0 4>&1 </dev/null >/dev/null", "sh", PROGRAM]).args(OPTIONS);
        command.arg(format!("--user-data-dir={}", profile.path().display())).arg("about:blank");
        // A clock that `faketime` sets is for the service, not for Chromium.
        command.env_remove("LD_PRELOAD").kill_on_drop(true);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().expect("sh starts");
        let input = child.stdin.take().expect("standard input is piped");
        let output = BufReader::new(child.stdout.take().expect("standard output is piped"));
        let mut chromium = Self {
            child,
            input,
            output,
            session: None,
            last_id: 0,
            loads: 0,
            requested: Vec::new(),
            complaints: Vec::new(),
            _profile: profile,
        };
        let created = chromium.call("Target.createTarget", json!({ "url": "about:blank" })).await;
        let target = created["targetId"].clone();
        let attached =
            chromium.call("Target.attachToTarget", json!({ "targetId": target, "flatten": true })).await;
        chromium.session = attached["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page", "Network", "Log", "Runtime"] {
            chromium.call(&format!("{domain}.enable"), json!({})).await;
        }
        chromium.set_window(1280, Scheme::Light).await;
        chromium
    }

    /// Sets the width of the window in pixels, and the preferred colours.
    pub async fn set_window(&mut self, width: u32, scheme: Scheme) {
        let size = json!({ "width": width, "height": 800, "deviceScaleFactor": 1, "mobile": false });
        self.call("Emulation.setDeviceMetricsOverride", size).await;
        let features = json!([{ "name": "prefers-color-scheme", "value": scheme.name() }]);
        self.call("Emulation.setEmulatedMedia", json!({ "features": features })).await;
    }

    /// Runs no script of the pages that are loaded after this.
    pub async fn disable_scripts(&mut self) {
        self.call("Emulation.setScriptExecutionDisabled", json!({ "value": true })).await;
    }

    /// Lets the pages of an origin use the clipboard.
    pub async fn allow_clipboard(&mut self, origin: &str) {
        let permissions = json!(["clipboardReadWrite", "clipboardSanitizedWrite"]);
        self.call("Browser.grantPermissions", json!({ "origin": origin, "permissions": permissions })).await;
    }

    /// Loads a page.
    ///
    /// # Panics
    /// When there is no server at the address.
    pub async fn open(&mut self, url: &str) {
        let before = self.loads;
        let answer = self.call("Page.navigate", json!({ "url": url })).await;
        assert_eq!(answer["errorText"], Value::Null, "{url}");
        self.wait_for_load(before).await;
    }

    /// Loads a path of the origin of the present page.
    pub async fn open_path(&mut self, path: &str) {
        let origin = self.text_of("location.origin").await;
        self.open(&format!("{origin}{path}")).await;
    }

    /// Loads the present page again.
    pub async fn reload(&mut self) {
        let before = self.loads;
        self.call("Page.reload", json!({})).await;
        self.wait_for_load(before).await;
    }

    /// Clicks on the link, button or choice with this name.
    ///
    /// # Panics
    /// When there is not exactly one, or another element covers it.
    pub async fn click(&mut self, name: &str) {
        let place = self
            .run(&format!(
                r#"const element = target({});
                element.scrollIntoView({{ block: "center", behavior: "instant" }});
                const box = element.getClientRects()[0];
                const [x, y] = [box.left + box.width / 2, box.top + box.height / 2];
                const top = document.elementFromPoint(x, y);
                if (!element.contains(top)) throw new Error(`${{named(element)}} is covered by ${{top?.outerHTML}}`);
                return [x, y];"#,
                json!(name)
            ))
            .await;
        for kind in ["mouseMoved", "mousePressed", "mouseReleased"] {
            let event =
                json!({ "type": kind, "x": place[0], "y": place[1], "button": "left", "clickCount": 1 });
            self.call("Input.dispatchMouseEvent", event).await;
        }
    }

    /// Clicks, and waits until the page is loaded to which that leads.
    pub async fn follow(&mut self, name: &str) {
        let before = self.loads;
        self.click(name).await;
        self.wait_for_load(before).await;
    }

    /// Replaces the text of the field with this label.
    pub async fn enter(&mut self, label: &str, text: &str) {
        self.run(&format!("const control = field({}); control.focus(); control.select();", json!(label)))
            .await;
        match text {
            "" => self.press("Delete").await,
            text => self.insert(text).await,
        }
    }

    /// Types a text where the focus is.
    pub async fn insert(&mut self, text: &str) {
        self.call("Input.insertText", json!({ "text": text })).await;
    }

    /// Presses and releases a key: `Tab`, `Enter`, `Delete` or ` `.
    pub async fn press(&mut self, key: &str) {
        let (code, text) = match key {
            "Tab" => (9, ""),
            "Enter" => (13, "\r"),
            "Delete" => (46, ""),
            _ => (32, " "),
        };
        let event = |kind: &str| {
            let mut event = json!({ "type": kind, "key": key, "windowsVirtualKeyCode": code });
            if kind == "keyDown" && !text.is_empty() {
                event["text"] = text.into();
            }
            event
        };
        for kind in ["keyDown", "keyUp"] {
            self.call("Input.dispatchKeyEvent", event(kind)).await;
        }
    }

    /// Presses a key, and waits until the page is loaded to which that leads.
    pub async fn press_and_follow(&mut self, key: &str) {
        let before = self.loads;
        self.press(key).await;
        self.wait_for_load(before).await;
    }

    /// Presses Tab until the field, link or button with this name has the focus. Returns the names of those that had it before.
    ///
    /// # Panics
    /// When Tab does not lead there, or the focus cannot be seen.
    pub async fn tab_to(&mut self, name: &str) -> Vec<String> {
        let mut passed = Vec::new();
        loop {
            self.press("Tab").await;
            let focused = self.focused().await;
            let is_visible = "const style = getComputedStyle(document.activeElement);
                return style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2;";
            assert_eq!(self.run(is_visible).await, true, "the focus on {focused:?} cannot be seen");
            if focused == name {
                return passed;
            }
            assert!(passed.len() < 100, "Tab does not lead to {name:?}: {passed:?}");
            passed.push(focused);
        }
    }

    /// The name of what has the focus: the label of a field, or the text of another element. Empty if nothing has it.
    pub async fn focused(&mut self) -> String {
        self.text_of("describe(document.activeElement)").await
    }

    /// The heading of the page.
    pub async fn heading(&mut self) -> String {
        self.text_of("document.querySelector('h1').innerText").await
    }

    /// What a person reads in the main part of the page, with one space between words.
    pub async fn text(&mut self) -> String {
        self.text_of(r#"document.querySelector("main").innerText.replace(/\s+/g, " ")"#).await
    }

    /// The value beside a label in a list of facts. If the value can be copied, it is without the button.
    ///
    /// # Panics
    /// When there is no such label.
    pub async fn fact(&mut self, label: &str) -> String {
        let script = format!(
            r#"const value = only([...document.querySelectorAll("dt")].filter(term => named(term) === {}), {0}).nextElementSibling;
            return (value.querySelector(".copyable code") ?? value).innerText.replace(/\s+/g, " ").trim();"#,
            json!(label)
        );
        self.run(&script).await.as_str().unwrap_or_default().to_owned()
    }

    /// The rows of the table with this caption: the texts of their cells.
    ///
    /// # Panics
    /// When there is no such table.
    pub async fn table(&mut self, caption: &str) -> Vec<Vec<String>> {
        let script = format!(
            r#"const table = only([...document.querySelectorAll("caption")].filter(caption => named(caption) === {}), {0}).parentElement;
            return [...table.tBodies[0].rows].map(row => [...row.cells].map(cell => cell.innerText.replace(/\s+/g, " ").trim()));"#,
            json!(caption)
        );
        serde_json::from_value(self.run(&script).await).expect("the cells are texts")
    }

    /// The text that a JavaScript expression gives.
    pub async fn text_of(&mut self, expression: &str) -> String {
        self.run(&format!("return {expression};")).await.as_str().unwrap_or_default().to_owned()
    }

    /// Runs JavaScript in the page, also if the page's own scripts do not run. Returns what it returns.
    ///
    /// # Panics
    /// When it throws.
    pub async fn run(&mut self, script: &str) -> Value {
        let expression = format!("(async () => {{ {HELPERS} {script} }})()");
        let command = json!({ "expression": expression, "awaitPromise": true, "returnByValue": true });
        let answer = self.call("Runtime.evaluate", command).await;
        let thrown = &answer["exceptionDetails"]["exception"]["description"];
        assert!(answer["exceptionDetails"].is_null(), "{}", thrown.as_str().unwrap_or("it throws"));
        answer["result"]["value"].clone()
    }

    /// Waits until a JavaScript expression is true.
    ///
    /// # Panics
    /// When it is still false after a minute.
    pub async fn wait_until(&mut self, condition: &str) {
        let script = format!(
            "const end = performance.now() + 60_000;
            return new Promise((done, fail) => {{
                const look = () => {{
                    if ({condition}) done(true);
                    else if (performance.now() > end) fail(new Error({} + ' is false: ' + document.body.innerText));
                    else requestAnimationFrame(look);
                }};
                look();
            }});",
            json!(condition)
        );
        self.run(&script).await;
    }

    /// What axe-core finds: each violated rule, with the elements that violate it.
    ///
    /// # Panics
    /// When axe-core is not installed.
    pub async fn accessibility_violations(&mut self) -> Vec<String> {
        if self.run("return typeof axe;").await == "undefined" {
            let path = workspace().join(".tools/browser/node_modules/axe-core/axe.min.js");
            let axe = std::fs::read_to_string(path);
            let axe = axe.expect("axe-core is not installed; run `make browser`, as `make test` does");
            self.call("Runtime.evaluate", json!({ "expression": axe })).await;
        }
        let script = "const found = await axe.run({ resultTypes: ['violations'] });
            return found.violations.map(rule => `${rule.id}: ${rule.help}: ` +
                rule.nodes.map(node => `${node.html} (${node.failureSummary})`).join(', '));";
        serde_json::from_value(self.run(script).await).expect("axe-core returns texts")
    }

    /// A picture of the page as PNG: as wide as the window, and as high as the page, but at most `highest` pixels.
    ///
    /// # Panics
    /// When Chromium returns no picture.
    pub async fn picture(&mut self, highest: u32) -> Vec<u8> {
        let size = self.run("return [innerWidth, document.documentElement.scrollHeight];").await;
        let height = size[1].as_u64().unwrap_or_default().min(u64::from(highest));
        let clip = json!({ "x": 0, "y": 0, "width": size[0], "height": height, "scale": 1 });
        let command = json!({ "format": "png", "captureBeyondViewport": true, "clip": clip });
        let answer = self.call("Page.captureScreenshot", command).await;
        BASE64.decode(answer["data"].as_str().unwrap_or_default()).expect("the picture is in Base64")
    }

    /// The addresses that pages loaded, and what the browser complained about: errors in scripts, and what the content security policy
    /// forbids. Each is returned once.
    pub fn take_observations(&mut self) -> (Vec<String>, Vec<String>) {
        (std::mem::take(&mut self.requested), std::mem::take(&mut self.complaints))
    }

    async fn wait_for_load(&mut self, before: u64) {
        while self.loads == before {
            let message = self.receive("a page that loads").await;
            self.observe(&message);
        }
    }

    /// Sends a command, and waits for its answer.
    async fn call(&mut self, method: &str, parameters: Value) -> Value {
        self.last_id += 1;
        let mut command = Map::from_iter([
            ("id".to_owned(), self.last_id.into()),
            ("method".to_owned(), method.into()),
            ("params".to_owned(), parameters),
        ]);
        // What concerns the whole browser belongs to no window.
        if let Some(session) = self.session.as_ref().filter(|_| !method.starts_with("Browser.")) {
            command.insert("sessionId".to_owned(), session.as_str().into());
        }
        let mut bytes = Value::Object(command).to_string().into_bytes();
        bytes.push(0);
        self.input.write_all(&bytes).await.expect("Chromium reads commands");
        loop {
            let message = self.receive(method).await;
            if message["id"] == self.last_id {
                assert!(message["error"].is_null(), "{method}: {}", message["error"]);
                return message["result"].clone();
            }
            self.observe(&message);
        }
    }

    async fn receive(&mut self, awaited: &str) -> Value {
        let mut message = Vec::new();
        let read = timeout(TIME_LIMIT, self.output.read_until(0, &mut message)).await;
        let read = read.unwrap_or_else(|_| panic!("Chromium sends nothing; {awaited} was awaited"));
        read.expect("the pipe can be read");
        let ended = || panic!("Chromium has ended ({:?}); {awaited} was awaited", self.child.id());
        if message.pop() != Some(0) {
            ended();
        }
        serde_json::from_slice(&message).expect("Chromium sends JSON")
    }

    fn observe(&mut self, event: &Value) {
        let parameters = &event["params"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        match event["method"].as_str().unwrap_or_default() {
            "Page.loadEventFired" => self.loads += 1,
            "Network.requestWillBeSent" => self.requested.push(text(&parameters["request"]["url"])),
            "Runtime.exceptionThrown" => self.complaints.push(parameters["exceptionDetails"].to_string()),
            "Log.entryAdded" => {
                let entry = &parameters["entry"];
                // A response with the status 404 or 422 is no fault of the page.
                if entry["level"] == "error" && entry["source"] != "network" {
                    self.complaints.push(text(&entry["text"]));
                }
            }
            _ => {}
        }
    }
}
