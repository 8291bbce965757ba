"""Errors of a run on a Ray cluster."""

from pixfind.errors.base import OperationError


class ClusterUnreachable(OperationError):
    """
    The Ray cluster at {address} cannot be used: {detail}
    Nothing that had arrived here is lost. See with `ray status` whether the cluster runs, then run the same command again.
    """

    exit_code = 71


class ClusterVersionMismatch(OperationError):
    """
    Node {node} of the cluster has {theirs}, and this machine {ours}.
    Install the same on both, restart Ray on that node, then run the same command again.
    """

    exit_code = 72


class LibraryOnNoNode(OperationError):
    """
    None of the {nodes} nodes of the cluster has the library {name}, which should be in {path}.
    Start Ray on the machine that has it, or mount it in that folder on a node, then run the same command again.
    """

    exit_code = 87
