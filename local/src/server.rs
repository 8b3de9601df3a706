//! The HTTP server. It reads a request, passes it to the service, and writes the response.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
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

/// The time that `make run` gives a request. A function has 27.5 seconds.
pub const TIME_FOR_A_REQUEST: Duration = Duration::from_secs(28);
/// How long a stopping server waits for a client, and how long the server reads the rest of a body that is too large.
const GRACE_PERIOD: Duration = Duration::from_secs(1);

#[derive(Clone)]
struct Server {
    service: Arc<Service>,
    origin: Arc<str>,
    start_page: Option<Arc<StartPage>>,
    time_for_a_request: Duration,
    /// Whether the server is stopping. Each running request subscribes to it.
    is_stopping: watch::Sender<bool>,
}

/// Serves until `stop` resolves and the running requests are answered. The service has `time_for_a_request` after the body of a
/// request has arrived, and the body has the same time to arrive. When the server stops, clients that send an incomplete
/// request, or do not read their response, get at most one more second.
///
/// # Errors
/// Fails when the listener does.
pub async fn serve(
    listener: TcpListener,
    service: Service,
    start_page: Option<StartPage>,
    time_for_a_request: Duration,
    stop: impl Future<Output = ()> + Send,
) -> std::io::Result<()> {
    let start_page = start_page.map(Arc::new);
    let origin = format!("http://{}", listener.local_addr()?).into();
    let is_stopping = watch::Sender::new(false);
    let service = Arc::new(service);
    let server = Server { service, origin, start_page, time_for_a_request, is_stopping: is_stopping.clone() };
    let answer = move |peer, request| answer(server.clone(), peer, request);
    let mut subscription = is_stopping.subscribe();
    let stopping = async move { drop(subscription.wait_for(|is_stopping| *is_stopping).await) };
    let end = async {
        stop.await;
        is_stopping.send_replace(true);
        // A running request ends at most GRACE_PERIOD + time_for_a_request after this: the timeout and the sleep below.
        let _ = timeout(time_for_a_request, is_stopping.closed()).await;
        sleep(GRACE_PERIOD).await;
    };
    tokio::select! {
        served = crate::http_server::serve(listener, answer, stopping) => served,
        () = end => Ok(()),
    }
}

async fn answer(server: Server, peer: SocketAddr, request: http::Request<Body>) -> http::Response<Body> {
    // The server stops after the last subscription is dropped.
    let mut is_stopping = server.is_stopping.subscribe();
    let (parts, body) = request.into_parts();
    if let (Some(page), &(Method::GET | Method::HEAD)) = (&server.start_page, &parts.method)
        && let Some(response) = page.answer(parts.uri.path()).await
    {
        return response;
    }
    let body = tokio::select! {
        biased;
        body = read(body) => body,
        () = time_is_up(server.time_for_a_request, &mut is_stopping) => Err(REFUSE_LATE_BODY),
    };
    // If the body could not be read, the service still authenticates and logs the request. The handler then returns the error.
    let (body, handler) = match body {
        Ok(body) => (body, routes::BY_ROUTE),
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
        deadline: Instant::now() + server.time_for_a_request,
        address: Some(peer.ip()),
    };
    server.service.answer(request, handler).await.map(Body::from)
}

/// Reads a body up to the limit of a function. If that fails, returns the handler that refuses the request.
async fn read(mut body: Body) -> Result<Bytes, Handler> {
    match Limited::new(&mut body, MAX_BODY_BYTES).collect().await {
        Ok(body) => return Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => {}
        Err(_) => return Err(REFUSE_INCOMPLETE_BODY),
    }
    // Most clients read the response only after they have sent the whole body. If the connection were closed before, they would
    // lose the response.
    let rest = async { while let Some(Ok(_)) = body.frame().await {} };
    let _ = timeout(GRACE_PERIOD, rest).await;
    Err(REFUSE_LONG_BODY)
}

/// Resolves when the time for a body has passed, or one second after the server begins to stop.
async fn time_is_up(time: Duration, is_stopping: &mut watch::Receiver<bool>) {
    let end = async {
        drop(is_stopping.wait_for(|is_stopping| *is_stopping).await);
        sleep(GRACE_PERIOD).await;
    };
    let _ = timeout(time, end).await;
}

const REFUSE_LONG_BODY: Handler = Handler::Client(|_| {
    let detail = format!("The body is longer than {MAX_BODY_BYTES} bytes");
    Box::pin(async { Err(ScimError::new(ErrorKind::PayloadTooLarge, detail)) })
});

const REFUSE_INCOMPLETE_BODY: Handler = Handler::Client(|_| {
    Box::pin(async {
        Err(ScimError::new(
            ErrorKind::InvalidSyntax,
            "The connection ended before the request body was complete",
        ))
    })
});

/// 408 (RFC 9110 §15.5.9). API Gateway sends a function the complete body, so only this server responds with 408.
const REFUSE_LATE_BODY: Handler = Handler::Client(|call| {
    let detail = "The request body did not arrive in time";
    call.notes.refuse(None, detail);
    let error = json!({ "schemas": [ERROR_SCHEMA], "status": "408", "detail": detail });
    Box::pin(async move { response::json(StatusCode::REQUEST_TIMEOUT, &error) })
});
