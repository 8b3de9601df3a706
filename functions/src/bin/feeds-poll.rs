//! The function `feeds-poll`. `make routes` writes this file.

fn main() -> Result<(), functions::lambda::Error> {
    functions::lambda::run(const { service::routes::handler("feeds-poll") })
}
