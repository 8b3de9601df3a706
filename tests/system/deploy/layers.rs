//! The layers of the workspace, as ARCHITECTURE.md draws them: a crate depends on lower layers only, `shared`
//! has no I/O, `scimctl` has no Lambda crate, and the public API of `directory` exposes no key, item or
//! transaction.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tests::workspace;

/// The crates of the workspace that a crate may depend on.
const ALLOWED: [(&str, &[&str]); 8] = [
    ("shared", &[]),
    ("directory", &["shared"]),
    ("delivery", &["directory", "shared"]),
    ("service", &["directory", "shared"]),
    ("runtime", &[]),
    ("functions", &["delivery", "directory", "runtime", "service", "shared"]),
    ("local", &["delivery", "directory", "runtime", "service", "shared"]),
    ("scimctl", &["delivery", "directory", "runtime", "shared"]),
];

/// All crates that a crate of the workspace depends on, directly and indirectly.
fn crates_of(package: &str) -> BTreeSet<String> {
    let tree = Command::new("cargo")
        .args(["tree", "--package", package, "--edges", "normal", "--prefix", "none", "--locked"])
        .current_dir(workspace())
        .output()
        .expect("cargo tree runs");
    assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
    let tree = String::from_utf8(tree.stdout).expect("the output is UTF-8");
    tree.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
}

#[test]
fn each_crate_depends_on_lower_layers_only() {
    let members: BTreeSet<&str> = ALLOWED.iter().map(|(name, _)| *name).collect();
    for (name, allowed) in ALLOWED {
        let manifest = fs::read_to_string(workspace().join(name).join("Cargo.toml")).unwrap();
        let manifest: toml::Table = manifest.parse().unwrap();
        let dependencies = manifest["dependencies"].as_table().unwrap();
        let used: Vec<&str> =
            dependencies.keys().map(String::as_str).filter(|name| members.contains(name)).collect();
        assert_eq!(used, allowed, "{name}");
    }
}

#[test]
fn shared_is_built_without_aws_http_tokio_or_randomness() {
    let crates = crates_of("shared");
    assert!(crates.contains("serde_json"), "{crates:?}");
    let is_forbidden = |name: &&String| {
        let forbidden = ["aws", "http", "hyper", "tokio", "getrandom", "rand", "lambda"];
        forbidden.iter().any(|prefix| name.starts_with(prefix))
    };
    let found: Vec<&String> = crates.iter().filter(is_forbidden).collect();
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn scimctl_is_built_without_lambda() {
    let crates = crates_of("scimctl");
    assert!(crates.contains("aws-sdk-dynamodb"), "{crates:?}");
    let found: Vec<&String> = crates.iter().filter(|name| name.contains("lambda")).collect();
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn functions_are_built_without_the_aws_logins_of_operators() {
    let (functions, scimctl) = (crates_of("functions"), crates_of("scimctl"));
    for name in ["aws-sdk-sso", "aws-sdk-ssooidc", "comfy-table", "console"] {
        assert!(scimctl.contains(name) && !functions.contains(name), "{name}");
    }
}

#[test]
fn only_scimctl_contains_cedar() {
    let has_cedar = |package: &str| crates_of(package).iter().any(|name| name.starts_with("cedar-policy"));
    let with_cedar: Vec<&str> =
        ALLOWED.iter().map(|(name, _)| *name).filter(|name| has_cedar(name)).collect();
    assert_eq!(with_cedar, ["scimctl"]);
}

/// The signatures of the public functions in a source file.
fn public_signatures(text: &str) -> Vec<String> {
    let mut signatures = Vec::new();
    for (start, _) in text.match_indices("pub ") {
        let rest = &text[start..];
        if rest.starts_with("pub fn ") || rest.starts_with("pub async fn ") {
            signatures.push(rest.split(" {").next().unwrap().to_owned());
        }
    }
    signatures
}

fn source_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(source_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

#[test]
fn public_api_of_directory_exposes_no_dynamodb_type() {
    let folder = workspace().join("directory/src");
    let root = fs::read_to_string(folder.join("lib.rs")).unwrap();
    assert!(root.lines().any(|line| line == "mod dynamodb;"), "the module is private");
    let private = ["AttributeValue", "Item", "Key", "Transaction", "Expression", "Requirement", "Outcome"];
    let words = |text: &str| -> BTreeSet<String> {
        text.split(|c: char| !c.is_alphanumeric()).map(str::to_owned).collect()
    };
    let mut seen = 0;
    // The private modules have public functions for the rest of the crate.
    let is_private = |file: &PathBuf| {
        let path = file.strip_prefix(&folder).unwrap().to_str().unwrap().to_owned();
        path.starts_with("dynamodb")
            || ["index.rs", "nesting.rs"].contains(&path.as_str())
            || path == "check/survey.rs"
            || path == "query/search.rs"
    };
    for file in source_files(&folder).into_iter().filter(|file| !is_private(file)) {
        for signature in public_signatures(&fs::read_to_string(&file).unwrap()) {
            seen += 1;
            // `Item = …` is the associated type of an iterator.
            let words = words(&signature.replace("Item = ", ""));
            let leaked: Vec<&&str> = private.iter().filter(|name| words.contains(**name)).collect();
            assert!(leaked.is_empty(), "{}: {signature} shows {leaked:?}", file.display());
        }
    }
    assert!(seen > 50, "{seen} signatures");
    // The crate exports of this module: the calls of DynamoDB, which the local server answers itself; a resource as it was read; and
    // the handle of the table.
    let exported: Vec<&str> = root.lines().filter(|line| line.starts_with("pub use dynamodb")).collect();
    let expected = ["calls::{Answer, DynamoDb}", "items::Stored", "table::Table"];
    assert_eq!(exported, expected.map(|name| format!("pub use dynamodb::{name};")));
}

#[test]
fn public_functions_of_the_table_send_no_request() {
    let table = fs::read_to_string(workspace().join("directory/src/dynamodb/table.rs")).unwrap();
    let public: Vec<String> = public_signatures(&table)
        .into_iter()
        .filter(|signature| !signature.contains("concurrently") && !signature.contains("wait"))
        .collect();
    let name = |signature: &String| signature.split(['(', ' ']).nth(2).unwrap_or_default().to_owned();
    let names: Vec<String> = public.iter().map(name).collect();
    assert_eq!(names, ["new", "counted", "usage", "until"], "{public:?}");
}
