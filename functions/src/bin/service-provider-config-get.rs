//! The function `service-provider-config-get`.

fn main() -> Result<(), functions::lambda::Error> {
    functions::lambda::run(functions::handlers::discovery::service_provider_config)
}
