//! Random mutations of examples, for each parser of what clients send. No input may panic, and none may allocate out of
//! proportion to its size.
//!
//! The test runs a fixed number of mutations from a fixed seed. `make fuzz` sets `FUZZ_SECONDS`, and each target then
//! runs for this time from a random seed. It is the only test in this binary, because an allocator counts for the whole
//! process.

use std::alloc::System;
use std::hint::black_box;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::LazyLock;
use std::time::{Duration, Instant, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cap::Cap;
use directory::oauth::{Expectation, Jwt, KeySet};
use directory::query::cursor;
use jiff::Timestamp;
use serde_json::{Value, json};
use service::request::{encoded_segments, parameters};
use shared::attribute_path::AttributePath;
use shared::credential::{Credential, CredentialKind, Federation, PresentedCredentials};
use shared::entity_tags::EntityTags;
use shared::filter::Filter;
use shared::patch::Patch;
use shared::resource::{Document, ResourceKind, normalise, parse_object};
use shared::schema::{CustomSchema, Schemas};
use tests::hostile::Kind;
use tests::mutation::Random;
use tests::oauth::{SigningKey, unsigned};

#[global_allocator]
static ALLOCATOR: Cap<System> = Cap::new(System, usize::MAX);

/// The number of mutations of each target if `FUZZ_SECONDS` is not set.
const MUTATIONS: usize = 1_000;
/// The most bytes that a parser may allocate for one byte of its input: an object takes about 500 bytes, and it is copied
/// a few times.
const MAX_BYTES_FOR_A_BYTE: usize = 1_000;
/// The most bytes that a parser may allocate for any input, such as for the stored user that a PATCH changes.
const CONSTANT_BYTES: usize = 256 * 1024;

/// A parser with examples of its input.
struct Target {
    name: &'static str,
    examples: Vec<Vec<u8>>,
    run: fn(&[u8]),
}

/// The file of a custom schema.
const CUSTOM_SCHEMA: &str = r#"{"id": "urn:example:schemas:2.0:Badge", "name": "Badge", "description": "", "resourceType": "User",
    "indexes": ["doors.value"], "attributes": [{"name": "number", "type": "string", "uniqueness": "server", "caseExact": true},
    {"name": "doors", "type": "complex", "multiValued": true, "subAttributes": [{"name": "value", "type": "string",
    "canonicalValues": ["in", "out"], "mutability": "immutable", "returned": "request"}]}]}"#;

/// The schemas of a strict connector.
fn strict() -> &'static Schemas {
    static STRICT: LazyLock<Schemas> = LazyLock::new(|| Schemas::clone(Schemas::built_in()).strict());
    &STRICT
}

fn targets() -> Vec<Target> {
    let texts = |texts: &[&str]| texts.iter().map(|text| text.as_bytes().to_vec()).collect::<Vec<_>>();
    let of_kind =
        |kind: Kind| -> Vec<Vec<u8>> { kind.parts().iter().map(|part| kind.write(&[*part], 600)).collect() };
    let filters = texts(&[
        "userName eq \"bjensen@example.com\"",
        "emails[type eq \"work\" and value co \"@example.com\"] or ims[type eq \"xmpp\"]",
        "title pr and not (userType eq \"Employee\") and (emails co \"x\" or meta.lastModified gt \"2011-05-13T04:42:34Z\")",
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager eq \"26118915\"",
        "emails[type eq \"work\"].value eq \"x\" and active ne \"True\" and x509Certificates eq \"AQID\"",
    ]);
    let [user_patches, group_patches, mut bulk] =
        [Kind::UserPatch, Kind::GroupPatch, Kind::Bulk].map(of_kind);
    bulk.extend(event_bodies("bulk-process"));
    let patches =
        [user_patches, group_patches, event_bodies("users-patch"), event_bodies("groups-patch")].concat();
    let resources =
        [of_kind(Kind::User), event_bodies("users-create"), event_bodies("groups-create")].concat();
    vec![
        Target {
            name: "filter",
            examples: filters,
            run: |input| {
                let filter = Filter::parse(&String::from_utf8_lossy(input));
                for kind in [ResourceKind::User, ResourceKind::Group] {
                    let schema = Schemas::built_in().of(kind);
                    let _ = black_box(filter.as_ref().map(|filter| filter.resolve(schema).is_ok()));
                }
                if let Ok(filter) = filter {
                    assert_eq!(Filter::parse(&filter.to_string()).expect("a printed filter"), filter);
                }
            },
        },
        Target {
            name: "attribute path",
            examples: texts(&[
                "userName",
                "name.givenName",
                "urn:ietf:params:scim:schemas:core:2.0:User:emails.value",
            ]),
            run: |input| {
                let text = String::from_utf8_lossy(input);
                if let Some(path) = AttributePath::parse(&text) {
                    assert_eq!(path.to_string(), text);
                }
            },
        },
        Target {
            name: "PATCH",
            examples: patches.clone(),
            run: |input| {
                let _ = black_box(Kind::UserPatch.run(input));
                let _ = black_box(Kind::GroupPatch.run(input));
            },
        },
        Target {
            name: "strict PATCH",
            examples: patches,
            run: |input| {
                for kind in [ResourceKind::User, ResourceKind::Group] {
                    let schema = strict().of(kind);
                    let Ok(patch) = parse_object(input).and_then(|body| Patch::parse(body, schema)) else {
                        continue;
                    };
                    let _ = black_box(patch.apply(&Document::new(), schema));
                }
            },
        },
        Target { name: "Bulk", examples: bulk, run: |input| drop(black_box(Kind::Bulk.run(input))) },
        Target {
            name: "resource",
            examples: resources.clone(),
            run: |input| {
                let _ = black_box(Kind::User.run(input));
                let _ = black_box(Kind::Group.run(input));
            },
        },
        Target {
            name: "strict resource",
            examples: resources,
            run: |input| {
                for kind in [ResourceKind::User, ResourceKind::Group] {
                    let body = parse_object(input);
                    let _ = black_box(body.and_then(|body| normalise(&body, strict().of(kind))));
                }
            },
        },
        Target {
            name: "custom schema",
            examples: texts(&[CUSTOM_SCHEMA]),
            run: |input| {
                if let Ok(schema) = CustomSchema::parse(&String::from_utf8_lossy(input)) {
                    let stored = serde_json::to_string(&schema).expect("a schema is JSON");
                    assert_eq!(CustomSchema::parse(&stored), Ok(schema));
                }
            },
        },
        Target {
            name: "search request",
            examples: of_kind(Kind::Search),
            run: |input| drop(black_box(Kind::Search.run(input))),
        },
        Target {
            name: "query",
            examples: of_kind(Kind::Query),
            run: |input| {
                let _ = black_box(Kind::Query.run(input));
                black_box(encoded_segments(&String::from_utf8_lossy(input)));
            },
        },
        Target {
            name: "headers",
            examples: texts(&["Basic b2t0YTpzOmVjcmV0", "Bearer abc.def", "W/\"1\", \"2\", *"]),
            run: |input| {
                let header = String::from_utf8_lossy(input);
                black_box(PresentedCredentials::parse(&header).is_some());
                black_box(EntityTags::parse(&header).matches("W/\"1\""));
                black_box(parameters(&header));
            },
        },
        Target {
            name: "Lambda event",
            examples: events().into_iter().map(|(_, text)| text).collect(),
            run: |input| {
                let start = SystemTime::UNIX_EPOCH;
                black_box(functions::lambda::parse_event(input, start).is_ok());
            },
        },
        Target {
            name: "cursor",
            examples: cursors(),
            run: |input| {
                let opened =
                    cursor::open(b"key", "query", 10, &String::from_utf8_lossy(input), Timestamp::UNIX_EPOCH);
                black_box(opened.is_ok());
            },
        },
        Target {
            name: "token",
            examples: texts(&[&unsigned(&json!({ "alg": "RS256", "kid": "1", "typ": "JWT" }), &claims())])
                .into_iter()
                .chain([SigningKey::new_ec().sign("1", &claims()).into_bytes()])
                .collect(),
            run: |input| {
                let text = String::from_utf8_lossy(input);
                if let Some(jwt) = Jwt::parse(&text) {
                    let keys = KeySet::of_key(&SigningKey::rsa().jwk("1")).expect("a key");
                    black_box(trust().check(&jwt, &keys, Timestamp::UNIX_EPOCH).len());
                }
            },
        },
        Target {
            name: "JWK set",
            examples: texts(&[
                &json!({ "keys": [SigningKey::new_ec().jwk("1"), SigningKey::rsa().jwk("2")] }).to_string(),
            ]),
            run: |input| {
                let keys = KeySet::parse(input);
                black_box(keys.map(|keys| keys.kids().count()).unwrap_or_default());
            },
        },
    ]
}

/// The claims of an assertion.
fn claims() -> Value {
    json!({ "iss": "i", "sub": "s", "aud": ["a", "b"], "tid": "t", "exp": 60, "nbf": 0, "iat": -1.5, "jti": "j" })
}

/// What is expected of these assertions.
fn trust() -> Expectation<'static> {
    static CREDENTIAL: LazyLock<Credential> = LazyLock::new(|| {
        let federation = Federation {
            client_id: "c".to_owned(),
            issuers: vec!["i".to_owned()],
            subject: "s".to_owned(),
            audiences: vec!["a".to_owned()],
            tenant: Some("t".to_owned()),
            jwks: "https://keys.test".to_owned(),
        };
        let kind = CredentialKind::Federation(federation);
        Credential::without_secret("1".to_owned(), kind, Timestamp::UNIX_EPOCH)
    });
    Expectation::of(&CREDENTIAL, "", "").expect("a federation expects assertions")
}

/// The files in `events/`, by name.
fn events() -> Vec<(String, Vec<u8>)> {
    let folder = std::fs::read_dir(tests::workspace().join("events")).expect("the folder of events");
    let mut events: Vec<(String, Vec<u8>)> = folder
        .map(|entry| {
            let path = entry.expect("an entry").path();
            let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
            (name, std::fs::read(path).expect("an event"))
        })
        .collect();
    events.sort();
    events
}

/// The body of an event.
fn event_bodies(name: &str) -> Vec<Vec<u8>> {
    let events = events().into_iter().filter(|(known, _)| known == name);
    let body = |event: Vec<u8>| {
        let event: Value = serde_json::from_slice(&event).expect("JSON");
        let body = event["body"].as_str().expect("a body");
        if event["isBase64Encoded"] == true { STANDARD.decode(body).expect("base64") } else { body.into() }
    };
    events.map(|(_, event)| body(event)).collect()
}

fn cursors() -> Vec<Vec<u8>> {
    let position =
        serde_json::from_value(serde_json::json!({ "is_group": false, "id": "x", "key": { "Text": "y" } }));
    let position = position.expect("a position");
    let cursor = cursor::seal(b"key", "query", 10, &position, Timestamp::UNIX_EPOCH).expect("a cursor");
    vec![cursor.into_bytes()]
}

/// Runs one mutation. Returns the reason if it fails.
fn run(target: &Target, input: &[u8]) -> Result<(), String> {
    let before = ALLOCATOR.total_allocated();
    let result = catch_unwind(AssertUnwindSafe(|| (target.run)(input)));
    let allocated = ALLOCATOR.total_allocated() - before;
    let limit = CONSTANT_BYTES + MAX_BYTES_FOR_A_BYTE * input.len();
    match result {
        Err(_) => Err("it panicked".to_owned()),
        Ok(()) if allocated > limit => Err(format!("it allocated {allocated} bytes; the limit is {limit}")),
        Ok(()) => Ok(()),
    }
}

#[test]
fn mutated_input_neither_panics_nor_allocates_out_of_proportion() {
    let seconds =
        std::env::var("FUZZ_SECONDS").ok().map(|text| text.parse().expect("FUZZ_SECONDS is a number"));
    let seed = match seconds {
        None => 1,
        Some(_) => SystemTime::UNIX_EPOCH.elapsed().map_or(1, |time| u64::from(time.subsec_nanos())),
    };
    // Static values are initialised once.
    strict();
    for target in targets() {
        let (mut random, start, mut count) = (Random::new(seed), Instant::now(), 0);
        let is_done = |count: usize| match seconds {
            None => count >= MUTATIONS,
            Some(seconds) => start.elapsed() >= Duration::from_secs(seconds),
        };
        while !is_done(count) {
            let input = random.mutate(&target.examples);
            if let Err(reason) = run(&target, &input) {
                panic!("{}, seed {seed}: {reason}: {:?}", target.name, String::from_utf8_lossy(&input));
            }
            count += 1;
        }
        println!("{:<16} {count:>9} inputs, seed {seed}", target.name);
    }
}
