//! The function `directory-members-get`. `make routes` writes this file.

fn main() -> Result<(), functions::lambda::Error> {
    functions::lambda::run(const { service::routes::handler("directory-members-get") })
}
