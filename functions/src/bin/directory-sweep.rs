//! The function `directory-sweep`, which a schedule starts.

fn main() -> Result<(), functions::lambda::Error> {
    functions::sweep::run()
}
