"""Errors of `pixfind serve`: requests that it refuses, and the address that it listens on."""

from pixfind.errors.base import LibraryError, RequestError


class AddressTaken(LibraryError):
    """
    {host}:{port} cannot be listened on: {detail}.
    Give another port with --port, or --port 0 for any free one.
    """

    exit_code = 37


class Busy(RequestError):
    """The server has more to do than it can. Ask again in a second."""

    status = 503


class PathRefused(RequestError):
    """
    The query names a file, and a server opens no file by its name.
    Upload the picture, use id:NUMBER for one of the library, or write words in quotes: "{value}"
    """


class NoImage(RequestError):
    """There is no image with id {image_id} in this library."""

    status = 404


class OutsideRoots(RequestError):
    """The file of image {image_id} lies outside the folder it was registered in; it is not served."""

    status = 403


class NotAPicture(RequestError):
    """The file of image {image_id} shows no picture; it is not served."""

    status = 415


class NotThere(RequestError):
    """The file of image {image_id} cannot be read now: {detail}."""

    status = 404


class NoThumbnail(RequestError):
    """There is no thumbnail of image {image_id}: {detail}."""

    status = 415


class AlreadyRunning(RequestError):
    """`pixfind {verb}` (process {pid}) is at work on this library. Wait for it, or stop it."""

    status = 409


class ControlForbidden(RequestError):
    """The user who runs this server cannot write the library, so nothing can be embedded from here."""

    status = 403


class TooMuch(RequestError):
    """The body is over the limit of {limit:,} bytes."""

    status = 413


class TooSlow(RequestError):
    """The body did not arrive within {seconds:.0f} s."""

    status = 408


class NoBody(RequestError):
    """The body is empty: a picture should be in it."""


class HostRefused(RequestError):
    """
    This server is not {host}. Open it by the address that the terminal shows.
    If it is reached by another name, start it with: pixfind serve --allow-host NAME
    """

    status = 403


class OriginRefused(RequestError):
    """A page of another site ({origin}) asked; only this server's own page may."""

    status = 403


class TokenMissing(RequestError):
    """
    The token is missing or wrong.
    Open the address that the terminal showed when the server started, or send the header Authorization: Bearer TOKEN.
    """

    status = 401


class TooMany(RequestError):
    """Too many requests from this client. Ask again in a second."""

    status = 429


class InputWrong(RequestError):
    """The request cannot be read: {detail}."""


class OtherModelAsked(RequestError):
    """This library has the model {known}, not {model}. Ask for {known}, or for "pixfind"."""

    status = 404
