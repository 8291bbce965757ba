"""
Errors as responses: `{"error": {"message", "kind", "former_kind", "position", "values"}}` with the fitting status, and beside it the members of
problem details (RFC 9457).

The last place that catches errors of a request; they are said in the terms of the API (`error_terms`). Details of an unexpected error go to the
server's terminal, never to the client.
"""

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from pixfind import errors
from pixfind.errors import former
from pixfind.server import error_terms, error_values

_STATUS: dict[type[errors.OperationError], int] = {
    errors.InvalidQuery: 400,
    errors.InvalidFilter: 400,
    errors.QueryCancelsOut: 400,
    errors.InvalidCount: 400,
    errors.InvalidAlbum: 400,
    errors.AlbumNotFound: 404,
    errors.InvalidQueryImage: 415,
    errors.ImageNotFound: 404,
    errors.NotEmbedded: 409,
    errors.NothingRunning: 409,
    errors.LibraryLocked: 409,
    errors.FolderNotReadable: 400,
    errors.WordsNotIndexed: 409,
    errors.LibrariesDiffer: 409,
    errors.NotForCollections: 400,
    errors.TooManyHits: 400,
    errors.CollectionUnavailable: 504,
}
_RETRY_SECONDS = "1"
_NO_ROUTE: Final = (HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED)
_SHOWN_CHARACTERS: Final = 200
"""of a path that may be long"""

PROBLEM: Final = "application/problem+json"
"""media type of problem details"""


def response(error: Exception) -> JSONResponse:
    """Return the response to a request that raised `error`."""
    if isinstance(error, errors.RequestError):
        return _named(error, error.status)
    if isinstance(error, errors.OperationError):
        return _named(error, _STATUS.get(type(error), 503))
    if isinstance(error, errors.ImageProblem):
        return _named(error, 415)
    if isinstance(error, HTTPException):
        kind = HTTPStatus(error.status_code).phrase.title().replace(" ", "")
        made = error_response(error.status_code, str(error.detail), kind)
        made.headers.update(error.headers or {})
        return made
    if isinstance(error, RequestValidationError):
        return error_response(422, _first(error), "InvalidRequest", former_kind="RequestWrong")
    # uvicorn logs the traceback.
    return error_response(500, "This is a bug in pixfind; see the terminal where the server runs.", "Bug")


def _named(error: errors.PixfindError, status: int) -> JSONResponse:
    kind, fields = type(error).__name__, error.fields
    made = error_values.values(error_terms.API.renamed(error))
    return error_response(
        status,
        error_terms.API.message(error),
        kind,
        fields.get("at"),
        former_kind=fields.get("former_kind"),
        values=made,
    )


def error_response(
    status: int,
    message: str,
    kind: str,
    position: int | None = None,
    *,
    former_kind: str | None = None,
    values: Mapping[str, str | float] | None = None,
) -> JSONResponse:
    """
    Return the response that every error has: `position` is a character of the query, for errors in one, and `values` stand in the message.

    `former_kind` is the name in version 0.1; None: the one in `errors.former`.
    """
    headers = {"Retry-After": _RETRY_SECONDS} if status in (429, 503) else None
    former_kind = former_kind or former.kind(kind)
    body = {
        # A name and no address: nothing of ours answers one.
        "type": f"urn:pixfind:error:{kind}",
        "title": _words(kind),
        "status": status,
        "detail": message,
        "error": {
            "message": message,
            "kind": kind,
            "former_kind": former_kind,
            "position": position,
            "values": values or {},
        },
    }
    return JSONResponse(body, status, headers)


def _words(kind: str) -> str:
    """Return the name of an error as words: "Too many requests"."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", kind).capitalize()


def as_asked(headers: Mapping[str, str], response: Response) -> Response:
    """Give an error the media type of problem details where the request's Accept names it; other clients expect JSON."""
    if PROBLEM in headers.get("accept", ""):
        response.headers["content-type"] = PROBLEM
    return response


def install(app: FastAPI) -> None:
    """Let `app` turn all errors into responses."""

    async def handle(request: Request, error: Exception) -> Response:
        if isinstance(error, HTTPException) and error.status_code in _NO_ROUTE:
            error = HTTPException(error.status_code, _no_route(request, error), error.headers)
        return as_asked(request.headers, response(error))

    for kind in (errors.PixfindError, HTTPException, RequestValidationError, Exception):
        app.add_exception_handler(kind, handle)


def _no_route(request: Request, error: HTTPException) -> str:
    """Say what the framework only names by its status: nothing is there, or it takes other methods."""
    path = request.url.path[:_SHOWN_CHARACTERS]
    if error.status_code == HTTPStatus.NOT_FOUND:
        return f"There is nothing at {path}; /openapi.json describes the API."
    return f"{path} takes {(error.headers or {}).get('Allow', 'other methods')}, and no {request.method}; /openapi.json describes the API."


def _first(error: RequestValidationError) -> str:
    """Return the first problem and its place."""
    found = error.errors()[0]
    place = ".".join(str(part) for part in found["loc"] if part not in ("query", "body", "path"))
    return f"{place or 'the request'}: {found['msg']}"
