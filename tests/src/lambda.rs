//! A stand-in for the Lambda service: it starts function processes and gives them invocations over the runtime API
//! (`/2018-06-01/runtime/…`), as the service itself does.
//!
//! A process is started by the first invocation of its function, takes one invocation at a time, and ends with the
//! [`Lambda`] that started it. One that has died is started again, which is what a cold start is.

use std::collections::HashMap;
use std::fmt;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::routing::{get, post};
use bytes::Bytes;
use http::{Response, StatusCode};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;
use uuid::Uuid;

/// How long a function may take: an HTTP API waits no longer either.
pub const TIMEOUT: Duration = Duration::from_secs(30);

/// How many bytes an event or an answer may have.
pub const PAYLOAD_LIMIT: usize = 6_291_556;

/// Why an invocation has no answer, in the words of the runtime API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FunctionError {
    /// The function's error type, or one of the service's: `Runtime.ExitError`, `Sandbox.Timedout`,
    /// `Function.ResponseSizeTooLarge`.
    pub kind: String,
    /// What happened, for the test's reader.
    pub message: String,
}

type Answer = Result<Value, FunctionError>;

/// The functions, each started when it is first needed.
pub struct Lambda {
    command: Box<dyn Fn(&str) -> Command + Send + Sync>,
    functions: Mutex<HashMap<String, Arc<tokio::sync::Mutex<Option<Process>>>>>,
}

impl Lambda {
    /// Functions whose processes are started with what `command` returns for a function's name. The variables that
    /// Lambda itself sets are added to it.
    pub fn new(command: impl Fn(&str) -> Command + Send + Sync + 'static) -> Self {
        Self { command: Box::new(command), functions: Mutex::default() }
    }

    /// Functions that are binaries in a folder, named as they are. They see these environment variables and Lambda's
    /// own, and nothing of this process's; `{function}` in one stands for the function's name.
    pub fn of_binaries(folder: impl Into<PathBuf>, environment: &[(&str, &str)]) -> Self {
        let folder = folder.into();
        let environment: Vec<(String, String)> =
            environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Self::new(move |function| {
            let mut command = Command::new(folder.join(function));
            let of_function =
                |(name, value): &(String, String)| (name.clone(), value.replace("{function}", function));
            command.env_clear().envs(environment.iter().map(of_function));
            command
        })
    }

    /// Invokes a function and waits for its answer.
    ///
    /// # Errors
    /// When the function reports an error, ends, takes too long, or answers more than Lambda carries.
    ///
    /// # Panics
    /// When the function's process cannot be started.
    pub async fn invoke(&self, function: &str, event: &Value) -> Answer {
        let slot = Arc::clone(self.functions.lock().unwrap().entry(function.to_owned()).or_default());
        let mut slot = slot.lock().await;
        if slot.as_mut().is_none_or(Process::has_ended) {
            *slot = Some(Process::start(function, (self.command)(function)).await);
        }
        let process = slot.as_mut().expect("it has just been started");
        let answer = tokio::time::timeout(TIMEOUT, process.invoke(event.to_string().into())).await;
        answer.unwrap_or_else(|_| {
            *slot = None;
            Err(FunctionError::new("Sandbox.Timedout", format!("{function} timed out after {TIMEOUT:?}")))
        })
    }

    /// Ends the processes, without waiting for what else keeps this alive.
    pub(crate) fn end(&self) {
        self.functions.lock().unwrap().clear();
    }
}

impl FunctionError {
    fn new(kind: &str, message: String) -> Self {
        Self { kind: kind.to_owned(), message }
    }

    /// Reads what a runtime posts to an error endpoint.
    fn reported(body: &[u8]) -> Self {
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let field = |name| body.get(name).and_then(Value::as_str).unwrap_or("Unknown").to_owned();
        Self { kind: field("errorType"), message: field("errorMessage") }
    }
}

impl fmt::Display for FunctionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind, self.message)
    }
}

/// One process of a function, and the runtime API that it alone speaks to.
struct Process {
    child: Child,
    invocations: mpsc::UnboundedSender<Invocation>,
    server: AbortHandle,
}

struct Invocation {
    event: Bytes,
    answer: oneshot::Sender<Answer>,
}

impl Process {
    async fn start(function: &str, mut command: Command) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let address = listener.local_addr().expect("a bound address");
        let (invocations, waiting) = mpsc::unbounded_channel();
        let runtime_api = RuntimeApi {
            function_arn: format!("arn:aws:lambda:eu-central-1:123456789012:function:{function}"),
            waiting: tokio::sync::Mutex::new(waiting),
            current: Mutex::default(),
        };
        let server = tokio::spawn(async move {
            axum::serve(listener, runtime_api.into_router()).await.expect("the runtime API is served");
        });
        let child = command
            .env("AWS_LAMBDA_RUNTIME_API", address.to_string())
            .env("AWS_LAMBDA_FUNCTION_NAME", function)
            .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256")
            .env("AWS_REGION", "eu-central-1")
            .env("AWS_ACCESS_KEY_ID", "local")
            .env("AWS_SECRET_ACCESS_KEY", "local")
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| panic!("{function} cannot be started: {error}"));
        Self { child, invocations, server: server.abort_handle() }
    }

    fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    async fn invoke(&mut self, event: Bytes) -> Answer {
        let (answer, answered) = oneshot::channel();
        self.invocations.send(Invocation { event, answer }).expect("the runtime API runs as long as this");
        tokio::select! {
            // A function may answer and end at once: its answer counts.
            biased;
            Ok(answer) = answered => answer,
            status = self.child.wait() => {
                let status = status.map_or_else(|error| error.to_string(), |status| status.to_string());
                Err(FunctionError::new("Runtime.ExitError", format!("the process ended without an answer: {status}")))
            }
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// The HTTP API between Lambda and a runtime, for one process.
struct RuntimeApi {
    function_arn: String,
    waiting: tokio::sync::Mutex<mpsc::UnboundedReceiver<Invocation>>,
    current: Mutex<Option<(String, oneshot::Sender<Answer>)>>,
}

impl RuntimeApi {
    fn into_router(self) -> Router {
        Router::new()
            .route("/2018-06-01/runtime/invocation/next", get(Self::next))
            .route("/2018-06-01/runtime/invocation/{request_id}/response", post(Self::response))
            .route("/2018-06-01/runtime/invocation/{request_id}/error", post(Self::error))
            .route("/2018-06-01/runtime/init/error", post(Self::init_error))
            .layer(DefaultBodyLimit::disable())
            .with_state(Arc::new(self))
    }

    async fn waiting(&self) -> Invocation {
        match self.waiting.lock().await.recv().await {
            Some(invocation) => invocation,
            // The process is being ended: nobody is left to ask, or to answer.
            None => std::future::pending().await,
        }
    }

    /// The next event, once there is one. Until then the process has nothing to do.
    async fn next(State(api): State<Arc<Self>>) -> Response<axum::body::Body> {
        let invocation = api.waiting().await;
        let request_id = Uuid::new_v4();
        *api.current.lock().unwrap() = Some((request_id.to_string(), invocation.answer));
        let deadline = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock past 1970") + TIMEOUT;
        Response::builder()
            .header("content-type", "application/json")
            .header("lambda-runtime-aws-request-id", request_id.to_string())
            .header("lambda-runtime-deadline-ms", deadline.as_millis().to_string())
            .header("lambda-runtime-invoked-function-arn", &api.function_arn)
            .header(
                "lambda-runtime-trace-id",
                format!("Root=1-00000000-{:024x};Sampled=0", request_id.as_u128() >> 32),
            )
            .body(invocation.event.into())
            .expect("headers of printable ASCII")
    }

    async fn response(
        State(api): State<Arc<Self>>,
        Path(request_id): Path<String>,
        body: Bytes,
    ) -> (StatusCode, String) {
        let size = body.len();
        if size > PAYLOAD_LIMIT {
            let message = format!("the answer has {size} bytes, and may have {PAYLOAD_LIMIT}");
            api.answer(&request_id, Err(FunctionError::new("Function.ResponseSizeTooLarge", message)));
            return refusal(StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLarge");
        }
        let answer = serde_json::from_slice(&body).map_err(|error| {
            FunctionError::new("Runtime.InvalidResponse", format!("the answer is not JSON: {error}"))
        });
        api.answer(&request_id, answer)
    }

    async fn error(
        State(api): State<Arc<Self>>,
        Path(request_id): Path<String>,
        body: Bytes,
    ) -> (StatusCode, String) {
        api.answer(&request_id, Err(FunctionError::reported(&body)))
    }

    /// A runtime that cannot start says so here, which is the answer to the invocation that it was started for.
    async fn init_error(State(api): State<Arc<Self>>, body: Bytes) -> (StatusCode, String) {
        let _ = api.waiting().await.answer.send(Err(FunctionError::reported(&body)));
        accepted()
    }

    fn answer(&self, request_id: &str, answer: Answer) -> (StatusCode, String) {
        let mut current = self.current.lock().unwrap();
        match current.take_if(|(id, _)| id == request_id) {
            // Whoever asked may have gone; the function need not know.
            Some((_, waiting)) => {
                let _ = waiting.send(answer);
                accepted()
            }
            None => refusal(StatusCode::BAD_REQUEST, "InvalidRequestID"),
        }
    }
}

fn accepted() -> (StatusCode, String) {
    (StatusCode::ACCEPTED, json!({ "status": "OK" }).to_string())
}

fn refusal(status: StatusCode, kind: &str) -> (StatusCode, String) {
    (status, json!({ "errorType": kind, "errorMessage": kind }).to_string())
}
