"""The manifests for Kubernetes: valid by schema, and sound where no schema looks."""

from __future__ import annotations

import re
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
from mlflow.server.security_utils import is_allowed_host_header

import fsamc
from tests.cluster.manifests.files import KUBERNETES, MANIFESTS, check_command, commands_in, documents, pinned, size
from tests.cluster.manifests.kuberay import SCHEMAS

RELEASE = "1.34"
OBJECTS = {
    (found["kind"], found["metadata"]["name"]): found
    for file in sorted(KUBERNETES.glob("*.yaml"))
    for found in documents(file)
    if found["kind"] != "Kustomization"
}
(KUSTOMIZATION,) = documents(KUBERNETES / "kustomization.yaml")
CLUSTER = OBJECTS["RayCluster", "fsamc"]
JOB = OBJECTS["RayJob", "fsamc-smoke"]
SECRETS = {
    made["name"]: {file.partition("=")[0] for file in made["files"]} for made in KUSTOMIZATION["secretGenerator"]
}


def groups(spec: dict[str, Any]) -> list[dict[str, Any]]:
    return [spec["headGroupSpec"], *spec["workerGroupSpecs"]]


def pods() -> dict[str, dict[str, Any]]:
    """Every pod's spec that something here leads to."""
    found = {
        f"cluster/{group.get('groupName', 'head')}": group["template"]["spec"] for group in groups(CLUSTER["spec"])
    }
    found["job/submitter"] = JOB["spec"]["submitterPodTemplate"]["spec"]
    for kind in ("Deployment", "StatefulSet"):
        found |= {key[1]: made["spec"]["template"]["spec"] for key, made in OBJECTS.items() if key[0] == kind}
    return found


PODS = pods()
RAY_GROUPS = {group.get("groupName", "head"): group for group in groups(CLUSTER["spec"])}


def test_all_kinds_are_there():
    assert {kind for kind, _ in OBJECTS} == {
        *("PersistentVolumeClaim", "Service", "StatefulSet", "Deployment", "RayCluster", "RayJob")
    }
    listed = [
        found["metadata"]["name"] for file in KUSTOMIZATION["resources"] for found in documents(KUBERNETES / file)
    ]
    assert set(listed) == {name for kind, name in OBJECTS if not kind.startswith("Ray")}


@pytest.mark.parametrize("key", [key for key in OBJECTS if not key[0].startswith("Ray")], ids="/".join)
def test_what_is_kubernetes_own_is_valid(key):
    kubernetes_validate.validate(OBJECTS[key], RELEASE, strict=True)


@pytest.mark.parametrize("name", PODS)
def test_pods_are_valid(name):
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "any"}, "spec": PODS[name]}
    kubernetes_validate.validate(pod, RELEASE, strict=True)


@pytest.mark.parametrize("kind", SCHEMAS)
def test_what_is_kuberays_has_no_field_that_it_does_not_know(kind):
    (found,) = (found for key, found in OBJECTS.items() if key[0] == kind)
    assert found["apiVersion"] == "ray.io/v1"
    assert found.keys() == {"apiVersion", "kind", "metadata", "spec"}
    jsonschema.validate(found["spec"], SCHEMAS[kind])


def test_a_job_has_the_cluster_that_would_stand():
    assert JOB["spec"]["rayClusterSpec"] == CLUSTER["spec"]


@pytest.mark.parametrize("name", PODS)
def test_nobody_is_root_or_can_become_it(name):
    pod = PODS[name]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] > 0
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in pod["containers"]:
        assert container["securityContext"] == {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    autoscaler = CLUSTER["spec"]["autoscalerOptions"]["securityContext"]
    assert autoscaler["allowPrivilegeEscalation"] is False


@pytest.mark.parametrize("name", PODS)
def test_what_is_asked_for_is_what_may_be_used(name):
    for container in PODS[name]["containers"]:
        resources = container["resources"]
        assert resources["requests"] == resources["limits"]
        assert {"cpu", "memory"} <= resources["limits"].keys()


@pytest.mark.parametrize("name", PODS)
def test_volumes_are_there(name):
    pod, kept = PODS[name], OBJECTS.get(("StatefulSet", name), {"spec": {}})["spec"]
    own = {volume["name"]: volume for volume in pod.get("volumes", [])}
    claimed = {claim["metadata"]["name"] for claim in kept.get("volumeClaimTemplates", [])}
    mounted = {mount["name"] for container in pod["containers"] for mount in container.get("volumeMounts", [])}
    assert mounted == own.keys() | claimed
    for volume in own.values():
        if claim := volume.get("persistentVolumeClaim"):
            assert ("PersistentVolumeClaim", claim["claimName"]) in OBJECTS
        if secret := volume.get("secret"):
            assert secret["secretName"] in SECRETS


@pytest.mark.parametrize("name", RAY_GROUPS)
def test_the_object_store_fits_into_shared_memory_and_that_into_the_limit(name):
    pod = RAY_GROUPS[name]["template"]["spec"]
    (container,) = pod["containers"]
    (shm,) = (mount["name"] for mount in container["volumeMounts"] if mount["mountPath"] == "/dev/shm")
    (volume,) = (volume["emptyDir"] for volume in pod["volumes"] if volume["name"] == shm)
    store = int(RAY_GROUPS[name]["rayStartParams"]["object-store-memory"])
    assert volume["medium"] == "Memory"
    assert store < size(volume["sizeLimit"]) <= size(container["resources"]["limits"]["memory"]) / 2


@pytest.mark.parametrize("name", RAY_GROUPS)
def test_what_is_written_outlives_the_cluster(name):
    """Each retry of a RayJob is a new cluster: data, cache and results are on the claim that all nodes write to."""
    (container,) = RAY_GROUPS[name]["template"]["spec"]["containers"]
    assert {"name": "fsamc", "mountPath": "/home/ray/fsamc"} in container["volumeMounts"]
    given = check_command(JOB["spec"]["entrypoint"])
    for option in ("data", "textures", "cache", "out"):
        assert str(given[option]).startswith("/home/ray/fsamc/")
    assert OBJECTS["PersistentVolumeClaim", "fsamc"]["spec"]["accessModes"] == ["ReadWriteMany"]


def test_the_token_is_asked_for_everywhere_and_comes_from_a_secret():
    assert "auth_token" in SECRETS[CLUSTER["spec"]["authOptions"]["secretName"]]
    version = tuple(int(part) for part in CLUSTER["spec"]["rayVersion"].split("."))
    assert version >= (2, 52, 0), "KubeRay refuses authOptions before"
    for pod in PODS.values():  # KubeRay sets these where they are not: what stands there would win
        for container in pod["containers"]:
            assert not {"RAY_AUTH_MODE", "RAY_AUTH_TOKEN"} & {given["name"] for given in container.get("env", [])}


def test_no_secret_stands_in_a_file():
    for pod in PODS.values():
        for variable in (given for container in pod["containers"] for given in container.get("env", [])):
            if reference := variable.get("valueFrom", {}).get("secretKeyRef"):
                assert reference["key"] in SECRETS[reference["name"]]
            elif re.search("PASSWORD|TOKEN|SECRET", variable["name"]):
                assert variable["value"].startswith("/run/secrets/")
            else:
                assert not re.search(r"://[^/@]*:[^/@]*@", variable["value"])
    assert not [key for key in OBJECTS if key[0] == "Secret"]
    for files in KUSTOMIZATION["secretGenerator"]:
        assert all(file.partition("=")[2].startswith("secrets/") for file in files["files"])
    assert KUSTOMIZATION["generatorOptions"] == {"disableNameSuffixHash": True}, "Ray's objects name it as it is"


def test_services_find_their_pods():
    for key, service in OBJECTS.items():
        if key[0] == "Service":
            served = next(OBJECTS[kind, key[1]] for kind in ("Deployment", "StatefulSet") if (kind, key[1]) in OBJECTS)
            labels = served["spec"]["template"]["metadata"]["labels"]
            assert service["spec"]["selector"].items() <= labels.items()
            assert served["spec"]["selector"]["matchLabels"].items() <= labels.items()
            (container,) = served["spec"]["template"]["spec"]["containers"]
            ports = {port["containerPort"] for port in container["ports"]}
            assert {port["port"] for port in service["spec"]["ports"]} == ports


def test_the_bounds_of_the_groups():
    assert CLUSTER["spec"]["enableInTreeAutoscaling"] is True
    cpu, gpu = (RAY_GROUPS[name] for name in ("cpu", "gpu"))
    for group in (cpu, gpu):
        assert group["minReplicas"] <= group["replicas"] <= group["maxReplicas"]
    assert cpu["minReplicas"] >= 1, "a sweep that finds no CPUs when it starts refuses"
    assert gpu["minReplicas"] == 0
    assert int(gpu["template"]["spec"]["containers"][0]["resources"]["limits"]["nvidia.com/gpu"]) == 1
    cpus = int(cpu["template"]["spec"]["containers"][0]["resources"]["limits"]["cpu"])
    (asked,) = (change for change in check_command(JOB["spec"]["entrypoint"])["changes"] if "workers" in change)
    assert asked == f"resources.workers={cpu['maxReplicas'] * cpus}", "else the cluster never grows to its bound"


def test_a_job_cleans_up_and_tracks_where_the_server_lets_it_in():
    assert JOB["spec"]["shutdownAfterJobFinishes"] is True
    given = check_command(JOB["spec"]["entrypoint"])
    assert given["address"] == "auto"
    host = given["tracking_uri"].removeprefix("http://")
    command = PODS["fsamc-mlflow"]["containers"][0]["command"]
    allowed = command[command.index("--allowed-hosts") + 1].split(",")
    full = host.replace(":", ".any.svc.cluster.local:")
    assert all(is_allowed_host_header(allowed, name) for name in (host, full, "localhost:5000"))
    assert not is_allowed_host_header(allowed, "fsamc-mlflow.example.com:5000")


def test_images_have_the_versions_that_the_tests_ran_with():
    assert CLUSTER["spec"]["rayVersion"] == pinned("ray")
    images = {container["image"] for pod in PODS.values() for container in pod["containers"]} - {"postgres:17"}
    assert images == {f"registry.example.com/fsamc:{fsamc.__version__}-{device}" for device in ("cpu", "gpu")}
    for name, pod in PODS.items():
        wants = "nvidia.com/gpu" in pod["containers"][0]["resources"]["limits"]
        assert pod["containers"][0]["image"].endswith("-gpu") == wants, name


def test_the_page_about_manifests_says_commands_that_run():
    page = (MANIFESTS / "README.md").read_text(encoding="utf-8")
    assert [check_command(command) for command in commands_in(page)]
    for file in MANIFESTS.glob("*/*.*"):
        assert file.name in page, f"{file.name} is not explained"
