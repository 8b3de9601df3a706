//! The function `oauth-metadata-get`. `make routes` writes this file.

fn main() -> Result<(), functions::lambda::Error> {
    functions::lambda::run(const { service::routes::handler("oauth-metadata-get") })
}
