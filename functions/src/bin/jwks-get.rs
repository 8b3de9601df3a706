//! The function `jwks-get`. `make routes` writes this file.

fn main() -> Result<(), functions::lambda::Error> {
    functions::lambda::run(const { service::routes::handler("jwks-get") })
}
