//! The HTTP server: reads a request from its socket, finds its route, writes the answer.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, State};
use http::{Method, StatusCode};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde_json::json;
use service::request::{Request, encoded_segments, parameters};
use service::response;
use service::routes;
use service::{Handler, MAX_BODY_BYTES, Service};
use shared::error::{ERROR_SCHEMA, ErrorKind, ScimError};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};
use uuid::Uuid;

use crate::start_page::StartPage;

/// What HTTP API gives a function, less what the function keeps back; a body has as long to come.
const TIME_FOR_A_REQUEST: Duration = Duration::from_secs(28);
/// How long a client is waited for when the end has come, or when what it still sends is of no use.
const PATIENCE: Duration = Duration::from_secs(1);

#[derive(Clone)]
struct Server {
    service: Arc<Service>,
    origin: Arc<str>,
    start_page: Option<Arc<StartPage>>,
    /// Whether the end has come. Each request that is running listens to it.
    is_ending: watch::Sender<bool>,
}

/// Serves until `stop` resolves and what is running has been answered. Clients that have sent half of a request, or do
/// not read their answer, are not waited for.
///
/// # Errors
/// When the listener fails.
pub async fn serve(
    listener: TcpListener,
    service: Service,
    stop: impl Future<Output = ()> + Send,
) -> std::io::Result<()> {
    serve_both(listener, service, None, stop).await
}

/// Does what [`serve`] does, and serves a start page.
///
/// # Errors
/// When the listener fails.
pub async fn serve_with_start_page(
    listener: TcpListener,
    service: Service,
    start_page: StartPage,
    stop: impl Future<Output = ()> + Send,
) -> std::io::Result<()> {
    serve_both(listener, service, Some(Arc::new(start_page)), stop).await
}

async fn serve_both(
    listener: TcpListener,
    service: Service,
    start_page: Option<Arc<StartPage>>,
    stop: impl Future<Output = ()> + Send,
) -> std::io::Result<()> {
    let origin = format!("http://{}", listener.local_addr()?).into();
    let is_ending = watch::Sender::new(false);
    let server = Server { service: Arc::new(service), origin, start_page, is_ending: is_ending.clone() };
    let router = Router::new().fallback(answer).with_state(server);
    let router = router.into_make_service_with_connect_info::<SocketAddr>();
    let mut told = is_ending.subscribe();
    let told = async move { drop(told.wait_for(|is_ending| *is_ending).await) };
    let end = async {
        stop.await;
        is_ending.send_replace(true);
        // Requests end by themselves before this.
        let _ = timeout(TIME_FOR_A_REQUEST, is_ending.closed()).await;
        sleep(PATIENCE).await;
    };
    tokio::select! {
        served = axum::serve(listener, router).with_graceful_shutdown(told) => served,
        () = end => Ok(()),
    }
}

async fn answer(
    State(server): State<Server>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: http::Request<Body>,
) -> http::Response<Body> {
    // The end waits for this to be dropped.
    let mut is_ending = server.is_ending.subscribe();
    let (parts, body) = request.into_parts();
    if let (Some(page), &(Method::GET | Method::HEAD)) = (&server.start_page, &parts.method)
        && let Some(response) = page.answer(parts.uri.path()).await
    {
        return response;
    }
    let body = tokio::select! {
        biased;
        body = read(body) => body,
        () = time_is_up(&mut is_ending) => Err(LATE),
    };
    // The service refuses such a request too, so that it is authenticated and logged like any other.
    let (body, handler) = match body {
        Ok(body) => (body, routes::fallback as Handler),
        Err(refuse) => (Bytes::new(), refuse),
    };
    let request = Request {
        id: Uuid::new_v4().to_string(),
        method: parts.method,
        path: encoded_segments(parts.uri.path()),
        query: parameters(parts.uri.query().unwrap_or_default()),
        headers: parts.headers,
        body: body.into(),
        origin: server.origin.to_string(),
        deadline: Instant::now() + TIME_FOR_A_REQUEST,
        address: Some(peer.ip()),
    };
    server.service.answer(request, handler).await.map(Body::from)
}

/// Reads a body, and keeps no more of it than a function would get; or gives what refuses the request.
async fn read(mut body: Body) -> Result<Bytes, Handler> {
    match Limited::new(&mut body, MAX_BODY_BYTES).collect().await {
        Ok(body) => return Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => {}
        Err(_) => return Err(ENDED_EARLY),
    }
    // Most clients read no answer before all is sent, and lose it when the connection is closed before that.
    let rest = async { while let Some(Ok(_)) = body.frame().await {} };
    let _ = timeout(PATIENCE, rest).await;
    Err(TOO_LONG)
}

/// Resolves when a body has had its time.
async fn time_is_up(is_ending: &mut watch::Receiver<bool>) {
    let end = async {
        drop(is_ending.wait_for(|is_ending| *is_ending).await);
        sleep(PATIENCE).await;
    };
    let _ = timeout(TIME_FOR_A_REQUEST, end).await;
}

const TOO_LONG: Handler = |_| {
    let detail = format!("The body is longer than {MAX_BODY_BYTES} bytes");
    Box::pin(async { Err(ScimError::new(ErrorKind::PayloadTooLarge, detail)) })
};

const ENDED_EARLY: Handler =
    |_| Box::pin(async { Err(ScimError::new(ErrorKind::InvalidSyntax, "The body ended early")) });

/// RFC 9110 §15.5.9. A function gets a body whole, so only this server has an answer like it.
const LATE: Handler = |_| {
    let error =
        json!({ "schemas": [ERROR_SCHEMA], "status": "408", "detail": "The body did not come in time" });
    Box::pin(async move { response::json(StatusCode::REQUEST_TIMEOUT, &error) })
};
