//! The function `users-delete`.

fn main() -> Result<(), functions::lambda::Error> {
    functions::lambda::run(service::scim::users::delete)
}
