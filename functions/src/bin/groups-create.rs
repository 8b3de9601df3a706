//! The function `groups-create`.

fn main() -> Result<(), functions::lambda::Error> {
    functions::lambda::run(functions::handlers::groups::create)
}
