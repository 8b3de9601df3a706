//! The function `groups-list`.

fn main() -> Result<(), functions::lambda::Error> {
    functions::lambda::run(service::scim::groups::list)
}
