//! An HTTP/1.1 server. It speaks no other version, so an attacker cannot use the features of HTTP/2.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use axum::body::Body;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// How long the server waits if it cannot accept a connection, for example because too many files are open.
const PAUSE_AFTER_AN_ERROR: Duration = Duration::from_secs(1);

/// Serves until `stop` resolves and the running requests are answered.
///
/// # Errors
/// Never at present. A connection that fails does not end the server.
pub async fn serve<Answer, Answered>(
    listener: TcpListener,
    answer: Answer,
    stop: impl Future<Output = ()>,
) -> io::Result<()>
where
    Answer: Fn(SocketAddr, Request<Body>) -> Answered + Clone + Send + 'static,
    Answered: Future<Output = Response<Body>> + Send + 'static,
{
    // Each connection has a receiver until it ends.
    let (is_stopping, stopping) = watch::channel(false);
    let mut stop = pin!(stop);
    loop {
        let accepted = tokio::select! {
            () = &mut stop => break,
            accepted = listener.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) if is_of_the_client(&error) => continue,
            Err(error) => {
                tracing::error!(%error, "a connection cannot be accepted");
                tokio::time::sleep(PAUSE_AFTER_AN_ERROR).await;
                continue;
            }
        };
        tokio::spawn(serve_connection(stream, peer, answer.clone(), stopping.clone()));
    }
    drop((listener, stopping));
    is_stopping.send_replace(true);
    is_stopping.closed().await;
    Ok(())
}

/// Answers the requests of one connection until it ends. If the server is stopping, the connection ends after the
/// running request.
async fn serve_connection<Answer, Answered>(
    stream: TcpStream,
    peer: SocketAddr,
    answer: Answer,
    mut stopping: watch::Receiver<bool>,
) where
    Answer: Fn(SocketAddr, Request<Body>) -> Answered + Send + 'static,
    Answered: Future<Output = Response<Body>> + Send + 'static,
{
    let service = service_fn(move |request: Request<Incoming>| {
        let answered = answer(peer, request.map(Body::new));
        async move { Ok::<_, Infallible>(answered.await) }
    });
    let connection =
        http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    let stop = async { drop(stopping.wait_for(|is_stopping| *is_stopping).await) };
    let ended = tokio::select! {
        ended = &mut connection => ended,
        () = stop => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection failed");
    }
}

fn is_of_the_client(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}
