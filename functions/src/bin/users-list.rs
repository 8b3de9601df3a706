//! The function `users-list`.

fn main() -> Result<(), functions::lambda::Error> {
    functions::lambda::run(functions::handlers::users::list)
}
