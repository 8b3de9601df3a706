//! The function `oauth-token`. `make routes` writes this file.

fn main() -> Result<(), functions::lambda::Error> {
    functions::lambda::run_with_fetch(const { service::routes::handler("oauth-token") })
}
