//! Who may use `scimctl console`: the browser that opens the link first, from this machine, with requests of the console's own pages.
//! Without `--write`, it changes nothing.

use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use tests::console::{Console, FORM_TYPE, form};
use tests::folder::Folder;
use tests::provisioning::create_user;
use tests::scimctl::scimctl;
use tests::service::service;

const NO_LOGIN: (&str, &str) = ("authorization", "");

#[tokio::test]
async fn link_works_once_and_sets_a_strict_cookie() {
    let console = Console::start(service(), &[]);
    let client = console.client();
    let target = console.link.strip_prefix(console.origin()).unwrap();
    let token = target.strip_prefix("/sign-in?token=").unwrap();
    assert_eq!(token.len(), 43, "256 bits in base64url: {token}");
    for wrong in ["/sign-in", "/sign-in?token=", "/sign-in?token=wrong"] {
        let reply = client.send("GET", wrong, &[NO_LOGIN], "").await;
        assert_eq!((reply.status, reply.header("set-cookie")), (403, None), "{wrong}");
    }
    let first = client.send("GET", target, &[NO_LOGIN], "").await;
    assert_eq!((first.status, first.header("location")), (303, Some("/")), "the next URL has no token");
    let cookie = first.header("set-cookie").unwrap();
    let (pair, attributes) = cookie.split_once("; ").unwrap();
    assert_eq!(attributes, "HttpOnly; SameSite=Strict; Path=/");
    let port = console.host().rsplit_once(':').unwrap().1;
    let value = pair.strip_prefix(&format!("rollcall-console-{port}=")).unwrap();
    assert_eq!(value.len(), 43);
    assert!(value != token, "the cookie is another secret");
    let second = client.send("GET", target, &[NO_LOGIN], "").await;
    let text = String::from_utf8(second.body.clone()).unwrap();
    assert_eq!((second.status, second.header("set-cookie")), (403, None));
    assert!(text.contains("it was used before") && text.contains("start it again"), "{text}");
    // In the browser that has the session, the link leads to the console.
    let again = client.send("GET", target, &[NO_LOGIN, ("cookie", pair)], "").await;
    assert_eq!((again.status, again.header("set-cookie")), (303, None));
}

#[tokio::test]
async fn requests_without_the_cookie_get_403_and_the_way_in() {
    let connector = service().connector().await;
    let console = Console::start(service(), &["--write"]);
    let page = format!("/connectors/{}", connector.id);
    let cookie = console.sign_in().await.cookie;
    let (name, value) = cookie.split_once('=').unwrap();
    let client = console.client();
    for wrong in ["", "a=b", &format!("{name}="), &format!("{name}=wrong"), &format!("other={value}")] {
        for path in ["/", "/style.css", "/console.js", "/new", &page, "/nothing"] {
            for method in ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"] {
                let reply = client.send(method, path, &[NO_LOGIN, ("cookie", wrong)], "").await;
                assert_eq!(
                    (reply.status, reply.header("set-cookie")),
                    (403, None),
                    "{method} {path} {wrong}"
                );
                let text = String::from_utf8(reply.body.clone()).unwrap();
                assert!(!text.contains(&connector.id.to_string()), "{text}");
                let says_what_to_do =
                    text.contains("Open the link that <code>scimctl console</code> printed");
                assert!(says_what_to_do || method == "HEAD", "{text}");
            }
        }
    }
}

#[tokio::test]
async fn host_must_be_this_machine_with_the_port() {
    let console = Console::start(service(), &[]);
    let browser = console.sign_in().await;
    let port = console.host().rsplit_once(':').unwrap().1;
    for (host, status) in [
        (format!("127.0.0.1:{port}"), 200),
        (format!("localhost:{port}"), 200),
        (format!("LOCALHOST:{port}"), 200),
        (format!("example.com:{port}"), 403),
        (format!("127.0.0.1.example.com:{port}"), 403),
        (format!("127.0.0.1@example.com:{port}"), 403),
        (format!("[::1]:{port}"), 403),
        ("127.0.0.1".to_owned(), 403),
        ("localhost:1".to_owned(), 403),
    ] {
        let page = browser.send("GET", "/", &[("host", &host)], "").await;
        assert_eq!(page.status(), status, "{host}");
        assert!(page.html.contains("Rollcall console"), "{host}");
    }
    // A name that resolves to this machine cannot get a session either.
    let fresh = Console::start(service(), &[]);
    let target = fresh.link.strip_prefix(fresh.origin()).unwrap();
    let rebound = [NO_LOGIN, ("host", "rebound.example.com")];
    assert_eq!(fresh.client().send("GET", target, &rebound, "").await.status, 403);
    fresh.sign_in().await;
}

#[tokio::test]
async fn change_needs_the_origin_of_the_console_and_the_token_of_its_forms() {
    let console = Console::start(service(), &["--write"]);
    let browser = console.sign_in().await;
    let id = format!("t{}", uuid::Uuid::new_v4().simple());
    let fields = [("id", id.as_str()), ("url", "https://scim.example.com"), ("kind", "token")];
    let with = |csrf: &str| form(&[&[("csrf", csrf)][..], &fields[..]].concat());
    let (right, host) = (with(&browser.csrf), console.host().to_owned());
    let port = host.rsplit_once(':').unwrap().1;
    for origin in [
        "https://example.com".to_owned(),
        "null".to_owned(),
        String::from("http://127.0.0.1"),
        format!("https://{host}"),
        // The other name of this machine: the browser has another session there.
        format!("http://localhost:{port}"),
    ] {
        let headers = [("content-type", FORM_TYPE), ("origin", origin.as_str())];
        let refused = browser.send("POST", "/new", &headers, &right).await;
        assert_eq!(refused.status(), 403, "{origin}");
        // A page of another origin gets nothing to read either.
        assert_eq!(browser.send("GET", "/", &[("origin", &origin)], "").await.status(), 403, "{origin}");
    }
    let origin = ("origin", console.origin());
    for (what, body) in [
        ("no token", form(&fields)),
        ("an empty token", with("")),
        ("another token", with("wrong")),
        ("the cookie", with(browser.cookie.split_once('=').unwrap().1)),
    ] {
        let refused = browser.send("POST", "/new", &[("content-type", FORM_TYPE), origin], &body).await;
        assert_eq!(refused.status(), 403, "{what}");
        assert!(refused.text().contains("The form is not of this session"), "{what}: {}", refused.text());
    }
    for media_type in ["text/plain", "multipart/form-data; boundary=x", "application/json", ""] {
        let refused = browser.send("POST", "/new", &[("content-type", media_type), origin], &right).await;
        assert_eq!(refused.status(), 415, "{media_type}");
    }
    assert!(scimctl(service(), &["connector", "show", &id]).failed().contains("there is no connector"));
    let accepted = browser.send("POST", "/new", &[("content-type", FORM_TYPE), origin], &right).await;
    assert_eq!(accepted.status(), 303);
    scimctl(service(), &["connector", "show", &id]).ok();
}

#[tokio::test]
async fn read_only_console_has_no_form_and_refuses_every_change() {
    let connector = service().connector().await;
    let console = Console::start(service(), &[]);
    let browser = console.sign_in().await;
    let page = format!("/connectors/{}", connector.id);
    for path in [page.clone(), format!("{page}/settings"), format!("{page}/setup/done")] {
        let shown = browser.get(&path).await;
        assert_eq!(shown.status(), 200, "{path}");
        assert!(!shown.html.contains("<form") && shown.html.contains("read-only"), "{path}: {}", shown.html);
    }
    let before = scimctl(service(), &["connector", "show", &connector.id.to_string(), "--json"]).ok();
    let changes =
        ["rotate", "disable", "enable", "delete", "settings/rules", "setup/mapping", "credentials/x/retire"];
    let paths = changes.iter().map(|change| format!("{page}/{change}")).chain(["/new".to_owned()]);
    for path in paths {
        let asked = browser.get(&path).await;
        let sent =
            browser.post(&path, &[("confirmation", &connector.id.to_string()), ("scope", "scim")]).await;
        for page in [asked, sent] {
            assert_eq!(page.status(), 403, "{path}");
            assert!(page.text().contains("start it with --write"), "{path}: {}", page.text());
            assert!(!page.html.contains("<form"), "{path}");
        }
    }
    assert_eq!(scimctl(service(), &["connector", "show", &connector.id.to_string(), "--json"]).ok(), before);
}

#[tokio::test]
async fn every_response_has_the_security_headers() {
    let console = Console::start(service(), &[]);
    let browser = console.sign_in().await;
    let without = console.client();
    let mut replies = vec![without.send("GET", "/", &[NO_LOGIN], "").await];
    for (method, path) in [
        ("GET", "/style.css"),
        ("GET", "/console.js"),
        ("GET", "/nothing"),
        ("PUT", "/"),
        ("GET", "/sign-in"),
        ("POST", "/"),
    ] {
        replies.push(browser.send(method, path, &[], "").await.reply);
    }
    let statuses: Vec<u16> = replies.iter().map(|reply| reply.status).collect();
    assert_eq!(statuses, [403, 200, 200, 404, 405, 303, 403]);
    for reply in replies {
        let header = |name| reply.header(name).unwrap_or_default();
        let csp = "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; frame-ancestors 'none'; \
                   base-uri 'none'; script-src 'self'; connect-src 'self'";
        assert_eq!(header("content-security-policy"), csp);
        assert_eq!(header("x-content-type-options"), "nosniff");
        assert_eq!(header("referrer-policy"), "same-origin");
        assert_eq!(header("cache-control"), "no-store");
    }
}

#[tokio::test]
async fn large_requests_are_refused() {
    let console = Console::start(service(), &["--write"]);
    let browser = console.sign_in().await;
    let long = browser.get(&format!("/{}", "a".repeat(9_000))).await;
    assert_eq!(long.status(), 414);
    let large = browser.post("/new", &[("id", &"a".repeat(300_000))]).await;
    assert_eq!((large.status(), large.text().contains("larger than 256 KiB")), (413, true));
}

#[tokio::test]
async fn console_listens_on_loopback_only_and_ctrl_c_ends_it() {
    let console = Console::start(service(), &[]);
    let port: u16 = console.host().rsplit_once(':').unwrap().1.parse().unwrap();
    assert!(TcpStream::connect(("127.0.0.1", port)).is_ok());
    // A socket on all addresses would answer here too.
    assert!(TcpStream::connect(("127.0.0.2", port)).is_err());
    let taken = scimctl(service(), &["console", "--port", &port.to_string()]);
    assert!(taken.failed().starts_with(&format!("port {port} of 127.0.0.1 cannot be used")));
    let (code, err) = console.interrupt();
    assert_eq!(code, Some(0));
    assert!(err.contains("press Ctrl-C") && err.ends_with("The console has ended.\n"), "{err}");
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
}

#[tokio::test]
async fn browser_of_the_operator_opens_the_link() {
    let folder = Folder::new();
    let (pipe, program) = (folder.file_path("pipe"), folder.write("browser", ""));
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    std::fs::write(&program, format!("#!/bin/sh\necho \"$1\" > '{pipe}'\n")).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let console = Console::start_with(service(), &[], &format!("{program}:another"));
    assert_eq!(std::fs::read_to_string(&pipe).unwrap().trim_end(), console.link);
    console.sign_in().await;
}

#[tokio::test]
async fn auditor_can_use_the_console_and_change_nothing() {
    let connector = service().connector().await;
    let id = connector.id.to_string();
    create_user(&connector.local(service()), "ann@example.com").await;
    let auditor = service().endpoint_for("AuditDirectory");
    let console = Console::start_at(&auditor, &["--write"], "false");
    let browser = console.sign_in().await;
    let page = format!("/connectors/{id}");
    for path in ["", "/settings", "/setup/done", "/settings/mapping", "/disable"] {
        assert_eq!(browser.get(&format!("{page}{path}")).await.status(), 200, "{path}");
    }
    let rules = [("rules.exclude-users", "ann*"), ("preview", "true")];
    let preview = browser.post(&format!("{page}/settings/rules"), &rules).await;
    assert!(preview.text().contains("1 user would disappear"), "{}", preview.text());
    let refused = browser.post(&format!("{page}/disable"), &[("confirmation", &id)]).await;
    assert_eq!(refused.status(), 403);
    assert!(refused.text().contains("AWS does not permit this"), "{}", refused.text());
    let shown = scimctl(service(), &["connector", "show", &id, "--json"]).ok();
    assert!(shown.contains("\"state\":\"enabled\""), "{shown}");
}

#[tokio::test]
async fn deliverer_is_told_which_right_is_missing() {
    let connector = service().connector().await;
    let console = Console::start_at(&service().endpoint_for("DeliverFeeds"), &[], "false");
    let browser = console.sign_in().await;
    for path in ["/".to_owned(), format!("/connectors/{}", connector.id)] {
        let refused = browser.get(&path).await;
        assert_eq!(refused.status(), 403, "{path}: {}", refused.text());
        let text = refused.text();
        for expected in [
            "A right is missing",
            "AWS does not permit this: DeliverFeeds is not authorized to perform dynamodb:",
            "AuditorPolicy has those of the pages that change nothing",
        ] {
            assert!(text.contains(expected), "{path}: {text}");
        }
    }
}
