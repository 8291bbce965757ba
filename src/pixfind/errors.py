"""
Every error that a user can meet.

The docstring of a class is its message: it says what, where, and the next command.
An `ImageProblem` is about one file: it is recorded and counted and never stops a run.
A `LibraryError` stops the command; its `exit_code` is listed in docs/reference/errors.md.
A `RequestError` refuses one request to `pixfind serve`, with its HTTP `status`.
An `OSError` on a user's file becomes the first; on our own files it is never swallowed.
"""

import inspect
from typing import Any, ClassVar


class PixfindError(Exception):
    """An error without a message. This is a bug in pixfind; please report it."""

    def __init__(self, **fields: Any) -> None:
        super().__init__(fields)
        self.fields = fields

    def __str__(self) -> str:
        template = inspect.cleandoc(type(self).__doc__ or "")
        return template.format(**self.fields)

    def __reduce__(self) -> tuple[Any, ...]:
        # Exceptions with keyword arguments do not pickle by themselves.
        return (_rebuild, (type(self), self.fields))


def _rebuild(kind: type[PixfindError], fields: dict[str, Any]) -> PixfindError:
    return kind(**fields)


# --- one image ------------------------------------------------------------------------------------


class ImageProblem(PixfindError):
    """Cannot be embedded: {detail}"""

    #: Tried again by the next run, because the file itself may be fine.
    transient: ClassVar[bool] = False
    #: Left out by a rule of ours, not because the file is broken.
    skipped: ClassVar[bool] = False


class NotAnImage(ImageProblem):
    """not an image: no decoder knows these bytes"""


class EmptyFile(ImageProblem):
    """empty file"""


class NotAFile(ImageProblem):
    """not a file: a pipe, a device or a folder lies in its place"""

    transient = True


class Truncated(ImageProblem):
    """truncated: {detail}"""


class Damaged(ImageProblem):
    """damaged: {detail}"""


class TooLarge(ImageProblem):
    """too large: {megapixels:g} MP is over the limit of {limit:g} MP; raise it with --max-megapixels"""

    skipped = True


class Unreadable(ImageProblem):
    """unreadable: {detail}"""

    transient = True


class Vanished(ImageProblem):
    """vanished: the file was there when it was registered"""

    transient = True


class KeepsChanging(ImageProblem):
    """keeps changing while it is read"""

    transient = True


class ChangedSince(ImageProblem):
    """changed since it was registered"""

    transient = True


class NoEmbedding(ImageProblem):
    """no embedding: the model gave something that is not a number for it"""


class KillsTheDecoder(ImageProblem):
    """kills the decoder: workers died on it again and again ({detail})"""


class TakesTooLong(ImageProblem):
    """takes too long: not decoded within {seconds:.0f} s"""


# --- the library ----------------------------------------------------------------------------------


class LibraryError(PixfindError):
    """The library cannot be used: {detail}"""

    exit_code: ClassVar[int] = 3


# --- how a command was called ---------------------------------------------------------------------


class WrongUsage(LibraryError):
    """Wrong usage: {detail}"""

    exit_code = 2


class OptionsExclude(WrongUsage):
    """
    {first} cannot be used with {second}: {detail}.
    {instead}
    """


class OptionNeeds(WrongUsage):
    """
    {first} does nothing without {second}.
    {instead}
    """


class NothingToIndex(WrongUsage):
    """
    There is no library in {path} yet, and no folder was named.
    Name one with pictures: pixfind index FOLDER
    """


class LibraryIsFile(WrongUsage):
    """
    {path} is a file, and a library is a folder.
    Name another place: pixfind --library DIR ...
    """


class TooLittleMemory(WrongUsage):
    """
    --memory {asked} is too little for {workers} workers: each needs {least} for a model and a picture.
    Give at least {enough}, or fewer workers.
    """


class OutputRefused(LibraryError):
    """
    {path} cannot be written to: {detail}.
    Name another file, or - for standard output.
    """

    exit_code = 45


# --- models ---------------------------------------------------------------------------------------


class ModelMissing(LibraryError):
    """
    The model {name} is not on this machine and could not be fetched: {detail}.
    It would be kept in {folder}.
    Connect once and try again, or use --model starter, or --model DIR with a folder that holds the model's files.
    """

    exit_code = 20


class UnknownModel(LibraryError):
    """
    {name} is no model: it is neither in the table, nor OWNER/REPO of a hub, nor a folder.
    `pixfind models` prints the table: {known}.
    """

    exit_code = 21


class ModelFileMissing(LibraryError):
    """
    {directory} is not a whole model: {file} is missing.
    Copy the model again with all its files, or give another one with --model.
    """

    exit_code = 22


class ModelFileWrong(LibraryError):
    """
    {path} cannot be used: {detail}.
    Take the file as the model's author publishes it, or give another model with --model.
    """

    exit_code = 23


class DownloadDamaged(LibraryError):
    """
    {file} of {repo} came with other bytes than the hub announced ({detail}); it was thrown away.
    Run the same command again; if it happens twice, something between here and the hub changes files.
    """

    exit_code = 24


class UnsafeModelFile(LibraryError):
    """
    {path} is refused: {detail}. Only ONNX and safetensors are loaded, because they cannot run code.
    Give an ONNX export of the model with --model.
    """

    exit_code = 25


class DeviceMissing(LibraryError):
    """
    The device {device} was asked for, but {detail}.
    Install what it needs, or leave --device out to use {instead}.
    """

    exit_code = 26


class PrecisionMissing(LibraryError):
    """
    The precision {precision} cannot be used: {detail}.
    Use --precision auto, or `pixfind tune` to see what this machine can do.
    """

    exit_code = 27


class ExtraMissing(LibraryError):
    """
    {what} needs the package {package}.
    Install it with: pip install 'pixfind[{extra}]'
    """

    exit_code = 28


class RuntimeTooOld(LibraryError):
    """
    {path} is written for opset {opset} of ONNX, which {library} runs from version {needed} on; {installed} is installed.
    Install it with: pip install --upgrade '{library}>={needed}'
    """

    exit_code = 38


class NotFinite(LibraryError):
    """
    The model {name} in {precision} gave an embedding that is not a number (rows {rows} of the batch).
    Use --precision fp32; if it happens there too, the model's files are damaged.
    """

    exit_code = 29


class NoLibrary(LibraryError):
    """
    There is no library in {path}.
    Make one with: pixfind --library {path} index FOLDER
    """

    exit_code = 3


class LibraryLocked(LibraryError):
    """
    {path} is in use by `pixfind {verb}` (process {pid} on {host}, since {since}).
    Wait for it, watch it with `pixfind status --watch`, or end it with `pixfind stop`.
    """

    exit_code = 4


class WorkerFilesBusy(LibraryError):
    """
    {path} is being written by another process that calls itself worker {worker}.
    Wait until it has ended, or give this one another number.
    """

    exit_code = 5


class DiskFull(LibraryError):
    """
    No room to write {path} ({detail}). All that was saved before is kept.
    Make room, then run the same command again: it goes on where it stood.
    """

    exit_code = 6


class LibraryDamaged(LibraryError):
    """
    {path} is damaged: {detail}.
    Find out how much with `pixfind verify`; mend what can be derived with `pixfind verify --repair`.
    """

    exit_code = 7


class LinkInLibrary(LibraryError):
    """
    {path} is a link, and a library holds none: what is written there would land elsewhere.
    Put the file or folder itself in its place. To keep a library on another disk, move all of it and name it with --library.
    """

    exit_code = 47


class MergeRefused(LibraryError):
    """
    Row {row} of {path} does not fit: {detail}. Nothing was merged from there on.
    `pixfind verify --repair` sets the images concerned to pending; the next `pixfind embed` embeds them again.
    """

    exit_code = 8


class NewerLibrary(LibraryError):
    """
    {path} was written by a newer pixfind (format {found}; this one knows {known}).
    Upgrade pixfind.
    """

    exit_code = 9


class OtherModel(LibraryError):
    """
    This library was embedded with {library_model}; embeddings from {asked_model} are incompatible with it.
    Leave out --model, or switch the model without losing search: pixfind model switch {asked_name}
    """

    exit_code = 10


class OtherPrecision(LibraryError):
    """
    This library was embedded with {model} in {precision}; {asked} makes other embeddings, and the two are never mixed.
    Leave out --precision, or embed again without losing search: pixfind index --precision {asked}
    """

    exit_code = 46


class NoModelSwitch(WrongUsage):
    """
    There is no switch to complete: no other model is being embedded in {path}.
    Name the new model: pixfind model switch NAME
    """


class ModelSwitchInProgress(LibraryError):
    """
    This library is switching from {current} to {coming}; {asked} is a third model.
    Continue with `pixfind index`, or cancel the switch first: pixfind model rollback
    """

    exit_code = 16


class ModelSwitchIncomplete(LibraryError):
    """
    Not switching to {coming}: {count} searchable images have no embedding there ({why}). Searches use {current}.
    Bring them back and run `pixfind index` again, or switch without them: pixfind model switch --anyway
    """

    exit_code = 17


class ModelSwitchRefused(LibraryError):
    """
    Not switching to {model}: {where}: {what}. Searches use {current}.
    Run `pixfind verify --repair`, then the same command again.
    """

    exit_code = 18


class NothingToRollBack(LibraryError):
    """
    {path} has no previous model to return to: it has only used {model}, or the embeddings of the one before were deleted.
    `pixfind status` shows the models that it keeps. Use another one: pixfind model switch NAME
    """

    exit_code = 19


class NoSuchFolder(LibraryError):
    """
    {path} is not a folder that can be read: {detail}.
    """

    exit_code = 11


class WorkersKeepDying(LibraryError):
    """
    Worker {worker} ended {times} times without embedding anything: {detail}.
    Its log says more: {log}
    """

    exit_code = 12


class UnknownMessage(LibraryError):
    """
    A worker and its coordinator do not understand each other: {detail}
    Both must run the same version of pixfind; install one version for all of them, then run the same command again.
    """

    exit_code = 40


class NothingRunning(LibraryError):
    """
    No `pixfind embed` is running on {path}.
    """

    exit_code = 13


class NotEmbedded(LibraryError):
    """
    Nothing in {path} is embedded yet.
    Begin with: pixfind --library {path} index FOLDER
    """

    exit_code = 14


class NotWritable(LibraryError):
    """
    {path} cannot be written: {detail}.
    Give this user the right to write there, or use another library: pixfind --library DIR ...
    """

    exit_code = 15


class DiskFailed(LibraryError):
    """
    {path} could not be {operation}: {detail}. All that was saved before is kept.
    See that its disk is connected and healthy, and that this user may read and write there; then run the same command again: it goes on
    where it stood.
    """

    exit_code = 50


class DatabaseBusy(LibraryError):
    """
    {path} is held by another program: {detail}.
    Close what has it open (a database browser, a backup), then run the same command again.
    """

    exit_code = 51


# --- search ---------------------------------------------------------------------------------------


class IndexFloorMissed(LibraryError):
    """
    An index of kind "{kind}" finds only {recall:.4f} of the best ten, under the floor of {floor}; it was not published.
    Let pixfind choose the kind: pixfind build-index
    """

    exit_code = 30


class QueryWrong(LibraryError):
    """
    The query cannot be read: {detail}.
      {query}
      {pointer}
    For example: pixfind search 'beach +sunset -people +2:holiday.jpg'; quotes keep words as they are: '"-40 degrees"'
    """

    exit_code = 31


class FilterWrong(LibraryError):
    """
    {option} cannot be {value!r}: {detail}.
    """

    exit_code = 32


class QueryImageWrong(LibraryError):
    """
    The query asks for pictures like {path}, but it cannot be used: {detail}.
    If these are words, write them in quotes: pixfind search '"{path}"'
    """

    exit_code = 33


class NoSuchImage(LibraryError):
    """
    There is no embedded image with id {image_id} in {path}.
    `pixfind search ... --json` shows the ids.
    """

    exit_code = 34


class QueryCancels(LibraryError):
    """
    The terms of the query cancel each other out: {query}
    Leave one of them out, or give them other weights.
    """

    exit_code = 35


class CountWrong(LibraryError):
    """
    {k} hits cannot be shown: ask for 1 or more.
    """

    exit_code = 36


class InvalidVector(LibraryError):
    """
    An array of shape {shape} is no embedding of this library: it takes finite numbers of shape [{dimension}], not all 0.
    Make one with Library.embed_text or Library.embed_images.
    """

    exit_code = 52


class AddressTaken(LibraryError):
    """
    {host}:{port} cannot be listened on: {detail}.
    Give another port with --port, or --port 0 for any free one.
    """

    exit_code = 37


# --- requests to `pixfind serve` ------------------------------------------------------------------


class RequestError(PixfindError):
    """The request cannot be answered: {detail}"""

    status: ClassVar[int] = 400


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
