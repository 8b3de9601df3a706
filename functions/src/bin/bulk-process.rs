//! The function `bulk-process`.

fn main() -> Result<(), functions::lambda::Error> {
    functions::lambda::run(functions::handlers::bulk::process)
}
