//! The function `directory-role-members-list`. `make routes` writes this file.

fn main() -> Result<(), functions::lambda::Error> {
    functions::lambda::run(const { service::routes::handler("directory-role-members-list") })
}
