"""What makes a new version of a benchmark and what does not."""

import importlib
import sys

import pytest

from harness.engine import source

SUITE = '''
"""A suite."""
import math
from {package}.shared import helper, unused

SIZE = 10
OTHER = 11

def step(x):
    """Says something."""
    return x + SIZE  # a comment

def elsewhere(x):
    return x

class Base:
    calls = 2

class Work(Base):
    """What it stresses."""

    def work(self):
        return step(helper(1))
'''
SHARED = """
def helper(x):
    return inner(x)

def inner(x):
    return x * 2

def unused(x):
    return x
"""


@pytest.fixture
def version_after(tmp_path, monkeypatch):
    """version_after(old, new): the version of Work once `old` has become `new` in the suite's text."""
    monkeypatch.syspath_prepend(str(tmp_path))
    made = []

    def version(old="", new="", read=source.version):
        package = f"versions{len(made)}"
        made.append(package)
        folder = tmp_path / package
        folder.mkdir()
        (folder / "__init__.py").write_text("")
        for name, text in (("module", SUITE), ("shared", SHARED)):
            (folder / f"{name}.py").write_text(text.replace("{package}", package).replace(old, new))
        importlib.invalidate_caches()
        result = read(importlib.import_module(f"{package}.module").Work)
        return result

    yield version
    for name in [name for name in sys.modules if name.startswith("versions")]:
        del sys.modules[name]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("step(helper(1))", "step(helper(2))"),
        ("SIZE = 10", "SIZE = 12"),
        ("x + SIZE", "x - SIZE"),
        ("calls = 2", "calls = 3"),
        ("x * 2", "x * 3"),
    ],
    ids=["work", "a constant", "a function", "a base class", "a function of another module"],
)
def test_what_is_counted_makes_a_version(version_after, old, new):
    assert version_after(old, new) != version_after()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("  # a comment", "  # another"),
        ("Says something.", "Says it\n    better."),
        ("What it stresses.", "Why."),
        ("OTHER = 11", "OTHER = 12"),
        ("def elsewhere(x):\n    return x", "def elsewhere(x):\n    return -x"),
        ("\n\n", "\n\n\n"),
    ],
    ids=[
        "a comment",
        "a docstring",
        "the class's docstring",
        "an unused constant",
        "an unused function",
        "blank lines",
    ],
)
def test_what_is_not_counted_makes_none(version_after, old, new):
    assert version_after(old, new) == version_after()


def test_the_counting_rules_are_part_of_it(version_after, monkeypatch):
    before = version_after()
    monkeypatch.setattr(source, "COUNTING_RULES", source.COUNTING_RULES + 1)
    assert version_after() != before


def test_the_text_shown_holds_what_is_used_and_ends_with_the_class(version_after):
    text = version_after(read=source.text)
    assert text.index("SIZE = 10") < text.index("def step(x)") < text.index("class Work(Base)")
    assert "def helper" in text and "a comment" in text
    assert "elsewhere" not in text and "OTHER" not in text


def test_stripping_keeps_hashes_inside_strings():
    assert source.strip('x = "#1"  # one\n\n') == 'x = "#1"'
