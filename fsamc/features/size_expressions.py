"""Grammar of the sizes in an exported program: a closed list of functions of symbols and numbers, in ASCII.

torch hands these texts to SymPy, which evaluates Python. So they are parsed here first, by a grammar that knows calls,
numbers and names of symbols and nothing else, and written anew from what was parsed:

    size     = function "(" size ("," size)* ")" | "Integer(" whole ")" | "Rational(" whole "," whole ")"
             | "Float('" decimal "', precision=53)" | "Symbol('" name "'" ("," assumption "=" ("True" | "False"))* ")"

No size may have more than 4096 bits, whatever the values of its symbols, which have 64: no tower of powers is computed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

_TOKEN = re.compile(r"\s*(?:([A-Za-z_]+)|(-?\d{1,20})(?![\d.])|'([A-Za-z0-9_.+\-]{1,40})'|([(),=]))", re.ASCII)
_SYMBOL = re.compile(r"[a-z]{1,4}\d{1,6}", re.ASCII)  # s34, u0, zuf1
_DECIMAL = re.compile(r"-?\d{1,20}(?:\.\d{1,30})?(?:[eE][+\-]?\d{1,3})?", re.ASCII)
_ASSUMPTIONS = ("positive", "integer", "nonnegative", "nonzero", "negative", "real", "finite")
_FUNCTIONS = frozenset(
    (
        *("Add", "Mul", "Pow", "PowByNatural", "Mod", "PythonMod", "Max", "Min", "Abs", "Identity", "Where"),
        *("FloorDiv", "CleanDiv", "CeilDiv", "ModularIndexing", "IntTrueDiv", "FloatTrueDiv"),
        *("FloorToInt", "CeilToInt", "TruncToInt", "RoundToInt", "ToFloat", "And", "Or", "Not"),
        *("Equality", "Unequality", "StrictLessThan", "LessThan", "StrictGreaterThan", "GreaterThan"),
    )
)
_MOST_BITS, _SYMBOL_BITS, _DEEPEST, _LONGEST = 4096, 64, 50, 20_000


def checked_size(text: str) -> str:
    """Parse the text of a size and write it anew. Raises ValueError if it is none of the grammar's, or too large."""
    if len(text) > _LONGEST:
        raise ValueError(f"a size has {len(text)} characters, {_LONGEST} are the most")
    parser = _Parser(text)
    written, _ = parser.size(0)
    parser.end()
    return written


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def size(self, depth: int) -> tuple[str, int]:
        """Read a size: its text, and how many bits it has at most."""
        if depth > _DEEPEST:
            raise ValueError(f"a size is nested more than {_DEEPEST} deep")
        name = self._take("name")
        self._expect("(")
        if name == "Symbol":
            return self._symbol()
        if name in ("Integer", "Rational"):
            return self._whole(name)
        if name == "Float":
            return self._float()
        if name not in _FUNCTIONS:
            raise self._wrong()
        parts = [self.size(depth + 1)]
        while self._take("mark") == ",":
            parts.append(self.size(depth + 1))
        self._back(")")
        texts, bits = zip(*parts, strict=True)
        return f"{name}({', '.join(texts)})", self._bits(name, texts, bits)

    def end(self) -> None:
        """Raise ValueError unless the text ends here."""
        if self._text[self._at :].strip(" "):
            raise self._wrong()

    def _symbol(self) -> tuple[str, int]:
        name = self._take("text")
        if not _SYMBOL.fullmatch(name):
            raise self._wrong()
        written = f"Symbol('{name}'"
        while self._take("mark") == ",":
            assumption = self._take("name")
            self._expect("=")
            value = self._take("name")
            if assumption not in _ASSUMPTIONS or value not in ("True", "False"):
                raise self._wrong()
            written += f", {assumption}={value}"
        self._back(")")
        return f"{written})", _SYMBOL_BITS

    def _whole(self, name: str) -> tuple[str, int]:
        numbers = [self._take("number")]
        if name == "Rational":
            self._expect(",")
            numbers.append(self._take("number"))
        self._expect(")")
        return f"{name}({', '.join(numbers)})", max(int(number).bit_length() for number in numbers)

    def _float(self) -> tuple[str, int]:
        number = self._take("text")
        for mark in (",", "precision", "=", "53", ")"):
            self._expect(mark)
        if not _DECIMAL.fullmatch(number):
            raise self._wrong()
        return f"Float('{number}', precision=53)", _MOST_BITS // 4

    def _bits(self, name: str, texts: Sequence[str], bits: Sequence[int]) -> int:
        most = sum(bits) if name == "Mul" else max(bits) + len(bits)
        if name in ("Pow", "PowByNatural"):
            exponent = re.fullmatch(r"(?:Integer|Rational)\((-?\d+)(?:, -?\d+)?\)", texts[1])
            if len(bits) != 2 or exponent is None:
                raise ValueError("a size is a power with an exponent that is no number")
            most = bits[0] * max(1, abs(int(exponent[1])))
        if most > _MOST_BITS:
            raise ValueError(f"a size may have {most} bits, {_MOST_BITS} are the most")
        return most

    def _take(self, kind: str) -> str:
        token = _TOKEN.match(self._text, self._at)
        value = token and token[("name", "number", "text", "mark").index(kind) + 1]
        if token is None or value is None:
            raise self._wrong()
        self._at = token.end()
        return str(value)

    def _expect(self, word: str) -> None:
        kind = "name" if word.isalpha() else "number" if word.isdigit() else "mark"
        if self._take(kind) != word:
            raise self._wrong()

    def _back(self, mark: str) -> None:
        """Check that the mark just read is this one."""
        if self._text[self._at - 1] != mark:
            raise self._wrong()

    def _wrong(self) -> ValueError:
        return ValueError(f"a size is {self._text[:80]!a}, wrong from character {self._at} on")
