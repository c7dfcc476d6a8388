"""Fills the object store of every node of a cluster, and holds it: `python -m tests.chaos.hog ADDRESS`."""

from __future__ import annotations

import sys
import time
from typing import Any

import numpy as np
import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy


@ray.remote(num_cpus=0)
class Hog:
    """Holds as much of its node's object store as there is, and a little more, which Ray writes to the disk."""

    def fill(self, store: float) -> int:
        self._held: list[Any] = [ray.put(np.ones(4 << 20, np.uint8)) for _ in range(int(store / (4 << 20)) + 4)]
        return len(self._held)


def main(address: str) -> None:
    ray.init(address=address, log_to_driver=False)
    stores = {n["NodeID"]: n["Resources"].get("object_store_memory", 0.0) for n in ray.nodes() if n["Alive"]}
    hogs = {node: Hog.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False)) for node in stores}
    actors = {node: hog.remote() for node, hog in hogs.items()}
    ray.get([actors[node].fill.remote(store) for node, store in stores.items()])
    print("full", flush=True)
    time.sleep(600)


if __name__ == "__main__":
    main(sys.argv[1])
