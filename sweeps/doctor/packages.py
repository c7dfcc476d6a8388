"""Checks of packages: their versions, none twice, built for one another and for this machine's driver."""

from __future__ import annotations

import ctypes
import platform
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from importlib import metadata

from packaging.requirements import Requirement

from sweeps.doctor.check import Check, ok, problem, warning

SHOWN = ("ray", "torch", "torchvision", "faiss-gpu", "faiss-cpu", "numpy", "mlflow", "optuna")
_FAISS = ("faiss-gpu", "faiss-cpu", "faiss-gpu-cu11", "faiss-gpu-cu12", "faiss-gpu-cuvs")
_OPENCV = tuple(f"opencv-{kind}" for kind in ("python", "python-headless", "contrib-python", "contrib-python-headless"))


def installed(names: Iterable[str]) -> dict[str, str]:
    """Return the versions of those of the packages that are installed."""
    versions = {}
    for name in names:
        with suppress(metadata.PackageNotFoundError):
            versions[name] = metadata.version(name)
    return versions


def check_versions(requirements: Iterable[Requirement], versions: Mapping[str, str]) -> Iterator[Check]:
    """Yield what is missing or of a version that fsamc does not go with; the main packages in any case."""
    for needed in requirements:
        name, version = needed.name, versions.get(needed.name)
        if needed.marker is not None and not needed.marker.evaluate({"extra": ""}):
            continue
        if version is None:
            yield problem(name, "is not installed", f"pip install '{name}{needed.specifier}'")
        elif not needed.specifier.contains(version, prereleases=True):
            finding = f"{version}, but fsamc needs {needed.specifier}"
            yield problem(name, finding, f"pip install '{name}{needed.specifier}'")
        elif name in SHOWN:
            yield ok(name, version)


def check_single(what: str, packages: Mapping[str, str], keep: str) -> Check:
    """Check packages that overwrite one another's files: one of them may be there."""
    names = ", ".join(f"{name} {version}" for name, version in packages.items())
    if len(packages) == 1:
        return ok(what, names)
    if not packages:
        return problem(what, "is not installed", f"pip install {keep}")
    mend = f"pip uninstall {' '.join(packages)}, then pip install {keep}"
    return problem(what, f"{names} overwrite each other's files", mend)


def check_cuda(driver: int | None, built: Mapping[str, int | None], seen: int) -> Iterator[Check]:
    """Whether this machine's driver serves the CUDA that packages were built for.

    Args:
        driver: major version of CUDA that the driver serves; None where there is none.
        built: majors that packages were built for; None for the CPU.
        seen: how many devices torch finds.
    """
    majors = ", ".join(f"{name} for {f'CUDA {major}' if major else 'the CPU'}" for name, major in built.items())
    if driver is None:
        yield ok("CUDA", f"no NVIDIA driver, so folds run on the CPU ({majors})")
        return
    too_new = [f"{name} needs CUDA {major}" for name, major in built.items() if major and major > driver]
    if too_new:
        mend = "update the driver, or install packages that were built for its CUDA"
        yield problem("CUDA", f"the driver serves CUDA {driver}, but {', '.join(too_new)}", mend)
    elif not built.get("torch"):
        mend = "install torch and torchvision from the index for CUDA at https://pytorch.org/get-started"
        yield warning("CUDA", "there is an NVIDIA driver, but torch is built for the CPU", mend)
    elif not seen:
        mend = "look at nvidia-smi; in a container, give it the GPUs (docker run --gpus all)"
        yield warning("CUDA", f"torch finds no device, though the driver serves CUDA {driver}", mend)
    else:
        yield ok("CUDA", f"the driver serves CUDA {driver}, {seen} devices ({majors})")


def check_torchvision() -> Check:
    """Whether torchvision's operators were built for this torch: beside another one they are not found."""
    try:
        import torch
        import torchvision

        torch.ops.torchvision.nms  # noqa: B018 it is looked up when it is named
    except (ImportError, RuntimeError, AttributeError, OSError) as error:
        finding = f"its operators do not go with torch ({' '.join(str(error).split())[:150]})"
        return problem("torchvision", finding, "install torch and torchvision together, from one index")
    return ok("torchvision operators", f"{torchvision.__version__} goes with torch {torch.__version__}")


def examine_packages() -> Iterator[Check]:
    """Make all of these checks here."""
    yield ok("Python", platform.python_version())
    own = installed(["fsamc"]).get("fsamc")
    if own is None:
        yield warning("fsamc", "is not installed, so it does not say which versions it needs", "pip install -e .")
    else:
        yield ok("fsamc", own)
        needed = [Requirement(line) for line in metadata.requires("fsamc") or ()]
        yield from check_versions(needed, installed(one.name for one in needed))
    yield check_single("faiss", installed(_FAISS), "faiss-gpu" if platform.system() == "Linux" else "faiss-cpu")
    yield check_single("OpenCV", installed(_OPENCV), "opencv-python-headless")
    torchvision = check_torchvision()
    yield torchvision
    if torchvision.level == "ok":
        yield from check_cuda(_driver(), {"torch": _major_of_torch(), "faiss": _major_of_faiss()}, _devices())


def _driver() -> int | None:
    """Major version of CUDA that the driver serves, by itself."""
    version = ctypes.c_int()
    try:
        failed = ctypes.CDLL("libcuda.so.1").cuDriverGetVersion(ctypes.byref(version))
    except (OSError, AttributeError):
        return None
    return None if failed else version.value // 1000 or None


def _major_of_torch() -> int | None:
    import torch

    return int(torch.version.cuda.partition(".")[0]) if torch.version.cuda else None


def _devices() -> int:
    import torch

    return torch.cuda.device_count()


def _major_of_faiss() -> int | None:
    """By the libraries that it brings: `nvidia-cublas-cu12`; those since CUDA 13 have no number in their names."""
    lines = [line for name in installed(_FAISS) for line in metadata.requires(name) or ()]
    numbered = [int(match[1]) for line in lines if (match := re.match(r"nvidia-[a-z-]+-cu(\d+)", line))]
    plain = [int(match[1]) for line in lines if (match := re.match(r"nvidia-cuda-runtime\b.*?>=(\d+)", line))]
    return max([*numbered, *plain], default=None)
