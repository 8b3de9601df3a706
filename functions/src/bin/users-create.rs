//! The function `users-create`.

fn main() -> Result<(), functions::lambda::Error> {
    functions::lambda::run(service::scim::users::create)
}
