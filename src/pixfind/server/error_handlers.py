"""
Errors as answers: `{"error": {"message", "kind", "position"}}` with the status that fits.

Border: one request. What is nobody's fault but ours ends on the server's terminal, and the client is told nothing of it.
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


def answer(error: Exception) -> JSONResponse:
    """Return the answer to a request that raised `error`."""
    if isinstance(error, errors.RequestError):
        return refusal(error.status, str(error), type(error).__name__, error.fields.get("at"))
    if isinstance(error, errors.LibraryError):
        status = _STATUS.get(type(error), 503)
        return refusal(status, str(error), type(error).__name__, error.fields.get("at"))
    if isinstance(error, errors.ImageProblem):
        return refusal(415, str(error), type(error).__name__)
    if isinstance(error, HTTPException):
        kind = HTTPStatus(error.status_code).phrase.title().replace(" ", "")
        made = refusal(error.status_code, str(error.detail), kind)
        made.headers.update(error.headers or {})
        return made
    if isinstance(error, RequestValidationError):
        return refusal(422, _first(error), "RequestWrong")
    # uvicorn logs the traceback; the client is told nothing of it.
    return refusal(500, "This is a bug in pixfind; the terminal where it runs says more.", "Bug")


def refusal(status: int, message: str, kind: str, position: int | None = None) -> JSONResponse:
    """The form of every answer that is no success."""
    headers = {"Retry-After": _RETRY_SECONDS} if status in (429, 503) else None
    body = {"error": {"message": message, "kind": kind, "position": position}}
    return JSONResponse(body, status, headers)


def install(app: FastAPI) -> None:
    """Make all errors of `app` answers."""

    async def handle(request: Request, error: Exception) -> Response:  # noqa: ARG001  Starlette's signature
        return answer(error)

    for kind in (errors.PixfindError, HTTPException, RequestValidationError, Exception):
        app.add_exception_handler(kind, handle)


def _first(error: RequestValidationError) -> str:
    """The first thing that is wrong, and where."""
    found = error.errors()[0]
    place = ".".join(str(part) for part in found["loc"] if part not in ("query", "body", "path"))
    return f"{place or 'the request'}: {found['msg']}"
