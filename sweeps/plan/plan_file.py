"""Plans as trees of YAML: a preset or a file, over the plan it extends, changed by `key=value`."""

from __future__ import annotations

import unicodedata
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

from fsamc.config.dotted import Problem, with_value
from fsamc.data.credentials import hide_secrets, holds_secret
from fsamc.errors import BadInput, BadInputs, did_you_mean
from fsamc.features.networks.lookup import AUTO
from sweeps.plan.kinds import mapping, without_lost
from sweeps.plan.older_plans import in_new_keys
from sweeps.plan.presets import preset_names, preset_text
from sweeps.plan.settings import Distribution
from sweeps.plan.yaml_lines import Mark, NotYaml, Place, read_yaml

Tree = dict[Any, Any]
_LARGEST = 4 << 20  # bytes
# A plan that is cut short is YAML still, of another plan.
_WHOLE, _END = "# whole if it ends with: # end of the plan", "# end of the plan"


class Spot(NamedTuple):
    """Where something was said: a line of a file, or a word of the command line."""

    source: str
    mark: Mark | None = None
    word: str = ""

    def __str__(self) -> str:
        said = f"{self.mark.line}:{self.mark.column}" if self.mark else ""
        return f"{self.source}: {self.word}" if self.word else ":".join(filter(None, [self.source, said]))


@dataclass(frozen=True)
class Written:
    """A plan as it was written.

    Attributes:
        source: a preset's name or a file.
        tree: what it says, with what it extends and all changes.
        spots: where each key was said last.
        wrong: what cannot be meant, whatever a plan may hold: keys that are there twice.
        notes: what was read as something else, a line each.
    """

    source: str
    tree: Tree
    spots: Mapping[Place, Spot] = field(default_factory=dict)
    wrong: tuple[tuple[Spot, Problem], ...] = ()
    notes: tuple[str, ...] = ()

    def changed(self, key: str, value: Any, *, word: str) -> Written:
        """Make one change, that of the command line's `word`."""
        place, value = _placed(key, value)
        change, moved = in_new_keys(_put({}, place, value, keep_null=True), self.tree)
        notes = [f"{hide_secrets(word)}: {move}" for move in moved]
        written = replace(self, notes=(*self.notes, *notes))
        left = value_of(change, place)
        changes = [] if moved and left is None else [(place, left)]
        for at, new in [*changes, *((move.new, move.value) for move in moved)]:
            written = written._set(at, new, word)
        return written

    def _set(self, place: Place, value: Any, word: str) -> Written:
        tree = _put(without_lost(self.tree, _put(self.tree, place, value)), place, value)
        kept = {at: spot for at, spot in self.spots.items() if at[: len(place)] != place}
        made = {place[:count]: Spot(self.source, word=hide_secrets(word)) for count in range(1, len(place) + 1)}
        return replace(self, tree=tree, spots=made | kept | {place: made[place]})

    def in_new_keys(self, below: Tree | None = None) -> Written:
        """Read the keys of earlier versions; `below` is what the plan extends."""
        tree, moved = in_new_keys(self.tree, below)
        spots = {move.old: self.spots.get(move.old, Spot(self.source)) for move in moved}
        notes = [f"{spots[move.old]}: {move}" for move in moved]
        said = {move.new: spots[move.old] for move in moved}
        return replace(self, tree=tree, spots={**self.spots, **said}, notes=(*self.notes, *notes))

    def check(self, problems: Iterable[Problem]) -> None:
        """Raise BadInput with a line for each problem, those of the files by their lines, if there are any.

        Texts that are kept with the results and shown are looked at: for secrets, and for what a terminal obeys.
        """
        wrong = [*self.wrong, *((self._spot(one), one) for one in (*problems, *_unfit_texts(self.tree, ())))]
        lines = [hide_secrets(_line(spot, problem)) for spot, problem in sorted(wrong, key=lambda one: _order(one[0]))]
        if lines:
            raise BadInputs("\n".join(dict.fromkeys(lines)))

    def _spot(self, problem: Problem) -> Spot:
        """Where the problem was said: its key, a change below it that its text speaks of, or what is around it."""
        place = problem.place
        for at, spot in self.spots.items():
            if spot.word and at[: len(place)] == place and at != place and f"`{at[-1]}`" in problem.text:
                return spot
        around = (place[:count] for count in range(len(place), 0, -1))
        return next((self.spots[at] for at in around if at in self.spots), Spot(self.source))


def _unfit_texts(tree: Any, place: Place) -> Iterator[Problem]:
    """Yield addresses that hold a secret, but for the study's, which has a check of its own; and control characters."""
    if isinstance(tree, Mapping | list | tuple):
        parts = tree.items() if isinstance(tree, Mapping) else enumerate(tree)
        for name, part in parts:
            yield from _unfit_texts(part, (*place, str(name)))
    elif isinstance(tree, str) and place != ("search", "storage") and holds_secret(tree):
        yield Problem(place, "holds a password or key, which would be written to files; leave it out of the address")
    elif isinstance(tree, str) and any(unicodedata.category(one) in ("Cc", "Cs") for one in tree):
        yield Problem(place, f"{tree[:40]!a} holds control characters; leave them out")


def _line(spot: Spot, problem: Problem) -> str:
    says_the_key = spot.word.startswith(f"{problem.key}=")
    return f"{spot}: {problem.text if says_the_key else problem}"


def _order(spot: Spot) -> tuple[bool, str, Mark]:
    return bool(spot.word), spot.source, spot.mark or Mark(0, 0)


def complete_plan(text: str, comment: str = "") -> str:
    """Make of a plan's YAML a file that cannot be cut short unnoticed, with a comment on top."""
    return "\n".join([*([f"# {comment}"] if comment else []), _WHOLE, text.rstrip("\n"), _END, ""])


def check_complete(text: str) -> None:
    """Raise ValueError for what `complete_plan` made and something has cut short."""
    if f"{_WHOLE}\n" in text and not text.rstrip().endswith(f"\n{_END}"):
        raise ValueError(f"is cut short: it does not end with a line {_END!r}")


def read_plan(source: str | None, changes: Sequence[str] = ()) -> Written:
    """Read the plan `source`, a preset's name or a YAML file, as written, over what it extends, with `changes`.

    Without a source it is the defaults, on the backbone `auto`.

    `extends: PLAN` at a plan's top level takes another plan for what is left out: mappings go key by key, all else
    is replaced, and `null` takes a knob out of the space. The name is not taken over.

    Raises:
        BadInput: no such plan, no YAML, no `key=value`, or plans that extend each other.
    """
    written = (
        Written("default", {"base": {"features": {"backbone": AUTO}}}) if source is None else _extended(source, ())
    )
    for change in changes:
        key, value = _split(change)
        written = written.changed(key, value, word=change)
    return written


def _extended(source: str, above: tuple[str, ...]) -> Written:
    if source in above:
        raise BadInput(
            f"{source}: extends itself ({' -> '.join([*above, source])}); leave `extends` out of one of them"
        )
    written = _read(source)
    if "extends" not in written.tree:
        return written.in_new_keys()
    below = str(written.tree.pop("extends"))
    if below not in preset_names():
        below = str(Path(source).parent / below)  # a file names another one from where it lies
    lower = _extended(below, (*above, source))
    lower.tree.pop("name", None)
    written = written.in_new_keys(lower.tree)
    merged = _over(without_lost(lower.tree, _over(lower.tree, written.tree)), written.tree)
    return Written(
        source,
        merged,
        {**lower.spots, **written.spots},
        (*lower.wrong, *written.wrong),
        (*lower.notes, *written.notes),
    )


def _over(below: Tree, above: Tree) -> Tree:
    merged = _merged(below, {key: value for key, value in above.items() if key != "space"})
    if "space" in above or "space" in below:
        merged["space"] = _space(below.get("space"), above.get("space"))
    return merged


def _space(below: Any, above: Any) -> Any:
    """Both spaces; `null` takes a knob out. One that is no mapping is handed on, to be refused where it stands."""
    if not isinstance(above or {}, Mapping):
        return above
    if not isinstance(below or {}, Mapping):
        return below
    return {knob: given for knob, given in {**(below or {}), **(above or {})}.items() if given is not None}


def _merged(below: Mapping[Any, Any], above: Mapping[Any, Any]) -> Tree:
    merged = dict(below)
    for key, value in above.items():
        under = merged.get(key)
        merged[key] = _merged(under, value) if isinstance(under, Mapping) and isinstance(value, Mapping) else value
    return merged


def _read(source: str) -> Written:
    if source in preset_names():
        text = preset_text(source)
    else:
        text = _read_text(source)
        try:
            check_complete(text)
        except ValueError as error:
            raise BadInput(f"{hide_secrets(source)}: {error}; restore it from a copy") from error
    try:
        document = read_yaml(text)
    except NotYaml as error:
        raise BadInput(f"{Spot(source, error.mark)}: not YAML: {error}") from None
    tree = document.value
    if not isinstance(tree, dict):
        raise BadInput(f"{source}: expected a plan with keys base, space, folds, search; found {type(tree).__name__}")
    spots = {place: Spot(source, mark) for place, mark in document.marks.items()}
    return Written(source, tree, spots, tuple((Spot(source, mark), problem) for mark, problem in document.twice))


def _read_text(source: str) -> str:
    """Read a plan's text. What is no file is not opened: a pipe would wait for ever, a device never end."""
    file, shown = Path(source.replace("\0", "")), hide_secrets(source)
    instead = f"give a YAML file or a preset: {', '.join(preset_names())}"
    try:
        size = file.stat().st_size
        if not file.is_file():
            raise BadInput(f"{shown}: no such plan ({shown} is no file); {instead}")
        if size > _LARGEST:
            raise BadInput(f"{shown} has {size} bytes, {_LARGEST} are the most; give a plan")
        content = file.read_bytes()
        return content.decode("utf-16" if content.startswith((BOM_UTF16_LE, BOM_UTF16_BE)) else "utf-8-sig")
    except UnicodeDecodeError:
        raise BadInput(f"{shown}: is no UTF-8; save it as UTF-8") from None
    except (FileNotFoundError, NotADirectoryError):
        meant = did_you_mean(source, [*preset_names(), *_plans_beside(file)])
        mend = f"{meant[2:]} `fsamc plan list` lists the presets" if meant else instead
        raise BadInput(f"{shown}: no such plan; {mend}") from None
    except OSError as error:
        raise BadInput(f"{shown}: cannot be read ({error.strerror}); make it readable, or {instead}") from None


def _plans_beside(file: Path) -> list[str]:
    """List the YAML files in the folder where `file` would be."""
    with suppress(OSError):
        return [str(other) for other in file.parent.iterdir() if other.suffix in (".yaml", ".yml")]
    return []


def _split(change: str) -> tuple[str, Any]:
    key, equals, text = change.partition("=")
    if not equals or not key:
        raise BadInput(f"{hide_secrets(change)!r}: expected key=value, such as folds.seeds=[1,2]")
    try:
        document = read_yaml(text)
    except NotYaml as error:
        raise BadInput(
            f"{hide_secrets(change)[:200]!r}: the value is not YAML ({error}); quote lists and text for the shell"
        ) from None
    if document.twice:
        raise BadInput(f"{hide_secrets(change)[:200]!r}: a key {document.twice[0][1]}")
    return key, document.value


def _placed(key: str, value: Any) -> tuple[Place, Any]:
    """Return where a change is made, and what is put there. Keys of the space hold dots themselves."""
    if not key.startswith("space."):
        return tuple(key.split(".")), value
    knob, _, form = key.removeprefix("space.").rpartition(".")
    whole = form not in Distribution.model_fields
    return ("space", f"{knob}.{form}".lstrip(".") if whole else knob), value if whole else {form: value}


def _put(tree: Tree, place: Place, value: Any, *, keep_null: bool = False) -> Tree:
    """Make one change; `null` takes a key out of the space."""
    if place[0] != "space" or len(place) == 1:
        return with_value(tree, ".".join(place), value)
    space = {knob: below for knob, below in (tree.get("space") or {}).items() if knob != place[1]}
    return {**tree, "space": space if value is None and not keep_null else {**space, place[1]: value}}


def value_of(tree: Any, place: Place) -> Any:
    """Return what is at a place of nested mappings; None where nothing is."""
    for name in place:
        tree = mapping(tree).get(name)
    return tree
