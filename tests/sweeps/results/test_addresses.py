"""Images and textures at an address, from the command line's words to what OUT remembers."""

from __future__ import annotations

import json
from pathlib import Path

from fsamc.data.remote import Address
from sweeps.results.saved_settings import read_saved_settings
from tests.sweeps.checks.test_bad_input import contents
from tests.sweeps.small import Lab, fsamc


def words(lab: Lab, data: str, *more: str) -> list[str]:
    """A sweep's words with addresses in the place of folders."""
    textures = f"file://{lab.textures}"
    given = {str(lab.data): data, str(lab.textures): textures}
    return [given.get(word, word) for word in lab.words(lab.plan(), *more)]


def test_a_sweep_takes_addresses_in_the_place_of_folders(lab: Lab, capfd):
    assert fsamc(*words(lab, f"file://{lab.data}", "--dry-run")) == 0
    assert "4 trials (grid), 16 folds" in capfd.readouterr().out
    mirrors = list((lab.root / "cache/fetched").iterdir())
    assert len(mirrors) == 2


def test_data_inspect_takes_an_address(lab: Lab, capfd):
    assert fsamc("data", "inspect", f"file://{lab.data}", "--cache", lab.root / "cache") == 0
    assert "cap: up to 4 shots" in capfd.readouterr().out


def test_an_address_that_cannot_be_read_is_one_line(lab: Lab, capfd):
    asked, before = words(lab, "file:///no/such/folder"), contents(lab.root)
    assert fsamc(*asked) == 2
    output, errors = capfd.readouterr()
    assert output == ""
    assert errors.startswith("fsamc: --data file:///no/such/folder: cannot be read (")
    assert errors.count("\n") == 1
    assert contents(lab.root) == before


def test_out_remembers_the_address_and_not_where_it_was_mirrored(tmp_path: Path):
    kept = {"data": "s3://bucket/images", "textures": None, "cache": "/c"}
    (tmp_path / "sweep.json").write_text(json.dumps({"materials": kept}))
    assert read_saved_settings(tmp_path).data == Address("s3://bucket/images")
    assert (read_saved_settings(tmp_path).textures, read_saved_settings(tmp_path).cache) == (None, Path("/c"))


def test_a_mirror_that_was_not_used_for_a_while_is_pruned(lab: Lab, capfd):
    cache = lab.root / "cache"
    assert fsamc("data", "inspect", f"file://{lab.data}", "--cache", cache) == 0
    assert fsamc("cache", "list", "--cache", cache) == 0
    assert "fetched" in capfd.readouterr().out
    assert fsamc("cache", "prune", "--cache", cache, "--days", "1") == 0
    assert any((cache / "fetched").iterdir())
    assert fsamc("cache", "prune", "--cache", cache, "--days", "0") == 0
    assert not any((cache / "fetched").iterdir())
