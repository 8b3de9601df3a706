//! Includes every JSON file in `schemas/` and `resource_types/` in the crate, in the order of the file names.

use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR").map_err(io::Error::other)?);
    let mut code = String::new();
    for (constant, folder) in [("SCHEMA_FILES", "schemas"), ("RESOURCE_TYPE_FILES", "resource_types")] {
        println!("cargo::rerun-if-changed={folder}");
        let includes: Vec<String> =
            json_files(&root.join(folder))?.iter().map(|path| format!("include_str!({path:?})")).collect();
        code.push_str(&format!("const {constant}: &[&str] = &[{}];\n", includes.join(", ")));
    }
    fs::write(Path::new(&env::var("OUT_DIR").map_err(io::Error::other)?).join("schema_files.rs"), code)
}

fn json_files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths: Vec<PathBuf> =
        fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<_>>()?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    paths.sort();
    Ok(paths)
}
