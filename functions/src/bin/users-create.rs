//! The function `users-create`.

fn main() -> Result<(), functions::lambda::Error> {
    functions::lambda::run(functions::handlers::users::create)
}
