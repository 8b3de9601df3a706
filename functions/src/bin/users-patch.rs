//! The function `users-patch`.

fn main() -> Result<(), functions::lambda::Error> {
    functions::lambda::run(functions::handlers::users::patch)
}
