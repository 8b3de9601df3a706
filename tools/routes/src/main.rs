//! `make routes`: writes everything that follows from the list of routes, and lists what only a person can
//! fix.

use std::error::Error;
use std::fs;
use std::path::Path;
use std::process::ExitCode;

use service::routes::ROUTES;

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    for (path, text) in routes::outdated_files(&root, ROUTES)? {
        fs::write(root.join(&path), text)?;
        println!("Wrote {path}");
    }
    let problems = routes::problems(&root, ROUTES)?;
    for problem in &problems {
        eprintln!("{problem}");
    }
    Ok(if problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
