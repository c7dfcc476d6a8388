"""Files of classifiers: what is none, or damaged, or hostile, is one line; a network is found by its content."""

from __future__ import annotations

import io
import json
import pickle
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load, save

from fsamc.classifier.classifier import DefectClassifier
from fsamc.classifier.model_file import FORMAT, Record, read_model, write_model
from fsamc.config.dotted import updated
from fsamc.data.images import read_image
from fsamc.errors import BadInput

HEADER = "fsamc"
Change = Callable[[bytes], bytes]


@pytest.fixture(scope="module")
def file(tiny_category, tiny_config, store, tmp_path_factory) -> Path:
    """A whole one."""
    config = updated(tiny_config, {"head.kind": "prototype", "representation.patches": 8})
    path = tmp_path_factory.mktemp("model") / "tiles.fsamc"
    DefectClassifier(config, rows=20).fit_category(tiny_category, store=store).save(path)
    return path


def parts(content: bytes) -> tuple[dict, dict[str, np.ndarray]]:
    """Return the record and the arrays."""
    length = int.from_bytes(content[:8], "little")
    return json.loads(json.loads(content[8 : 8 + length])["__metadata__"][HEADER]), load(content)


def forged(record: dict | None = None, arrays: dict | None = None, drop: str = "") -> Change:
    """Change a file and give it the checksum that it should have then."""

    def change(content: bytes) -> bytes:
        old, old_arrays = parts(content)
        new = {name: one for name, one in {**old_arrays, **(arrays or {})}.items() if name != drop}
        return forge(json.dumps({**old, **(record or {})}), new)

    return change


def forge(text: str, arrays: dict[str, np.ndarray]) -> bytes:
    from fsamc.classifier.model_file import _checksum

    return save(arrays, {HEADER: text, "checksum": _checksum(text, arrays)})


def header(text: bytes, length: int | None = None) -> Change:
    return lambda content: (len(text) if length is None else length).to_bytes(8, "little") + text + content


def cut(share: float) -> Change:
    return lambda content: content[: int(share * len(content))]


def flipped(place: float) -> Change:
    def change(content: bytes) -> bytes:
        at = int(place * (len(content) - 1))
        return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]

    return change


def zipped(content: bytes) -> bytes:
    with zipfile.ZipFile(whole := io.BytesIO(), "w") as archive:
        archive.writestr("data.pkl", content)
    return whole.getvalue()


class Runs:
    """What a pickle would do."""

    def __reduce__(self):
        return exec, ("raise SystemExit('ran')",)


HOSTILE: dict[str, Change] = {
    "empty": lambda _: b"",
    **{f"cut at {share}": cut(share) for share in (0.0001, 0.01, 0.5, 0.9999)},
    "more at its end": lambda content: content + b"\0",
    **{f"a bit flipped at {place}": flipped(place) for place in (0.0, 0.01, 0.2, 0.5, 0.8, 1.0)},
    "a header longer than the file": header(b"{}", 1 << 62),
    "a header of 100 MB": header(b"{}", 100 << 20),
    "a header that is no JSON": header(b"{not json}"),
    "a header that is a list": header(b"[1, 2]"),
    "a header that nests deeply": header(b"[" * 100_000),
    "an array of 2^70 numbers": header(b'{"a":{"dtype":"F32","shape":[1180591620717411303424],"data_offsets":[0,4]}}'),
    "another's safetensors": lambda _: save({"weights": np.zeros(3, np.float32)}),
    "a pickle": lambda _: pickle.dumps(Runs()),
    "a zip of a pickle": lambda _: zipped(pickle.dumps(Runs())),
    "a checksum of another": lambda content: save(load(content), {HEADER: json.dumps(parts(content)[0])}),
    "a newer format": forged({"format": FORMAT + 1}),
    "a format that is no number": forged({"format": "new"}),
    "a key that does not exist": forged({"run": "rm"}),
    "no photos": forged({"photos": []}),
    "an array that is called shrunk": forged({"shrunk": {"reference.rows": {"dtype": "float16", "shape": [9]}}}),
    "fewer photos": lambda content: forged({"photos": parts(content)[0]["photos"][:-1]})(content),
    "another head": forged({"config": {"head": {"kind": "pickle"}}}),
    "a configuration that is a text": forged({"config": "all"}),
    "no threshold that is a number": forged({"threshold": "high"}),
    "an array too few": forged(drop="reference.rows"),
    "no statistics": forged(drop="normal.covariance"),
    "rows of another size": forged(arrays={"reference.rows": np.zeros((20, 3), np.float16)}),
    "a covariance of another size": forged(arrays={"normal.covariance": np.zeros(5, np.float32)}),
    "photos that are no numbers": forged(arrays={"support.encoded": np.full((15, 39), np.nan, np.float32)}),
    "scores of other classes": forged(arrays={"support.left_out": np.zeros((15, 7), np.float32)}),
    "thumbnails beyond the end": forged(arrays={"support.thumbnail_sizes": np.full(15, 1 << 40)}),
    "negative thumbnails": forged(arrays={"support.thumbnail_sizes": np.full(15, -1)}),
}  # fmt: skip


@pytest.mark.parametrize("kind", HOSTILE)
def test_what_is_no_whole_file_is_one_line(file, tmp_path, kind):
    path = tmp_path / "hostile.fsamc"
    path.write_bytes(HOSTILE[kind](file.read_bytes()))
    with pytest.raises(BadInput, match=r"hostile\.fsamc: ") as told:
        DefectClassifier.load(path, cache=tmp_path)
    assert len(str(told.value).splitlines()) == 1


def test_the_forger_of_these_tests_can_forge(file, tmp_path):
    """Else each of them would be refused for its checksum."""
    path = tmp_path / "same.fsamc"
    path.write_bytes(forged()(file.read_bytes()))
    assert DefectClassifier.load(path, cache=tmp_path).classes_ == DefectClassifier.load(file).classes_


def test_a_folder_or_nothing_in_its_place_is_one_line(tmp_path):
    for path in (tmp_path, tmp_path / "missing.fsamc"):
        with pytest.raises(BadInput, match="no such file"):
            DefectClassifier.load(path)


def test_what_is_written_is_read(file, tmp_path):
    record, arrays = read_model(file)
    write_model(tmp_path / "again", record, arrays)
    again, same = read_model(tmp_path / "again")
    assert isinstance(again, Record)
    assert again == record
    assert {name: one.tolist() for name, one in same.items()} == {name: one.tolist() for name, one in arrays.items()}


def test_the_network_is_found_by_its_content(tiny_category, tiny_config, tiny_backbone, store, tmp_path):
    """Where it was, beside the file, in the cache, where the user says, or in the file; never another one."""
    home, away, cache = (tmp_path / name for name in ("home", "away", "cache"))
    for folder in (home, away, cache):
        folder.mkdir()
    network = shutil.copy(tiny_backbone, home / "net.pt2")
    config = updated(tiny_config, {"head.kind": "prototype", "features.backbone": str(network)})
    classifier = DefectClassifier(config, rows=20).fit_category(tiny_category, store=store)
    classifier.save(away / "bare.fsamc")
    classifier.save(away / "packed.fsamc", with_backbone=True)
    picture = read_image(tiny_category.folder / tiny_category.defects[0])
    expected = classifier.predict(picture)[0].scores

    def scores(name: str = "bare", **ways) -> dict[str, float]:
        return dict(DefectClassifier.load(away / f"{name}.fsamc", cache=cache, **ways).predict(picture)[0].scores)

    assert scores() == pytest.approx(expected, abs=1e-6)
    (home / "net.pt2").rename(away / "net.pt2")
    assert scores() == pytest.approx(expected, abs=1e-6)
    (away / "net.pt2").rename(home / "renamed.pt2")
    with pytest.raises(BadInput, match=r"needs the backbone net\.pt2 .* give --backbone FILE"):
        scores()
    assert scores(backbone=str(home / "renamed.pt2")) == pytest.approx(expected, abs=1e-6)
    (home / "renamed.pt2").unlink()
    assert scores("packed") == pytest.approx(expected, abs=1e-6)
    assert scores() == pytest.approx(expected, abs=1e-6)  # the packed one is in the cache now
    other = home / "other.pt2"
    other.write_bytes(b"another")
    with pytest.raises(BadInput, match="is another backbone"):
        scores(backbone=str(other))
