"""Errors of `pixfind serve`: requests that it refuses, and the address that it listens on."""

from pixfind.errors.base import OperationError, RequestError


class AddressInUse(OperationError):
    """
    Cannot listen on {host}:{port}: {detail}.
    Use another port with --port, or --port 0 for any free one.
    """

    exit_code = 37


class HostNotHere(OperationError):
    """
    Cannot listen on {host}: {detail}.
    Use an address of this machine with --host: 127.0.0.1 for itself alone, 0.0.0.0 for its networks.
    """

    exit_code = 95


class InvalidTokenFile(OperationError):
    """
    The token file {path} cannot be used: {detail}.
    Name a file that is not there yet, and it is made: pixfind serve --token-file FILE
    """

    exit_code = 60


class ServerWorkerEnded(OperationError):
    """
    A worker of the server {how} before it was ready.
    What it said stands above. Try with one: pixfind serve
    """

    exit_code = 93


class ServerWorkerNotStarted(OperationError):
    """
    A worker of the server could not be started: {detail}.
    End other programs, or serve with one: pixfind serve
    """

    exit_code = 73


class OneProcessOnly(OperationError):
    """
    {workers} workers cannot share an address on Windows.
    Leave out --workers: pixfind serve
    """

    exit_code = 94


class Overloaded(RequestError):
    """The server is overloaded. Retry in a second."""

    status = 503


class PathNotAllowed(RequestError):
    """
    The query names a file, and the server opens no files by name.
    Upload the picture, use id:NUMBER for an image of the library, or quote words: "{value}"
    """


class OutsideRoots(RequestError):
    """The file of image {image_id} is a link that leads out of the registered folders; it is not served."""

    status = 403


class NotAPicture(RequestError):
    """The file of image {image_id} is not a picture; it is not served."""

    status = 415


class FileUnavailable(RequestError):
    """The file of image {image_id} cannot be read: {detail}."""

    status = 404


class NoThumbnail(RequestError):
    """There is no thumbnail of image {image_id}: {detail}."""

    status = 415


class AlreadyRunning(RequestError):
    """`pixfind {verb}` (process {pid}) is already running on this library. Wait until it ends, or stop it."""

    status = 409


class ControlForbidden(RequestError):
    """The server's user cannot write to the library, so embedding cannot be controlled from here."""

    status = 403


class EmbedElsewhere(RequestError):
    """
    This server searches several libraries ({names}) and embeds none, so it cannot {action}.
    Run it for one: pixfind --library LIBRARY index
    """

    status = 403


class LibrarySilent(RequestError):
    """The library {library}, which has this image, did not answer: {detail}."""

    status = 504


class NotOneLibrary(RequestError):
    """
    This server searches several libraries ({names}), and a collection cannot be a library of a different one.
    Name its libraries in collection.toml instead.
    """

    status = 404


class LibraryTooLargeForMap(RequestError):
    """The map shows libraries of up to {limit:,} images. Filter by a place instead: near=LATITUDE,LONGITUDE,KM"""

    status = 422


class NoSimilarityMap(RequestError):
    """
    There is no similarity map: {detail}.
    {advice}
    """

    status = 404


class RootsForbidden(RequestError):
    """
    Folders are added only where a token keeps others out: whoever adds one can look at the pictures in it.
    Add it in a terminal, pixfind index FOLDER, or start the server without --no-token.
    """

    status = 403


class PayloadTooLarge(RequestError):
    """The request body is over the limit of {limit:,} bytes."""

    status = 413


class UploadTooLarge(RequestError):
    """The picture has {megapixels:.9g} megapixels, over the limit of {limit:.9g} for uploads on this server. Send a smaller copy."""

    status = 413


class DecodingFailed(RequestError):
    """The picture is not decoded: its decoder {detail}."""

    status = 422


class RequestTimeout(RequestError):
    """The request body did not arrive within {seconds:.0f} s."""

    status = 408


class EmptyBody(RequestError):
    """The request body is empty; it should be a picture."""


class HostNotAllowed(RequestError):
    """
    This server does not answer as {host}. Open the address that the terminal shows.
    To use another name, start it with: pixfind serve --allow-host NAME
    """

    status = 403


class OriginNotAllowed(RequestError):
    """The request came from a page of another site ({origin}); only this server's own page may send it."""

    status = 403


class InvalidToken(RequestError):
    """
    The token is missing or wrong.
    Open the address that the terminal showed when the server started. Programs send the header Authorization: Bearer TOKEN;
    the token is in serve-PORT.token in the library, or in the file that --token-file named.
    """

    status = 401


class TooManyRequests(RequestError):
    """Too many requests from this client. Retry in a second."""

    status = 429


class InvalidRequest(RequestError):
    """Invalid request: {detail}."""


class ModelNotServed(RequestError):
    """This library uses the model {known}, not {model}. Use {known}, or "pixfind"."""

    status = 404


class SelectionTooLarge(RequestError):
    """
    The selection has {megabytes:,.0f} MB, and a zip takes {max_megabytes:,.0f} MB and at most {max_count:,} pictures.
    Download them in parts, or copy their paths.
    """

    status = 413


class FilesUnavailable(RequestError):
    """
    {count:,} of {total:,} pictures cannot be read now, the first of them because: {detail}
    Leave them out of the selection, or plug their drive in.
    """

    status = 404
