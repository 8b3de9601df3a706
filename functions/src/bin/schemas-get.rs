//! The function `schemas-get`.

fn main() -> Result<(), functions::lambda::Error> {
    functions::lambda::run(service::scim::discovery::schema)
}
