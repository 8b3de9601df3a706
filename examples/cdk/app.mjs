// Deploys Rollcall with the AWS CDK, as a nested stack. docs/start/terraform_and_cdk.md says how to make packaged.yaml, the
// template with the uploaded functions.
import { App, CfnStack, Stack } from "aws-cdk-lib";
import { Asset } from "aws-cdk-lib/aws-s3-assets";

/** The stack of template.yaml. `parameters` are those of docs/reference/parameters.md; their values are strings. */
export class Rollcall extends Stack {
  constructor(scope, id, { parameters, templateFile, ...properties }) {
    super(scope, id, properties);
    const template = new Asset(this, "Template", { path: templateFile });
    const stack = new CfnStack(this, "Rollcall", { templateUrl: template.httpUrl, parameters });
    const output = (name) => stack.getAtt(`Outputs.${name}`).toString();
    this.exportValue(output("BaseUrl"), { name: `${id}-BaseUrl` });
    this.exportValue(output("TableName"), { name: `${id}-TableName` });
    this.exportValue(output("OperatorPolicy"), { name: `${id}-OperatorPolicy` });
  }
}

const app = new App();
new Rollcall(app, "rollcall", {
  templateFile: process.env.ROLLCALL_TEMPLATE ?? "packaged.yaml",
  parameters: { LogRetentionDays: "90", RateLimit: "200" },
});
app.synth();
