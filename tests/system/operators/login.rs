//! How `scimctl` logs in to AWS: profiles with their region, `credential_process`, roles and SSO. An error that a retry cannot
//! solve ends the command at once, with what to do.

use http::StatusCode;
use tests::folder::Folder;
use tests::scimctl::{Done, scimctl_on_aws};
use tests::service::{ACCESS_KEY, service};
use tests::stub::Stub;
use tokio::net::TcpListener;

/// The AWS configuration of an operator, in a folder.
struct Home {
    folder: Folder,
}

impl Home {
    /// Writes these profiles. `PROCESS` in them is a command that prints credentials of account 123456789012, and that notes
    /// each of its runs.
    fn new(profiles: &str) -> Self {
        let folder = Folder::new();
        let credentials = format!(
            r#"{{"Version":1,"AccessKeyId":"{ACCESS_KEY}","SecretAccessKey":"test","AccountId":"123456789012"}}"#
        );
        let runs = folder.file_path("runs");
        let process = folder.write("process", &format!("echo run >> {runs}\necho '{credentials}'\n"));
        folder.write("config", &profiles.replace("PROCESS", &format!("/bin/sh {process}")));
        Self { folder }
    }

    fn runs_of_the_process(&self) -> usize {
        std::fs::read_to_string(self.folder.file_path("runs")).unwrap_or_default().lines().count()
    }

    /// Runs `scimctl` with these profiles and variables.
    async fn run(&self, variables: &[(&str, &str)], arguments: &[&str]) -> Done {
        let (home, config) = (self.folder.file_path("."), self.folder.file_path("config"));
        let files = [("HOME", home.as_str()), ("AWS_CONFIG_FILE", config.as_str())];
        scimctl_on_aws(service(), &[&files[..], variables].concat(), arguments).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn profile_gives_credentials_of_its_process_and_its_region() {
    let connector = service().connector().await;
    let home = Home::new("[profile ada]\nregion = eu-west-3\ncredential_process = PROCESS\n");
    let sts = Stub::sts_of_ada().await;
    let variables = [("AWS_PROFILE", "ada"), ("AWS_ENDPOINT_URL_STS", &sts.url)];
    home.run(&variables, &["user", "create", &connector.id.to_string(), "ann"]).await.ok();
    assert_eq!(home.runs_of_the_process(), 1, "AWS STS and DynamoDB use the same credentials");
    let missing = home.run(&variables, &["--table", "wrong", "connector", "list"]).await.failed();
    assert_eq!(
        missing,
        "there is no table wrong in region eu-west-3 of account 123456789012. Enter the stack's output TableName as --table, \
         and check that AWS_PROFILE and AWS_REGION are those of the stack"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn role_of_a_profile_and_role_of_a_web_identity_are_assumed() {
    let home = Home::new(
        "[profile admin]\nregion = eu-west-3\nrole_arn = arn:aws:iam::123456789012:role/Admin\nsource_profile = ada\n\
         [profile ada]\ncredential_process = PROCESS\n",
    );
    let sts = Stub::sts_of_role("AssumeRole").await;
    let variables = [("AWS_PROFILE", "admin"), ("AWS_ENDPOINT_URL_STS", &sts.url)];
    home.run(&variables, &["connector", "list"]).await.ok();
    let [request] = &sts.requests()[..] else { panic!("{:?}", sts.requests()) };
    assert!(request.contains("role%2FAdmin"), "{request}");

    let sts = Stub::sts_of_role("AssumeRoleWithWebIdentity").await;
    let token = home.folder.write("token", "a-token");
    let variables = [
        ("AWS_REGION", "eu-west-3"),
        ("AWS_ENDPOINT_URL_STS", &sts.url),
        ("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/Ci"),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", &token),
    ];
    home.run(&variables, &["connector", "list"]).await.ok();
    let [request] = &sts.requests()[..] else { panic!("{:?}", sts.requests()) };
    assert!(request.contains("role%2FCi") && request.contains("a-token"), "{request}");
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_login_is_explained_in_one_line() {
    let home = Home::new(
        "[profile keys]\naws_access_key_id = a\naws_secret_access_key = b\n\
         [profile broken]\nregion = eu-west-1\ncredential_process = /bin/sh -c 'exit 3'\n\
         [profile sso]\nregion = eu-west-1\nsso_session = corp\nsso_account_id = 123456789012\nsso_role_name = Admin\n\
         [profile console]\nregion = eu-west-1\nlogin_session = arn:aws:iam::123456789012:user/ann\n\
         [sso-session corp]\nsso_region = eu-west-1\nsso_start_url = https://corp.awsapps.com/start\n",
    );
    let no_region =
        "no AWS region is set; set AWS_REGION, or `region` in the AWS profile, to the region of the stack";
    for (variables, start, end) in [
        (
            &[("AWS_PROFILE", "nope")][..],
            "there is no AWS profile nope; ",
            "set AWS_PROFILE to one that `aws configure list-profiles` prints",
        ),
        (&[("AWS_PROFILE", "keys")], no_region, ""),
        (&[], no_region, ""),
        (
            &[("AWS_REGION", "eu-west-1")],
            "there are no valid AWS credentials (",
            "); set AWS_PROFILE to one that `aws configure list-profiles` prints, or log in again",
        ),
        (
            &[("AWS_PROFILE", "broken")],
            "AWS profile broken has no valid credentials (",
            "); log in again, or correct the profile",
        ),
        (
            &[("AWS_PROFILE", "console")],
            "AWS profile console logs in with `aws login`, which scimctl cannot read; ",
            "add a profile with `credential_process = aws configure export-credentials --profile console --format process` and the \
             same region, and use that one",
        ),
        (
            &[("AWS_PROFILE", "sso")],
            "AWS profile sso is not logged in (",
            "; run `aws sso login --profile sso`",
        ),
    ] {
        for arguments in [&["connector", "list"][..], &["connector", "create", "--name", "x"]] {
            let printed = home.run(variables, arguments).await.failed();
            assert!(printed.starts_with(start) && printed.ends_with(end), "{variables:?}: {printed}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_profile_is_not_replaced_by_another_login() {
    let home = Home::new("[profile ada]\nregion = eu-west-3\ncredential_process = PROCESS\n");
    let sts = Stub::sts_of_role("AssumeRoleWithWebIdentity").await;
    let token = home.folder.write("token", "a-token");
    let variables = [
        ("AWS_PROFILE", "nope"),
        ("AWS_REGION", "eu-west-3"),
        ("AWS_ENDPOINT_URL_STS", &sts.url),
        ("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/Ci"),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", &token),
    ];
    let printed = home.run(&variables, &["connector", "list"]).await.failed();
    assert!(printed.starts_with("there is no AWS profile nope; "), "{printed}");
    assert_eq!(sts.requests(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn dynamodb_that_cannot_be_reached_is_asked_once() {
    // Nothing listens on port 1.
    let url = "http://127.0.0.1:1";
    let printed = scimctl_on_aws(service(), &[], &["--endpoint", url, "connector", "list"]).await.failed();
    assert!(
        printed.starts_with(&format!("DynamoDB cannot be reached at {url} (Connection refused ")),
        "{printed}"
    );

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let connections = tokio::spawn(async move {
        let mut connections = 0;
        // Each connection is closed at once.
        while listener.accept().await.is_ok() {
            connections += 1;
            assert_eq!(connections, 1, "a connection that fails is not tried again");
        }
    });
    let variables = [
        ("AWS_REGION", "eu-west-1"),
        ("AWS_ACCESS_KEY_ID", "a"),
        ("AWS_SECRET_ACCESS_KEY", "b"),
        ("AWS_ENDPOINT_URL_DYNAMODB", &url),
    ];
    let printed = scimctl_on_aws(service(), &variables, &["connector", "list"]).await.failed();
    assert!(
        printed.starts_with("DynamoDB of region eu-west-1 cannot be reached (")
            && printed.ends_with("is the region of the stack, and that this machine reaches AWS"),
        "{printed}"
    );
    assert!(!connections.is_finished());
    connections.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_credentials_and_missing_rights_are_explained_after_one_request() {
    for (code, expected) in [
        (
            "ExpiredTokenException",
            "there are no valid AWS credentials (ExpiredTokenException: the reason); set AWS_PROFILE to one that \
             `aws configure list-profiles` prints, or log in again",
        ),
        (
            "AccessDeniedException",
            "AWS does not permit this: the reason. Attach the policy of the stack's output OperatorPolicy to your role",
        ),
        ("RequestTimeTooSkewed", "AWS refuses the time of this machine (the reason); set its clock"),
    ] {
        let body = format!(r#"{{"__type":"com.amazon.coral.service#{code}","message":"the reason"}}"#);
        let dynamodb = Stub::start(StatusCode::BAD_REQUEST, body).await;
        let variables = [
            ("AWS_REGION", "eu-west-1"),
            ("AWS_ACCESS_KEY_ID", "a"),
            ("AWS_SECRET_ACCESS_KEY", "b"),
            ("AWS_ENDPOINT_URL_DYNAMODB", &dynamodb.url),
        ];
        let printed = scimctl_on_aws(service(), &variables, &["connector", "list"]).await.failed();
        assert_eq!((printed.as_str(), dynamodb.requests().len()), (expected, 1), "{code}");
    }
}
