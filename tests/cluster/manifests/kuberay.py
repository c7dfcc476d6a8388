"""Schemas of the fields of ray.io/v1 that our manifests use, strict: a field that is not here is a mistake.

The fields are those of KubeRay 1.6; pod templates are to be held against Kubernetes' own schema.
"""

from __future__ import annotations

from typing import Any


def strict(*required: str, **properties: Any) -> dict[str, Any]:
    """The schema of an object that has these fields and no others."""
    return {"type": "object", "required": list(required), "properties": properties, "additionalProperties": False}


TEXT, TRUTH, COUNT = {"type": "string"}, {"type": "boolean"}, {"type": "integer", "minimum": 0}
POD = ANY = {"type": "object"}
STARTING = {"type": "object", "additionalProperties": TEXT}  # KubeRay refuses numbers
GROUP = strict(
    "groupName",
    "minReplicas",
    "maxReplicas",
    "rayStartParams",
    "template",
    groupName=TEXT,
    replicas=COUNT,
    minReplicas=COUNT,
    maxReplicas=COUNT,
    rayStartParams=STARTING,
    template=POD,
)
CLUSTER_SPEC = strict(
    "rayVersion",
    "authOptions",
    "headGroupSpec",
    "workerGroupSpecs",
    rayVersion=TEXT,
    authOptions=strict("mode", "secretName", mode={"const": "token"}, secretName=TEXT),
    enableInTreeAutoscaling=TRUTH,
    autoscalerOptions=strict(idleTimeoutSeconds=COUNT, securityContext=ANY, resources=ANY),
    headGroupSpec=strict("rayStartParams", "template", rayStartParams=STARTING, template=POD),
    workerGroupSpecs={"type": "array", "items": GROUP},
)
JOB_SPEC = strict(
    "entrypoint",
    "rayClusterSpec",
    entrypoint=TEXT,
    backoffLimit=COUNT,
    shutdownAfterJobFinishes=TRUTH,
    ttlSecondsAfterFinished=COUNT,
    submitterPodTemplate=POD,
    rayClusterSpec=CLUSTER_SPEC,
)
SCHEMAS = {"RayCluster": CLUSTER_SPEC, "RayJob": JOB_SPEC}
