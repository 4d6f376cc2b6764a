"""The files of pages: joined as modules are meant, and what others made as they made it."""

from __future__ import annotations

import gzip
import json
import re
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from app.doors.native.options import OPTIONS
from app.doors.pages.assets import colour_steps, join_scripts, load_assets
from sluice.encoders.colormaps import palette

STATIC = Path(__file__).parents[3] / "app" / "doors" / "pages" / "static"
VENDOR = STATIC / "vendor"


def test_vendored_files_are_as_they_were_published() -> None:
    """Each is in the table with package, version, licence, and the hash that it has."""
    rows = re.findall(
        r"^\| `(.+?)` \| (\S+) \| ([\d.]+) \| (.+?) \| `(\w{64})` \|$",
        (VENDOR / "README.md").read_text(),
        re.MULTILINE,
    )
    told = {name: digest for name, _, _, _, digest in rows}
    found = {
        path.name: sha256(path.read_bytes()).hexdigest()
        for path in VENDOR.iterdir()
        if path.name != "README.md"
    }
    assert told == found
    for _, package, _, licence, _ in rows:
        assert licence
        assert any(name.lower().startswith(package) for name in found if name.endswith("LICENSE"))


def test_each_module_is_behind_what_it_imports() -> None:
    """Comments and blanks at the ends of lines are left out."""
    modules = {
        "entry": 'import { a, b } from "./low.js";\n/**\n * Why.\n */\nconst sum = a + b();\n',
        "low": "// A comment.\nconst own = 1;\nexport const a = own;\n"
        "export async function b() {\n  // Here too.\n"
        "  return /** @type {any} */ own; // kept\n}\n",
    }
    assert join_scripts(modules, "entry") == (
        "let own=1,a=own;async function b(){return own;// kept\n}let sum=a+b();"
    )


def test_blanks_of_texts_and_patterns_stay() -> None:
    """Those around signs do not; private members have short names, each in its own module."""
    text = """class Some {
  #long = 1;
  half() {
    const words = `a, ${this.#long + 1} = b`;
    const line = 'x = "y = z"';
    return words.replace(/= /g, " : ") + (4 / 2) + "#long" - -1;
  }
}
"""
    assert join_scripts({"a": text}, "a") == (
        "class Some{#a=1;half(){let words=`a, ${this.#a + 1} = b`,"
        "line='x = \"y = z\"';"
        'return words.replace(/= /g," : ")+(4/2)+ "#long" - -1}}'
    )


def test_words_of_code_become_short() -> None:
    """Those of texts do not."""
    text = """const some = (value) => value === undefined || "const true";
const more = async (value) => (value / 2) % 3;
more(Number.NaN, true);
"""
    assert join_scripts({"a": text}, "a") == (
        'let some=value=>value===void 0||"const true",more=async(value)=>(value/2)%3;more(NaN,!0);'
    )


def test_long_names_become_short_where_they_are_nothing_else() -> None:
    """Neither those of members, nor of functions that are passed on, nor words of texts."""
    text = """const MOST_ROWS = 3;
function firstOf(some) { return some.lastOf + MOST_ROWS; }
function lastOf() { return firstOf({ }); }
function given() { return "MOST"; }
function passedOn() {}
lastOf([passedOn]);
"""
    joined = join_scripts({"a": text}, "a")
    assert "MOST_ROWS" not in joined
    assert "firstOf" not in joined
    assert "function lastOf()" in joined
    assert "some.lastOf" in joined
    assert "[passedOn]" in joined


@pytest.mark.parametrize(
    ("modules", "words"),
    [
        ({"a": 'import { b } from "./b.js";\n'}, "a imports b, which is not there"),
        (
            {"a": 'import { b } from "./b.js";\n', "b": 'import { a } from "./a.js";\n'},
            "imports in a circle: a -> b -> a",
        ),
        ({"a": 'import b from "./b.js";\n'}, "an import or export of another form"),
        ({"a": "export default 1;\n"}, "an import or export of another form"),
        ({"a": "export let b = 1;\n"}, "an import or export of another form"),
        ({"a": "const a = `1\n  2`;\n"}, "a text of several lines"),
        (
            {
                "a": 'import { b } from "./b.js";\nconst [d, c] = b;\n',
                "b": "export const b = [1];\nfunction c() {}\n",
            },
            "a.js: b.js has a c too",
        ),
    ],
)
def test_what_cannot_be_joined_is_refused(modules: dict[str, str], words: str) -> None:
    """By name, when the first page is made."""
    with pytest.raises(ValueError, match=re.escape(words)):
        join_scripts(modules, "a")


def test_files_stay_within_their_budget() -> None:
    """Scripts, styles and the coastline, as gzip sends them."""
    assets = load_assets()
    most = {"explorer.js": 60_000, "explorer.css": 8_000, "land.json": 21_100, "fine.json": 170_000}
    for kind, size in most.items():
        asset = assets.files[assets.names[kind]]
        packed = asset.form("gzip")
        assert gzip.decompress(packed) == asset.form(None)
        assert len(packed) <= size, kind


def test_scripts_know_the_names_of_options() -> None:
    """A dimension of such a name is chosen in brackets."""
    (words,) = re.findall(r'const OPTIONS =\s+"([^"]+)"', (STATIC / "queries.js").read_text())
    assert set(words.split()) == set(OPTIONS)


def test_colours_are_those_of_pictures() -> None:
    """The page's maps, all that scripts know, are the bytes that `f=png` has."""
    (words,) = re.findall(r"const CMAPS = \[(.+?)\]", (STATIC / "state.js").read_text())
    told = json.loads(colour_steps())
    assert list(told) == json.loads(f"[{words}]")
    for name, steps in told.items():
        assert np.array_equal(np.cumsum(steps, axis=1).T, palette(name, 256))
