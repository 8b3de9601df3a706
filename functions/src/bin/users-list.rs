//! The function `users-list`.

fn main() -> Result<(), functions::lambda::Error> {
    functions::lambda::run(service::scim::users::list)
}
