//! The function `users-get`.

fn main() -> Result<(), functions::lambda::Error> {
    functions::lambda::run(service::scim::users::get)
}
