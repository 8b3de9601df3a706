"""`make sam-local ARCHITECTURE`: runs the functions in containers with `sam local start-api`, over the embedded DynamoDB engine.

The folder .aws-sam/local must have the functions, and target/local the program `local`: `make sam-local` builds both. This
prints the endpoint URL and the credentials, and ends at Ctrl-C. Then it ends everything that it started, and removes the
containers of its functions, but no others.
"""

import fcntl
import os
import platform
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path

import docker

ROOT = Path(__file__).resolve().parent.parent
FUNCTIONS = ROOT / ".aws-sam/local"
OWN_ENGINE = ROOT / ".aws-sam/containers"
# The name that sam gives the table, which it does not create: the value of `!Ref Table`.
TABLE = "Table"
SECONDS_TO_STOP = 60
# Ctrl-C, `kill`, and the end of the terminal.
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
INSTALL = """No container engine answers{reasons}. Install one of these:
  Docker, and start it: https://docs.docker.com/get-started/get-docker/
  podman, on Debian or Ubuntu, and run this command as root:
    apt-get install --no-install-recommends podman runc netavark iptables busybox-static ca-certificates"""


class Failure(Exception):
    """A sentence for the user."""


def write_template():
    """Copies template.yaml. Each function gets its binary. In template.yaml all of them have the workspace, from which `sam build`
    compiles them; sam local would look for binaries there, and answer 502."""
    template = (ROOT / "template.yaml").read_text()
    function = re.compile(r"BuildProperties: \{ Binary: ([a-z-]+) \} \}\n    Properties:\n")
    template, copied = function.subn(r"\g<0>      CodeUri: \1\n", template)
    if copied != template.count("Type: AWS::Serverless::Function\n"):
        raise Failure("a function of template.yaml has no binary")
    (FUNCTIONS / "template.yaml").write_text(template)


@contextmanager
def container_engine():
    """Yields a client of the container engine, its URL, and the name and the address by which containers reach this machine."""
    home, reasons = Path.home(), ""
    sockets = ["unix:///var/run/docker.sock", f"unix://{home}/.docker/run/docker.sock"]
    for url in [os.environ["DOCKER_HOST"]] if os.environ.get("DOCKER_HOST") else sockets:
        try:
            client = docker.DockerClient(base_url=url)
            is_desktop = "Docker Desktop" in client.info()["OperatingSystem"]
        except docker.errors.DockerException as error:
            # A socket that exists, but for example may not be used by this user.
            if Path(url.removeprefix("unix://")).exists():
                reasons += f" ({url}: {error})"
            continue
        # Docker Desktop runs containers in a virtual machine, and forwards what they send to this name.
        yield client, url, *(("host.docker.internal", "127.0.0.1") if is_desktop else [bridge_address(client)] * 2)
        return
    if not shutil.which("podman") or platform.system() != "Linux":
        raise Failure(INSTALL.format(reasons=reasons))
    script = [ROOT / "tools/containers"]
    try:
        started = subprocess.run([*script, "start", OWN_ENGINE], stdout=subprocess.PIPE, text=True, start_new_session=True)
        if started.returncode != 0:
            raise Failure("podman does not start")
        values = dict(line.split("=", 1) for line in started.stdout.splitlines())
        yield docker.DockerClient(base_url=values["DOCKER_HOST"]), values["DOCKER_HOST"], values["ADDRESS"], values["ADDRESS"]
    finally:
        subprocess.run([*script, "stop", OWN_ENGINE], start_new_session=True)


def bridge_address(client):
    """The address of this machine on the bridge of its containers."""
    try:
        return client.networks.get("bridge").attrs["IPAM"]["Config"][0]["Gateway"]
    except (docker.errors.NotFound, IndexError, KeyError):
        raise Failure("DOCKER_HOST is not Docker. Unset it: if podman is installed, this command starts it by itself") from None


@contextmanager
def process(command, environment, **options):
    """Starts a process, and stops it at the end as Ctrl-C would. Ctrl-C at the terminal does not reach it."""
    child = subprocess.Popen(command, env=environment, cwd=ROOT, start_new_session=True, **options)
    try:
        yield child
    finally:
        child.send_signal(signal.SIGINT)
        try:
            child.wait(SECONDS_TO_STOP)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


@contextmanager
def dynamodb(address, public_url):
    """Starts the embedded engine. Yields the process, the lines that it prints for the user, its port and its access key."""
    folder = os.environ.get("DATA_DIR") or ".local/sam"
    settings = {"DATA_DIR": folder, "PORT": "0", "TABLE_NAME": TABLE, "DYNAMODB_ADDRESS": address, "PUBLIC_URL": public_url}
    environment = {**os.environ, **settings}
    environment.pop("DYNAMODB_ENDPOINT", None)
    with process([ROOT / "target/local/local", "dynamodb"], environment, stdout=subprocess.PIPE, text=True) as engine:
        summary = {}
        while "DynamoDB" not in summary:
            line = engine.stdout.readline()
            if not line:
                raise Failure("the DynamoDB engine did not start")
            if ":  " in line:
                summary.update([line.strip().split(":", 1)])
        # The rest is the log. The engine would block if nothing read it.
        threading.Thread(target=shutil.copyfileobj, args=(engine.stdout, sys.stdout), daemon=True).start()
        access_key = (ROOT / folder / "dynamodb-access-key").read_text()
        endpoint = summary.pop("DynamoDB").strip()
        yield engine, summary, endpoint.rsplit(":", 1)[1], access_key


@contextmanager
def sam_local(architecture, container_engine_url, dynamodb_url, access_key, port, public_url):
    """Starts `sam local start-api`. Yields the process."""
    # The functions get the AWS credentials of sam. They must not be those of the user.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    environment |= {
        "AWS_ACCESS_KEY_ID": access_key,
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_DEFAULT_REGION": "us-east-1",
        "DOCKER_HOST": container_engine_url,
        "SAM_CLI_TELEMETRY": "0",
    }
    parameters = {"Architecture": architecture, "DynamoDbEndpoint": dynamodb_url, "PublicUrl": public_url}
    command = [Path(sys.executable).parent / "sam", "local", "start-api", "--template-file", FUNCTIONS / "template.yaml"]
    command += ["--host", "127.0.0.1", "--port", port, "--warm-containers", "LAZY"]
    if str(OWN_ENGINE) in container_engine_url:
        # Its image is in no registry.
        command.append("--skip-pull-image")
    command += ["--parameter-overrides", *(f"{name}={value}" for name, value in parameters.items())]
    with process(command, environment) as sam:
        yield sam


def wait_until_listening(port, sam):
    """Waits until something listens on the port."""
    while sam.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", int(port))).close()
            return
        except ConnectionRefusedError:
            time.sleep(0.1)
    raise Failure("sam local start-api ended")


def remove_containers(client):
    """Removes the containers that sam left: those of functions in the folder of this checkout."""
    for container in client.containers.list(all=True, filters={"label": "sam.cli.container.type=lambda"}):
        if any(Path(mount.get("Source", "")).is_relative_to(FUNCTIONS) for mount in container.attrs["Mounts"]):
            container.remove(force=True)


def run(architecture):
    port = os.environ.get("PORT") or "3000"
    public_url = f"http://127.0.0.1:{port}"
    with ExitStack() as stack:
        # Another run would remove the containers of this one.
        lock = stack.enter_context(open(FUNCTIONS / "lock", "w"))
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Failure("another `make sam-local` runs in this folder; stop it first") from None
        write_template()
        client, engine_url, name, address = stack.enter_context(container_engine())
        stack.callback(remove_containers, client)
        engine, summary, dynamodb_port, access_key = stack.enter_context(dynamodb(address, public_url))
        dynamodb_url = f"http://{name}:{dynamodb_port}"
        sam = stack.enter_context(sam_local(architecture, engine_url, dynamodb_url, access_key, port, public_url))
        wait_until_listening(port, sam)
        print(*(f"{name}:{value}" for name, value in summary.items()), "Ctrl-C stops it.", sep="\n", flush=True)
        while engine.poll() is None and sam.poll() is None:
            time.sleep(0.2)
        raise Failure("the DynamoDB engine ended" if sam.poll() is None else "sam local start-api ended")


def stop(_signal, _frame):
    # What remains is cleaning up, which another signal must not interrupt.
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    sys.exit(0)


if __name__ == "__main__":
    for number in SIGNALS:
        signal.signal(number, stop)
    try:
        run(*sys.argv[1:])
    except Failure as failure:
        sys.exit(f"sam-local: {failure}")
