"""What strangers may hand us: every file is made for real, is refused by one line, runs nothing and leaves nothing.

`HOSTILE` is to be read: what is done to images, textures, plans and networks, and the line that it gets.
`HARMLESS` are files that look dangerous and are passed by.
"""

from __future__ import annotations

import io
import json
import os
import pickle
import shutil
import socket
import struct
import tarfile
import threading
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from fsamc.data.textures import fetch_dtd
from fsamc.errors import BadInput
from tests.sweeps.checks.test_bad_input import Bad, assert_names, contents, own, prepared, said  # noqa: F401 fixtures
from tests.sweeps.small import Lab


class Exploit:
    """Touches a file wherever it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.marker}",)


def marker(lab: Lab) -> Path:
    return lab.root.parent / f"{lab.root.name}-was-run"


def pickled(lab: Lab) -> bytes:
    saved = io.BytesIO()
    torch.save(Exploit(marker(lab)), saved)
    return saved.getvalue()


def bare_pickle(lab: Lab) -> bytes:
    return pickle.dumps(Exploit(marker(lab)))


def code(lab: Lab) -> str:
    return f"__import__('os').system('touch {marker(lab)}')"


# --- networks


def program(change: Callable[[Lab, dict[str, bytes]], Any], *, packed: bool = False) -> Callable[[Lab], Any]:
    """Write `evil.pt2`: the lab's own program with some of its files changed."""

    def write(lab: Lab) -> None:
        with zipfile.ZipFile(lab.backbone) as there:
            files = {name: there.read(name) for name in there.namelist()}
        change(lab, files)
        with zipfile.ZipFile(
            lab.root / "evil.pt2", "w", zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED
        ) as made:
            for name, content in files.items():
                made.writestr(name, content)

    return write


def graph(change: Callable[[Lab, dict[str, Any]], Any]) -> Callable[[Lab], Any]:
    """Write `evil.pt2` with another graph."""

    def apply(lab: Lab, files: dict[str, bytes]) -> None:
        held = json.loads(files["tiny/models/model.json"])
        change(lab, held)
        files["tiny/models/model.json"] = json.dumps(held).encode()

    return program(apply)


def sizes(lab: Lab, held: dict[str, Any]) -> None:
    for tensor in held["graph_module"]["graph"]["tensor_values"].values():
        for size in tensor["sizes"]:
            if "as_expr" in size:
                size["as_expr"]["expr_str"] = code(lab)


def named(lab: Lab, files: dict[str, bytes]) -> None:
    name = "tiny/data/weights/model_weights_config.json"
    held = json.loads(files[name])
    next(iter(held["config"].values()))["use_pickle"] = True
    files |= {name: json.dumps(held).encode(), "tiny/data/weights/weight_0": pickled(lab)}


def first_node(held: dict[str, Any]) -> dict[str, Any]:
    return held["graph_module"]["graph"]["nodes"][0]


def tree(lab: Lab, held: dict[str, Any]) -> None:
    call = held["graph_module"]["module_call_graph"][0]["signature"]
    call["in_spec"] = json.dumps([1, {"type": "os.system", "context": "null", "children_spec": []}])


_PROGRAM = "evil.pt2: not a torch.export program"
PROGRAM = "--backbone | ROOT/evil.pt2"
PLAN = "PLAN=ROOT/evil.yaml"
WEIGHTS = "--backbone | resnet18 | --weights | ROOT/evil.pth"


def huge_header(lab: Lab) -> None:
    (lab.root / "evil.safetensors").write_bytes(struct.pack("<Q", 1 << 62) + b"{}")


# --- images


def png(width: int, height: int, rows: bytes = b"") -> bytes:
    """A PNG whose header says what it likes."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    start = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
    return start + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def image(content: bytes, name: str = "test/dent/001.png") -> Callable[[Lab], Any]:
    return lambda lab: (lab.data / "cap" / name).write_bytes(content)


def rename(before: str, after: str | bytes) -> Callable[[Lab], Any]:
    def apply(lab: Lab) -> None:
        path = lab.data / before
        path.rename(path.with_name(os.fsdecode(after)))

    return apply


def groups(text: str) -> Callable[[Lab], Any]:
    return lambda lab: (lab.data / "cap/groups.csv").write_text(text)


# --- plans


def laughs() -> str:
    names = "abcdefghi"
    lines = ["a: &a [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"{name}: &{name} [{', '.join(['*' + names[at]] * 10)}]" for at, name in enumerate(names[1:])]
    return "\n".join(lines)


def written(text: str) -> Callable[[Lab], Any]:
    return lambda lab: (lab.root / "evil.yaml").write_text(text)


def holding(name: str, content: Callable[[Lab], bytes]) -> Callable[[Lab], Any]:
    """Write `evil.pt2` with a file more."""
    return program(lambda lab, files: files.update({f"tiny/{name}": content(lab)}))


def calling(target: str) -> Callable[[Lab], Any]:
    return graph(lambda lab, held: first_node(held).update(target=target))


def naming(lab: Lab, held: dict[str, Any]) -> None:
    first_node(held)["outputs"][0]["as_tensor"]["name"] = f"x={code(lab)}"


def bomb(lab: Lab, files: dict[str, bytes]) -> None:
    files["tiny/data/weights/weight_0"] = bytes(1 << 24)


SVG = b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><svg>&e;</svg>'
PROGRAMS: dict[str, tuple[str, Callable[[Lab], Any]]] = {
    "with pickled weights": ("holds 'tiny/data/weights/model.pt', which", holding("data/weights/model.pt", pickled)),
    "with one pickled weight": ("'stem.weight' is pickled", program(named)),
    "with a pickled constant": (
        "holds 'tiny/data/constants/opaque_obj_0'",
        holding("data/constants/opaque_obj_0", bare_pickle),
    ),
    "with a compiled library": (
        "holds 'tiny/data/aotinductor/x.so'",
        holding("data/aotinductor/x.so", lambda lab: b"\x7fELF"),
    ),
    "with a traversal": ("holds 'tiny/../../evil'", holding("../../evil", lambda lab: b"")),
    "with code for a size": ("expr_str is \"__import__('os')", graph(sizes)),
    "with code for a guard": ("guards_code is", graph(lambda lab, held: held.update(guards_code=[code(lab)]))),
    "with code for a name": ("name is", graph(naming)),
    "that calls os.system": ("target is 'torch.os.system', which is no tensor operation", calling("torch.os.system")),
    "that writes files": ("target is 'torch.ops.aten.save.default'", calling("torch.ops.aten.save.default")),
    "that imports a module": ("in_spec is", graph(tree)),
    "that is a bomb": ("", program(bomb, packed=True)),
}
IMAGES: dict[str, bytes] = {
    "of 50,000 x 50,000": png(50_000, 50_000),
    "that ends before its header says": png(64, 64, os.urandom(65 * 64))[:3000],
    "that is SVG": SVG,
}
NAMES: dict[str, tuple[str, str, str | bytes]] = {
    "a class with an end of line": (r"the name 'de\nnt' holds control", "cap/test/dent", "de\nnt"),
    "a class that paints the terminal": (r"'\x1b[31mdent' holds control", "cap/test/dent", "\x1b[31mdent"),
    "a class that is no UTF-8": (r"'de\udcffnt' holds control characters or", "cap/test/dent", b"de\xffnt"),
    "a class that reads backwards": (r"'de\u202ent' holds control", "cap/test/dent", "de\u202ent"),
    "a category that is a formula": ("begins as a spreadsheet's formula does", "cap", "=cmd|'calc'!A0"),
    "a class that is a formula": ("begins as a spreadsheet's formula does", "cap/test/dent", "@SUM(1)"),
    "an image with an end of line": (r"the name 'a\nb.png' holds", "cap/test/dent/001.png", "a\nb.png"),
}
GROUPS: dict[str, tuple[str, str]] = {
    "that lead elsewhere": ("line 2 names ../../../etc/passwd, no image of cap", "../../../etc/passwd"),
    "with an escape": (r"names \x1b]0;x\x07, no image of cap", "\x1b]0;x\x07"),
    "with a field of 200 kB": ("groups.csv: is no UTF-8 csv", "x" * 200_000),
    "with NUL": (r"names test/dent/001.png\x00, no image", "test/dent/001.png\0"),
}
PLANS: dict[str, tuple[str, str]] = {
    "that calls os.system": ("not YAML: could not determine", 'base: !!python/object/apply:os.system ["true"]\n'),
    "of a billion laughs": ("more than 100000 entries once its aliases", laughs()),
    "nested 5,000 deep": ("evil.yaml: not YAML: nested too deeply", "a: " + "[" * 5000 + "]" * 5000),
    "of 5 MB": ("5242880 bytes, 4194304 are the most", "#" * (5 << 20)),
}
WORDS: dict[str, tuple[str, str]] = {
    "a plan without end": ("/dev/zero is no file", "PLAN=/dev/zero"),
    "a category elsewhere": ("no such category", "folds.categories=[../data/cap]"),
    "support from elsewhere": (
        "cap/../../x.png is no defect image of this category",
        "base.support={shots_from: files, files: [cap/../../x.png]}",
    ),
    "an address with a secret": ("the s3:// address holds credentials", "--data | s3://key:hush@bucket/data"),
    "an address of another kind": ("--data ftp://...: no such kind of address", "--data | ftp://hush@host/x"),
    "a tracking URI with a password": ("http://...: holds a password", "--tracking-uri | http://me:hush@host:5000"),
    "a tracking URI with a token": ("http://...: holds a password", "--tracking-uri | http://hush@host:5000"),
    "a tracking URI with a key": ("http://...: holds a password", "--tracking-uri | http://host:5000?api-key=hush"),
    "a head with a token": ("--address holds a name, password or key", "--address | hush@host:6379"),
    "and one that is for later": ("PGPASSWORD for", "--offline | --tracking-uri | postgresql://me:hush@host/runs"),
}
HOSTILE: dict[str, Bad] = {
    # networks: what torch would run when it loads them
    "weights that are a pickle of os.system": Bad(
        "evil.pth: holds more than tensors, which may run anything; save the network's state_dict() alone",
        WEIGHTS,
        lambda lab: (lab.root / "evil.pth").write_bytes(pickled(lab)),
    ),
    "weights that are a bare pickle": Bad(
        "evil.pth: ", WEIGHTS, lambda lab: (lab.root / "evil.pth").write_bytes(bare_pickle(lab))
    ),
    "safetensors whose header has 4 EiB": Bad(
        "evil.safetensors: not a state dict", "--backbone | resnet18 | --weights | ROOT/evil.safetensors", huge_header
    ),
    "weights that are a pipe": Bad("evil.pth: no such file", WEIGHTS, lambda lab: os.mkfifo(lab.root / "evil.pth")),
    "a plan that is a pipe": Bad("evil.yaml is no file", PLAN, lambda lab: os.mkfifo(lab.root / "evil.yaml")),
    **{f"a program {name}": Bad(f"{_PROGRAM} ({text}", PROGRAM, spoil) for name, (text, spoil) in PROGRAMS.items()},
    **{
        f"an image {name}": Bad("cap/test/dent/001.png: cannot be read as", spoil=image(content))
        for name, content in IMAGES.items()
    },
    **{name: Bad(line, spoil=rename(before, after)) for name, (line, before, after) in NAMES.items()},
    **{f"groups {name}": Bad(line, spoil=groups(f"path,group\n{path},a\n")) for name, (line, path) in GROUPS.items()},
    **{f"a plan {name}": Bad(line, PLAN, written(text)) for name, (line, text) in PLANS.items()},
    **{name: Bad(line, words) for name, (line, words) in WORDS.items()},
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_file_gets_its_line_and_runs_nothing(own: Lab, said, case):  # noqa: F811
    bad = HOSTILE[case]
    bad.spoil(own)
    line = said(own.root, bad.asked(own))
    assert_names(line, *bad.says.split(" | "))
    assert line[:-1].isprintable()
    assert "hush" not in line
    assert not marker(own).exists(), "it was run"


def test_the_exploits_would_run_if_they_were_let(lab: Lab):
    """Else the tests above would prove nothing."""
    torch.load(io.BytesIO(pickled(lab)), weights_only=False)
    assert marker(lab).exists()
    marker(lab).unlink()
    graph(sizes)(lab)
    with pytest.raises(AttributeError):
        torch.export.load(lab.root / "evil.pt2")
    assert marker(lab).exists()


def loop(lab: Lab) -> None:
    (lab.data / "cap/test/dent/loop.png").symlink_to("loop.png")
    (lab.data / "cap/test/dent/above").symlink_to("..")


def elsewhere(lab: Lab) -> None:
    kept = lab.root / "kept.png"
    shutil.move(lab.data / "cap/test/dent/001.png", kept)
    (lab.data / "cap/test/dent/001.png").symlink_to(kept)


def listening(lab: Lab) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        before = Path.cwd()
        os.chdir(lab.data / "cap/test/dent")  # the path of a socket has 107 characters
        try:
            made.bind("s.png")
        finally:
            os.chdir(before)


HARMLESS: dict[str, Callable[[Lab], Any]] = {
    "a link to itself": loop,
    "a link that leaves the folder, to an image": elsewhere,
    "a pipe named png": lambda lab: os.mkfifo(lab.data / "cap/test/dent/pipe.png"),
    "a socket named png": listening,
    "a link to a device named png": lambda lab: (lab.data / "cap/test/dent/zero.png").symlink_to("/dev/zero"),
    "groups.csv that is a pipe": lambda lab: os.mkfifo(lab.data / "cap/groups.csv"),
    "a class called con, and markup": lambda lab: (
        (lab.data / "cap/test/dent").rename(lab.data / "cap/test/con"),
        (lab.data / "cap/test/crack").rename(lab.data / "cap/test/[bold]<b>"),
    ),
}


@pytest.mark.parametrize("case", HARMLESS)
def test_what_looks_dangerous_and_is_not_is_passed_by(own: Lab, case):  # noqa: F811
    HARMLESS[case](own)
    before = contents(own.data)
    ready = prepared(own)
    assert len(ready.folds(ready.plan.base)) == 4
    assert contents(own.data) == before


# --- archives


def unpacked(name: str, *, link: str | None = None) -> Callable[..., None]:
    """In place of torchvision's download: an archive whose entry leads elsewhere, unpacked as torchvision does."""

    def unpack(url: str, *, download_root: str, md5: str) -> None:
        archive = Path(download_root) / "evil.tar.gz"
        with tarfile.open(archive, "w:gz") as made:
            entry = tarfile.TarInfo(name)
            if link is not None:
                entry.type, entry.linkname = tarfile.SYMTYPE, link
            made.addfile(entry, io.BytesIO(b""))
        with tarfile.open(archive) as found:
            found.extractall(download_root)

    return unpack


@pytest.mark.parametrize(
    ("name", "link"), [("../../evil", None), ("/tmp/fsamc-evil", None), ("dtd/dtd/images/x", "/etc/passwd")]
)
def test_an_archive_that_leads_elsewhere_is_refused(tmp_path, monkeypatch, name, link):
    monkeypatch.setattr("torchvision.datasets.dtd.download_and_extract_archive", unpacked(name, link=link))
    cache = tmp_path / "a" / "b"
    with pytest.raises(BadInput, match="the textures dtd cannot be downloaded"):
        fetch_dtd(cache)
    assert sorted(tmp_path.rglob("*")) == [tmp_path / "a", cache]
    assert not Path("/tmp/fsamc-evil").exists()


def test_a_download_of_textures_that_never_ends_has_a_deadline(tmp_path, monkeypatch):
    over = threading.Event()
    monkeypatch.setattr("torchvision.datasets.dtd.download_and_extract_archive", lambda *_, **__: over.wait(60))
    monkeypatch.setattr("fsamc.deadline.DOWNLOAD", 0.2)
    with pytest.raises(BadInput, match=r"dtd cannot be downloaded \(.*no whole answer within 0.2 seconds\); get "):
        fetch_dtd(tmp_path / "cache")
    over.set()
    assert not any((tmp_path / "cache").iterdir())
