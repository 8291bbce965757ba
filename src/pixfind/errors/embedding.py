"""Errors of an embed run."""

from pixfind.errors.base import OperationError


class WorkerCrashLoop(OperationError):
    """
    Worker {worker} ended {times} times without embedding anything: {detail}.
    See its log: {log}
    """

    exit_code = 12


class UnknownMessage(OperationError):
    """
    A worker and its coordinator do not understand each other: {detail}
    Install the same version of pixfind for both, then run the same command again.
    """

    exit_code = 40


class NothingRunning(OperationError):
    """No `pixfind embed` is running on {path}."""

    exit_code = 13
