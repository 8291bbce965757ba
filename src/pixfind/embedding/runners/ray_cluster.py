"""
The connection to a Ray cluster: how it is reached, what it has room for, and whether its head still answers.

Owns that connection and its end, the comparison of versions before anything runs, and the watch over the head. Must not know what runs there (`runners.ray`).
"""

import contextlib
import os
import socket
import threading
import time
from collections.abc import Callable
from typing import Any, Self

from pixfind import errors
from pixfind.embedding.elastic import Node, Room

LOCAL = "local-ray"
CONFIGURED = "ray"
_CLIENT = "ray://"

_LOOK_SECONDS = 1.0
_REFUSED_SECONDS = 5.0
"""The head's port is closed: no process listens there any more."""
_SILENT_SECONDS = 45.0
"""The network says nothing. Longer than it stalls, and shorter than the 60 s after which Ray would end the process that has lost its head."""
_CHECK_SECONDS = 300.0
"""for a node to tell its versions: its first process takes seconds to start, and a minute where others keep its cores busy"""

_COMPARED = ("pixfind", "onnxruntime", "ray")

_PATIENCE = "RAY_gcs_rpc_server_reconnect_timeout_s"


class Cluster:
    """A connection to a cluster; one at a time in a process, because Ray has one."""

    def __init__(self, where: str) -> None:
        """
        Connect to the cluster `where`: HOST:PORT, ray://HOST:PORT, "ray" for the one that is configured here, "local-ray" to start one.

        Raises ExtraNotInstalled, ClusterUnreachable, and ClusterVersionMismatch where a node has another pixfind, Python or runtime.
        """
        self.where = where
        self.ray: Any = import_ray(where)
        self._stopped = threading.Event()
        self._lost: str | None = None
        self._known: tuple[dict[str, Any], ...] = ()
        self._draining: frozenset[str] = frozenset()
        if self.ray.is_initialized():
            # Of the program that calls us, which may have connected with settings of its own.
            raise errors.ClusterUnreachable(address=where, detail="this process is connected to a cluster already")
        self._connect()
        try:
            self.check_versions()
            self._look()
        except BaseException:
            self.ray.shutdown()
            raise
        # Two: a question to a head that is gone blocks for a minute.
        for watch in (self._watch_head, self._watch_nodes):
            threading.Thread(target=watch, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Leave the cluster; one that was started here ends."""
        self._stopped.set()
        self.ray.shutdown()

    @property
    def lost(self) -> errors.ClusterUnreachable | None:
        """The error that the head is gone, None while it answers."""
        if self._lost is None:
            return None
        return errors.ClusterUnreachable(address=self.where, detail=f"its head does not answer any more ({self._lost})")

    @property
    def draining(self) -> frozenset[str]:
        """Ids of the nodes that have been told to end soon, by an autoscaler or a notice of preemption; a second old at most."""
        return self._draining

    def nodes(self) -> list[dict[str, Any]]:
        """Ask for Ray's records of the nodes that are alive, and remember them."""
        self._known = tuple(node for node in self.ray.nodes() if node["Alive"])
        return list(self._known)

    def is_alive(self, node: str) -> bool:
        """Return whether the node with this id is alive."""
        return any(one["NodeID"] == node for one in self.nodes())

    def room(self) -> Room:
        """Return what the nodes offer that are not about to end, whether it is in use or not; a second old at most."""
        return Room(tuple(_offered(node) for node in self._known if node["NodeID"] not in self._draining))

    def check_versions(self) -> None:
        """Ask each node for its versions; raises ClusterVersionMismatch and ClusterUnreachable."""
        ours = probe()()
        for node, theirs in self.ask_nodes(probe()):
            refuse_others(node["NodeManagerHostname"], theirs, ours)

    def ask_nodes(self, question: Callable[..., Any], *arguments: Any) -> list[tuple[dict[str, Any], Any]]:
        """Call a function in a process of each node at the same time; return (Ray's record of the node, what it returned). Raises ClusterUnreachable."""
        asks = self.ray.remote(num_cpus=0, max_retries=0)(question)
        # By node, not by name: nodes of one machine, and containers, may share a name.
        asked = [
            (node, asks.options(scheduling_strategy=self.on_node(node["NodeID"])).remote(*arguments))
            for node in self.nodes()
        ]
        answers = []
        for node, answer in asked:
            try:
                answers.append((node, self.ray.get(answer, timeout=_CHECK_SECONDS)))
            except self.ray.exceptions.RayError as error:
                detail = f"node {node['NodeManagerHostname']}: {first_line(error)}"
                raise errors.ClusterUnreachable(address=self.where, detail=detail) from error
        return answers

    @staticmethod
    def on_node(node: str) -> Any:
        """Return what makes Ray run something on the node with this id and on no other."""
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        return NodeAffinitySchedulingStrategy(node, soft=False)

    def _connect(self) -> None:
        address = {LOCAL: "local", CONFIGURED: "auto"}.get(self.where, self.where)
        if self.where not in {LOCAL, CONFIGURED}:
            self._refuse_silence()
        # The dashboard is a server on this machine that nobody has asked for; Ray Client knows neither option.
        own = {"include_dashboard": False} if self.where == LOCAL else {}
        try:
            self.ray.init(address=address, log_to_driver=False, logging_level="error", **own)
        except (RuntimeError, ConnectionError, ValueError, TimeoutError, ImportError) as error:
            raise errors.ClusterUnreachable(address=self.where, detail=first_line(error)) from error

    def _refuse_silence(self) -> None:
        """Raise ClusterUnreachable where nobody listens: Ray would try again for minutes."""
        host, colon, port = self.where.removeprefix(_CLIENT).rpartition(":")
        if not (colon and host and port.isdecimal()):
            raise errors.ClusterUnreachable(address=self.where, detail="it is no address; write HOST:PORT")
        detail, _ = _knock((host.strip("[]"), int(port)))
        if detail:
            raise errors.ClusterUnreachable(address=self.where, detail=detail)

    def _head(self) -> tuple[str, int] | None:
        """Return the address of the head's process; None through Ray Client, which has its own way to notice."""
        if self.where.startswith(_CLIENT):
            return None
        host, _, port = self.ray.get_runtime_context().gcs_address.rpartition(":")
        return host.strip("[]"), int(port)

    def _look(self) -> None:
        """Ask which nodes there are, and which of them are about to end."""
        self.nodes()
        if not self.where.startswith(_CLIENT):
            # Ray has no public name for it, and its own libraries ask in this way.
            self._draining = frozenset(self.ray._private.state.state.get_draining_nodes())  # noqa: SLF001

    def _watch_nodes(self) -> None:
        head = self._head()
        while not self._stopped.wait(_LOOK_SECONDS):
            if head is not None and _knock(head)[0]:
                # A question to a head that is gone outlives the connection, and if the program had imported Ray before us, Ray would end it for that.
                continue
            # What Ray says when it is being shut down, or its head has just ended; then the other watch tells.
            with contextlib.suppress(self.ray.exceptions.RayError, RuntimeError, ConnectionError):
                self._look()

    def _watch_head(self) -> None:
        """Note when the head is gone: Ray itself would not stop asking (`import_ray`)."""
        head = self._head()
        if head is None:
            return
        answered = time.monotonic()
        while not self._stopped.wait(_LOOK_SECONDS):
            detail, allowed = _knock(head)
            if not detail:
                answered = time.monotonic()
            elif time.monotonic() - answered > allowed:
                self._lost = detail
                return


def import_ray(where: str) -> Any:
    """
    Import Ray so that it does not end this process when a head is lost; raises ExtraNotInstalled.

    Any question to a head that does not answer for 60 s ends the process that asked, also a minute after the connection was closed
    (`GcsRpcClient` in Ray's rpc_client.h). Ray reads the setting once, when it is loaded; nodes that are started here are to keep its default.
    """
    ours = _PATIENCE not in os.environ
    if ours:
        os.environ[_PATIENCE] = str(10**8)
    try:
        import ray
    except ImportError as error:
        raise errors.ExtraNotInstalled(what=f"--on {where}", package="ray", extra="ray") from error
    finally:
        if ours:
            del os.environ[_PATIENCE]
    return ray


def was_restarted() -> bool:
    """Tell, in an actor, whether Ray has started it again after its process had ended."""
    import ray

    return bool(ray.get_runtime_context().was_current_actor_reconstructed)


def _offered(node: dict[str, Any]) -> Node:
    """Return what a node offers, from Ray's record of it."""
    resources = node["Resources"]
    cores, gpus, memory = (resources.get(name, 0.0) for name in ("CPU", "GPU", "memory"))
    return Node(node["NodeManagerHostname"], cores, gpus, int(memory))


def refuse_others(node: str, theirs: dict[str, str], ours: dict[str, str]) -> None:
    """Raise ClusterVersionMismatch where a node's versions, package -> version, are not those of this machine."""
    for name, version in ours.items():
        if theirs[name] != version:
            raise errors.ClusterVersionMismatch(node=node, theirs=f"{name} {theirs[name]}", ours=f"{name} {version}")


def probe() -> Callable[[], dict[str, str]]:
    """Return the function that tells the versions of a machine, package -> version; "none" for what is not installed."""
    compared = _COMPARED

    # Nested, so that it travels by value: a node without pixfind could not import it.
    def versions() -> dict[str, str]:
        import contextlib as contextlib_
        import platform as platform_
        from importlib import metadata

        found = dict.fromkeys(compared, "none")
        for name in compared:
            with contextlib_.suppress(metadata.PackageNotFoundError):
                found[name] = metadata.version(name)
        return {"Python": ".".join(platform_.python_version_tuple()[:2]), **found}

    return versions


def _knock(address: tuple[str, int]) -> tuple[str, float]:
    """Return why a port does not answer and for how long that is tolerated, in seconds; an empty text where it answers."""
    try:
        with contextlib.closing(socket.create_connection(address, timeout=2 * _LOOK_SECONDS)):
            return "", 0.0
    except ConnectionRefusedError as error:
        return str(error), _REFUSED_SECONDS
    except OSError as error:
        return str(error) or type(error).__name__, _SILENT_SECONDS


def first_line(error: BaseException) -> str:
    """Return the first line of an error's text; its kind where it has none."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
