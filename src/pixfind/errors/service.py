"""Errors of a watch as a service of the system."""

from pixfind.errors.base import OperationError


class NoServiceManager(OperationError):
    """
    This system has neither systemd nor launchd, so no service can be installed for {path}.
    Start the watch by whatever starts programs here: pixfind --library {path} watch
    """

    exit_code = 55


class ServiceNotOurs(OperationError):
    """
    {path} is there and was not written by pixfind, so it stays as it is.
    Move it away, then run the same command again.
    """

    exit_code = 56


class ServiceNotInstalled(OperationError):
    """
    There is no service in {path}.
    Install it with: pixfind watch --install
    """

    exit_code = 57
