//! The function `groups-replace`.

fn main() -> Result<(), functions::lambda::Error> {
    functions::lambda::run(service::scim::groups::replace)
}
