//! The function `schemas-get`.

fn main() -> Result<(), functions::lambda::Error> {
    functions::lambda::run(functions::handlers::discovery::schema)
}
