//! The function `resource-types-list`.

fn main() -> Result<(), functions::lambda::Error> {
    functions::lambda::run(functions::handlers::discovery::resource_types)
}
