//! The function `fallback`.

fn main() -> Result<(), functions::lambda::Error> {
    functions::lambda::run(service::routes::fallback)
}
