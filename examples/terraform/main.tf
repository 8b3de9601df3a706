# Deploys Rollcall with Terraform, as a CloudFormation stack. docs/start/terraform_and_cdk.md says how to make packaged.yaml, the
# template with the uploaded functions.

terraform {
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.0"
    }
  }
}

variable "bucket" {
  description = "The S3 bucket for the template, which is too large for a request to CloudFormation."
  type        = string
}

variable "parameters" {
  description = "The parameters of the stack: docs/reference/parameters.md."
  type        = map(string)
  default     = { LogRetentionDays = "90", RateLimit = "200" }
}

resource "aws_s3_object" "template" {
  bucket = var.bucket
  key    = "rollcall/${filemd5("packaged.yaml")}.yaml"
  source = "packaged.yaml"
}

resource "aws_cloudformation_stack" "rollcall" {
  name         = "rollcall"
  template_url = "https://${var.bucket}.s3.amazonaws.com/${aws_s3_object.template.key}"
  parameters   = var.parameters
  capabilities = ["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"]
}

output "base_url" {
  value = aws_cloudformation_stack.rollcall.outputs["BaseUrl"]
}

output "table_name" {
  value = aws_cloudformation_stack.rollcall.outputs["TableName"]
}

output "operator_policy" {
  value = aws_cloudformation_stack.rollcall.outputs["OperatorPolicy"]
}
