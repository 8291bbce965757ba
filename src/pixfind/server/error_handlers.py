"""
Errors as responses: `{"error": {"message", "kind", "position"}}` with the fitting status.

The last place that catches errors of a request. Details of an unexpected error go to the server's terminal, never to the client.
"""

from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from pixfind import errors

_STATUS: dict[type[errors.LibraryError], int] = {
    errors.QueryWrong: 400,
    errors.FilterWrong: 400,
    errors.QueryCancels: 400,
    errors.CountWrong: 400,
    errors.QueryImageWrong: 415,
    errors.NoSuchImage: 404,
    errors.NotEmbedded: 409,
    errors.NothingRunning: 409,
    errors.LibraryLocked: 409,
}
_RETRY_SECONDS = "1"


def response(error: Exception) -> JSONResponse:
    """Return the response to a request that raised `error`."""
    if isinstance(error, errors.RequestError):
        return error_response(error.status, str(error), type(error).__name__, error.fields.get("at"))
    if isinstance(error, errors.LibraryError):
        status = _STATUS.get(type(error), 503)
        return error_response(status, str(error), type(error).__name__, error.fields.get("at"))
    if isinstance(error, errors.ImageProblem):
        return error_response(415, str(error), type(error).__name__)
    if isinstance(error, HTTPException):
        kind = HTTPStatus(error.status_code).phrase.title().replace(" ", "")
        made = error_response(error.status_code, str(error.detail), kind)
        made.headers.update(error.headers or {})
        return made
    if isinstance(error, RequestValidationError):
        return error_response(422, _first(error), "RequestWrong")
    # uvicorn logs the traceback.
    return error_response(500, "This is a bug in pixfind; see the terminal where the server runs.", "Bug")


def error_response(status: int, message: str, kind: str, position: int | None = None) -> JSONResponse:
    """Return the response that every error has: `position` is a character of the query, for errors in one."""
    headers = {"Retry-After": _RETRY_SECONDS} if status in (429, 503) else None
    body = {"error": {"message": message, "kind": kind, "position": position}}
    return JSONResponse(body, status, headers)


def install(app: FastAPI) -> None:
    """Let `app` turn all errors into responses."""

    async def handle(request: Request, error: Exception) -> Response:  # noqa: ARG001  Starlette's signature
        return response(error)

    for kind in (errors.PixfindError, HTTPException, RequestValidationError, Exception):
        app.add_exception_handler(kind, handle)


def _first(error: RequestValidationError) -> str:
    """Return the first problem and its place."""
    found = error.errors()[0]
    place = ".".join(str(part) for part in found["loc"] if part not in ("query", "body", "path"))
    return f"{place or 'the request'}: {found['msg']}"
