"""
The libraries of a collection, each served by a node of a Ray cluster that has it: `pixfind serve --on`.

On its node an actor runs what `pixfind serve --workers` runs, and here the server of the collection asks these servers as it asks any other at
an address. Owns which node serves which library, and the end of both sides with each other. Why actors and not Ray Serve: docs/decisions/0038.
"""

import collections
import contextlib
import logging
import os
import signal
import socket
import tempfile
import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pixfind import errors
from pixfind.collection.config import CollectionConfig, MemberConfig
from pixfind.embedding.runners import ray_cluster
from pixfind.embedding.runners.ray_cluster import Cluster, first_line
from pixfind.library import generations
from pixfind.server import credentials, server, worker_processes
from pixfind.server.credentials import Token
from pixfind.server.server import OnReady, Options

log = logging.getLogger("pixfind.server")

_START_SECONDS = 300.0
"""for a node to open a library and to load its model"""
_LOOK_SECONDS = 1.0
_RELEASE_SECONDS = 30.0
_AGAIN_SECONDS = 5.0
"""before a library is opened again that could not be opened after a restart"""
_RATE = 1e6
"""requests a second: those of all users come from one client"""


@dataclass(frozen=True, slots=True)
class _Place:
    """A library and the node that serves it."""

    member: MemberConfig
    node: str
    """Ray's id"""
    host: str
    """its address in the cluster's network"""
    port: int


def run(served: Path | CollectionConfig, where: str, options: Options, ready: OnReady) -> None:
    """
    Serve libraries whose folders lie on nodes of the cluster `where`, until this process is interrupted; `options.workers` processes answer for each.

    Raises what connecting to a cluster raises, LibraryOnNoNode, what a library's server raises at its start, what `server.run` raises here, and
    ClusterUnreachable when the cluster is lost meanwhile.
    """
    if isinstance(served, Path):
        served = CollectionConfig((MemberConfig(served.name, path=served),))
    with Cluster(where) as cluster, tempfile.TemporaryDirectory(prefix="pixfind-serve-") as folder:
        token_file = Path(folder) / "token"
        token = credentials.from_file(token_file)
        places = _places(cluster, [member for member in served.members if member.path is not None])
        actors = _start(cluster, places, Options(rate=_RATE, workers=options.workers), token)
        addresses = {place.member.name: f"http://{_bracketed(place.host)}:{place.port}" for place in places}
        members = tuple(
            MemberConfig(member.name, address=addresses[member.name], token_file=token_file)
            if member.name in addresses
            else member
            for member in served.members
        )
        ended = threading.Event()
        threading.Thread(target=_end_when_lost, args=(cluster, ended), daemon=True).start()
        try:
            server.run(replace(served, members=members), replace(options, workers=1), ready)
        except KeyboardInterrupt:
            if cluster.lost is None:
                raise
        finally:
            ended.set()
            # They live as long as somebody holds them.
            del actors
        if cluster.lost is not None:
            raise cluster.lost


def _end_when_lost(cluster: Cluster, ended: threading.Event) -> None:
    """Stop the server here once its cluster is lost: all libraries are gone with it."""
    while not ended.wait(_LOOK_SECONDS):
        if cluster.lost is not None:
            os.kill(os.getpid(), signal.SIGINT)
            return


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


# --- which node -------------------------------------------------------------------------------------


def _places(cluster: Cluster, members: list[MemberConfig]) -> list[_Place]:
    """Choose a node for each library; of several that have it the one with the fewest. Raises LibraryOnNoNode and ClusterUnreachable."""
    answers = cluster.ask_nodes(_look_around, [member.path for member in members])
    ports = {node["NodeID"]: iter(ports) for node, (_, ports) in answers}
    places: list[_Place] = []
    for number, member in enumerate(members):
        able = [node for node, (having, _) in answers if having[number]]
        if not able:
            raise errors.LibraryOnNoNode(name=member.name, path=member.path, nodes=len(answers))
        taken = collections.Counter(place.node for place in places)
        node = min(able, key=lambda one: taken[one["NodeID"]])
        places.append(_Place(member, node["NodeID"], node["NodeManagerAddress"], next(ports[node["NodeID"]])))
    return places


def _look_around(folders: list[Path]) -> tuple[list[bool], list[int]]:
    """Tell, on a node, which of these folders are libraries there, and as many free ports."""
    with contextlib.ExitStack() as opened:
        sockets = [opened.enter_context(socket.create_server(("", 0))) for _ in folders]
        ports = [one.getsockname()[1] for one in sockets]
    return [_is_library(folder) for folder in folders], ports


def _is_library(folder: Path) -> bool:
    try:
        return generations.is_library(folder)
    except OSError:
        # A folder that this node may not read, or whose share does not answer: another node may have it.
        return False


# --- the server of one library ----------------------------------------------------------------------


def _start(cluster: Cluster, places: list[_Place], options: Options, token: Token) -> list[Any]:
    """
    Start the servers of all libraries at the same time; return their actors, each of which lives as long as somebody holds it.

    Raises what one raises at its start, and ClusterUnreachable.
    """
    served_by = cluster.ray.remote(max_restarts=-1, max_task_retries=-1, num_cpus=0)(LibraryServer)
    actors = [
        served_by.options(scheduling_strategy=cluster.on_node(place.node)).remote(
            place.member.path, replace(options, host=place.host, port=place.port), token
        )
        for place in places
    ]
    for place, asked in [(place, actor.refusal.remote()) for place, actor in zip(places, actors, strict=True)]:
        try:
            refusal = cluster.ray.get(asked, timeout=_START_SECONDS)
        except cluster.ray.exceptions.RayError as error:
            detail = f"the library {place.member.name} is not served: {first_line(error)}"
            raise errors.ClusterUnreachable(address=cluster.where, detail=detail) from error
        if refusal is not None:
            kind, fields = refusal
            raise getattr(errors, kind)(**fields)
    return actors


class LibraryServer:
    """What the actor does on its node: it serves one library until it ends; Ray starts one that dies again, on the same node and port."""

    def __init__(self, library: Path, options: Options, token: Token) -> None:
        self._refusal: tuple[str, dict[str, str]] | None = None
        self._opened = contextlib.ExitStack()
        try:
            # The processes of an actor that died may hold the port for another moment.
            listening = server.listen(options.host, options.port, _RELEASE_SECONDS)
            self._opened.callback(listening.close)
            self._opened.enter_context(worker_processes.running(library, options, token, listening))
        except Exception as error:
            self._opened.close()
            if ray_cluster.was_restarted():
                # Nobody asks why any more, and an error here would be the last. Its drive may come back: Ray starts this process again.
                log.warning("the library %s is not served: %s", library, error)
                time.sleep(_AGAIN_SECONDS)
                os._exit(1)
            if not isinstance(error, errors.OperationError):
                raise
            self._refusal = type(error).__name__, {name: str(value) for name, value in error.fields.items()}

    def refusal(self) -> tuple[str, dict[str, str]] | None:
        """Return the name and the fields of the error with which the server did not start; None: it answers."""
        return self._refusal
