"""The house rules bite: a tree that breaks each of them is told so, one that keeps them is not."""

from pathlib import Path

import pytest

from tests.house import violations

LONG = "\n".join(f"    x{i} = {i}" for i in range(51))
BROKEN = {
    "a long file": ({"fsamc/a.py": '"""A."""\n' + "\n" * 300}, "fsamc/a.py: 301 lines"),
    "a long function": ({"fsamc/a.py": f'"""A."""\ndef f():\n{LONG}\n'}, "fsamc/a.py:2: f has 52 lines"),
    "a full folder": ({f"sweeps/a{i}.py": '"""A."""\n' for i in range(15)}, "sweeps: 15 files"),
    "a file name twice": ({"fsamc/a.py": "", "fsamc/b/a.py": ""}, "fsamc/a.py and fsamc/b/a.py: one file name twice"),
    "a public name twice": ({"fsamc/a.py": "def f(): 1\n", "sweeps/b.py": "class f: 1\n"}, "`f` is defined twice"),
    "a riddle": ({"cluster/a.py": '"""What is kept."""\n'}, "cluster/a.py:1: a module's docstring"),
    "an empty word": ({"cluster/a.py": "def f(*, given): 1\n"}, "f(given): name what it is"),
    "an empty attribute": ({"cluster/a.py": "class A:\n    found: int\n"}, "A.found: name what it is"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_tree_that_breaks_a_rule_is_told_so(case: str, tmp_path: Path) -> None:
    files, line = BROKEN[case]
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert [line in one for one in violations(tmp_path)] == [True]


def test_a_docstring_does_not_count_as_lines_of_its_function(tmp_path: Path) -> None:
    (tmp_path / "fsamc").mkdir()
    text = f'"""A."""\ndef f():\n    """Do.\n\n    {"x" * 9}\n    """\n' + "\n".join(LONG.splitlines()[:49]) + "\n"
    (tmp_path / "fsamc" / "a.py").write_text(text)
    assert list(violations(tmp_path)) == []
