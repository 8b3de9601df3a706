//! Runs `scimctl`, the command line of operators, as a process.

use std::io::Write as _;
use std::process::{Command, Stdio};

use crate::service::{Service, TABLE, TestConnector, binaries, service};
use crate::strict::Violations;

/// Patterns of what differs in each run of a command, and what replaces it in snapshots.
pub const VARYING: [(&str, &str); 5] = [
    ("[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}", "[UUID]"),
    (r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d(:\d\d(\.\d+)?)?( UTC|Z)?", "[TIME]"),
    (r"\b[0-9a-f]{8}\b", "[ID]"),
    (r"\b\d+ ms\b", "[MS] ms"),
    (r"operator .* \(uid \d+\)", "operator [OPERATOR]"),
];

/// The exit code and the output of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Done {
    /// The exit code.
    pub code: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Done {
    /// The output of a command that succeeded.
    ///
    /// # Panics
    /// When it failed.
    pub fn ok(self) -> String {
        assert_eq!(self.code, 0, "{}", self.err);
        self.out
    }

    /// The error of a command that failed and printed one line.
    ///
    /// # Panics
    /// When it did not fail, or printed more than one line.
    pub fn failed(self) -> String {
        assert_eq!((self.code, self.err.lines().count()), (1, 1), "{self:?}");
        self.err.trim_end().trim_start_matches("scimctl: ").to_owned()
    }

    /// The value after a label in the output.
    ///
    /// # Panics
    /// When no line begins with the label.
    pub fn value(&self, label: &str) -> String {
        let line = self.out.lines().find_map(|line| line.strip_prefix(label));
        line.unwrap_or_else(|| panic!("no line begins with {label:?}: {self:?}")).trim().to_owned()
    }
}

/// The operator of these commands, as audit records name them: the user that this process runs as.
///
/// # Panics
/// When the system does not say who that is.
pub fn operator() -> String {
    let ask = |option: &str| {
        let output =
            Command::new("id").args(["-u", option].iter().filter(|option| !option.is_empty())).output();
        String::from_utf8(output.expect("id runs").stdout).expect("a name is UTF-8").trim().to_owned()
    };
    format!("{} (uid {})", ask("-n"), ask(""))
}

/// Runs a command on the table of a service. The operator is [`operator`], whose rights are the
/// policy `OperateDirectory`.
///
/// # Panics
/// When the binary does not exist.
pub fn scimctl(service: &Service, arguments: &[&str]) -> Done {
    scimctl_with(service, arguments, "")
}

/// Runs `scimctl NOUN VERB CONNECTOR …` on the table of the shared service. `arguments` are the noun, the
/// verb and what follows the connector.
///
/// # Panics
/// When there is no noun or no verb, or the binary does not exist.
pub fn run(connector: &TestConnector, arguments: &[&str]) -> Done {
    let id = connector.id.to_string();
    let [noun, verb, rest @ ..] = arguments else { panic!("{arguments:?} lack a noun or a verb") };
    scimctl(service(), &[&[*noun, *verb, &id], rest].concat())
}

/// Runs a command as [`scimctl`] does, with this standard input.
///
/// # Panics
/// When the binary does not exist.
pub fn scimctl_with(service: &Service, arguments: &[&str], input: &str) -> Done {
    scimctl_as("OperateDirectory", service, arguments, input)
}

/// The help of every command, by its words: that of `scimctl` itself comes first, and each command comes before its subcommands.
///
/// # Panics
/// When the binary does not exist.
pub fn help_of_every_command() -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut waiting = vec![String::new()];
    while let Some(command) = waiting.pop() {
        let mut process = Command::new(binaries().join("scimctl"));
        // The help names the table of the environment that it runs in.
        process.args(command.split_whitespace()).arg("--help").env_remove("TABLE_NAME");
        let output = process.output().expect("scimctl starts");
        assert!(output.status.success(), "{output:?}");
        let help = String::from_utf8(output.stdout).expect("the output is UTF-8");
        let subcommands = help.split_once("Commands:\n").map_or("", |(_, rest)| rest);
        let lines = subcommands.lines().take_while(|line| !line.is_empty());
        let lines = lines.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
        let names = lines.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help");
        let names: Vec<String> = names.map(|name| format!("{command} {name}").trim().to_owned()).collect();
        waiting.extend(names.into_iter().rev());
        found.push((command, help));
    }
    found
}

/// Runs a command of a person who has this policy of the template, with this standard input.
///
/// # Panics
/// When the binary does not exist.
pub fn scimctl_as(policy: &str, service: &Service, arguments: &[&str], input: &str) -> Done {
    scimctl_in(&[], policy, service, arguments, input)
}

/// Runs a command as [`scimctl_as`] does, with these variables in its environment.
///
/// # Panics
/// When the binary does not exist.
pub fn scimctl_in(
    environment: &[(&str, &str)],
    policy: &str,
    service: &Service,
    arguments: &[&str],
    input: &str,
) -> Done {
    let mut child = Command::new(binaries().join("scimctl"))
        .args(["--table", TABLE, "--endpoint", &service.endpoint_for(policy)])
        .args(arguments)
        .env("USER", "mallory")
        .env("ALLOW_PRIVATE_TARGETS", "true")
        .envs(environment.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("scimctl starts");
    // A command that fails early closes its input, and then this write fails.
    let _ = child.stdin.take().expect("standard input is piped").write_all(input.as_bytes());
    let output = child.wait_with_output().expect("scimctl ends");
    Violations::of_this_process().assert_none("");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("the output is UTF-8");
    Done {
        code: output.status.code().expect("scimctl has an exit code"),
        out: text(output.stdout),
        err: text(output.stderr),
    }
}

/// Runs a command on the table of a service as on AWS: no option says where the table is, and the environment has only these
/// variables and the endpoint of DynamoDB.
///
/// # Panics
/// When the binary does not exist.
pub async fn scimctl_on_aws(service: &Service, environment: &[(&str, &str)], arguments: &[&str]) -> Done {
    let mut command = Command::new(binaries().join("scimctl"));
    command.args(arguments).env_clear().env("TABLE_NAME", TABLE).env("AWS_EC2_METADATA_DISABLED", "true");
    command.env("AWS_ENDPOINT_URL_DYNAMODB", service.endpoint()).envs(environment.iter().copied());
    let output = tokio::task::spawn_blocking(move || command.output().expect("scimctl starts")).await;
    let output = output.expect("the task ends");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("the output is UTF-8");
    Done {
        code: output.status.code().expect("scimctl has an exit code"),
        out: text(output.stdout),
        err: text(output.stderr),
    }
}
