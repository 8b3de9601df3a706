//! The function `groups-get`.

fn main() -> Result<(), functions::lambda::Error> {
    functions::lambda::run(service::scim::groups::get)
}
