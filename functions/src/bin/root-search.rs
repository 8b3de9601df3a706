//! The function `root-search`.

fn main() -> Result<(), functions::lambda::Error> {
    functions::lambda::run(service::scim::search::root)
}
