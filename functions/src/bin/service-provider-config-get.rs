//! The function `service-provider-config-get`.

fn main() -> Result<(), functions::lambda::Error> {
    functions::lambda::run(service::scim::discovery::service_provider_config)
}
