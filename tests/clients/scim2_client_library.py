"""Uses the service as an application with the library scim2-client does. Ends with an error at the first difference.

Arguments: the endpoint URL. The environment variable AUTHORIZATION holds the header.
"""

import os
import sys
from typing import Union

import httpx2
from scim2_client.engines.httpx2 import SyncSCIMClient
from scim2_models import BulkOperation, BulkRequest, Error, PatchOp, PatchOperation, SearchRequest


def main(url):
    http = httpx2.Client(base_url=url, headers={"Authorization": os.environ["AUTHORIZATION"]}, trust_env=False)
    client = SyncSCIMClient(http)
    client.discover()
    user_model, group_model = client.get_resource_model("User"), client.get_resource_model("Group")

    ann = client.create(user_model(user_name="ann@example.com", emails=[{"type": "work", "value": "ann@example.com"}]))
    assert ann.id and ann.meta.location == f"{url}/Users/{ann.id}", ann
    assert [user.id for user in client.query(user_model).resources] == [ann.id]
    for name, ids in [("ANN@example.com", [ann.id]), ("bob@example.com", [])]:
        found = client.query(user_model, query_parameters=SearchRequest(filter=f'userName eq "{name}"'))
        assert [user.id for user in found.resources or []] == ids, found

    group = client.create(group_model(display_name="Guides", members=[{"value": ann.id}]))
    assert [member.value for member in group.members] == [ann.id], group

    change = PatchOp[user_model](
        operations=[
            PatchOperation[user_model](op="replace", path="title", value="Guide"),
            PatchOperation[user_model](op="replace", path='emails[type eq "work"].value', value="a@example.com"),
        ]
    )
    # The client sends the version that it read. The group has changed the version.
    changed = client.modify(client.query(user_model, ann.id), change)
    assert (changed.title, changed.emails[0].value) == ("Guide", "a@example.com"), changed

    created = client.bulk(
        BulkRequest[Union[user_model, group_model]](
            operations=[
                BulkOperation[user_model](
                    method="POST", path="/Users", bulk_id="bob", data=user_model(user_name="bob@example.com")
                ),
                BulkOperation[group_model](
                    method="PATCH",
                    path=f"/Groups/{group.id}",
                    data=PatchOp[group_model](
                        operations=[
                            PatchOperation[group_model](op="add", path="members", value=[{"value": "bulkId:bob"}])
                        ]
                    ),
                ),
            ]
        )
    )
    assert [str(operation.status) for operation in created.operations] == ["201", "200"], created
    bob = str(created.operations[0].location).rsplit("/", 1)[1]
    members = client.query(group_model, group.id).members
    assert {member.value for member in members} == {ann.id, bob}, members

    for model, resource in [(group_model, group.id), (user_model, ann.id), (user_model, bob)]:
        client.delete(model, resource)
        answer = client.query(model, resource, raise_scim_errors=False)
        assert isinstance(answer, Error) and answer.status == 404, answer
    assert client.query(user_model).total_results == 0
    print("complete")


main(sys.argv[1])
