// SCIMMY, served by scimmy-routers and Express as in their READMEs. They have no store, so the resources are in maps.
import { randomUUID } from "node:crypto";
import express from "express";
import SCIMMY from "scimmy";
import SCIMMYRouters from "scimmy-routers";

const password = process.env.PASSWORD;

function store(type) {
  const resources = new Map();
  type.ingress((resource, data) => {
    const id = resource.id ?? randomUUID();
    const now = new Date().toISOString();
    const existing = resources.get(id);
    if (resource.id && !existing) throw new SCIMMY.Types.Error(404, null, `no ${id}`);
    const stored = { ...JSON.parse(JSON.stringify(data)), id };
    stored.meta = { created: existing?.meta.created ?? now, lastModified: now };
    resources.set(id, stored);
    return stored;
  });
  type.egress((resource) => {
    if (!resource.id) return [...resources.values()];
    const found = resources.get(resource.id);
    if (!found) throw new SCIMMY.Types.Error(404, null, `no ${resource.id}`);
    return found;
  });
  type.degress((resource) => {
    if (!resources.delete(resource.id)) throw new SCIMMY.Types.Error(404, null, `no ${resource.id}`);
  });
}

SCIMMY.Resources.declare(SCIMMY.Resources.User);
SCIMMY.Resources.declare(SCIMMY.Resources.Group);
store(SCIMMY.Resources.User);
store(SCIMMY.Resources.Group);

const expected = `Basic ${Buffer.from(`okta:${password}`).toString("base64")}`;
const app = express();
app.use(
  "/scim/v2",
  new SCIMMYRouters({
    type: "basic",
    handler: (request) => {
      if (request.header("authorization") !== expected) throw new Error("wrong user name or password");
      return "okta";
    },
  }),
);
const server = app.listen(0, "127.0.0.1", () => {
  console.log(`Endpoint URL:  http://127.0.0.1:${server.address().port}/scim/v2`);
});
