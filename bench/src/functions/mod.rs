//! `make bench-functions`: measures functions as Lambda runs them, with TLS to DynamoDB, computes what they cost, and writes
//! docs/functions_performance.md.

mod cold;
mod cost;
mod page;
mod warm;

use std::path::Path;

use tests::service::{ACCESS_KEY, Service, TABLE};
use tests::tls_endpoint::TlsEndpoint;

use crate::runtime_api::Program;
use crate::server::binaries;

/// The functions that are measured, and their DynamoDB: an embedded engine in this process, through TLS.
struct Deployment {
    service: Service,
    dynamodb: TlsEndpoint,
}

impl Deployment {
    async fn start() -> Self {
        let service = Service::start();
        let dynamodb = TlsEndpoint::start(service.engine_url()).await;
        Self { service, dynamodb }
    }

    /// A function with the environment that Lambda and `template.yaml` give it, and this DynamoDB.
    fn function(&self, name: &str) -> Program {
        let environment = [
            ("DYNAMODB_ENDPOINT", self.dynamodb.url.as_str()),
            ("SSL_CERT_FILE", &self.dynamodb.certificates),
            ("TABLE_NAME", TABLE),
            ("LOG_LEVEL", "info"),
            ("METRICS", "rollcall"),
            ("AWS_REGION", "eu-central-1"),
            ("AWS_ACCESS_KEY_ID", ACCESS_KEY),
            ("AWS_SECRET_ACCESS_KEY", ACCESS_KEY),
            ("AWS_LAMBDA_FUNCTION_NAME", name),
            ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
        ];
        let environment = environment.map(|(name, value)| (name, value.to_owned()));
        (vec![binaries().join(name).display().to_string()], environment.into())
    }
}

/// Measures and writes the page.
pub async fn run(docs: &Path) {
    let deployment = Deployment::start().await;
    eprintln!("Cold starts");
    let cold = cold::measure(&deployment).await;
    eprintln!("Warm functions");
    let warm = warm::measure(&deployment).await;
    std::fs::write(docs.join("functions_performance.md"), page::text(&cold, &warm))
        .expect("the page is written");
    println!("Wrote docs/functions_performance.md");
}

/// The median of some numbers.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
