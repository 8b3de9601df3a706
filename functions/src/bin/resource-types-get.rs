//! The function `resource-types-get`.

fn main() -> Result<(), functions::lambda::Error> {
    functions::lambda::run(service::scim::discovery::resource_type)
}
