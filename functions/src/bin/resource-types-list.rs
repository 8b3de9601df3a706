//! The function `resource-types-list`.

fn main() -> Result<(), functions::lambda::Error> {
    functions::lambda::run(service::scim::discovery::resource_types)
}
