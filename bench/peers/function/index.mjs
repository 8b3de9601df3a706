// The Node.js function that `make bench` compares with: it reads one item with the AWS SDK for JavaScript. The loop that
// polls the Lambda runtime API is as short as possible.
import { DynamoDBClient, GetItemCommand } from "@aws-sdk/client-dynamodb";

const client = new DynamoDBClient({ endpoint: process.env.DYNAMODB_ENDPOINT });
const api = `http://${process.env.AWS_LAMBDA_RUNTIME_API}/2018-06-01/runtime/invocation`;

for (;;) {
  const next = await fetch(`${api}/next`);
  const id = next.headers.get("lambda-runtime-aws-request-id");
  const event = await next.json();
  const key = { pk: { S: event.pk }, sk: { S: event.sk } };
  const { Item } = await client.send(new GetItemCommand({ TableName: process.env.TABLE_NAME, Key: key }));
  const response = { statusCode: Item ? 200 : 404, body: JSON.stringify(Item ?? null) };
  await fetch(`${api}/${id}/response`, { method: "POST", body: JSON.stringify(response) });
}
