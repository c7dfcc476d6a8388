"""`fsamc` and `python -m fsamc`: the command line of the packages beside this one.

The method by itself has none. The names `cluster` and `sweeps` are other packages' too: the wrong ones are told here.
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

_BESIDE = ("cluster", "sweeps")


def main() -> None:
    """Run the command. Exits with 2, in one line, where its packages are not beside this one."""
    if problem := next(filter(None, map(_problem, _BESIDE)), None):
        print(f"fsamc: {problem}", file=sys.stderr)
        sys.exit(2)
    sys.argv[0] = "fsamc"  # which MLflow shows as the source of runs
    import_module("sweeps.cli").main()


def _problem(package: str) -> str | None:
    """Say what is wrong with a package of the command line; None where it is the one beside this."""
    here, spec = Path(__file__).resolve().parents[1], find_spec(package)
    if spec is None or (spec.origin is None and not (here / package).is_dir()):
        return (
            f"the command is not installed for {sys.executable}; install its wheel there, or in a clone: pip install ."
        )
    places = [Path(place).resolve().parent for place in spec.submodule_search_locations or ()]
    if here in places:
        return None
    found = spec.origin or ", ".join(spec.submodule_search_locations or ())
    return (
        f"{package} is {found}, another package of that name; fsamc needs the one in {here}: start from another "
        "folder, take it off PYTHONPATH, or give fsamc an environment of its own"
    )


if __name__ == "__main__":
    main()
