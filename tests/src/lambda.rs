//! A local substitute for AWS Lambda: it starts function processes and sends them invocations over the runtime API
//! (`/2018-06-01/runtime/…`).
//!
//! The first invocation of a function starts its process. A process handles one invocation at a time, and
//! ends when its [`Lambda`] is dropped. If a process has ended, the next invocation starts a new one, as in a
//! cold start.

use std::collections::HashMap;
use std::fmt;
use std::fs::File;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

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

use crate::service::{ACCESS_KEY, TIME_LIMIT};

/// The maximum size of an event or an answer, in bytes.
pub const PAYLOAD_LIMIT: usize = 6_291_556;

/// Why an invocation failed, with the error types of the runtime API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FunctionError {
    /// The function's own error type, or one of Lambda's: `Runtime.ExitError`, `Sandbox.Timedout`,
    /// `Function.ResponseSizeTooLarge`.
    pub kind: String,
    /// What happened, for the message of a failed test.
    pub message: String,
}

type Answer = Result<Value, FunctionError>;

/// Functions, each started by its first invocation.
pub struct Lambda {
    command: Box<dyn Fn(&str) -> Command + Send + Sync>,
    functions: Mutex<HashMap<String, Arc<tokio::sync::Mutex<Option<Process>>>>>,
}

impl Lambda {
    /// Functions that are started with the command that `command` returns for the name of a function. The
    /// environment variables that Lambda sets are added to it.
    pub fn new(command: impl Fn(&str) -> Command + Send + Sync + 'static) -> Self {
        Self { command: Box::new(command), functions: Mutex::default() }
    }

    /// Functions whose binaries are in a folder and have the names of the functions. They get these
    /// environment variables and those of Lambda, and none of this process. `{function}` in a value is
    /// replaced by the name of the function.
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

    /// The same functions, whose output goes to this file.
    ///
    /// # Panics
    /// When a process is started and the file cannot be shared.
    #[must_use]
    pub fn with_output(self, file: File) -> Self {
        let command = self.command;
        Self::new(move |function| {
            let output = || file.try_clone().expect("the file can be shared");
            let mut command = command(function);
            command.stdout(output()).stderr(output());
            command
        })
    }

    /// Invokes a function and waits for its answer.
    ///
    /// # Errors
    /// When the function reports an error, ends, exceeds the time limit, or its answer is too large.
    ///
    /// # Panics
    /// When the function's process cannot be started.
    pub async fn invoke(&self, function: &str, event: &Value) -> Answer {
        let slot = Arc::clone(self.functions.lock().unwrap().entry(function.to_owned()).or_default());
        let mut slot = slot.lock().await;
        if slot.as_mut().is_none_or(Process::has_ended) {
            *slot = Some(Process::start(function, (self.command)(function)).await);
        }
        let process = slot.as_mut().expect("the process has just been started");
        let answer = tokio::time::timeout(TIME_LIMIT, process.invoke(event.to_string().into())).await;
        answer.unwrap_or_else(|_| {
            *slot = None;
            Err(FunctionError::new("Sandbox.Timedout", format!("{function} timed out after {TIME_LIMIT:?}")))
        })
    }

    /// The id of a function's process, if it is running.
    pub async fn process_id(&self, function: &str) -> Option<u32> {
        let slot = Arc::clone(self.functions.lock().unwrap().get(function)?);
        let slot = slot.lock().await;
        slot.as_ref()?.child.id()
    }

    /// Ends the processes, even if other owners of this value remain.
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

/// One process of a function, with a runtime API of its own.
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
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port is free");
        let address = listener.local_addr().expect("the listener has an address");
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
            .env("AWS_ACCESS_KEY_ID", ACCESS_KEY)
            .env("AWS_SECRET_ACCESS_KEY", ACCESS_KEY)
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
        self.invocations
            .send(Invocation { event, answer })
            .expect("the runtime API runs while the process does");
        tokio::select! {
            // If a function answers and ends at the same time, its answer counts.
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
            // The process is being ended, so there will be no further invocation.
            None => std::future::pending().await,
        }
    }

    /// Waits for the next event and returns it.
    async fn next(State(api): State<Arc<Self>>) -> Response<axum::body::Body> {
        let invocation = api.waiting().await;
        let request_id = Uuid::new_v4();
        *api.current.lock().unwrap() = Some((request_id.to_string(), invocation.answer));
        let deadline =
            SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is after 1970") + TIME_LIMIT;
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
            .expect("the headers are printable ASCII")
    }

    async fn response(
        State(api): State<Arc<Self>>,
        Path(request_id): Path<String>,
        body: Bytes,
    ) -> (StatusCode, String) {
        let size = body.len();
        if size > PAYLOAD_LIMIT {
            let message = format!("the answer is {size} bytes; the maximum is {PAYLOAD_LIMIT}");
            api.answer(&request_id, Err(FunctionError::new("Function.ResponseSizeTooLarge", message)));
            return error_response(StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLarge");
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

    /// A function that cannot start reports its error here. The error answers the invocation that started the
    /// function.
    async fn init_error(State(api): State<Arc<Self>>, body: Bytes) -> (StatusCode, String) {
        let _ = api.waiting().await.answer.send(Err(FunctionError::reported(&body)));
        accepted()
    }

    fn answer(&self, request_id: &str, answer: Answer) -> (StatusCode, String) {
        let mut current = self.current.lock().unwrap();
        match current.take_if(|(id, _)| id == request_id) {
            // The invoker may have stopped waiting. The function gets the same response in both cases.
            Some((_, waiting)) => {
                let _ = waiting.send(answer);
                accepted()
            }
            None => error_response(StatusCode::BAD_REQUEST, "InvalidRequestID"),
        }
    }
}

fn accepted() -> (StatusCode, String) {
    (StatusCode::ACCEPTED, json!({ "status": "OK" }).to_string())
}

fn error_response(status: StatusCode, kind: &str) -> (StatusCode, String) {
    (status, json!({ "errorType": kind, "errorMessage": kind }).to_string())
}
