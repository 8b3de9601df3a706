//! The function `resource-types-get`.

fn main() -> Result<(), functions::lambda::Error> {
    functions::lambda::run(functions::handlers::discovery::resource_type)
}
