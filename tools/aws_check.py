"""`make aws-check`: deploys a stack of its own to an AWS account, checks it, prints a report, and deletes the stack and its table.

It says what it will create and what that costs, and asks before it does anything. The credentials and the region come from the
environment, as those of the AWS CLI do.
"""

import base64
import datetime
import json
import os
import re
import secrets
import signal
import statistics
import subprocess
import sys
from pathlib import Path

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, WaiterError

ROOT = Path(__file__).resolve().parent.parent
PROGRAMS = ROOT / "target/local"
SAM = Path(sys.executable).parent / "sam"
COLD_STARTS = 10
# The functions whose cold starts are measured: one that reads and one that writes.
MEASURED = ["users-list", "users-create"]

PLAN = """This deploys the stack {stack} in {region}, in the account {account}, as {caller}:
  Lambda functions with their roles, log groups and policies, an HTTP API, and a DynamoDB table that is paid by request.
Then it sends about 600 requests, and deletes the stack, its table and what it uploaded. Only sam's bucket for uploads stays (the
stack aws-sam-cli-managed-default), if sam has not created it before. It takes about 20 minutes.
At the prices of AWS this costs less than 0.10 US dollars. If the deletion fails, it says what is left.
"""

# Accesses that no function may have: the action, and the partition key. A scan has none.
DENIED_TO_FUNCTIONS = [
    ("Scan", None),
    ("GetItem", "check#audit/2026-01/a"),
    ("UpdateItem", "check#audit/2026-01/a"),
    ("DeleteItem", "check#audit/2026-01/a"),
    ("PutItem", "connectors"),
    ("UpdateItem", "connectors"),
    ("DeleteItem", "connectors"),
    ("PutItem", "check#connector"),
]
DENIED_TO_OPERATORS = [("UpdateItem", "check#audit/2026-01/a"), ("DeleteItem", "check#audit/2026-01/a")]
ALLOWED_TO_OPERATORS = [("PutItem", "check#audit/2026-01/a"), ("Scan", None), ("UpdateItem", "connectors")]


class Report:
    """The lines of the report. Each is printed when it is known."""

    def __init__(self):
        self.has_failures = False

    def ok(self, text):
        print(f"ok      {text}", flush=True)

    def failed(self, text):
        self.has_failures = True
        print(f"FAILED  {text}", flush=True)

    def program(self, name, command, environment, **options):
        """Runs a program that prints lines of a report itself."""
        if subprocess.run(command, env=environment, cwd=ROOT, **options).returncode != 0:
            self.failed(f"{name} failed")


class Stack:
    """A stack of its own name in the account and region of a session."""

    def __init__(self, session):
        # IAM allows few simulations a second.
        config = Config(retries={"mode": "adaptive", "max_attempts": 10})
        self.name = f"rollcall-check-{secrets.token_hex(4)}"
        self.region = session.region_name
        self.cloudformation, self.dynamodb, self.iam, self.functions = (
            session.client(name, config=config) for name in ("cloudformation", "dynamodb", "iam", "lambda")
        )

    def deploy(self):
        command = [SAM, "deploy", "--stack-name", self.name, "--region", self.region, "--s3-prefix", self.name]
        command += ["--no-confirm-changeset", "--parameter-overrides", "Architecture=x86_64", "LogRetentionDays=1"]
        subprocess.run(command, cwd=ROOT, check=True)
        described = self.cloudformation.describe_stacks(StackName=self.name)["Stacks"][0]
        return {output["OutputKey"]: output["OutputValue"] for output in described["Outputs"]}

    def table_name(self):
        """The name of the table; None if the stack has none."""
        try:
            resource = self.cloudformation.describe_stack_resource(StackName=self.name, LogicalResourceId="Table")
        except ClientError:
            return None
        return resource["StackResourceDetail"].get("PhysicalResourceId")

    def delete(self, report):
        """Deletes everything. The template keeps and protects the table, so it is deleted after the stack."""
        table = self.table_name()
        command = [SAM, "delete", "--stack-name", self.name, "--region", self.region, "--no-prompts"]
        if subprocess.run(command, cwd=ROOT, start_new_session=True).returncode == 0:
            report.ok(f"the stack {self.name} is deleted")
        else:
            report.failed(f"the stack {self.name} in {self.region} is not deleted. Delete it in the AWS console")
        if not table:
            return
        try:
            self.dynamodb.update_table(TableName=table, DeletionProtectionEnabled=False)
            self.dynamodb.get_waiter("table_exists").wait(TableName=table)
            self.dynamodb.delete_table(TableName=table)
            self.dynamodb.get_waiter("table_not_exists").wait(TableName=table)
            report.ok(f"the table {table} is deleted")
        except self.dynamodb.exceptions.ResourceNotFoundException:
            report.ok(f"the table {table} does not exist")
        except (BotoCoreError, ClientError, WaiterError) as error:
            report.failed(f"the table {table} in {self.region} is not deleted: {error}")


def check_rights(stack, outputs, report):
    """Asks IAM what the functions and the operators may do with the table."""
    table = stack.dynamodb.describe_table(TableName=outputs["TableName"])["Table"]["TableArn"]

    def decision(simulate, action, key):
        context = [{"ContextKeyName": "dynamodb:LeadingKeys", "ContextKeyValues": [key], "ContextKeyType": "stringList"}]
        options = {"ContextEntries": context} if key else {}
        simulated = simulate(ActionNames=[f"dynamodb:{action}"], ResourceArns=[table], **options)
        return simulated["EvaluationResults"][0]["EvalDecision"] == "allowed"

    wrong = []
    pages = stack.cloudformation.get_paginator("list_stack_resources").paginate(StackName=stack.name)
    resources = [one for page in pages for one in page["StackResourceSummaries"]]
    functions = [one["PhysicalResourceId"] for one in resources if one["ResourceType"] == "AWS::Lambda::Function"]
    for function in functions:
        role = stack.functions.get_function_configuration(FunctionName=function)["Role"]
        simulate = lambda **access: stack.iam.simulate_principal_policy(PolicySourceArn=role, **access)
        wrong += [f"{function} may {action} {key}" for action, key in DENIED_TO_FUNCTIONS if decision(simulate, action, key)]
    policy = outputs["OperatorPolicy"]
    version = stack.iam.get_policy(PolicyArn=policy)["Policy"]["DefaultVersionId"]
    document = stack.iam.get_policy_version(PolicyArn=policy, VersionId=version)["PolicyVersion"]["Document"]
    simulate = lambda **access: stack.iam.simulate_custom_policy(PolicyInputList=[json.dumps(document)], **access)
    wrong += [f"operators may {action} {key}" for action, key in DENIED_TO_OPERATORS if decision(simulate, action, key)]
    wrong += [f"operators may not {action} {key}" for action, key in ALLOWED_TO_OPERATORS if not decision(simulate, action, key)]
    if wrong or not functions:
        report.failed("rights: " + ("; ".join(wrong) or "the stack has no functions"))
    else:
        report.ok(f"{len(functions)} functions and the operators have no forbidden right")


def check_with_doctor(outputs, environment, report):
    """Creates a connector, and runs `scimctl doctor` with its credentials."""
    scimctl = PROGRAMS / "scimctl"
    create = [scimctl, "connector", "create", "--name", "check", "--url", outputs["BaseUrl"]]
    created = subprocess.run(create, env=environment, stdout=subprocess.PIPE, text=True)
    login = dict(re.findall(r"^(Username|Password):\s+(\S+)$", created.stdout, re.MULTILINE))
    if created.returncode != 0 or len(login) != 2:
        report.failed("scimctl connector create failed")
        return
    doctor = [scimctl, "doctor", "check", "--url", outputs["BaseUrl"], "--username", login["Username"], "--password", "-"]
    report.program("scimctl doctor", doctor, environment, input=login["Password"], text=True)


def measure_cold_starts(stack, report):
    """Changes a function, so that Lambda starts a new process for the next event, and reads the times in its log."""
    for name in MEASURED:
        function = f"{stack.name}-{name}"
        event = (ROOT / f"events/{name}.json").read_bytes()
        starts, events = [], []
        for number in range(COLD_STARTS):
            stack.functions.update_function_configuration(FunctionName=function, Description=f"cold start {number}")
            stack.functions.get_waiter("function_updated_v2").wait(FunctionName=function)
            invoked = stack.functions.invoke(FunctionName=function, Payload=event, LogType="Tail")
            start, duration = times_in(invoked["LogResult"])
            if start is not None:
                starts.append(start)
                events.append(duration)
        if len(starts) < COLD_STARTS:
            report.failed(f"{name}: {len(starts)} of {COLD_STARTS} events started a process")
        else:
            report.ok(
                f"{name}, {COLD_STARTS} cold starts: start {summary(starts)}; first event {summary(events)}"
            )


def times_in(log):
    """The milliseconds of the start and of the event in the base64 log of an invocation, in either format of Lambda."""
    log = base64.b64decode(log).decode()
    start = re.search(r'"initDurationMs":\s*([\d.]+)|Init Duration: ([\d.]+) ms', log)
    duration = re.search(r'"durationMs":\s*([\d.]+)|\tDuration: ([\d.]+) ms', log)
    return tuple(float(found[1] or found[2]) if found else None for found in (start, duration))


def summary(milliseconds):
    return f"median {statistics.median(milliseconds):.1f} ms, maximum {max(milliseconds):.1f} ms"


def environment_of(session, outputs):
    """The environment of programs that work on the table, with the credentials of the session."""
    credentials = session.get_credentials().get_frozen_credentials()
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "DYNAMODB_"))}
    environment |= {
        "AWS_ACCESS_KEY_ID": credentials.access_key,
        "AWS_SECRET_ACCESS_KEY": credentials.secret_key,
        "AWS_REGION": session.region_name,
        "TABLE_NAME": outputs["TableName"],
    }
    return environment | ({"AWS_SESSION_TOKEN": credentials.token} if credentials.token else {})


def check(stack, session, report):
    outputs = stack.deploy()
    commit = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    day = datetime.datetime.now(datetime.timezone.utc).date()
    print(f"\nReport of make aws-check: Rollcall {commit.stdout.strip()}, {stack.region}, x86_64, {day}", flush=True)
    environment = environment_of(session, outputs)
    report.program("the check over HTTP", [PROGRAMS / "deployment-check", outputs["BaseUrl"]], environment)
    check_with_doctor(outputs, environment, report)
    check_rights(stack, outputs, report)
    measure_cold_starts(stack, report)


def main():
    session = boto3.Session(region_name=os.environ.get("AWS_REGION"))
    if not session.region_name:
        sys.exit("aws-check: set AWS_REGION, or the region of AWS_PROFILE")
    try:
        caller = session.client("sts").get_caller_identity()
    except (BotoCoreError, ClientError) as error:
        sys.exit(f"aws-check: AWS does not accept the credentials of the environment: {error}")
    stack, report = Stack(session), Report()
    print(PLAN.format(stack=stack.name, region=stack.region, account=caller["Account"], caller=caller["Arn"]))
    try:
        answer = input("Type the name of the stack to continue: ")
    except EOFError:
        answer = ""
    if answer.strip() != stack.name:
        sys.exit("aws-check: nothing was created")
    if subprocess.run(["make", "--no-print-directory", "build", "ARCHITECTURE=x86_64"], cwd=ROOT).returncode != 0:
        sys.exit("aws-check: the functions could not be built; nothing was created")
    try:
        check(stack, session, report)
    except KeyboardInterrupt:
        report.failed("interrupted")
    except (BotoCoreError, ClientError, subprocess.CalledProcessError) as error:
        report.failed(f"the check ended early: {error}")
    finally:
        # Ctrl-C must not interrupt the deletion.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        stack.delete(report)
    sys.exit(1 if report.has_failures else 0)


if __name__ == "__main__":
    main()
