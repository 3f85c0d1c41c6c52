"""The document of the API, as tests ask it."""
import re

import pytest
import yaml
from control_plane import REPOSITORY

METHODS = ("get", "post", "put", "patch", "delete")


def load():
    with open(f"{REPOSITORY}/src/cp/openapi.yaml", encoding="utf-8") as file:
        return yaml.safe_load(file)


DOCUMENT = load()


def resolve(thing):
    while "$ref" in thing:
        found = DOCUMENT
        for step in thing["$ref"].removeprefix("#/").split("/"):
            found = found[step]
        thing = found
    return thing


class Operation:
    def __init__(self, method, path, shared, told):
        self.method, self.path, self.told = method.upper(), path, told
        self.parameters = [resolve(one) for one in shared + told.get("parameters", [])]
        self.codes = {int(code) for code in told["responses"]}
        security = told.get("security", DOCUMENT["security"])
        self.open = security == [] or {} in security
        self.for_keys = self.open or any("apiKey" in one for one in security)
        self.for_admins = path.startswith("/v1/admin/")
        self.is_stream = 101 in self.codes or path.endswith("/events/stream")
        self.takes_json = "application/json" in told.get("requestBody", {}).get("content", {})
        # A path with fewer parameters is the better match, as in the router.
        self.pattern = re.compile("/".join("[^/]+" if "{" in part else re.escape(part) for part in path.split("/")))

    def __repr__(self):
        return f"{self.method} {self.path}"

    def filled(self, things):
        """The path with ids; unknown parameters get a word."""
        path, kind = self.path, "/".join(self.path.split("/")[2:4 if self.for_admins else 3])
        for one in self.parameters:
            if one["in"] == "path":
                path = path.replace("{%s}" % one["name"], things.get((kind, one["name"])) or things.get(one["name"]) or "word")
        return path


OPERATIONS = [Operation(method, path, item.get("parameters", []), item[method])
              for path, item in DOCUMENT["paths"].items() for method in METHODS if method in item]


def each(operations):
    """A test for each of them."""
    return pytest.mark.parametrize("operation", operations, ids=repr)


def operation_of(method, target):
    """That which answers a request; None for what the document does not know."""
    path = target.partition("?")[0]
    found = [one for one in OPERATIONS if one.method == method and one.pattern.fullmatch(path)]
    return min(found, key=lambda one: one.path.count("{"), default=None)
