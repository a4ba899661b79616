"""Dicts and sets with room, and places in the cache of type attributes: what Python sees of both stays what it was."""

from __future__ import annotations

import json
import marshal
import subprocess
import sys

import pytest

from harness.engine import extension

BEGINNING = """
import json, sys
sys.path.insert(0, sys.argv[1])
import _client_requests as c
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("extension")
    extension.add(made, with_valgrind=False)
    return made


@pytest.fixture
def printed(folder):
    def run(script: str) -> object:
        """What a process of its own, with the extension as `c`, prints as JSON."""
        command = [sys.executable, "-c", BEGINNING + script, str(folder)]
        answer = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert answer.returncode == 0, answer.stderr
        return json.loads(answer.stdout)

    return run


def test_dicts_and_sets_hold_what_they_held_in_the_same_order(printed):
    assert printed("""
keys = [object() for _ in range(500)]
dict_ = {key: number for number, key in enumerate(keys)}
for key in keys[::7]:
    del dict_[key]
left = [key for key in keys if key in dict_]
set_, frozen = set(left), frozenset(left)
hash_ = hash(frozen)
sizes = [sys.getsizeof(each) for each in (dict_, set_, frozen)]
spread = c.spread_tables([dict_, set_, frozen])
print(json.dumps({
    "spread": spread,
    "again": c.spread_tables([dict_, set_, frozen]),
    "order": list(dict_) == left,
    "values": [dict_[key] for key in left] == [keys.index(key) for key in left],
    "sets": set_ == frozen == set(left) and hash(frozen) == hash_,
    "absent": any(key in dict_ or key in set_ or key in frozen for key in keys[::7]),
    "larger": all(sys.getsizeof(each) > size for each, size in zip((dict_, set_, frozen), sizes)),
}))
""") == {
        "spread": 3,
        "again": 0,
        "order": True,
        "values": True,
        "sets": True,
        "absent": False,
        "larger": True,
    }


def test_they_grow_and_shrink_as_before(printed):
    assert printed("""
keys = [object() for _ in range(3000)]
dict_, set_ = dict.fromkeys(keys[:5]), set(keys[:5])
c.spread_tables([dict_, set_])
for key in keys:
    dict_[key] = key
    set_.add(key)
whole = len(dict_) == len(set_) == 3000 and all(dict_[key] is key and key in set_ for key in keys)
for key in keys[5:]:
    del dict_[key]
    set_.discard(key)
copies = dict(dict_), set(set_)
set_.clear()
dict_.clear()
print(json.dumps([whole, list(copies[0]) == keys[:5], copies[1] == set(keys[:5]), len(dict_) + len(set_)]))
""") == [True, True, True, 0]


def test_what_is_hashed_by_its_contents_is_left_alone(printed):
    """So are dicts that keep an order of their own, and instances' attributes."""
    assert (
        printed("""
from collections import OrderedDict
class Instance: pass
instance = Instance()
instance.attribute = 1
tables = [{"a": 1}, {1: 2, "b": 3, b"c": 4, 1.5: 6}, {"a", 1}, frozenset(("a",)), {}, set(), OrderedDict({object(): 1})]
print(json.dumps(c.spread_tables([*tables, instance.__dict__, 5, [object()]])))
""")
        == 0
    )


LOOKUPS = """
from harness.inside.server import _types
class Asked:
    first = second = third = 1
class More(Asked): pass
asked, more = Asked(), More()
names = [f"name_{number}" for number in range(40)]
for name in map(sys.intern, names):
    setattr(Asked, name, name)
def work():
    # By getattr, which the interpreter does not specialise.
    for name in names:
        getattr(asked, name), getattr(more, name)
    hasattr(asked, "".join(("re", "named")))
c.know_types(_types())
"""


LEARNED = f"""{LOOKUPS}
for _ in range(4):
    c.place_type_versions("__doc__")
    work()
    c.learn_lookups()
"""


def test_look_ups_that_are_known_are_all_in_the_table_at_once(printed):
    """Each has a place of its own: after one call none has lost it to another."""
    learned = printed(f"""{LOOKUPS}
learned = []
for _ in range(6):
    c.place_type_versions("__doc__")
    for _ in range(3):
        work()
    learned.append(c.learn_lookups())
print(json.dumps(learned))
""")
    assert isinstance(learned, list) and sum(learned) >= 80 and learned[-2:] == [0, 0]


def test_attributes_stay_what_they_are(printed):
    assert printed(f"""{LEARNED}
c.place_type_versions("__doc__")
right = all(getattr(more, name) == name for name in names)
Asked.first = 2
More.second = 3
print(json.dumps([right, asked.first, more.first, more.second, asked.second, hasattr(asked, "nothing")]))
""") == [True, 2, 2, 3, 1, False]


def test_no_new_string_lies_where_it_would_take_a_place(printed):
    """The table keeps each string by which it is asked, so the next one lies elsewhere. One that takes the place of a
    name loses it again, is freed, and the next one lies where it lay."""
    assert printed(f"""{LEARNED}
c.forget_lookups()
c.align_arenas()
c.renew_allocators()
kept = c.keep_places_free()
addresses = [0] * 200
for call in range(200):
    work()
    name = "".join(("re", "named"))
    addresses[call] = id(name)
    hasattr(asked, name)
    del name
print(json.dumps([kept > 0, len(set(addresses))]))
""") == [True, 200]


PLACE = "def place(name): return id(name) // 16 % 2048 == hash(name) % 2048\n"


def test_names_in_bytecode_lie_where_their_hashes_say(printed):
    """All of them: by chance 1 of 2,048 would. Compiled in another process, so the one that is asked has none."""
    source = "def f(x):\n" + "".join(f"    x.unheard_of_{number}.y{number}\n" for number in range(300))
    compiled = marshal.dumps(compile(source, "<names>", "exec"))
    assert printed(f"""{PLACE}
import marshal
kept = sys.intern("unheard_of_7")  # is interned already, and so stays where it is
c.place_names(bytes.fromhex("{compiled.hex()}"))
code = marshal.loads(bytes.fromhex("{compiled.hex()}")).co_consts[0]
elsewhere = [name for name in code.co_names if not place(name)]
print(json.dumps([len(code.co_names), elsewhere, sys.intern("unheard_of_7") is kept, list(code.co_names[-2:])]))
""") in [[600, elsewhere, True, ["unheard_of_299", "y299"]] for elsewhere in (["unheard_of_7"], [])]


def test_what_is_no_name_does_no_harm(printed):
    assert (
        printed(f"""{PLACE}
c.place_names(b"")
c.place_names(b"Z\\xffshort Z\\x03" + b"Z\\x09not a name" + b"Z\\x04\\xe9t\\xe9s")
c.place_names(b"\\xda\\x0bnever_heard" + b"Z\\x0anever_hea")
c.place_names(b"Z\\xfa" + b"long" * 62 + b"no")
try:
    c.place_names("text")
except TypeError:
    print(json.dumps(place(sys.intern("_".join(("never", "heard"))))))
""")
        is True
    )
