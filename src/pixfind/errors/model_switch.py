"""Errors about the model that a library is tied to, and about switching it."""

from pixfind.errors.base import OperationError


class OtherModel(OperationError):
    """
    This library was embedded with {library_model}; embeddings from {asked_model} are incompatible with it.
    Leave out --model, or switch the model without losing search: pixfind model switch {asked_name}
    """

    exit_code = 10


class OtherPrecision(OperationError):
    """
    This library was embedded with {model} in {precision}; embeddings in {asked} are incompatible with it.
    Leave out --precision, or switch without losing search: pixfind index --precision {asked}
    """

    exit_code = 46


class ModelSwitchInProgress(OperationError):
    """
    This library is switching from {current} to {coming}; {asked} is a third model.
    Continue with `pixfind index`, or cancel the switch first: pixfind model rollback
    """

    exit_code = 16


class ModelSwitchIncomplete(OperationError):
    """
    Not switching to {coming}: there would be no embedding of {count} ({why}). Searches use {current}.
    Bring them back and run `pixfind index` again, or switch without them: pixfind model switch --anyway
    """

    exit_code = 17


class ModelSwitchRefused(OperationError):
    """
    Not switching to {model}: {where}: {what}. Searches use {current}.
    Run `pixfind verify --repair`, then the same command again.
    """

    exit_code = 18


class NothingToRollBack(OperationError):
    """
    {path} has no previous model to return to: it has only used {model}, or the embeddings of the one before were deleted.
    `pixfind status` shows the models that it keeps. Use a different model: pixfind model switch NAME
    """

    exit_code = 19
