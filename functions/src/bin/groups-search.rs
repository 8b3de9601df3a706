//! The function `groups-search`.

fn main() -> Result<(), functions::lambda::Error> {
    functions::lambda::run(service::scim::search::groups)
}
