"""Errors of the API and of the tools for agents name their own parameters, and teach no command line."""

import re
from typing import Any

import pytest

from pixfind import errors
from pixfind.server import error_handlers, error_terms
from pixfind.server.error_terms import AGENTS, API

_OPTION = re.compile(r"(?<!\S)(--[a-z]|-k\b)")
_COMMAND = re.compile(r"`pixfind (?!search)[^`]*`")


@pytest.mark.parametrize(
    ("asked", "parameter"),
    [
        ("after=foo", "after"),
        ("before=foo", "before"),
        ("after=2022&before=2021", "before"),
        ("after=two+hours+ago", "after"),
        ("added_after=foo", "added_after"),
        ("added_before=foo", "added_before"),
        ("added_after=2022&added_before=2021", "added_before"),
        ("min_size=-1", "min_size"),
        ("max_size=0", "max_size"),
        ("min_size=20&max_size=10", "max_size"),
        ("near=somewhere", "near"),
        ("where=nothing", "where"),
        ("label=nothing", "label"),
        ("in=%20", "in"),
        ("camera=%20", "camera"),
    ],
)
def test_a_filter_that_is_refused_is_named_as_the_api_names_it(client: Any, asked: str, parameter: str) -> None:
    error = client.json(f"/api/v1/search?{asked}", 400)["error"]

    assert error["message"].startswith(f"{parameter} cannot be ")
    assert parameter == error["values"]["option"]
    assert not _OPTION.search(error["message"])


def test_the_other_parameter_is_named_too() -> None:
    refused = errors.InvalidFilter(option="--before", value="--after", detail="that is not later than --after 2022")

    assert "before cannot be '--after': that is not later than after 2022." == API.message(refused)
    assert "--before cannot be '--after': that is not later than --after 2022." == str(refused), "in a terminal"


def test_a_label_that_looks_like_an_option_keeps_its_name() -> None:
    refused = errors.InvalidFilter(option="--label", value="x", detail="the labels are --in, beach")

    assert "label cannot be 'x': the labels are --in, beach." == API.message(refused)


def test_an_agent_reads_the_names_of_its_tools() -> None:
    assert AGENTS.message(errors.InvalidFilter(option="--in", value=" ", detail="-")).startswith("inside cannot be ")
    assert "inside=*" in AGENTS.template(errors.InvalidQuery)
    assert "search_images" in AGENTS.template(errors.ImageNotFound)


@pytest.mark.parametrize("asked", ["q=-a", "q=%22open", "k=500", "q=id:99999"])
def test_a_query_that_is_refused_gets_an_example_of_the_api(client: Any, asked: str) -> None:
    error = client.get(f"/api/v1/search?{asked}", 404 if "id:" in asked else 400).json()["error"]

    assert "pixfind" not in error["message"].replace(str(client.server.log.parent), "")
    assert "/api/v1/search" in error["message"] or "q=beach +sunset" in error["message"]


def test_an_empty_query_is_told_what_shows_all_pictures(client: Any) -> None:
    assert "in=* is all of them" in client.json("/api/v1/search?k=500", 400)["error"]["message"]

    assert 60 == len(client.hits("/api/v1/search?k=500&in=*"))


@pytest.mark.parametrize("terms", [API, AGENTS], ids=["api", "agents"])
@pytest.mark.parametrize("kind", error_handlers._STATUS)
def test_no_error_of_a_request_teaches_the_command_line(
    terms: error_terms.Terms, kind: type[errors.OperationError]
) -> None:
    """But for commands that whoever runs the server gives it, such as build-index."""
    lines = [line for line in terms.template(kind).splitlines() if "pixfind --library" not in line]
    said = _COMMAND.sub("", "\n".join(lines))

    assert "pixfind search" not in said
    assert not _OPTION.search(said)


def test_a_path_that_is_not_there_says_where_the_paths_are(client: Any) -> None:
    assert (
        "There is nothing at /api/v1/nope; /openapi.json describes the API."
        == client.json("/api/v1/nope", 404)["detail"]
    )
    refused = client.send("DELETE", "/api/v1/status", 405).json()["detail"]

    assert refused.startswith("/api/v1/status takes ")
    assert "GET" in refused
