from __future__ import annotations

from pathlib import Path
from urllib.error import URLError

import pytest

from fsamc.data.textures import fetch_dtd, load_textures
from fsamc.errors import BadInput


def write_textures(folder: Path, counts: dict[str, int]) -> None:
    for name, count in counts.items():
        (folder / name).mkdir(parents=True)
        for number in range(count):
            (folder / name / f"{name}_{number}.jpg").write_bytes(f"{name} {number}".encode())


def test_textures_in_their_folder_or_the_one_above(tmp_path):
    write_textures(tmp_path / "dtd" / "images", {"woven10": 2, "woven2": 12, "empty": 0})
    (tmp_path / "dtd" / "labels").mkdir()
    inside, above = load_textures(tmp_path / "dtd" / "images"), load_textures(tmp_path / "dtd")
    assert inside == above
    assert list(above.classes) == ["woven2", "woven10"]
    assert above.classes["woven2"][-1] == "woven2/woven2_11.jpg"
    assert len(set(above.digests.values())) == 14


def test_chosen_textures_are_the_first_and_too_few_are_bad_input(tmp_path):
    write_textures(tmp_path, {"banded": 3, "dotted": 2})
    textures = load_textures(tmp_path)
    assert textures.chosen(1) == {"banded": ("banded/banded_0.jpg",), "dotted": ("dotted/dotted_0.jpg",)}
    assert [len(paths) for paths in textures.chosen(2).values()] == [2, 2]
    with pytest.raises(BadInput, match=r"dotted: 2 images, pseudo\.textures_per_class asks for 3"):
        textures.chosen(3)


def test_no_textures_are_bad_input(tmp_path):
    with pytest.raises(BadInput, match="no such folder"):
        load_textures(tmp_path / "missing")
    with pytest.raises(BadInput, match="no texture images"):
        load_textures(tmp_path)


def test_dtd_as_it_is_unpacked_is_found_within_and_a_class_of_that_name_too(tmp_path):
    write_textures(tmp_path / "unpacked" / "dtd" / "images", {"banded": 2, "dotted": 2})
    assert load_textures(tmp_path / "unpacked") == load_textures(tmp_path / "unpacked" / "dtd")
    write_textures(tmp_path / "own", {"dtd": 1, "images": 2})
    assert list(load_textures(tmp_path / "own").classes) == ["dtd", "images"]


# --- downloading


def unpack_dtd(url: str, download_root: str, md5: str) -> None:
    """What torchvision does with the real archive, on a small one."""
    folder = Path(download_root)
    write_textures(folder / "dtd" / "images", {"banded": 2, "dotted": 2})
    (folder / "dtd" / "labels").mkdir()
    (folder / "dtd" / "labels" / "train1.txt").write_text("banded/banded_0.jpg\n")
    (folder / "dtd-r1.0.1.tar.gz").write_bytes(b"archive")


def test_dtd_is_downloaded_once_and_nothing_else_is_left(tmp_path, monkeypatch):
    asked = []
    boundary = "torchvision.datasets.dtd.download_and_extract_archive"
    monkeypatch.setattr(boundary, lambda url, **more: (asked.append(url), unpack_dtd(url, **more)))
    cache = tmp_path / "not" / "there"
    assert fetch_dtd(cache) == fetch_dtd(cache) == cache / "dtd"
    assert list(load_textures(cache / "dtd").classes) == ["banded", "dotted"]
    assert [path.name for path in cache.iterdir()] == ["dtd"]
    assert len(asked) == 1


@pytest.mark.parametrize(
    "failure",
    [URLError("no route to host"), RuntimeError("File not found or corrupted."), EOFError("ended\ntoo early")],
)
def test_what_cannot_be_downloaded_is_one_line_with_what_to_put_where(tmp_path, monkeypatch, failure):
    def fail(url, download_root, md5):
        (Path(download_root) / "dtd" / "images" / "banded").mkdir(parents=True)
        raise failure

    monkeypatch.setattr("torchvision.datasets.dtd.download_and_extract_archive", fail)
    with pytest.raises(BadInput) as error:
        fetch_dtd(tmp_path / "cache")
    message = str(error.value)
    assert "\n" not in message
    for part in (str(failure).split()[0], "dtd-r1.0.1.tar.gz", f"unpack it in {tmp_path / 'cache'},"):
        assert part in message
    assert list((tmp_path / "cache").iterdir()) == [], "half a download would be taken for a whole one"
    unpack_dtd("", download_root=str(tmp_path / "cache"), md5="")
    assert list(load_textures(fetch_dtd(tmp_path / "cache")).classes) == ["banded", "dotted"]
