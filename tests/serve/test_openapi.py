"""The OpenAPI description, and thousands of requests that it allows and that it does not."""

import dataclasses
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pixfind.library.library import Library
from pixfind.workflows import status

_CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
_MIN_REQUESTS = 500


@pytest.mark.timeout(1200)
def test_no_request_that_schemathesis_makes_up_is_a_server_error(drawn: Path, serve: Callable[..., Any]) -> None:
    """The stream of events has no end and is left out. The library is held, so that no `start` starts anything."""
    client = serve(drawn)
    command = [sys.executable, "-m", "schemathesis.cli", "run", f"{client.server.address}/openapi.json", "--no-color"]
    options = [
        "--checks",
        _CHECKS,
        "--phases",
        "coverage,fuzzing",
        "--max-examples",
        "12",
        "--exclude-path",
        "/api/v1/events",
    ]
    with Library.open(drawn, write=True) as library, library.lock("add"):
        done = subprocess.run([*command, *options], capture_output=True, text=True, check=False, cwd=drawn.parent)

    # A request that it made up may be a line of a megabyte.
    told = "\n".join(line[:300] for line in (done.stdout + done.stderr).splitlines())
    assert 0 == done.returncode, told
    counted = re.search(r"(\d+) generated, (\d+) passed", done.stdout)
    assert counted, told
    assert counted[1] == counted[2], told
    assert int(counted[1]) > _MIN_REQUESTS, told


def test_the_description_names_every_route_and_its_errors(client: Any) -> None:
    described = client.get("/openapi.json").json()

    assert {
        "/api/v1/search", "/api/v1/images/{image_id}", "/api/v1/images/{image_id}/thumbnail", "/api/v1/images/{image_id}/file",
        "/api/v1/images/{image_id}/similar", "/api/v1/status", "/api/v1/failures", "/api/v1/events", "/api/v1/embed", "/healthz", "/metrics",
        "/api/v1/selection", "/api/v1/selection/zip", "/api/v1/selection/sheet", "/api/v1/timeline", "/api/v1/facets", "/api/v1/folders",
        "/api/v1/places", "/api/v1/similarity", "/api/v1/roots", "/api/v1/runs/last", "/api/v1/albums",
        "/v1/embeddings", "/v1/models", "/v1/models/{name}", "/knn-service", "/indices-list",
        "/api/v1/member/state", "/api/v1/member/nearest", "/api/v1/member/embedding", "/api/v1/member/metadata", "/api/v1/member/facets",
    } == set(described["paths"])  # fmt: skip
    assert {"get", "post"} == set(described["paths"]["/api/v1/search"])
    assert [{"token": []}, {"session": []}] == described["security"]
    names = [method["operationId"] for methods in described["paths"].values() for method in methods.values()]
    assert "search_search_by_picture" in names
    assert len(set(names)) == len(names)
    for path, methods in described["paths"].items():
        for method in methods.values():
            assert method["description"], path
            assert "ErrorResponse" in str(method["responses"]["4XX"])


def test_every_field_and_every_parameter_has_a_description(client: Any) -> None:
    described = client.json("/openapi.json")
    undescribed = [
        place
        for place, part in [*_fields(described["components"]["schemas"]), *_parameters(described["paths"])]
        if not part.get("description")
    ]

    assert [] == undescribed


def test_dates_and_places_have_examples_that_the_server_takes(client: Any) -> None:
    described = client.json("/openapi.json")["paths"]["/api/v1/search"]["get"]["parameters"]
    examples = {each["name"]: each["schema"].get("examples", []) for each in described}

    for name in ("after", "before", "added_after", "added_before", "near", "in"):
        assert examples[name], name
        for example in examples[name]:
            client.get("/api/v1/search", params={name: example})


def test_the_description_names_its_server(client: Any) -> None:
    assert ["/"] == [server["url"] for server in client.json("/openapi.json")["servers"]]


def _fields(schemas: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The fields of schemas by name, and those of objects in them."""
    for name, schema in schemas.items():
        inner = {f"{name}.{field}": part for field, part in schema.get("properties", {}).items()}
        yield from inner.items()
        yield from _fields(inner)
        if isinstance(schema.get("items"), dict):
            yield from _fields({f"{name}[]": schema["items"]})


def _parameters(paths: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The parameters of all requests, and the fields of their bodies."""
    for path, methods in paths.items():
        for method, operation in methods.items():
            place = f"{method} {path}"
            yield from ((f"{place} {each['name']}", each) for each in operation.get("parameters", []))
            bodies = operation.get("requestBody", {}).get("content", {}).values()
            for body in bodies:
                yield from _fields({place: body["schema"]})


def test_the_description_loads_nothing_from_elsewhere(client: Any) -> None:
    for path in ("/docs", "/redoc"):
        client.get(path, 404)


def test_every_field_of_the_status_is_described(client: Any) -> None:
    described = client.get("/openapi.json").json()["components"]["schemas"]["Status"]["properties"]

    assert set(client.get("/api/status").json()) == set(described)
    assert {field.name for field in dataclasses.fields(status.Status)} - {"paused"} <= set(described)
