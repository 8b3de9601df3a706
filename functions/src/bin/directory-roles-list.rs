//! The function `directory-roles-list`. `make routes` writes this file.

fn main() -> Result<(), functions::lambda::Error> {
    functions::lambda::run(const { service::routes::handler("directory-roles-list") })
}
