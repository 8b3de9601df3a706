//! The yardstick: the smallest server that reads and writes JSON documents in SQLite. It shows how fast HTTP and SQLite alone are on
//! this machine.
//!
//! It checks neither credentials nor documents. It answers the paths of three requests of SCIM, so the load generator sends it the
//! same requests as the service providers: get by id, look-up by userName, and insert.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{self, RawQuery, State};
use axum::routing::get;
use bytes::Bytes;
use http::StatusCode;
use http::header::CONTENT_TYPE;
use rusqlite::{Connection, OptionalExtension as _};
use serde::Deserialize;
use service::request::parameters;
use tests::client::SCIM_JSON;
use tokio::net::TcpListener;
use uuid::Uuid;

const TABLE: &str =
    "CREATE TABLE documents (id TEXT PRIMARY KEY, user_name TEXT NOT NULL UNIQUE, document BLOB NOT NULL)";

type Answer = (StatusCode, [(http::HeaderName, &'static str); 1], Vec<u8>);

/// The documents. Reads of different threads run at the same time, as WAL allows; writes wait for each other.
struct Store {
    file: PathBuf,
    writer: Mutex<Connection>,
}

thread_local! {
    static READER: std::cell::OnceCell<Connection> = const { std::cell::OnceCell::new() };
}

impl Store {
    fn create(folder: &Path) -> Self {
        std::fs::create_dir_all(folder).expect("a folder");
        let file = folder.join("documents.sqlite");
        let writer = open(&file);
        writer.execute_batch(TABLE).expect("a new database");
        Self { file, writer: Mutex::new(writer) }
    }

    fn read(&self, query: &str, key: &str) -> Answer {
        let found = READER.with(|reader| {
            let reader = reader.get_or_init(|| open(&self.file));
            let mut statement = reader.prepare_cached(query).expect("a statement");
            statement.query_row([key], |row| row.get(0)).optional().expect("SQLite reads")
        });
        found.map_or_else(|| answer(StatusCode::NOT_FOUND, Vec::new()), |found| answer(StatusCode::OK, found))
    }

    fn insert(&self, id: &str, user_name: &str, document: &[u8]) {
        let writer = self.writer.lock().expect("no thread panicked with the lock");
        let mut statement =
            writer.prepare_cached("INSERT INTO documents VALUES (?, ?, ?)").expect("a statement");
        statement.execute((id, user_name, document)).expect("SQLite writes");
    }
}

/// Opens the file as the embedded engine does: WAL, and `synchronous` as SQLite has it (FULL: each transaction is on the disk before
/// its answer).
fn open(file: &Path) -> Connection {
    let connection = Connection::open(file).expect("the file can be opened");
    connection.pragma_update(None, "journal_mode", "WAL").expect("SQLite has WAL");
    connection
}

/// Serves until the process is killed, with its data in this folder.
pub async fn serve(folder: &Path) {
    let store = Arc::new(Store::create(folder));
    let router = Router::new()
        .route("/documents/Users", get(find).post(insert))
        .route("/documents/Users/{id}", get(read))
        .with_state(store);
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    println!("Endpoint URL: http://{}/documents", listener.local_addr().expect("a bound address"));
    axum::serve(listener, router).await.expect("requests are served");
}

async fn read(State(store): State<Arc<Store>>, extract::Path(id): extract::Path<String>) -> Answer {
    store.read("SELECT document FROM documents WHERE id = ?", &id)
}

/// Finds the document that `filter=userName eq "…"` names.
async fn find(State(store): State<Arc<Store>>, RawQuery(query): RawQuery) -> Answer {
    let parameters = parameters(query.as_deref().unwrap_or_default());
    let filter = parameters.iter().find_map(|(name, value)| (name == "filter").then_some(value.as_str()));
    let name = filter.and_then(|filter| filter.strip_prefix("userName eq \"")?.strip_suffix('"'));
    let Some(name) = name else { return answer(StatusCode::BAD_REQUEST, Vec::new()) };
    store.read("SELECT document FROM documents WHERE user_name = ?", name)
}

/// Stores the body with a new id as its first member.
async fn insert(State(store): State<Arc<Store>>, body: Bytes) -> Answer {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Named<'b> {
        user_name: &'b str,
    }
    let (Ok(Named { user_name }), Some(members)) = (serde_json::from_slice(&body), body.strip_prefix(b"{"))
    else {
        return answer(StatusCode::BAD_REQUEST, Vec::new());
    };
    let id = Uuid::new_v4().to_string();
    let document = [format!("{{\"id\":\"{id}\",").as_bytes(), members].concat();
    store.insert(&id, user_name, &document);
    answer(StatusCode::CREATED, document)
}

fn answer(status: StatusCode, document: Vec<u8>) -> Answer {
    (status, [(CONTENT_TYPE, SCIM_JSON)], document)
}
