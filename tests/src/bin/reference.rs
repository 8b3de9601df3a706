//! `make reference`: writes the generated pages of `docs/reference/`.

use tests::{reference, workspace};

fn main() -> std::io::Result<()> {
    for (path, text) in reference::outdated() {
        std::fs::write(workspace().join(path), text)?;
        println!("Wrote {path}");
    }
    Ok(())
}
