//! A local substitute for the runtime API of Lambda. It starts a function as a process, sends it events one after another, and
//! records when the function asks and answers, and the CPU time that it has used by then.

use std::collections::VecDeque;
use std::process::Stdio;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::routing::{get, post};
use bytes::Bytes;
use http::Response;
use http::header::CONTENT_TYPE;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::sync::Notify;
use uuid::Uuid;

/// How long a function may take to handle its events.
const TIMEOUT: Duration = Duration::from_secs(600);

/// A program with its arguments, and its environment.
pub type Program = (Vec<String>, Vec<(&'static str, String)>);

/// When a function asked for an event. Times are since the start of the process.
#[derive(Clone, Copy)]
pub struct Asked {
    /// When it asked.
    pub at: Duration,
    /// The CPU time that it had used by then, in user mode and in the kernel.
    pub cpu: Duration,
    /// When it got the event.
    pub sent: Duration,
}

/// A response of a function.
pub struct Answered {
    /// When it came, since the start of the process.
    pub at: Duration,
    /// The response, as JSON.
    pub body: Bytes,
}

/// One process of a function.
#[derive(Default)]
pub struct Run {
    /// One for each event, and one more at the end.
    pub asked: Vec<Asked>,
    /// One for each event.
    pub answered: Vec<Answered>,
    /// Memory when the function asks for its first event, in bytes.
    pub idle: u64,
    /// Peak memory, in bytes.
    pub peak: u64,
    /// The bytes that the function printed: its log.
    pub printed: u64,
}

struct RuntimeApi {
    began: Mutex<Instant>,
    pid: Mutex<u32>,
    events: Mutex<VecDeque<Bytes>>,
    run: Mutex<Run>,
    is_finished: Notify,
}

/// Starts a function, sends it these events and kills it.
///
/// # Panics
/// If the function does not start, ends, or answers with an error.
pub async fn run((program, environment): &Program, events: &[Value]) -> Run {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("a bound address");
    let api = Arc::new(RuntimeApi {
        began: Mutex::new(Instant::now()),
        pid: Mutex::default(),
        events: Mutex::new(events.iter().map(|event| Bytes::from(event.to_string())).collect()),
        run: Mutex::default(),
        is_finished: Notify::new(),
    });
    let router = Router::new()
        .route("/2018-06-01/runtime/invocation/next", get(next))
        .route("/2018-06-01/runtime/invocation/{id}/response", post(response))
        .layer(axum::extract::DefaultBodyLimit::disable())
        .with_state(Arc::clone(&api));
    let served = tokio::spawn(async move { axum::serve(listener, router).await });
    let mut command = Command::new(&program[0]);
    command.args(&program[1..]).env_clear().env("AWS_LAMBDA_RUNTIME_API", address.to_string());
    command
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .stdout(Stdio::piped())
        .kill_on_drop(true);
    let (mut child, pid) = {
        // Hold the lock until the pid is set: the function may ask for its first event at once.
        let mut pid = locked(&api.pid);
        *locked(&api.began) = Instant::now();
        let child = command.spawn().expect("the function starts");
        *pid = child.id().expect("it runs");
        (child, *pid)
    };
    let mut output = child.stdout.take().expect("it is piped");
    let printed = tokio::spawn(async move { tokio::io::copy(&mut output, &mut tokio::io::sink()).await });
    tokio::select! {
        done = tokio::time::timeout(TIMEOUT, api.is_finished.notified()) => done.expect("the function answers"),
        ended = child.wait() => panic!("{program:?} ended: {ended:?}"),
    }
    let peak = memory(pid, "VmHWM:");
    child.kill().await.expect("the function can be killed");
    served.abort();
    let printed = printed.await.expect("the task ends").expect("the output can be read");
    let mut run = std::mem::take(&mut *locked(&api.run));
    for answer in &run.answered {
        let response: Value = serde_json::from_slice(&answer.body).expect("a response");
        let status = response["statusCode"].as_i64().expect("a status");
        assert!(status < 300 || status == 501, "{response}");
    }
    (run.peak, run.printed) = (peak, printed);
    run
}

async fn next(State(api): State<Arc<RuntimeApi>>) -> Response<Body> {
    let asked = Instant::now();
    let pid = *locked(&api.pid);
    let began = *locked(&api.began);
    let cpu = cpu_time(pid);
    let event = locked(&api.events).pop_front();
    {
        let mut run = locked(&api.run);
        if run.asked.is_empty() {
            run.idle = memory(pid, "VmRSS:");
        }
        run.asked.push(Asked { at: asked - began, cpu, sent: began.elapsed() });
    }
    let Some(event) = event else {
        api.is_finished.notify_one();
        return std::future::pending().await;
    };
    let deadline = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock past 1970") + TIMEOUT;
    Response::builder()
        .header(CONTENT_TYPE, "application/json")
        .header("lambda-runtime-aws-request-id", Uuid::new_v4().to_string())
        .header("lambda-runtime-deadline-ms", deadline.as_millis().to_string())
        .header(
            "lambda-runtime-invoked-function-arn",
            "arn:aws:lambda:eu-central-1:123456789012:function:measured",
        )
        .body(event.into())
        .expect("an event")
}

async fn response(State(api): State<Arc<RuntimeApi>>, body: Bytes) -> http::StatusCode {
    let at = locked(&api.began).elapsed();
    locked(&api.run).answered.push(Answered { at, body });
    http::StatusCode::ACCEPTED
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no thread panicked with the lock")
}

/// The CPU time of all threads of a process. The first number of `schedstat` is in nanoseconds.
fn cpu_time(pid: u32) -> Duration {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).expect("a running process");
    let nanoseconds = threads.flatten().filter_map(|thread| {
        let times = std::fs::read_to_string(thread.path().join("schedstat")).ok()?;
        times.split(' ').next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(nanoseconds.sum())
}

/// Reads a value from `/proc/PID/status` and converts it to bytes.
pub fn memory(pid: u32, name: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("a running process");
    let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("a line of this name");
    let kilobytes: u64 = line.trim().trim_end_matches(" kB").parse().expect("a number");
    kilobytes * 1_024
}
