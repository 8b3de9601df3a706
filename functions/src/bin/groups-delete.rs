//! The function `groups-delete`.

fn main() -> Result<(), functions::lambda::Error> {
    functions::lambda::run(service::scim::groups::delete)
}
