//! The function `users-replace`.

fn main() -> Result<(), functions::lambda::Error> {
    functions::lambda::run(service::scim::users::replace)
}
