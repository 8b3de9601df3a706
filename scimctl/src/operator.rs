//! Who the operator is, as audit records name them: the AWS identity whose credentials make the change, or the user of this
//! system if the table is not on AWS.

use aws_config::SdkConfig;
use nix::unistd::{User, geteuid};
use shared::error::chain;

use crate::failure::{Failure, fail};

/// Asks AWS STS for the ARN of the identity that the AWS credentials belong to. The request (GetCallerIdentity) needs no rights.
pub async fn aws_identity(config: &SdkConfig) -> Result<String, Failure> {
    let client = aws_sdk_sts::Client::new(config);
    let reason = match client.get_caller_identity().send().await {
        Ok(identity) => match identity.arn {
            Some(arn) => return Ok(arn),
            None => "the answer has no ARN".to_owned(),
        },
        Err(error) => chain(&error),
    };
    fail(format!(
        "AWS STS does not say who you are ({reason}), so nothing is changed: audit records name the operator. Check your AWS \
         credentials and region, and that this machine reaches AWS STS"
    ))
}

/// The name and id of the system's user whose rights this process has. Neither comes from the environment.
pub fn system_user() -> String {
    let id = geteuid();
    match User::from_uid(id) {
        Ok(Some(user)) => format!("{} (uid {id})", user.name),
        // A container can run as a user id that has no name.
        _ => format!("uid {id}"),
    }
}
