"""Errors about models: their files, their download, the device and precision they run in."""

from pixfind.errors.base import LibraryError


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
