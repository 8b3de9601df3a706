//! The function `groups-patch`.

fn main() -> Result<(), functions::lambda::Error> {
    functions::lambda::run(service::scim::groups::patch)
}
