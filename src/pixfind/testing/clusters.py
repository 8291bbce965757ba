"""
Ray clusters of this machine: real nodes, which come, go and are killed.

For tests and benchmarks of `embedding.runners.ray`. Needs the extra `ray`.
"""

import time
from typing import Any

from pixfind.embedding.runners import ray_cluster

_OBJECT_STORE = 80 * 2**20


class Nodes:
    """A cluster of this machine: a head without room for workers, and the nodes that are added."""

    def __init__(self) -> None:
        ray_cluster.import_ray("a cluster of this machine")
        from ray.cluster_utils import Cluster

        self._cluster = Cluster(
            initialize_head=True,
            head_node_args={"num_cpus": 0, "include_dashboard": False, "object_store_memory": _OBJECT_STORE},
        )

    @property
    def address(self) -> str:
        """HOST:PORT of the head, for `--on`."""
        return str(self._cluster.address)

    def add(self, cpus: int = 1, **settings: Any) -> Any:
        """Add a node with room for so many workers of one core; only from the main thread, as Ray wants it."""
        return self._cluster.add_node(num_cpus=cpus, object_store_memory=_OBJECT_STORE, **settings)

    def kill(self, node: Any) -> None:
        """End a node as a power cut does: its raylet by SIGKILL, and what it started with it."""
        self._cluster.remove_node(node, allow_graceful=False)

    def drain(self, node: Any, seconds: int = 600) -> None:
        """Tell a node that it will be taken away, as the notice for a spot instance does."""
        import ray
        from ray.core.generated import autoscaler_pb2

        reason = autoscaler_pb2.DRAIN_NODE_REASON_PREEMPTION
        deadline_ms = int(1000 * (time.time() + seconds))
        client: Any = ray._raylet.GcsClient(address=self.address)  # noqa: SLF001
        accepted, why = client.drain_node(node.node_id, reason, "a test", deadline_ms)
        assert accepted, why

    def kill_head(self) -> None:
        """End the process that the cluster hangs on."""
        self._cluster.head_node.kill_gcs_server(check_alive=False)

    def shut_down(self) -> None:
        """End all nodes."""
        self._cluster.shutdown()
