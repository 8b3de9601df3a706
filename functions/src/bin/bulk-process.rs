//! The function `bulk-process`.

fn main() -> Result<(), functions::lambda::Error> {
    functions::lambda::run(service::scim::bulk::process)
}
