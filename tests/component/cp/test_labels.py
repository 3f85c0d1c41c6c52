"""What users write on their capsules, and finding them by it."""
import pytest


def create(plane, **metadata):
    answer = plane.post("/v1/capsules", {"metadata": metadata})
    assert answer.status == 201, answer.body
    return answer.json


def ids(plane, query, key=None):
    answer = plane.get(f"/v1/capsules?{query}", **({"key": key} if key else {}))
    assert answer.status == 200, answer.body
    return {one["id"] for one in answer.json}


def test_they_stand_on_the_capsule(shared):
    made = create(shared, user="alice", app="shop")
    assert made["metadata"].items() >= {"user": "alice", "app": "shop"}.items()
    again = shared.get(f"/v1/capsules/{made['id']}").json["metadata"]
    assert again.items() >= {"user": "alice", "app": "shop"}.items()
    request = [request for method, request in shared.agent.calls if method == "CreateSandbox"][-1]
    assert request["metadata"] == {"user": "alice", "app": "shop"}  # so its host knows them, too


def test_find(shared):
    one, two, three = (create(shared, **labels)["id"] for labels in ({"job": "a", "run": "1"}, {"job": "a", "run": "2"}, {"job": "b", "run": "1"}))
    assert ids(shared, "metadata=job%3Da") == {one, two}
    assert ids(shared, "metadata=job=a&metadata=run=1") == {one}
    assert ids(shared, "metadata=job=b") == {three}
    assert ids(shared, "metadata=job=c") == set()
    assert ids(shared, "") >= {one, two, three}
    assert shared.delete(f"/v1/capsules/{one}").status == 204
    assert ids(shared, "metadata=job=a") == {two}
    assert ids(shared, "metadata=job=a", key=shared.add_key()) == set()  # another team


def test_values_are_taken_as_they_are(shared):
    odd = "a=b&c d%é'\"\\;--"
    made = create(shared, odd=odd, empty="")
    from urllib.parse import urlencode
    assert ids(shared, urlencode({"metadata": "odd=" + odd})) == {made["id"]}
    assert made["id"] in ids(shared, "metadata=empty%3D")


def test_children_have_their_own(shared):
    parent = create(shared, role="parent")["id"]
    answer = shared.post(f"/v1/capsules/{parent}/fork", {"count": 2, "metadata": {"role": "child"}})
    assert answer.status == 201, answer.body
    assert ids(shared, "metadata=role=child") == {one["id"] for one in answer.json["capsules"]}
    assert ids(shared, "metadata=role=parent") == {parent}


@pytest.mark.parametrize("metadata", [{"x": 1}, {"": "x"}, {"x" * 65: "y"}, {"x": "y" * 513}, {"reason": "x"}, {"envd_version": "1"}, ["x"],
                                      {str(n): "x" for n in range(33)}, {"x": "a\u0000b"}])
def test_refused(shared, metadata):
    answer = shared.post("/v1/capsules", {"metadata": metadata})
    assert (answer.status, answer.code) == (400, "invalid_request")


@pytest.mark.parametrize("query", ["metadata=x", "metadata==x", "metadata=x=1&metadata=x=2"])
def test_filters_refused(shared, query):
    answer = shared.get(f"/v1/capsules?{query}")
    assert (answer.status, answer.code) == (400, "invalid_request")
