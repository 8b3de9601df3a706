//! The function `schemas-list`.

fn main() -> Result<(), functions::lambda::Error> {
    functions::lambda::run(service::scim::discovery::schemas)
}
