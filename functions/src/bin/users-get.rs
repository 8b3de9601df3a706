//! The function `users-get`.

fn main() -> Result<(), functions::lambda::Error> {
    functions::lambda::run(functions::handlers::users::get)
}
