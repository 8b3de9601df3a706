//! Which requests the console answers.
//!
//! Every user of the machine can connect to a port on loopback, and every web page in the browser can send requests to it. So a
//! request needs the Host of this console, the cookie of the session and, if it has an Origin, that of this console. A change is a
//! POST with the token that every form contains. All of that is checked here, before a section gets the request.

use std::net::Ipv4Addr;
use std::process::{Command, Stdio};
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Router, serve as serve_http};
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, COOKIE, HOST, LOCATION, ORIGIN, REFERRER_POLICY,
    SET_COOKIE, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use maud::{Markup, html};
use tokio::net::TcpListener;

use super::form::{CSRF, Fields};
use super::problem::Problem;
use super::{Console, page};
use crate::failure::{Failure, fail};
use crate::output::{print, print_note};

/// The largest body of a form. The rules of a connector fit many times.
const MAX_BODY_BYTES: usize = 256 * 1024;
/// The longest path and query.
const MAX_TARGET_BYTES: usize = 8 * 1024;
/// How long running requests can take after Ctrl-C.
const GRACE: Duration = Duration::from_secs(5);
/// The media type of forms.
const FORM_TYPE: &str = "application/x-www-form-urlencoded";

/// What every response says to the browser: load nothing from elsewhere, run no inline script, send forms only here, show the
/// page in no frame, and store nothing. Without `same-origin`, browsers send `Origin: null` with each form.
const HEADERS: [(HeaderName, &str); 4] = [
    (
        CONTENT_SECURITY_POLICY,
        "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; frame-ancestors 'none'; base-uri \
         'none'; script-src 'self'; connect-src 'self'",
    ),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (REFERRER_POLICY, "same-origin"),
    (CACHE_CONTROL, "no-store"),
];

/// Listens on a port of loopback; 0 is a free one.
pub async fn listen(port: u16) -> Result<TcpListener, Failure> {
    match TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await {
        Ok(listener) => Ok(listener),
        Err(error) => {
            fail(format!("port {port} of 127.0.0.1 cannot be used ({error}); enter another --port"))
        }
    }
}

/// Prints and opens the link, and serves until Ctrl-C.
pub async fn serve(
    listener: TcpListener,
    console: Console,
    sections: Router<Console>,
) -> Result<(), Failure> {
    let link = console.session().link();
    print(&format!("Console:  {link}"))?;
    let mode = if console.is_writable() {
        "You can make changes, with your own rights"
    } else {
        "It only shows. To make changes, start it with --write"
    };
    print_note(&format!(
        "The link works once, on this machine only. {mode}. To end the console, press Ctrl-C."
    ));
    open_browser(&link);
    let app = app(console.clone(), sections);
    let ended = std::sync::Arc::new(tokio::sync::Notify::new());
    let stop = {
        let ended = ended.clone();
        async move {
            // If the signal cannot be received, Ctrl-C ends the process as it does any other.
            if tokio::signal::ctrl_c().await.is_err() {
                std::future::pending::<()>().await;
            }
            ended.notify_one();
        }
    };
    let served = serve_http(listener, app).with_graceful_shutdown(stop).into_future();
    tokio::select! {
        result = served => result?,
        () = async { ended.notified().await; tokio::time::sleep(GRACE).await } => {}
    }
    for id in console.deletions().unfinished() {
        print_note(&format!(
            "The deletion of connector {id} is not complete. To continue it, run: scimctl connector delete {id}"
        ));
    }
    print_note("The console has ended.");
    Ok(())
}

fn app(console: Console, sections: Router<Console>) -> Router {
    Router::new()
        .route("/style.css", get(async || asset("text/css; charset=utf-8", include_str!("style.css"))))
        .route(
            "/console.js",
            get(async || asset("text/javascript; charset=utf-8", include_str!("console.js"))),
        )
        .merge(sections)
        .fallback(async || Problem::not_found("The console has no such page."))
        .method_not_allowed_fallback(async || {
            Problem::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "Not allowed",
                "This page does not accept this method.",
            )
        })
        .layer(from_fn_with_state(console.clone(), answer))
        .with_state(console)
}

fn asset(media_type: &'static str, text: &'static str) -> Response {
    ([(CONTENT_TYPE, media_type)], text).into_response()
}

/// Answers a request, or refuses it.
async fn answer(State(console): State<Console>, request: Request, next: Next) -> Response {
    let mut response = match check(&console, request).await {
        Ok(request) => next.run(request).await,
        Err(refusal) => refusal,
    };
    if let Some(problem) = response.extensions_mut().remove::<Problem>() {
        response = problem.page(&console);
    }
    for (name, value) in HEADERS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Returns the request if a section may have it, with the fields of its form.
async fn check(console: &Console, request: Request) -> Result<Request, Response> {
    let session = console.session();
    let host = one(request.headers(), &HOST).unwrap_or_default().to_owned();
    let authority = request.uri().authority().map(http::uri::Authority::as_str);
    if !session.is_host(&host) || authority.is_some_and(|authority| !session.is_host(authority)) {
        return Err(refusal(
            html! { p { "The console answers only to 127.0.0.1 and localhost, with its port." } },
        ));
    }
    if request.uri().path_and_query().is_some_and(|target| target.as_str().len() > MAX_TARGET_BYTES) {
        let mut response = refusal(html! { p { "The address is too long." } });
        *response.status_mut() = StatusCode::URI_TOO_LONG;
        return Err(response);
    }
    let has_cookie = request
        .headers()
        .get_all(COOKIE)
        .iter()
        .any(|header| header.to_str().is_ok_and(|header| session.has_cookie(header)));
    if request.uri().path() == "/sign-in" && request.method() == Method::GET {
        return Err(sign_in(console, &Fields::parse(request.uri().query().unwrap_or_default()), has_cookie));
    }
    if !has_cookie {
        return Err(refusal(html! {
            p { "This browser has no session of the console. Open the link that " code { "scimctl console" } " printed. It works once." }
            p { "If you have just opened it, " a href="/" { "continue to the console" } "." }
            p {
                "If the link was used before, end the console with Ctrl-C and start it again. If you did not use it, another user \
                 or program of this machine did."
            }
        }));
    }
    if let Some(origin) = request.headers().get(ORIGIN)
        && origin.as_bytes() != format!("http://{host}").as_bytes()
    {
        return Err(Problem::forbidden("The request came from a page that is not one of the console.")
            .into_response());
    }
    if request.method() == Method::POST { with_fields(console, request).await } else { Ok(request) }
}

/// Signs in with the token of the link. The response leads to an address without it.
fn sign_in(console: &Console, query: &Fields, has_cookie: bool) -> Response {
    let to_start = [(LOCATION, "/".to_owned())];
    if console.session().use_token(query.get("token")) {
        let cookie = [(SET_COOKIE, console.session().set_cookie())];
        return (StatusCode::SEE_OTHER, to_start, cookie).into_response();
    }
    if has_cookie {
        return (StatusCode::SEE_OTHER, to_start).into_response();
    }
    refusal(html! {
        p { "This link is not valid, or it was used before." }
        p {
            "End the console with Ctrl-C and start it again: it prints a new link. If you did not use the link, another user or \
             program of this machine did."
        }
    })
}

/// Reads the form of a POST, and checks that a page of this session sent it.
async fn with_fields(console: &Console, request: Request) -> Result<Request, Response> {
    if !console.is_writable() {
        return Err(Problem::read_only().into_response());
    }
    let media_type = one(request.headers(), &CONTENT_TYPE).unwrap_or_default();
    if media_type
        .split(';')
        .next()
        .is_none_or(|media_type| !media_type.trim().eq_ignore_ascii_case(FORM_TYPE))
    {
        let detail = format!("The body of a form is {FORM_TYPE}.");
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "Not a form", detail).into_response());
    }
    let (mut parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, MAX_BODY_BYTES).await else {
        let detail = format!("The form is larger than {} KiB.", MAX_BODY_BYTES / 1024);
        return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "Too large", detail).into_response());
    };
    let fields = Fields::parse(&String::from_utf8_lossy(&body));
    if !console.session().is_csrf(fields.get(CSRF)) {
        let detail =
            "The form is not of this session. Go back, load the page again, and send the form from there.";
        return Err(Problem::forbidden(detail).into_response());
    }
    parts.extensions.insert(fields);
    Ok(Request::from_parts(parts, Body::empty()))
}

/// The value of a header that a request must have exactly once.
fn one<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(value)
}

/// A page for a browser that has no session, so it has neither navigation nor style.
fn refusal(content: Markup) -> Response {
    (StatusCode::FORBIDDEN, page::bare("Rollcall console: not signed in", content)).into_response()
}

/// Opens the link in the browser of the operator: the program of BROWSER, or what the system opens links with. It is no error if
/// there is none, because the link is printed.
fn open_browser(link: &str) {
    let chosen = std::env::var("BROWSER").ok().filter(|browser| !browser.is_empty());
    let program = match &chosen {
        // The variable can list several programs.
        Some(browsers) => browsers.split(':').next().unwrap_or_default(),
        None if cfg!(target_os = "macos") => "open",
        None => "xdg-open",
    };
    let mut command = Command::new(program);
    command.arg(link).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    if let Ok(mut child) = command.spawn() {
        // The system keeps a process that has ended until its parent asks for it.
        std::thread::spawn(move || child.wait());
    }
}
