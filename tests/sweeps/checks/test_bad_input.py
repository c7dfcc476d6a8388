"""Whatever is wrong with what the user gave: exit code 2, one line that names it, nothing written.

`BAD` is to be read: what is done to data, textures, plans, networks and folders, and what the line names.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from PIL import Image

from fsamc.features.weights import origin
from fsamc.store.store import Store
from sweeps.checks.disk import check_space
from sweeps.checks.prepare import Prepared, prepare
from sweeps.checks.resources import resolve_resources
from sweeps.plan.load import load_plan
from sweeps.results.folder import SweepFolder
from sweeps.results.identity import claim, with_backbone_of
from tests.fsamc.layouts import TinyNetwork, export_program, write_category
from tests.sweeps.small import Lab, fsamc

Spoil = Callable[[Lab], Any]


@dataclass(frozen=True)
class Bad:
    """A sweep that must be refused.

    Attributes:
        says: what its line holds, apart by ` | `.
        words: added to the sweep's, apart by ` | `; ROOT is the lab's, and PLAN=… the plan instead of the lab's.
        spoil: what is done to the lab before.
    """

    says: str
    words: str = ""
    spoil: Spoil = lambda lab: None

    def asked(self, lab: Lab) -> list[str]:
        """The words of the sweep."""
        more = [word.replace("ROOT", str(lab.root)) for word in self.words.split(" | ") if word]
        plans = [word.removeprefix("PLAN=") for word in more if word.startswith("PLAN=")] or [lab.plan()]
        return [*lab.words(plans[0]), *(word for word in more if not word.startswith("PLAN="))]


@pytest.fixture
def own(lab: Lab) -> Lab:
    """A lab whose data and textures may be spoilt."""
    shutil.copytree(lab.data, lab.root / "data")
    shutil.copytree(lab.textures, lab.root / "textures")
    return Lab(lab.root / "data", lab.root / "textures", lab.backbone, lab.root)


@pytest.fixture
def said(capfd) -> Callable[..., str]:
    """Run a command that must be refused; the line it prints."""

    def said(root: Path, words: list[str], *, also: str = "") -> str:
        before = contents(root)
        code = fsamc(*words)
        output, errors = capfd.readouterr()
        assert code == 2, f"exit code {code}\n{output}\n{errors}"
        assert output.startswith(also) if also else output == ""
        assert errors.startswith("fsamc: ")
        assert errors.count("\n") == 1, errors
        assert contents(root) == before
        return errors

    return said


def contents(root: Path) -> dict[str, str | None]:
    """Every file and folder with the hash of its content."""
    files = sorted(path for path in root.rglob("*"))
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None for path in files}


def assert_names(line: str, *words: object) -> None:
    assert all(str(word) in line for word in words), line


# --- what is done to a lab


def gone(*names: str) -> Spoil:
    """Remove folders below the lab's root."""
    return lambda lab: [shutil.rmtree(lab.root / name) for name in names]


def cut(name: str) -> Spoil:
    """Leave 200 bytes of a file."""
    return lambda lab: (lab.root / name).write_bytes((lab.root / name).read_bytes()[:200])


def put(name: str, content: bytes) -> Spoil:
    """Write a file below the lab's root."""

    def write(lab: Lab) -> None:
        (lab.root / name).parent.mkdir(exist_ok=True)
        (lab.root / name).write_bytes(content)

    return write


def file_for(name: str) -> Spoil:
    """Put a file in the place of a folder."""
    return lambda lab: (gone(name)(lab), put(name, b"x")(lab))


def twice(path: Path, name: str) -> None:
    """Copy a file or folder to a new name beside it."""
    (shutil.copytree if path.is_dir() else shutil.copy)(path, path.with_name(name))


def exported(network: type[torch.nn.Module], name: str, **options: Any) -> Spoil:
    return lambda lab: export_program(network(), lab.root / name, **options)


def prepared(lab: Lab) -> Prepared:
    plan, _ = resolve_resources(load_plan(str(lab.plan()), backbone=str(lab.backbone)), None)
    store = Store(lab.root / "cache")
    return prepare(plan, data=lab.data, textures=lab.textures, store=store, device="cpu")


def begin(lab: Lab) -> None:
    """Begin a sweep in `out`."""
    ready = prepared(lab)
    SweepFolder(lab.root / "out", ready.plan).open(ready.contents)


class Vectors(TinyNetwork):
    def forward(self, images):
        return {name: maps.mean((2, 3)) for name, maps in super().forward(images).items()}


class Scaled(TinyNetwork):
    """Features of another size."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, images):
        return {name: maps * self.factor for name, maps in super().forward(images).items()}


def reencoded(source: str, copy: str) -> Spoil:
    """Put a picture in place of another, in a file of other bytes."""
    return lambda lab: Image.open(lab.data / source).save(lab.data / copy, compress_level=1)


OPTUNA = "search={algorithm: optuna, trials: 3}"
WEIGHTS = "--backbone | resnet18 | --weights | ROOT/bad.pth"
BAD: dict[str, Bad] = {
    # data and textures
    "a file": Bad("data | no such folder", spoil=file_for("data")),
    "no category": Bad("data | no category", spoil=gone("data/cap", "data/tile")),
    "a category itself": Bad(
        "data | is itself a category",
        spoil=lambda lab: (
            (lab.data / "cap").rename(lab.root / "x"),
            gone("data")(lab),
            (lab.root / "x").rename(lab.data),
        ),
    ),
    "no good image": Bad("cap/train/good | no images", spoil=gone("data/cap/train/good")),
    "no test folder": Bad("cap/test | no defect class", spoil=gone("data/cap/test")),
    "a category called average": Bad(
        "average | rename", spoil=lambda lab: (lab.data / "cap").rename(lab.data / "average")
    ),
    "a truncated good image": Bad("cap/train/good/003.png", spoil=cut("data/cap/train/good/003.png")),
    "a truncated defect": Bad("tile/test/chip/004.png", spoil=cut("data/tile/test/chip/004.png")),
    "groups of an unknown image": Bad(
        "groups.csv | line 2 | test/dent/x.png", spoil=put("data/cap/groups.csv", b"path,group\ntest/dent/x.png,a\n")
    ),
    "one defect class everywhere": Bad(
        "no category is large enough | 2 are needed; add images, or folders of other defects",
        spoil=gone("data/cap/test/crack", "data/cap/test/dent", "data/tile/test/chip"),
    ),
    "a file in two classes": Bad(
        "cap/test/crack/001.png and | cap/test/dent/002.png are the same picture, as crack and as dent",
        spoil=lambda lab: shutil.copy(lab.data / "cap/test/crack/001.png", lab.data / "cap/test/dent/002.png"),
    ),
    "a picture in two classes": Bad(
        "cap/test/crack/001.png and | cap/test/dent/002.png are the same picture, as crack and as dent",
        spoil=reencoded("cap/test/crack/001.png", "cap/test/dent/002.png"),
    ),
    "copies that leave no query": Bad(
        "no category is large enough | class crack has 5 images of 2 groups | ; set folds.shots=[1], or set folds",
        "folds.categories=[cap]",
        lambda lab: [reencoded("cap/test/crack/000.png", f"cap/test/crack/00{one}.png")(lab) for one in (1, 2, 3)],
    ),
    "good images called ok": Bad(
        "cap/test/ok: good images are expected in | rename the folder",
        spoil=lambda lab: shutil.copytree(lab.data / "cap/train/good", lab.data / "cap/test/ok"),
    ),
    "a category one folder too deep": Bad(
        "nut: the category lies one folder deeper; move it up: mv ",
        spoil=lambda lab: shutil.copytree(lab.data / "cap", lab.data / "nut/nut"),
    ),
    "a file for textures": Bad("textures | no such folder", spoil=file_for("textures")),
    "too few texture classes": Bad("pseudo_classes is 3 | 2 texture classes", spoil=gone("textures/woven")),
    "a truncated texture": Bad("woven/000.png", spoil=cut("textures/woven/000.png")),
    # plans
    "no category large enough": Bad(
        "no category is large enough | for 5 shots: | ; set folds.shots=[4], or set folds.score=support, which",
        "folds.shots=[5]",
    ),
    "an unknown category": Bad("folds.categories | bolt | categories=[cap,tile]", "folds.categories=[cap,bolt]"),
    "more textures a class than there are": Bad("textures_per_class | 2", "base.pseudo.textures_per_class=2"),
    "support of an unknown image": Bad(
        "support.files | cap/test/dent/9.png",
        "base.support={shots_from: files, files: [cap/test/dent/9.png]}",
    ),
    "a GPU where there is none": Bad("resources.gpus is 64", "resources.gpus=64"),
    "a plan that is bytes": Bad("spoilt.yaml", "PLAN=ROOT/spoilt.yaml", put("spoilt.yaml", b"\xff\xfe\x00\x01")),
    "no plan at smok": Bad("smok: no such plan | smoke", "PLAN=smok"),
    "no plan at .": Bad(".: no such plan | smoke", "PLAN=."),
    # backbones
    "a program that gives vectors": Bad(
        "wrong.pt2 | [B, C, H, W]", "--backbone | ROOT/wrong.pt2", exported(Vectors, "wrong.pt2")
    ),
    **{
        f"a program whose features are {factor} times as large": Bad(
            f"wrong.pt2: on | cap/train/good/000.png it gives {said}",
            "--backbone | ROOT/wrong.pt2",
            lambda lab, factor=factor: export_program(Scaled(factor), lab.root / "wrong.pt2"),
        )
        for factor, said in (
            (float("nan"), "NaN or infinity"),
            (1e8, "features up to | float16 holds 65504.0; multiply its outputs by"),
            (1e-9, "features around | which float16 rounds off; multiply its outputs by"),
            (0.0, "nothing but zeros"),
        )
    },
    "a program for images of another size": Bad(
        "fixed.pt2 | 96 x 96 | features.size",
        "base.features.size=96 | --backbone | ROOT/fixed.pt2",
        exported(TinyNetwork, "fixed.pt2", fixed=True),
    ),
    "text for a program": Bad(
        "text.pt2 | not a torch.export program", "--backbone | ROOT/text.pt2", put("text.pt2", b"no program")
    ),
    "the backbone resnet51": Bad("'resnet51' | resnet50", "--backbone | resnet51"),
    "OUT with a question mark": Bad("q?: `?` and `%20` are no letters", "--out | ROOT/q?"),
    "OUT with a code of a letter": Bad("q%20: `?` and `%20` are no letters", "--out | ROOT/q%20"),
    "weights of another network": Bad(
        "bad.pth | resnet18", WEIGHTS, lambda lab: torch.save({"fc.weight": torch.zeros(2, 2)}, lab.root / "bad.pth")
    ),
    # out and cache
    **{
        f"--{option} at {place}": Bad(
            f"/{place} | file is a file | another folder", f"--{option} | ROOT/{place}", put("file", b"x")
        )
        for option in ("out", "cache")
        for place in ("file", "file/below/deeper")
    },
    "a folder that holds other things": Bad("/out | not empty", spoil=put("out/thesis.tex", b"x")),
    # resuming
    "--resume must without a sweep": Bad("/out | no sweep to resume", "--resume | must"),
    "--resume never with one": Bad("/out | holds a sweep already", "--resume | never", begin),
    **{
        f"identity.json is {content[:5]!r}": Bad(
            "/out/identity.json | restore it from a copy",
            spoil=lambda lab, content=content: (begin(lab), (lab.root / "out/identity.json").write_bytes(content)),
        )
        for content in (b'{"run": "3', b"[]", b"\xff", b'{"run": 3}')
    },
    **{
        f"another plan: {change}, --resume {mode}": Bad(
            f"another plan | {difference}", f"{change} | --resume | {mode}", begin
        )
        for change, mode, difference in (
            ("base.pretrain.lr=0.5", "auto", "base.pretrain.lr was 0.0001 and is 0.5"),
            ("base.pretrain.lr=0.5", "must", "base.pretrain.lr was 0.0001 and is 0.5"),
            ("folds.seeds=[1,2,3]", "auto", "folds.seeds was [1, 2] and is [1, 2, 3]"),
            ("folds.shots=[3]", "auto", "folds.shots was [2] and is [3]"),
            ("name=other", "auto", "name was 'small' and is 'other'"),
            ("search.seed=4", "auto", "search.seed was 0 and is 4"),
        )
    },
    "a grid that is extended": Bad("--extend 3 | a grid | another --out", "--extend | 3", begin),
    "an extension of no sweep": Bad(
        "--extend 3 | /out | no sweep to extend", "search={algorithm: random, trials: 2} | --extend | 3"
    ),
    **{
        f"other data: {change}": Bad(
            f"other data | ({what} differs)", spoil=lambda lab, spoil=spoil: (begin(lab), spoil(lab))
        )
        for change, what, spoil in (
            ("a further image", "category cap", lambda lab: twice(lab.data / "cap/train/good/000.png", "9.png")),
            ("other groups", "category tile", put("data/tile/groups.csv", b"path,group\ntest/chip/000.png,a\n")),
            (
                "a further category",
                "category nut",
                lambda lab: write_category(lab.data, "nut", classes={"a": 5, "b": 5}),
            ),
            ("a category less", "category tile", gone("data/tile")),
            ("a further texture", "textures", lambda lab: twice(lab.textures / "woven", "zebra")),
        )
    },
    "another backbone under the same name": Bad(
        "another plan",
        "--backbone | ROOT/net.pt2",
        lambda lab: (
            put("net.pt2", lab.backbone.read_bytes())(lab),
            begin(Lab(lab.data, lab.textures, lab.root / "net.pt2", lab.root)),
            export_program(TinyNetwork(seed=1), lab.root / "net.pt2"),
        ),
    ),
    # tracking, search and cluster
    **{
        f"--tracking-uri {uri}": Bad(f"--tracking-uri {uri} | {said}", f"--tracking-uri | {uri}")
        for uri, said in {
            "runs": "sqlite:///",
            "file:///tmp/runs": "sqlite:///",
            "foo://bar": "cannot be reached",
            "http://127.0.0.1:9": "cannot be reached",
            "sqlite:////proc/none/x.db": "cannot be reached",
        }.items()
    },
    **{
        f"search.storage=postgresql://{where}": Bad(
            f"search.storage | {said}", f"{OPTUNA} | search.storage=postgresql://{where}"
        )
        for where, said in {
            "me:${NO_SUCH}@127.0.0.1:9/db": "NO_SUCH",
            "me@127.0.0.1:9/db": "127.0.0.1",
            "me:hush@127.0.0.1:9/db": "${NAME}",
        }.items()
    },
    "--address 127.0.0.1:9": Bad("--address 127.0.0.1:9 | no Ray", "--address | 127.0.0.1:9"),
    "--address nonsense": Bad("--address nonsense", "--address | nonsense"),
    "--address 127.0.0.1:port": Bad("--address 127.0.0.1:port", "--address | 127.0.0.1:port"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_line_and_leaves_nothing(own, said, case):
    bad = BAD[case]
    bad.spoil(own)
    line = said(own.root, bad.asked(own))
    assert_names(line, *bad.says.split(" | "))
    assert "hush" not in line


# --- what needs more than a row


def test_pretraining_only_for_some_heads_without_textures(lab, said):
    words = lab.words(lab.plan())
    place = words.index("--textures")
    assert_names(said(lab.root, words[:place] + words[place + 2 :]), "--textures")


def test_one_category_too_small_among_others_is_a_warning_and_no_error(own, capfd):
    (own.data / "tile/test/chip/004.png").unlink()
    assert fsamc(*own.words(own.plan(), "folds.shots=[4]", "--dry-run")) == 0
    output, errors = capfd.readouterr()
    assert "warning left out at 4 shots: tile: class chip has 4 images of 4 groups" in output
    assert "4 trials (grid), 8 folds on" in output
    assert errors == ""


@pytest.fixture
def no_resnet(lab, monkeypatch) -> Path:
    """Where torch would keep ImageNet weights, which are nowhere."""
    monkeypatch.setenv("TORCH_HOME", str(lab.root / "torch"))
    for name in ("http_proxy", "https_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    return lab.root / "torch/hub/checkpoints"


def test_imagenet_weights_that_are_neither_cached_nor_reachable(lab, said, no_resnet):
    line = said(lab.root, Lab(lab.data, lab.textures, Path("resnet18"), lab.root).words(lab.plan()))
    assert_names(line, "ImageNet weights of resnet18", no_resnet, "--weights", "--backbone")


@pytest.mark.usefixtures("no_resnet")
def test_auto_is_what_can_be_had_and_where_a_sweep_goes_on_what_that_began_with(lab):
    plan = load_plan(str(lab.plan()), backbone="auto")
    prepared = Lab(lab.data, lab.textures, Path("auto"), lab.root).prepared()
    assert prepared.plan.base.features.backbone == "efficientnet_lite2"
    assert prepared.warnings[-1].endswith("; going on with efficientnet_lite2")
    assert prepared.origins == (origin(prepared.plan.base.features),)
    assert not prepared.caveats
    out = lab.root / "out"
    begun = load_plan(str(lab.plan()), backbone="resnet18", weights="random")
    claim(out, begun, {})
    assert with_backbone_of(plan, out).base == begun.base
    assert with_backbone_of(plan, lab.root / "none") == plan


@pytest.mark.parametrize("option", ["out", "cache"])
@pytest.mark.parametrize(
    ("options", "filler", "what"), [("size=1m,ro", 0, "Read-only"), ("size=64k", 40960, "are free")]
)
def test_a_disk_that_is_read_only_or_full(lab, said, disk, option, options, filler, what):
    place = disk(options)
    if filler:
        (place / "filler").write_bytes(bytes(filler))
    assert_names(said(lab.root, lab.words(lab.plan(), **{option: str(place / "x")})), place / "x", what)


@pytest.mark.parametrize(("free", "what"), [(1000, "the cache need about"), (1 << 20, "the results need about 67 MB")])
def test_less_room_than_a_sweep_will_take(lab, said, monkeypatch, free, what):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=free))
    assert_names(said(lab.root, lab.words(lab.plan())), what, "make room")


def test_room_is_asked_for_what_the_artifacts_will_take(lab, monkeypatch):
    asked: list[int] = []
    monkeypatch.setattr("sweeps.checks.disk._require", lambda folder, needed, what: asked.append(needed))
    check_space(prepared(lab), cache=lab.root / "cache", out=lab.root / "out")
    patches, a_patch = 64, 16 * 2  # 8 x 8, of 16 channels in float16
    good, defects, pseudo = 5 + 4, 15 + 10, 2 * 3 * 4  # of cap and tile; pseudo-defects of both
    features = (good + defects + pseudo) * patches * a_patch
    a_row, a_vector = 8, 16 * 8 + 7 * 4  # a distance and a number; means of patches and rows, and ranked distances
    statistics = 2 * 16 * (16 + 1) * 4
    clean = pseudo * (patches * a_row + a_vector)
    a_seed = 0.1 * good * patches * a_patch + defects * (patches * a_row + a_vector)  # a tenth of the rows is the bank
    assert asked[0] == pytest.approx(features + statistics + clean + 2 * a_seed, rel=0.001)


def test_the_same_plan_with_other_workers_or_its_backbone_elsewhere_goes_on(lab, capfd):
    begin(lab)
    elsewhere = shutil.copy(lab.backbone, lab.root / "net.pt2")
    for words in (("resources.workers=1", "--resume", "must"), ("--backbone", str(elsewhere))):
        assert fsamc(*lab.words(lab.plan()), *words, "--dry-run") == 0
        assert "4 trials (grid), 16 folds" in capfd.readouterr().out


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["sweep", "smoke"], ["--out"]),
        (["sweep", "smoke", "--out", "y"], ["--data is missing", "y holds no sweep"]),
        (["sweep", "--out", "y"], ["PLAN is missing", "y holds no sweep"]),
        (["sweep", "smoke", "--data", "x", "--out", "y", "--time-budget", "soon"], ["--time-budget soon", "2h"]),
        (["sweep", "smoke", "--data", "x", "--out", "y", "--json", "--quiet"], ["--json", "--quiet", "leave one out"]),
        (["sweep", "smoke", "--data", "x", "--out", "y", "--extend", "0"], ["--extend"]),
        (["sweep", "smoke", "--data", "x", "--out", "y", "--resume", "sometimes"], ["--resume", "sometimes", "must"]),
        (["sweep", "smoke", "--data", "x", "--out", "y", "--workers", "2"], ["--workers"]),
        (["sweeep"], ["sweeep"]),
        (["report", "missing"], ["missing/folds.csv"]),
        (["plan", "show", "missing"], ["missing", "no such plan"]),
        (["plan", "check", "smoke", "folds.shots=[0]"], ["smoke", "folds.shots", "0"]),
        (["data", "inspect", "missing"], ["missing", "no such folder"]),
        (["pseudo", "preview", "missing", "--textures", "t", "--out", "o"], ["missing", "no such folder"]),
        (["cache", "prune", "--days", "-1"], ["--days"]),
    ],
)
def test_wrong_words(tmp_path, said, monkeypatch, words, named):
    monkeypatch.chdir(tmp_path)
    assert_names(said(tmp_path, words), *named)
