"""Keeps a copy of a directory, and prints it as JSON after each change.

    python3 follow_directory.py https://HOST/okta platform USERNAME:PASSWORD

The tokens are not verified here: the connection is TLS, and only the service has the password. A program that stores
tokens or passes them on has to verify them with the keys at https://HOST/okta/jwks.json.
"""
import base64, json, sys, urllib.error, urllib.request

URL, FEED, CREDENTIALS = sys.argv[1:4]
users, groups = {}, {}  # the username by id; the name and the ids of the members by path

def call(path, body=None):
    headers = {"authorization": "Basic " + base64.b64encode(CREDENTIALS.encode()).decode(), "content-type": "application/json"}
    request = urllib.request.Request(URL + path, json.dumps(body).encode() if body is not None else None, headers)
    try:
        return json.load(urllib.request.urlopen(request, timeout=60))
    except urllib.error.HTTPError as error:
        return None if error.code == 404 and body is None else sys.exit(f"{path}: {error.code} {error.read().decode()}")

def members(path):
    page = call(f"/directory/v1{path}/members?limit=1000&hidden=true")
    while page:
        yield from (member["id"] for member in page["entries"])
        page = page["next"] and call(f"/directory/v1{path}/members?limit=1000&hidden=true&cursor={page['next']}")

def apply(token):
    payload = token.split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    path, id = claims["sub_id"]["uri"].lower(), claims["sub_id"]["uri"].split("/")[2]
    events = {uri.removeprefix("urn:ietf:params:scim:event:"): event for uri, event in claims["events"].items()}
    entry = call("/directory/v1" + path)
    if entry and path.startswith("/users"):
        users[id] = entry["username"]
        current = {f"/groups/{group['id']}" for group in entry["groups"]} | {f"/roles/{role['id']}" for role in entry["roles"]}
        for other, group in groups.items():
            if other not in current:
                group["members"].discard(id)
            elif other.startswith("/groups"):  # a user also has the roles of its groups
                group["members"].add(id)
    elif entry and (path not in groups or "prov:patch:full" not in events):
        groups[path] = {"name": entry["name"], "members": set(members(path))}
    elif entry:
        groups[path]["name"] = entry["name"]
        for operation in events["prov:patch:full"]["data"]["Operations"]:
            if operation["op"] == "add":
                groups[path]["members"].update(value["value"] for value in operation["value"])
            else:
                groups[path]["members"].discard(operation["path"].split('"')[1])
    else:
        users.pop(id, None), groups.pop(path, None)

done = []
while True:
    sets = call(f"/events/v1/{FEED}/poll", {"ack": done})["sets"]
    for token in sets.values():
        apply(token)
    done = list(sets)
    shown = set(users) | {path.split("/")[2] for path in groups}
    copy = {path: {"name": group["name"], "members": sorted(group["members"] & shown)} for path, group in groups.items()}
    print(json.dumps({"users": users, "groups": copy}, sort_keys=True), flush=True)
