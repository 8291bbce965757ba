"""Errors about models: their files, their download, the device and precision they run in."""

from typing import Any

from pixfind.errors import extras
from pixfind.errors.base import OperationError


class ModelMissing(OperationError):
    """
    The model {name} is not on this machine and could not be downloaded: {detail}.
    Cache directory: {folder}.
    Connect to the internet and retry, or use --model starter, or --model DIR with a directory that contains the model's files.
    """

    exit_code = 20


class UnknownModel(OperationError):
    """
    Unknown model "{name}". Use a name from `pixfind models`, a Hugging Face repository (OWNER/REPO) or a directory.
    Known names: {known}.
    """

    exit_code = 21


class ModelTooLarge(OperationError):
    """
    The model {name} needs {needed} more in {folder}, where {free} are free.
    Free disk space, or set PIXFIND_CACHE to a directory on another disk, then run the same command again: what was downloaded is kept.
    """

    exit_code = 41


class ModelFileMissing(OperationError):
    """
    {directory} is not a complete model: {file} is missing.
    Copy the model again with all its files, or use a different model with --model.
    """

    exit_code = 22


class InvalidModelFile(OperationError):
    """
    {path} cannot be used: {detail}.
    Use the file as the model's author published it, or another model with --model.
    """

    exit_code = 23


class ChecksumMismatch(OperationError):
    """
    Checksum mismatch for {file} from {repo} ({detail}); the download was discarded.
    Retry; if it fails again, a proxy may be altering downloads.
    """

    exit_code = 24


class UnsafeModelFile(OperationError):
    """
    {path} is refused: {detail}. Only ONNX and safetensors files are loaded, because they cannot run code.
    Use an ONNX export of the model with --model.
    """

    exit_code = 25


class DeviceUnavailable(OperationError):
    """
    The device {device} cannot be used: {detail}.
    Install what it needs, or leave out --device to use {instead}.
    """

    exit_code = 26


class PrecisionUnavailable(OperationError):
    """
    The precision {precision} cannot be used: {detail}.
    Use --precision auto; `pixfind tune` shows what this machine supports.
    """

    exit_code = 27


class OtherQuantization(OperationError):
    """
    {precision} is not in {folder}, and quantising the model again gave {found}: other numbers, which must not be mixed with those of this library.
    Copy {precision}.xml and .bin there from where the library was made, or embed again while it answers: pixfind index --precision {found}
    """

    exit_code = 69


class ExtraNotInstalled(OperationError):
    """
    {what} needs the package {package}.
    Install it with: {command}
    """

    exit_code = 28

    def __init__(self, **fields: Any) -> None:
        super().__init__(**{"command": extras.install_command(fields["extra"]), **fields})


class RuntimeOutdated(OperationError):
    """
    {path} uses ONNX opset {opset}, which needs {library} {needed} or newer; version {installed} is installed.
    Install it with: pip install --upgrade '{library}>={needed}'
    """

    exit_code = 38


class NotFinite(OperationError):
    """
    The model {name} in {precision} returned an embedding with values that are not finite (rows {rows} of the batch).
    Use --precision fp32; if it fails there too, the model's files are damaged.
    """

    exit_code = 29


class ReaderUnusable(OperationError):
    """
    The package rapidocr cannot read text as it is installed here: {detail}.
    Install it again with: pip install --force-reinstall 'pixfind[ocr]'
    """

    exit_code = 59
