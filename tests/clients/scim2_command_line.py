"""Uses the service as a person with the command scim2 does. Ends with an error at the first difference.

Arguments: the endpoint URL. The environment variable AUTHORIZATION holds the header.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

SCIM2 = Path(sys.executable).with_name("scim2")


def scim2(url, *arguments, sent=None):
    """Runs a command, and returns its exit code and the JSON that it prints."""
    environment = {**os.environ, "SCIM_CLI_HEADERS": "Authorization: " + os.environ["AUTHORIZATION"], "NO_COLOR": "1"}
    sent = None if sent is None else json.dumps(sent)
    options = {"input": sent} if sent else {"stdin": subprocess.DEVNULL}
    done = subprocess.run([SCIM2, "--url", url, *arguments], env=environment, capture_output=True, text=True, **options)
    try:
        return done.returncode, json.loads(done.stdout) if done.stdout.strip() else None
    except json.JSONDecodeError:
        raise AssertionError(f"{arguments}: {done.stdout}{done.stderr}") from None


def main(url):
    def succeed(*arguments, sent=None):
        code, answer = scim2(url, *arguments, sent=sent)
        assert code == 0, (arguments, answer)
        return answer

    ann = succeed("create", "user", "--user-name", "ann@example.com", "--display-name", "Ann")
    assert ann["userName"] == "ann@example.com" and ann["id"], ann
    assert succeed("query", "user")["totalResults"] == 1
    for name, total in [("ANN@example.com", 1), ("bob@example.com", 0)]:
        found = succeed("query", "user", "--filter", f'userName eq "{name}"')
        assert found["totalResults"] == total, found
    found = succeed("search", "user", sent={"filter": 'userName eq "ann@example.com"'})
    assert found["totalResults"] == 1, found

    group = succeed("create", "group", "--display-name", "Guides")
    value = json.dumps([{"value": ann["id"]}])
    group = succeed("modify", "group", group["id"], "add", "members", value)
    assert [member["value"] for member in group["members"]] == [ann["id"]], group
    ann = succeed("modify", "user", ann["id"], "replace", "displayName", "Ann Ash", "replace", "active", "false")
    assert (ann["displayName"], ann["active"]) == ("Ann Ash", False), ann

    schemas = ["urn:ietf:params:scim:schemas:core:2.0:User"]
    operations = [
        {"method": "POST", "path": "/Users", "bulkId": "bob", "data": {"schemas": schemas, "userName": "bob@example.com"}},
        {"method": "DELETE", "path": f"/Groups/{group['id']}"},
    ]
    created = succeed(
        "bulk", sent={"schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"], "Operations": operations}
    )
    assert [str(operation["status"]) for operation in created["Operations"]] == ["201", "204"], created
    bob = created["Operations"][0]["location"].rsplit("/", 1)[1]

    for user in [ann["id"], bob]:
        succeed("delete", "user", user)
        code, answer = scim2(url, "query", "user", user)
        assert answer["status"] == "404", (code, answer)
    assert succeed("query", "user")["totalResults"] == 0
    print("complete")


main(sys.argv[1])
