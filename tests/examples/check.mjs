// `make examples`: what can be checked of examples/cdk and examples/terraform without an AWS account. `cdk synth` runs the CDK
// app; the Terraform file is parsed, because its provider is not in a registry of packages. Both may use only parameters and
// outputs that template.yaml has.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { copyFileSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parse } from "@cdktf/hcl2json";

const root = join(dirname(fileURLToPath(import.meta.url)), "../..");
const template = readFileSync(join(root, "template.yaml"), "utf8");

/** The names in a section of template.yaml. */
function names(section) {
  const text = template.split(`\n${section}:\n`)[1].split(/\n(?=[A-Z])/)[0];
  return [...text.matchAll(/^  ([A-Za-z]+):/gm)].map((match) => match[1]);
}

const parameters = names("Parameters");
const outputs = names("Outputs");
assert(parameters.includes("RateLimit") && outputs.includes("BaseUrl"));

/** The template that the CDK app makes. */
function synthesize() {
  const folder = mkdtempSync(join(tmpdir(), "rollcall-cdk-"));
  try {
    copyFileSync(join(root, "examples/cdk/app.mjs"), join(folder, "app.mjs"));
    copyFileSync(join(root, "template.yaml"), join(folder, "packaged.yaml"));
    symlinkSync(join(process.cwd(), "node_modules"), join(folder, "node_modules"));
    const environment = { ...process.env, CDK_OUTDIR: join(folder, "out") };
    const { status, stderr } = spawnSync(process.execPath, ["app.mjs"], { cwd: folder, env: environment, encoding: "utf8" });
    assert.equal(status, 0, stderr);
    return JSON.parse(readFileSync(join(folder, "out/rollcall.template.json"), "utf8"));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const cdk = synthesize();
const nested = cdk.Resources.Rollcall;
assert.equal(nested.Type, "AWS::CloudFormation::Stack");
for (const [name, value] of Object.entries(nested.Properties.Parameters)) {
  assert(parameters.includes(name), `examples/cdk: template.yaml has no parameter ${name}`);
  assert.equal(typeof value, "string");
}
const used = Object.values(cdk.Outputs).map((output) => output.Value["Fn::GetAtt"][1].replace("Outputs.", ""));
assert.deepEqual(used.filter((name) => !outputs.includes(name)), [], "examples/cdk: template.yaml has no such outputs");
assert.deepEqual(used, ["BaseUrl", "TableName", "OperatorPolicy"]);

const terraform = await parse("main.tf", readFileSync(join(root, "examples/terraform/main.tf"), "utf8"));
const stack = terraform.resource.aws_cloudformation_stack.rollcall[0];
// The functions have roles, and AWS::Serverless is a transform.
assert.deepEqual(stack.capabilities, ["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"]);
for (const name of Object.keys(terraform.variable.parameters[0].default)) {
  assert(parameters.includes(name), `examples/terraform: template.yaml has no parameter ${name}`);
}
for (const [{ value }] of Object.values(terraform.output)) {
  const [, name] = value.match(/outputs\["(\w+)"\]/);
  assert(outputs.includes(name), `examples/terraform: template.yaml has no output ${name}`);
}
console.log("The examples for CDK and Terraform use the template as it is.");
