//! `make demo`: an example company in the directory, provisioned with the requests that Okta sends. It can be repeated.

use axum::body::Bytes;
use directory::connectors::{ConnectorId, Connectors};
use directory::settings::{Rules, Settings};
use directory::{Actor, By, Table};
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{Method, Request};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use shared::error::{ScimError, chain};
use tokio::time::{Duration, Instant, timeout};
use uuid::Uuid;

use crate::credentials::{CONNECTOR, Credentials};

/// How long a request, or the change of the rules, may take. The service responds to every request within this time.
const TIME_LIMIT: Duration = Duration::from_secs(30);

const PEOPLE: usize = 48;
const FIRST_NAMES: [&str; 24] = [
    "Ada", "Ben", "Chloe", "Daniel", "Elif", "Farid", "Grace", "Hugo", "Ines", "Jonas", "Keiko", "Liam",
    "Maya", "Noah", "Olga", "Pablo", "Quentin", "Rosa", "Samir", "Tessa", "Umar", "Vera", "Wanda", "Yusuf",
];
const LAST_NAMES: [&str; 16] = [
    "Adler", "Brandt", "Costa", "Dubois", "Eriksen", "Fischer", "Garcia", "Haddad", "Ivanov", "Jansen",
    "Kovac", "Lindgren", "Moreau", "Novak", "Okafor", "Petrov",
];
/// The users who left the company: the identity provider deactivates them.
const LEAVERS: [usize; 2] = [7, 31];
const SERVICE_ACCOUNTS: [&str; 2] = ["svc-backup", "svc-reports"];
const SERVICE_GROUP: &str = "Service Accounts";
/// The groups of people. Person `n` is in group `n % 5`.
const TEAMS: [&str; 5] = ["Platform", "Data", "Sales", "Support", "Finance"];
/// The groups of groups. Each comes after its members.
const DIVISIONS: [(&str, &[&str]); 2] =
    [("Engineering", &["Platform", "Data"]), ("Company", &["Engineering", "Sales", "Support", "Finance"])];

const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
const GROUP: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";
const PATCH: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";

/// The identity provider of the example company, and the table that it fills.
pub struct Demo {
    http: Http,
    origin: String,
    connector: String,
    credentials: Credentials,
    table: Table,
    place: String,
}

type Http = Client<HttpConnector, Full<Bytes>>;

fn http() -> Http {
    Client::builder(TokioExecutor::new()).build(HttpConnector::new())
}

impl Demo {
    /// Whether a service runs at this origin (`http://127.0.0.1:3000`).
    ///
    /// # Errors
    /// A sentence for the user if another program answers there.
    pub async fn is_service_at(origin: &str) -> Result<bool, String> {
        let url = format!("{origin}/health").parse().map_err(|_| format!("{origin} is not a URL"))?;
        let answer = async {
            let response = http().get(url).await?;
            Ok(response.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default())
        };
        let body: Bytes = match timeout(TIME_LIMIT, answer).await {
            Ok(Err::<_, hyper_util::client::legacy::Error>(error)) if error.is_connect() => return Ok(false),
            Ok(answer) => answer.unwrap_or_default(),
            Err(_) => Bytes::new(),
        };
        let health: Value = serde_json::from_slice(&body).unwrap_or_default();
        match health.get("status").and_then(Value::as_str) {
            Some("ok") => Ok(true),
            Some(_) => Err(format!("the service at {origin} is not healthy: {health}")),
            None => Err(format!("another program answers at {origin}; stop it, or set PORT")),
        }
    }

    /// Makes the demo for the service at this origin. `place` is the option of `scimctl` that says where the table is.
    pub fn new(origin: &str, credentials: &Credentials, table: Table, place: String) -> Self {
        let (origin, connector) = (origin.to_owned(), CONNECTOR.to_owned());
        Self { http: http(), origin, connector, credentials: credentials.clone(), table, place }
    }

    /// The same company in the directory of another connector.
    pub fn of_connector(self, connector: &ConnectorId) -> Self {
        Self { connector: connector.to_string(), ..self }
    }

    /// Provisions the example company, adds the rules, and returns what to try next.
    ///
    /// # Errors
    /// A sentence that says which request failed, and why.
    pub async fn run(&self) -> Result<String, String> {
        self.provision().await?;
        self.add_rules().await?;
        Ok(self.what_to_try())
    }

    async fn provision(&self) -> Result<(), String> {
        let mut groups: Map<String, Value> = Map::new();
        let mut members: Vec<(&str, Vec<Value>)> = TEAMS.iter().map(|team| (*team, Vec::new())).collect();
        for number in 0..PEOPLE {
            let (first, last) = person(number);
            let user_name = format!("{first}.{last}@example.com").to_lowercase();
            let user = self.push_user(&user_name, first, last, number).await?;
            let is_active = user.get("active") == Some(&json!(true));
            if let (Some((_, team)), true) = (members.get_mut(number % TEAMS.len()), is_active) {
                team.push(member(&user, &user_name));
            }
        }
        let mut accounts = Vec::new();
        for (number, name) in SERVICE_ACCOUNTS.into_iter().enumerate() {
            let user = self.push_user(name, "Service", name, PEOPLE + number).await?;
            accounts.push(member(&user, name));
        }
        members.push((SERVICE_GROUP, accounts));
        for (name, members) in members {
            groups.insert(name.to_owned(), self.push_group(name, &members).await?);
        }
        for (name, parts) in DIVISIONS {
            let members: Vec<Value> =
                parts.iter().filter_map(|part| Some(member(groups.get(*part)?, part))).collect();
            groups.insert(name.to_owned(), self.push_group(name, &members).await?);
        }
        for number in LEAVERS {
            let (first, last) = person(number);
            self.deactivate(&format!("{first}.{last}@example.com").to_lowercase()).await?;
        }
        Ok(())
    }

    /// Creates a user. If there is one with this userName, replaces the attributes that the identity provider has.
    async fn push_user(&self, name: &str, first: &str, last: &str, number: usize) -> Result<Value, String> {
        let attributes = json!({
            "schemas": [USER], "userName": name, "name": { "givenName": first, "familyName": last },
            "emails": [{ "primary": true, "value": name, "type": "work" }], "displayName": format!("{first} {last}"),
            "locale": "en-US", "externalId": format!("00udemo{number:05}"),
        });
        let mut body = match self.find("/Users", "userName", name).await? {
            Some(found) => self.send(Method::GET, &path("/Users", &found), None).await?,
            None => json!({ "groups": [], "active": true }),
        };
        if let (Some(body), Value::Object(attributes)) = (body.as_object_mut(), attributes) {
            body.extend(attributes);
        }
        match body.get("id") {
            Some(_) => self.send(Method::PUT, &path("/Users", &body), Some(&body)).await,
            None => self.send(Method::POST, "/Users", Some(&body)).await,
        }
    }

    /// Creates a group or finds the one with this name, and adds these members.
    async fn push_group(&self, name: &str, members: &[Value]) -> Result<Value, String> {
        let group = match self.find("/Groups", "displayName", name).await? {
            Some(found) => found,
            None => {
                let body = json!({ "schemas": [GROUP], "displayName": name, "members": [] });
                self.send(Method::POST, "/Groups", Some(&body)).await?
            }
        };
        let operations = json!([
            { "op": "replace", "value": { "id": group.get("id"), "displayName": name } },
            { "op": "add", "path": "members", "value": members },
        ]);
        let body = json!({ "schemas": [PATCH], "Operations": operations });
        self.send(Method::PATCH, &path("/Groups", &group), Some(&body)).await?;
        Ok(group)
    }

    async fn deactivate(&self, name: &str) -> Result<(), String> {
        let Some(user) = self.find("/Users", "userName", name).await? else { return Ok(()) };
        let operations = json!([{ "op": "replace", "value": { "active": false } }]);
        let body = json!({ "schemas": [PATCH], "Operations": operations });
        self.send(Method::PATCH, &path("/Users", &user), Some(&body)).await.map(|_| ())
    }

    async fn find(&self, endpoint: &str, attribute: &str, value: &str) -> Result<Option<Value>, String> {
        let filter = format!("{attribute} eq \"{value}\"").replace(' ', "%20").replace('"', "%22");
        let target = format!("{endpoint}?filter={filter}&startIndex=1&count=100");
        let found = self.send(Method::GET, &target, None).await?;
        Ok(found.get("Resources").and_then(|resources| resources.get(0)).cloned())
    }

    async fn send(&self, method: Method, target: &str, body: Option<&Value>) -> Result<Value, String> {
        let url = format!("{}{target}", self.endpoint_url());
        let request = self.request(method.clone(), &url, body).ok_or(format!("{url} is not a URL"))?;
        let said = |why: &dyn std::fmt::Display| format!("{method} {url}: {why}");
        let response = timeout(TIME_LIMIT, self.http.request(request)).await;
        let response =
            response.map_err(|_| said(&format!("no response within {} s", TIME_LIMIT.as_secs())))?;
        let response = response.map_err(|error| said(&chain(&error)))?;
        let status = response.status();
        let body = response.into_body().collect().await.map_err(|error| said(&error))?.to_bytes();
        if !status.is_success() {
            return Err(said(&format!("{status} {}", String::from_utf8_lossy(&body))));
        }
        serde_json::from_slice(&body).map_err(|error| said(&error))
    }

    fn request(&self, method: Method, url: &str, body: Option<&Value>) -> Option<Request<Full<Bytes>>> {
        let body = body.map(Value::to_string).unwrap_or_default();
        Request::builder()
            .method(method)
            .uri(url)
            .header(AUTHORIZATION, self.credentials.basic())
            .header(ACCEPT, "application/scim+json")
            .header(CONTENT_TYPE, "application/scim+json; charset=utf-8")
            .header("user-agent", "Okta SCIM Client 1.0.0")
            .body(Full::new(body.into()))
            .ok()
    }

    /// Hides the service accounts and their group from the directory, unless the connector has rules already.
    async fn add_rules(&self) -> Result<(), String> {
        let said = |error: ScimError| format!("the rules cannot be written: {}", chain(&error));
        let id = ConnectorId::parse(&self.connector).ok_or("the connector has no name")?;
        let by = By::Operator("make demo".to_owned());
        let actor = Actor { by, request: format!("demo-{}", Uuid::new_v4()) };
        let table = self.table.until(Instant::now() + TIME_LIMIT);
        let connector = table.connector(&id).await.map_err(said)?;
        let connector = connector.ok_or(format!("there is no connector {}", self.connector))?;
        if connector.record.settings.rules != Rules::default() {
            return Ok(());
        }
        let rules = Rules {
            exclude_users: vec!["svc-*".to_owned()],
            exclude_groups: vec![SERVICE_GROUP.to_owned()],
            ..Rules::default()
        };
        let settings = Settings { rules, ..connector.record.settings.clone() };
        let connectors = Connectors::new(table, actor, Timestamp::now());
        if connectors.replace_settings(&connector, settings).await.map_err(said)? {
            Ok(())
        } else {
            Err("an operator changed the settings at the same time; run the demo again".to_owned())
        }
    }

    fn endpoint_url(&self) -> String {
        format!("{}/{}/scim/v2", self.origin, self.connector)
    }

    fn what_to_try(&self) -> String {
        let curl = format!("curl {} '{}", self.credentials.curl_user(), self.endpoint_url());
        let scimctl = format!("scimctl {}", self.place);
        let users = PEOPLE + SERVICE_ACCOUNTS.len();
        let groups = TEAMS.len() + DIVISIONS.len() + 1;
        let leavers = LEAVERS.len();
        let connector = &self.connector;
        format!(
            "
The example company has {users} users and {groups} groups. {leavers} users are deactivated, and 2 groups contain other groups.
Rules hide the users svc-* and the group {SERVICE_GROUP}.

What the identity provider reads:
  {curl}/Users?filter=active%20eq%20false'
  {curl}/Groups?filter=displayName%20eq%20%22Company%22'

What the platform reads (docs/start/laptop.md says how to install scimctl):
  {scimctl} user list {connector} --hidden
  {scimctl} group members {connector} Company
  {scimctl} audit {connector}
"
        )
    }
}

fn person(number: usize) -> (&'static str, &'static str) {
    let first = FIRST_NAMES.get(number % FIRST_NAMES.len());
    let last = LAST_NAMES.get((number * 5 + number / FIRST_NAMES.len()) % LAST_NAMES.len());
    (first.copied().unwrap_or_default(), last.copied().unwrap_or_default())
}

/// An element of a group's `members`.
fn member(resource: &Value, display: &str) -> Value {
    json!({ "value": resource.get("id"), "display": display })
}

/// The path of a resource that the service returned.
fn path(endpoint: &str, resource: &Value) -> String {
    format!("{endpoint}/{}", resource.get("id").and_then(Value::as_str).unwrap_or_default())
}
