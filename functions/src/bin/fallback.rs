//! The function `fallback`. `make routes` writes this file.

fn main() -> Result<(), functions::lambda::Error> {
    functions::lambda::run_with_fetch(const { service::routes::handler("fallback") })
}
