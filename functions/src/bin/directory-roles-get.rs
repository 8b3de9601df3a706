//! The function `directory-roles-get`. `make routes` writes this file.

fn main() -> Result<(), functions::lambda::Error> {
    functions::lambda::run(const { service::routes::handler("directory-roles-get") })
}
