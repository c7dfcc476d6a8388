"""Whatever is wrong with what the user gave: exit code 2, one line that names it, nothing written."""

from __future__ import annotations

import hashlib
import shutil
import socket
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import yaml
from torch import nn

from fsamc.store.store import Store
from sweeps.checks.disk import check_space
from sweeps.checks.prepare import prepare
from sweeps.checks.resources import resolve_resources
from sweeps.plan.load import load_plan
from sweeps.results.folder import SweepFolder
from tests.fsamc.layouts import TinyNetwork, export_program, write_category
from tests.sweeps.small import PLAN, Lab, fsamc

Change = Callable[[Lab], None]


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


# --- data

SPOILT: dict[str, tuple[Change, list[str]]] = {
    "no folder": (lambda lab: shutil.rmtree(lab.data), ["data", "no such folder"]),
    "a file": (lambda lab: (shutil.rmtree(lab.data), lab.data.write_text("x")), ["data", "no such folder"]),
    "no category": (
        lambda lab: [shutil.rmtree(path) for path in lab.data.iterdir()],
        ["data", "no category"],
    ),
    "a category itself": (
        lambda lab: (
            [shutil.move(path, lab.data) for path in (lab.data / "cap").iterdir()]
            and [shutil.rmtree(lab.data / name) for name in ("cap", "tile")]
        ),
        ["data", "is itself a category"],
    ),
    "no good image": (
        lambda lab: [path.unlink() for path in (lab.data / "cap/train/good").iterdir()],
        ["cap/train/good", "no images"],
    ),
    "no test folder": (lambda lab: shutil.rmtree(lab.data / "cap/test"), ["cap/test", "no defect class"]),
    "a category called average": (
        lambda lab: (lab.data / "cap").rename(lab.data / "average"),
        ["average", "rename"],
    ),
    "a truncated good image": (lambda lab: truncate(lab.data / "cap/train/good/003.png"), ["cap/train/good/003.png"]),
    "a truncated defect": (lambda lab: truncate(lab.data / "tile/test/chip/004.png"), ["tile/test/chip/004.png"]),
    "a text named png": (
        lambda lab: (lab.data / "cap/test/dent/002.png").write_text("no picture"),
        ["cap/test/dent/002.png"],
    ),
    "an empty png": (lambda lab: (lab.data / "cap/test/dent/002.png").write_bytes(b""), ["cap/test/dent/002.png"]),
    "groups of an unknown image": (
        lambda lab: (lab.data / "cap/groups.csv").write_text("path,group\ntest/dent/x.png,a\n"),
        ["groups.csv", "line 2", "test/dent/x.png"],
    ),
    "groups without columns": (
        lambda lab: (lab.data / "cap/groups.csv").write_text("test/dent/000.png,a\n"),
        ["groups.csv", "path,group"],
    ),
    "one defect class everywhere": (
        lambda lab: [shutil.rmtree(lab.data / name) for name in ("cap/test/crack", "cap/test/dent", "tile/test/chip")],
        ["no category is large enough", "2 are needed"],
    ),
    "no textures": (lambda lab: shutil.rmtree(lab.textures), ["textures", "no such folder"]),
    "a file for textures": (
        lambda lab: (shutil.rmtree(lab.textures), lab.textures.write_text("x")),
        ["textures", "no such folder"],
    ),
    "textures without images": (
        lambda lab: [path.unlink() for path in lab.textures.rglob("*.png")],
        ["textures", "no texture images"],
    ),
    "too few texture classes": (
        lambda lab: shutil.rmtree(lab.textures / "woven"),
        ["pseudo_classes is 3", "2 texture classes"],
    ),
    "a truncated texture": (lambda lab: truncate(lab.textures / "woven/000.png"), ["woven/000.png"]),
}


def truncate(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:200])


@pytest.mark.parametrize("case", SPOILT)
def test_data_that_cannot_be_used(own, said, case):
    spoil, words = SPOILT[case]
    spoil(own)
    assert_names(said(own.root, own.words(own.plan())), *words)


def test_one_category_too_small_among_others_is_a_warning_and_no_error(own, capfd):
    (own.data / "tile/test/chip/004.png").unlink()
    assert fsamc(*own.words(own.plan(), "base.shots=4", "space.shots=null", "--dry-run")) == 0
    output, errors = capfd.readouterr()
    assert "warning left out at 4 shots: tile: class chip has 4 images of 4 groups" in output
    assert "2 trials (grid), 4 folds on" in output
    assert errors == ""


# --- plan

PLANS: dict[str, tuple[list[str], list[str]]] = {
    "no category large enough": (["base.shots=5", "space.shots=null"], ["no category is large enough", "5 shots"]),
    "an unknown head": (["base.head.kind=forest"], ["base.head.kind", "'forest'", "prototype"]),
    "an unknown head in the space": (["space.head.kind.choice=[forest]"], ["head.kind", "'forest'"]),
    "a threshold of 1.7": (["base.pretrain.stop_threshold=1.7"], ["base.pretrain.stop_threshold", "1.7"]),
    "an unknown key": (["base.pretrain.treshold=1"], ["base.pretrain.treshold", "unknown key"]),
    "an unknown category": (["folds.categories=[cap,bolt]"], ["folds.categories", "bolt", "categories=[cap,tile]"]),
    "more pseudo-classes than textures": (["base.pretrain.pseudo_classes=4"], ["pseudo_classes is 4", "3 texture"]),
    "more textures a class than there are": (["base.pseudo.textures_per_class=2"], ["textures_per_class", "2"]),
    "no key=value": (["base.shots"], ["'base.shots'", "key=value"]),
    "a value that is no YAML": (["folds.seeds=[1"], ["folds.seeds=[1", "YAML"]),
    "support of an unknown image": (
        ["base.support={shots_from: files, files: [cap/test/dent/9.png]}", "space.shots=null"],
        ["support.files", "cap/test/dent/9.png"],
    ),
    "too few images of support": (
        ["base.support={shots_from: files, files: [cap/test/dent/000.png]}", "space.shots=null"],
        ["support.files", "2 shots need 2"],
    ),
    "files without a list": (["base.support.shots_from=files"], ["base.support", "go together"]),
    "a list of support and random draws": (
        ["base.support={shots_from: files, files: [cap/test/dent/000.png]}", "folds.draws=[1]", "space.shots=null"],
        ["support.files", "folds.draws"],
    ),
    "a GPU where there is none": (["resources.gpus=64"], ["resources.gpus is 64"]),
    "pretraining only for some heads, without textures": (["--textures"], ["--textures"]),
}


@pytest.mark.parametrize("case", PLANS)
def test_plans_that_cannot_run(lab, said, case):
    changes, words = PLANS[case]
    asked = lab.words(lab.plan(), *changes)
    if changes == ["--textures"]:
        asked.remove("--textures")  # the mark that stands for leaving it out
        place = asked.index("--textures")
        del asked[place : place + 2]
    assert_names(said(lab.root, asked), *words)


FILES: dict[str, tuple[bytes, list[str]]] = {
    "a list": (b"- base\n", ["spoilt.yaml", "list"]),
    "no YAML": (b"base: {shots: [", ["spoilt.yaml", "not YAML"]),
    "nothing": (b"", ["spoilt.yaml", "NoneType"]),
    "bytes": (b"\xff\xfe\x00\x01", ["spoilt.yaml"]),
    "an unknown key": (yaml.safe_dump(PLAN | {"fold": 1}).encode(), ["spoilt.yaml", "fold", "unknown key"]),
}


@pytest.mark.parametrize("case", FILES)
def test_files_that_are_no_plan(lab, said, case):
    content, words = FILES[case]
    (lab.root / "spoilt.yaml").write_bytes(content)
    assert_names(said(lab.root, lab.words(lab.root / "spoilt.yaml")), *words)


@pytest.mark.parametrize("name", ["missing.yaml", "smok", "."])
def test_plans_that_are_not_there(lab, said, name):
    assert_names(said(lab.root, lab.words(name)), f"{name}: no such plan", "smoke")


# --- backbone


class OneMap(TinyNetwork):
    def forward(self, images):
        return super().forward(images)["layer3"]


class OneOfTwo(TinyNetwork):
    def forward(self, images):
        return {"layer3": super().forward(images)["layer3"]}


class Vectors(TinyNetwork):
    def forward(self, images):
        return {name: maps.mean((2, 3)) for name, maps in super().forward(images).items()}


@pytest.mark.parametrize(
    ("network", "words"),
    [(OneMap(), ["layer2"]), (OneOfTwo(), ["layer3", "layer2"]), (Vectors(), ["[B, C, H, W]"])],
)
def test_programs_with_wrong_outputs(lab, said, network: nn.Module, words):
    program = export_program(network, lab.root / "wrong.pt2")
    asked = Lab(lab.data, lab.textures, Path(program), lab.root)
    assert_names(said(lab.root, asked.words(lab.plan())), program, *words)


def test_a_program_for_images_of_another_size(lab, said):
    program = export_program(TinyNetwork(), lab.root / "fixed.pt2", fixed=True)
    asked = Lab(lab.data, lab.textures, Path(program), lab.root)
    assert_names(said(lab.root, asked.words(lab.plan(), "base.features.size=96")), program, "96 x 96", "features.size")


@pytest.mark.parametrize(
    ("backbone", "words"),
    [
        ("text.pt2", ["text.pt2", "not a torch.export program"]),
        ("missing.pt2", ["missing.pt2", "no such file"]),
        ("resnet51", ["'resnet51'", "resnet50"]),
        ("vgg16", ["'vgg16'", "resnet50"]),
    ],
)
def test_backbones_that_cannot_be_had(lab, said, backbone, words):
    (lab.root / "text.pt2").write_text("no program")
    name = lab.root / backbone if backbone.endswith(".pt2") else Path(backbone)
    assert_names(said(lab.root, Lab(lab.data, lab.textures, name, lab.root).words(lab.plan())), *words)


@pytest.mark.parametrize("backbone", ["resnet18", "auto"])
def test_imagenet_weights_that_are_neither_cached_nor_reachable(lab, said, monkeypatch, backbone):
    monkeypatch.setenv("TORCH_HOME", str(lab.root / "torch"))
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    (lab.root / "torch" / "hub" / "checkpoints").mkdir(parents=True)
    asked = Lab(lab.data, lab.textures, Path(backbone), lab.root).words(lab.plan())
    line = said(lab.root, asked, also="Downloading: ")
    name = "resnet50" if backbone == "auto" else backbone
    assert_names(line, f"ImageNet weights of {name}", lab.root / "torch/hub/checkpoints", "--weights", "--backbone")


@pytest.mark.parametrize(("weights", "words"), [("text.pth", ["not a state dict"]), ("none.pth", ["no such file"])])
def test_weights_that_cannot_be_used(lab, said, weights, words):
    (lab.root / "text.pth").write_text("no weights")
    asked = Lab(lab.data, lab.textures, Path("resnet18"), lab.root).words(lab.plan(), "--weights", lab.root / weights)
    assert_names(said(lab.root, [str(word) for word in asked]), weights, *words)


def test_weights_of_another_network(lab, said):
    torch.save({"fc.weight": torch.zeros(2, 2)}, lab.root / "other.pth")
    asked = Lab(lab.data, lab.textures, Path("resnet18"), lab.root).words(
        lab.plan(), "--weights", str(lab.root / "other.pth")
    )
    assert_names(said(lab.root, asked), "other.pth", "resnet18")


# --- out and cache


@pytest.mark.parametrize("option", ["out", "cache"])
@pytest.mark.parametrize("place", ["file", "file/below", "file/below/deeper"])
def test_folders_that_cannot_be_made(lab, said, option, place):
    (lab.root / "file").write_text("x")
    line = said(lab.root, lab.words(lab.plan(), **{option: place}))
    assert_names(line, lab.root / place, "file is a file", "another folder")


@pytest.mark.parametrize("option", ["out", "cache"])
def test_a_read_only_disk(lab, said, disk, option):
    place = disk("size=1m,ro")
    assert_names(said(lab.root, lab.words(lab.plan(), **{option: str(place / "x")})), place / "x", "Read-only")


@pytest.mark.parametrize("option", ["out", "cache"])
def test_a_full_disk(lab, said, disk, option):
    place = disk("size=64k")
    (place / "filler").write_bytes(bytes(40960))
    assert_names(said(lab.root, lab.words(lab.plan(), **{option: str(place / "x")})), place / "x", "are free")


@pytest.mark.parametrize(("free", "what"), [(1000, "the cache need about"), (1 << 20, "the results need about 67 MB")])
def test_less_room_than_a_sweep_will_take(lab, said, monkeypatch, free, what):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=free))
    assert_names(said(lab.root, lab.words(lab.plan())), what, "make room")


def test_room_is_asked_for_what_the_artifacts_will_take(lab, monkeypatch):
    plan, _ = resolve_resources(load_plan(str(lab.plan()), backbone=str(lab.backbone)), None)
    cache = lab.root / "cache"
    prepared = prepare(plan, data=lab.data, textures=lab.textures, store=Store(cache), device="cpu", random=False)
    asked: list[int] = []
    monkeypatch.setattr("sweeps.checks.disk._require", lambda folder, needed, what: asked.append(needed))
    check_space(prepared, cache=cache, out=lab.root / "out")
    a_picture = 64 * 16 * 2  # 8 x 8 patches, 16 channels, float16
    pictures = 5 + 15 + 4 + 10 + 2 * 3 * 4  # good and defects of cap and tile, pseudo-defects of both
    assert asked[0] == pytest.approx(pictures * a_picture, rel=0.1)  # banks and nearest rows beside


def test_a_folder_that_holds_other_things(lab, said):
    (lab.root / "out").mkdir()
    (lab.root / "out" / "thesis.tex").write_text("x")
    assert_names(said(lab.root, lab.words(lab.plan())), lab.root / "out", "not empty")


# --- resuming


@pytest.fixture
def begun(own: Lab) -> Lab:
    """A lab with a sweep in `out` that was begun."""
    plan, _ = resolve_resources(load_plan(str(own.plan()), backbone=str(own.backbone)), None)
    store = Store(own.root / "cache")
    prepared = prepare(plan, data=own.data, textures=own.textures, store=store, device="cpu", random=False)
    SweepFolder(own.root / "out", prepared.plan).open(prepared.contents)
    return own


def test_must_resume_needs_a_sweep(lab, said):
    assert_names(said(lab.root, lab.words(lab.plan(), "--resume", "must")), lab.root / "out", "no sweep to resume")


def test_never_resume_needs_none(begun, said):
    line = said(begun.root, begun.words(begun.plan(), "--resume", "never"))
    assert_names(line, begun.root / "out", "holds a sweep already")


@pytest.mark.parametrize("name", ["identity.json", "sweep.json"])
@pytest.mark.parametrize("content", ['{"run": "3', "[]", "\xff"])
@pytest.mark.parametrize("mode", ["auto", "must"])
def test_what_a_sweep_noted_of_itself_and_cannot_be_read(begun, said, name, content, mode):
    (begun.root / "out" / name).write_text(content, encoding="latin-1")
    line = said(begun.root, begun.words(begun.plan(), "--resume", mode))
    assert_names(line, begun.root / "out" / name, "JSON", "restore it from a copy")


@pytest.mark.parametrize("mode", ["auto", "must"])
@pytest.mark.parametrize(
    ("change", "difference"),
    [
        ("base.pretrain.lr=0.5", "base.pretrain.lr was 0.0001 and is 0.5"),
        ("folds.seeds=[1,2,3]", "folds.seeds was [1, 2] and is [1, 2, 3]"),
        ("space.shots.choice=[2]", "space.shots.choice was [2, 3] and is [2]"),
        ("name=other", "name was 'small' and is 'other'"),
        ("search.seed=4", "search.seed was 0 and is 4"),
    ],
)
def test_another_plan_is_named_by_its_first_difference(begun, said, mode, change, difference):
    assert_names(said(begun.root, begun.words(begun.plan(), change, "--resume", mode)), "another plan", difference)


def test_a_grid_has_nothing_to_be_extended_by(begun, said):
    assert_names(said(begun.root, begun.words(begun.plan(), "--extend", "3")), "--extend 3", "a grid", "another --out")


def test_only_a_sweep_that_is_there_is_extended(lab, said):
    plan = lab.plan(search={"algorithm": "random", "trials": 2})
    assert_names(said(lab.root, lab.words(plan, "--extend", "3")), "--extend 3", lab.root / "out", "no sweep to extend")


def test_the_same_plan_with_other_workers_goes_on(begun, capfd):
    assert fsamc(*begun.words(begun.plan(), "resources.workers=1", "--resume", "must", "--dry-run")) == 0
    assert "4 trials (grid), 16 folds" in capfd.readouterr().out


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (
            lambda lab: shutil.copy(lab.data / "cap/train/good/000.png", lab.data / "cap/train/good/9.png"),
            "category cap",
        ),
        (lambda lab: (lab.data / "tile/groups.csv").write_text("path,group\ntest/chip/000.png,a\n"), "category tile"),
        (lambda lab: write_category(lab.data, "nut", classes={"a": 5, "b": 5}), "category nut"),
        (lambda lab: shutil.rmtree(lab.data / "tile"), "category tile"),
        (lambda lab: shutil.copytree(lab.textures / "woven", lab.textures / "zebra"), "textures"),
    ],
)
def test_other_data_is_named(begun, said, change, what):
    change(begun)
    assert_names(said(begun.root, begun.words(begun.plan())), "other data", f"({what} differs)")


def test_another_backbone_under_the_same_name_is_noticed(begun, said, capfd):
    here = shutil.copy(begun.backbone, begun.root / "net.pt2")
    same = Lab(begun.data, begun.textures, Path(here), begun.root)
    assert fsamc(*same.words(begun.plan(), "--dry-run")) == 0  # the same content elsewhere
    capfd.readouterr()
    export_program(TinyNetwork(seed=1), begun.root / "net.pt2")
    assert_names(said(begun.root, same.words(begun.plan())), "another plan")


# --- tracking, cluster, command line


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("runs", ["--tracking-uri runs", "sqlite:///"]),
        ("file:///tmp/runs", ["--tracking-uri file:///tmp/runs", "sqlite:///"]),
        ("foo://bar", ["--tracking-uri foo://bar", "cannot be reached"]),
        ("http://127.0.0.1:9", ["--tracking-uri http://127.0.0.1:9", "cannot be reached"]),
        ("sqlite:////proc/none/x.db", ["--tracking-uri sqlite:////proc/none/x.db", "cannot be reached"]),
    ],
)
def test_tracking_that_cannot_be_used(lab, said, uri, words):
    assert_names(said(lab.root, lab.words(lab.plan(), "--tracking-uri", uri)), *words)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("search.storage=postgresql://me:${NO_SUCH}@127.0.0.1:9/db", ["search.storage", "NO_SUCH"]),
        ("search.storage=postgresql://me@127.0.0.1:9/db", ["search.storage", "127.0.0.1"]),
        ("search.storage=postgresql://me:hush@127.0.0.1:9/db", ["search.storage", "${NAME}"]),
        ("search.sampler=cmaes", ["search.sampler", "cmaes", "space.head.kind"]),
    ],
)
def test_a_search_that_cannot_be(lab, said, change, words):
    plan = lab.plan(search={"algorithm": "optuna", "trials": 3})
    line = said(lab.root, lab.words(plan, change))
    assert_names(line, *words)
    assert "hush" not in line


def test_no_cluster_at_an_address(lab, said):
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{nobody.getsockname()[1]}"
        assert_names(said(lab.root, lab.words(lab.plan(), "--address", address)), f"--address {address}", "no Ray")


@pytest.mark.parametrize("address", ["nonsense", "127.0.0.1:port"])
def test_an_address_that_is_none(lab, said, address):
    assert_names(said(lab.root, lab.words(lab.plan(), "--address", address)), f"--address {address}")


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
        (["plan", "check", "smoke", "base.shots=0"], ["smoke", "base.shots", "0"]),
        (["data", "inspect", "missing"], ["missing", "no such folder"]),
        (["pseudo", "preview", "missing", "--textures", "t", "--out", "o"], ["missing", "no such folder"]),
        (["cache", "prune", "--days", "-1"], ["--days"]),
    ],
)
def test_wrong_words(tmp_path, said, monkeypatch, words, named):
    monkeypatch.chdir(tmp_path)
    assert_names(said(tmp_path, words), *named)
