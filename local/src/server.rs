//! The HTTP server: reads a request from its socket, finds its route, writes the answer.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, State};
use functions::request::{Request, encoded_segments, parameters};
use functions::response;
use functions::routes;
use functions::service::{LONGEST_BODY, Service};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use shared::error::{ErrorKind, ScimError};
use tokio::net::TcpListener;
use tokio::time::Instant;
use uuid::Uuid;

/// What HTTP API gives a function, less what the function keeps back.
const TIME_FOR_A_REQUEST: Duration = Duration::from_secs(28);

#[derive(Clone)]
struct Server {
    service: Arc<Service>,
    origin: Arc<str>,
}

/// Serves until `stop` resolves and what is running has been answered.
///
/// # Errors
/// When the listener fails.
pub async fn serve(
    listener: TcpListener,
    service: Service,
    stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let origin = format!("http://{}", listener.local_addr()?).into();
    let router = Router::new().fallback(answer).with_state(Server { service: Arc::new(service), origin });
    let router = router.into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, router).with_graceful_shutdown(stop).await
}

async fn answer(
    State(server): State<Server>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: http::Request<Body>,
) -> http::Response<Body> {
    let (parts, body) = request.into_parts();
    let body = match read(body).await {
        Ok(body) => body,
        Err(error) => return response::error(&error).map(Body::from),
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
    server.service.answer(request, routes::fallback).await.map(Body::from)
}

/// Reads a body, and no more of it than a function would get.
async fn read(body: Body) -> Result<Bytes, ScimError> {
    match Limited::new(body, LONGEST_BODY).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => {
            let detail = format!("The body is longer than {LONGEST_BODY} bytes");
            Err(ScimError::new(ErrorKind::PayloadTooLarge, detail))
        }
        Err(error) => Err(ScimError::new(ErrorKind::InvalidSyntax, format!("The body ended early: {error}"))),
    }
}
