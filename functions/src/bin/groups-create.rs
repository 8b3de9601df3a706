//! The function `groups-create`.

fn main() -> Result<(), functions::lambda::Error> {
    functions::lambda::run(service::scim::groups::create)
}
