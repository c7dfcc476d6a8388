"""Checks of packages: their versions, none twice, built for one another and for this machine's driver."""

from __future__ import annotations

import ctypes
import platform
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from importlib import metadata

from packaging.requirements import Requirement

from sweeps.doctor.check import Check, graded
from sweeps.light_install import OF_SWEEPS

SHOWN = ("ray", "torch", "torchvision", "faiss-gpu", "faiss-cpu", "numpy", "mlflow", "optuna")
_FAISS = ("faiss-gpu", "faiss-cpu", "faiss-gpu-cu11", "faiss-gpu-cu12", "faiss-gpu-cuvs")
_OPENCV = tuple(f"opencv-{kind}" for kind in ("python", "python-headless", "contrib-python", "contrib-python-headless"))


def examine_packages() -> Iterator[Check]:
    """Make all of these checks here."""
    yield Check("Python", "ok", platform.python_version())
    if own := installed(["fsamc"]).get("fsamc"):
        yield Check("fsamc", "ok", own)
        required, light = [Requirement(line) for line in metadata.requires("fsamc") or ()], not installed(OF_SWEEPS)
        yield from check_versions(required, installed(one.name for one in required), extra="" if light else "sweep")
        if light:
            finding = f"{', '.join(OF_SWEEPS)} are not installed, which fit and predict do without"
            yield Check("sweeps", "warning", finding, "pip install 'fsamc[sweep]'")
    else:
        finding = "is not installed, so it does not say which versions it needs"
        yield Check("fsamc", "warning", finding, "pip install -e .")
    if installed(OF_SWEEPS):
        yield check_single("faiss", installed(_FAISS), "faiss-gpu" if platform.system() == "Linux" else "faiss-cpu")
    yield check_single("OpenCV", installed(_OPENCV), "opencv-python-headless")
    torchvision = check_torchvision()
    yield torchvision
    if torchvision.level == "ok":
        import torch

        major = int(torch.version.cuda.partition(".")[0]) if torch.version.cuda else None
        yield check_cuda(_driver(), {"torch": major, "faiss": _major_of_faiss()}, torch.cuda.device_count())


def installed(names: Iterable[str]) -> dict[str, str]:
    """Return the versions of those of the packages that are installed."""
    versions = {}
    for name in names:
        with suppress(metadata.PackageNotFoundError):
            versions[name] = metadata.version(name)
    return versions


def check_versions(
    requirements: Iterable[Requirement], versions: Mapping[str, str], *, extra: str = ""
) -> Iterator[Check]:
    """Yield what is missing or of a version that fsamc, with an extra, does not go with; the main packages anyway."""
    for required in requirements:
        name, version, mend = (
            required.name,
            versions.get(required.name),
            f"pip install '{required.name}{required.specifier}'",
        )
        if required.marker is not None and not required.marker.evaluate({"extra": extra}):
            continue
        if version is None:
            yield Check(name, "problem", "is not installed", mend)
        elif not required.specifier.contains(version, prereleases=True):
            yield Check(name, "problem", f"{version}, but fsamc needs {required.specifier}", mend)
        elif name in SHOWN:
            yield Check(name, "ok", version)


def check_single(what: str, packages: Mapping[str, str], keep: str) -> Check:
    """Check packages that overwrite one another's files: one of them may be there."""
    names = ", ".join(f"{name} {version}" for name, version in packages.items())
    if not packages:
        return Check(what, "problem", "is not installed", f"pip install {keep}")
    if len(packages) == 1:
        return Check(what, "ok", names)
    mend = f"pip uninstall {' '.join(packages)}, then pip install {keep}"
    return Check(what, "problem", f"{names} overwrite each other's files", mend)


def check_cuda(driver: int | None, built: Mapping[str, int | None], devices: int) -> Check:
    """Whether this machine's driver serves the CUDA that packages were built for.

    Args:
        driver: major version of CUDA that the driver serves; None where there is none.
        built: majors that packages were built for; None for the CPU.
        devices: how many torch finds.
    """
    majors = ", ".join(f"{name} for {f'CUDA {major}' if major else 'the CPU'}" for name, major in built.items())
    if driver is None:
        return Check("CUDA", "ok", f"no NVIDIA driver, so folds run on the CPU ({majors})")
    finding = f"the driver serves CUDA {driver}, torch finds {devices} devices ({majors})"
    if any(major and major > driver for major in built.values()):
        return Check("CUDA", "problem", finding, "update the driver, or install packages that were built for its CUDA")
    if not built.get("torch"):
        mend = "install torch and torchvision from the index for CUDA at https://pytorch.org/get-started"
    else:
        mend = "look at nvidia-smi; in a container, give it the GPUs (docker run --gpus all)"
    return graded("CUDA", finding, mend, warning=not built.get("torch") or not devices)


def check_torchvision() -> Check:
    """Whether torchvision's operators were built for this torch: beside another one they are missing."""
    try:
        import torch
        import torchvision

        torch.ops.torchvision.nms  # noqa: B018 it is looked up when it is named
    except (ImportError, RuntimeError, AttributeError, OSError) as error:
        finding = f"its operators do not go with torch ({' '.join(str(error).split())[:150]})"
        return Check("torchvision", "problem", finding, "install torch and torchvision together, from one index")
    return Check("torchvision operators", "ok", f"{torchvision.__version__} goes with torch {torch.__version__}")


def _driver() -> int | None:
    """Return the major version of CUDA that the driver serves, by itself."""
    version = ctypes.c_int()
    try:
        failed = ctypes.CDLL("libcuda.so.1").cuDriverGetVersion(ctypes.byref(version))
    except (OSError, AttributeError):
        return None
    return None if failed else version.value // 1000 or None


def _major_of_faiss() -> int | None:
    """Read it off the libraries that faiss brings: `nvidia-cublas-cu12`; since CUDA 13 their names hold no number."""
    lines = [line for name in installed(_FAISS) for line in metadata.requires(name) or ()]
    numbered = [int(match[1]) for line in lines if (match := re.match(r"nvidia-[a-z-]+-cu(\d+)", line))]
    plain = [int(match[1]) for line in lines if (match := re.match(r"nvidia-cuda-runtime\b.*?>=(\d+)", line))]
    return max([*numbered, *plain], default=None)
