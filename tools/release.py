"""`make release ARCHITECTURE`: collects what a release has in target/release-VERSION, and writes its checksums.

`make release` builds what it needs: the zip of each function in target/release-functions, and the programs.
"""

import hashlib
import platform
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FUNCTIONS = ROOT / "target/release-functions"
# The programs for the operator's machine, by their names in a release, and the packages of all programs by the same names.
PROGRAMS = {"scimctl": "target/release/scimctl", "rollcall": "target/local/local"}
PACKAGES = {"functions": "functions", "scimctl": "scimctl", "rollcall": "local"}


def main(architecture):
    version = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["package"]["version"]
    if f"\n## {version}" not in (ROOT / "CHANGELOG.md").read_text():
        sys.exit(f"CHANGELOG.md has no section {version}, the version in Cargo.toml")
    out = ROOT / f"target/release-{version}"
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    for name in write_template(out, architecture):
        shutil.copy(FUNCTIONS / name / "bootstrap.zip", out / f"{name}.zip")
    for name, program in PROGRAMS.items():
        shutil.copy(ROOT / program, out / f"{name}-{platform.system().lower()}-{platform.machine()}")
    shutil.copy(ROOT / "CHANGELOG.md", out)
    write_sboms(out, architecture)
    files = sorted(path for path in out.iterdir())
    sums = "".join(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in files)
    (out / "SHA256SUMS").write_text(sums)
    print(f"{out.relative_to(ROOT)} has {len(files) + 1} files")


def write_template(out, architecture):
    """Writes template.yaml with the zip of each function instead of the workspace. Returns the names of the functions."""
    template = (ROOT / "template.yaml").read_text()
    built = re.compile(r"    Metadata: \{ BuildMethod: rust-cargolambda, BuildProperties: \{ Binary: ([a-z-]+) \} \}\n    Properties:\n")
    names = built.findall(template)
    template = built.sub(r"    Properties:\n      CodeUri: \1.zip\n", template).replace("    CodeUri: .\n", "", 1)
    template = template.replace("    Default: x86_64\n", f"    Default: {architecture}\n", 1)
    if len(names) != template.count("Type: AWS::Serverless::Function\n"):
        sys.exit("a function of template.yaml has no binary")
    (out / "template.yaml").write_text(template)
    return names


def write_sboms(out, architecture):
    """Writes the software bill of materials of each package (CycloneDX). cargo-cyclonedx writes one into each folder of the workspace."""
    target = {"x86_64": "x86_64-unknown-linux-gnu", "arm64": "aarch64-unknown-linux-gnu"}[architecture]
    command = [ROOT / ".tools/cyclonedx/bin/cargo-cyclonedx", "cyclonedx", "--format", "json", "--spec-version", "1.5"]
    command += ["--no-build-deps", "--target", target, "-qq"]
    try:
        subprocess.run(command, cwd=ROOT, check=True)
        for name, package in PACKAGES.items():
            # It names the crates of the workspace by their folders on this machine.
            text = (ROOT / package / f"{package}.cdx.json").read_text().replace(ROOT.as_uri(), "file:///rollcall")
            (out / f"{name}.cdx.json").write_text(text)
    finally:
        for path in [*ROOT.glob("*/*.cdx.json"), *ROOT.glob("tools/*/*.cdx.json")]:
            path.unlink()


main(sys.argv[1])
