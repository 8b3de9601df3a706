//! The function `schemas-list`.

fn main() -> Result<(), functions::lambda::Error> {
    functions::lambda::run(functions::handlers::discovery::schemas)
}
