//! The function `users-search`.

fn main() -> Result<(), functions::lambda::Error> {
    functions::lambda::run(service::scim::search::users)
}
