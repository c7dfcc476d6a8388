"""`python -m fsamc`: the command `fsamc` as it is installed. The method by itself has no command line."""

from __future__ import annotations

import sys
from importlib.metadata import entry_points


def main() -> None:
    """Run the command. Exits with 2, in one line, where none is installed for this Python."""
    scripts = entry_points(group="console_scripts", name="fsamc")
    if not scripts:
        print(
            f"fsamc: the command is not installed for {sys.executable}; install its wheel there, "
            "or in a clone: pip install .",
            file=sys.stderr,
        )
        sys.exit(2)
    sys.argv[0] = "fsamc"  # which MLflow shows as the source of runs
    next(iter(scripts)).load()()


if __name__ == "__main__":
    main()
