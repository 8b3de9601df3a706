//! The function `users-patch`.

fn main() -> Result<(), functions::lambda::Error> {
    functions::lambda::run(service::scim::users::patch)
}
