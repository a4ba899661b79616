"""Dicts with room, and places in the cache of type attributes: what Python sees of both stays what it was."""

from __future__ import annotations

import json
import marshal
import os
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
    def run(script: str, **variables: str) -> object:
        """What a process of its own, with the extension as `c`, prints as JSON."""
        command = [sys.executable, "-c", BEGINNING + script, str(folder)]
        surroundings = {**os.environ, **variables}
        answer = subprocess.run(command, capture_output=True, text=True, timeout=60, env=surroundings)
        assert answer.returncode == 0, answer.stderr
        return json.loads(answer.stdout)

    return run


def test_dicts_hold_what_they_held_in_the_same_order(printed):
    assert printed("""
keys = [object() for _ in range(500)]
dict_ = {key: number for number, key in enumerate(keys)}
for key in keys[::7]:
    del dict_[key]
left = [key for key in keys if key in dict_]
size = sys.getsizeof(dict_)
spread = c.spread_tables([dict_])
print(json.dumps({
    "spread": spread,
    "again": c.spread_tables([dict_]),
    "order": list(dict_) == left,
    "values": [dict_[key] for key in left] == [keys.index(key) for key in left],
    "absent": any(key in dict_ for key in keys[::7]),
    "larger": sys.getsizeof(dict_) > size,
}))
""") == {"spread": 1, "again": 0, "order": True, "values": True, "absent": False, "larger": True}


def test_they_grow_and_shrink_as_before(printed):
    assert printed("""
keys = [object() for _ in range(3000)]
dict_ = dict.fromkeys(keys[:5])
c.spread_tables([dict_])
for key in keys:
    dict_[key] = key
whole = len(dict_) == 3000 and all(dict_[key] is key for key in keys)
for key in keys[5:]:
    del dict_[key]
copy = dict(dict_)
dict_.clear()
print(json.dumps([whole, list(copy) == keys[:5], len(dict_)]))
""") == [True, True, 0]


def test_sets_are_left_alone(printed):
    """Who goes through one pays for each place of its table."""
    assert printed("""
several = [set(), {object() for _ in range(40)}, frozenset(map(lambda _: object(), range(40)))]
sizes = [sys.getsizeof(each) for each in several]
print(json.dumps([c.spread_tables(several), sizes == [sys.getsizeof(each) for each in several]]))
""") == [0, True]


def test_thread_local_variables_stay_and_grow_as_before(printed):
    """Before 3.13 the thread keeps them in a dict whose keys are strings with their addresses."""
    assert printed("""
import threading
variables = [threading.local() for _ in range(20)]
for number, each in enumerate(variables):
    each.number = number
spread = [c.spread_tables([]), c.spread_tables([])]
more = [threading.local() for _ in range(400)]
for number, each in enumerate(more):
    each.number = number
whole = [each.number for each in variables + more] == [*range(20), *range(400)]
del variables[::2], more[::3]
print(json.dumps([spread, whole, [each.number for each in variables] == [*range(1, 20, 2)]]))
""") == [[int(sys.version_info < (3, 13)), 0], True, True]


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
from harness.inside.repeatable import types
class Asked:
    first = second = third = 1
class More(Asked): pass
asked, more = Asked(), More()
# By chance two names lie so that with no version of a type both are in the table: such are not asked for.
interned = [sys.intern(f"name_{number}") for number in range(400)]
names = list({id(name) // 16 % 2048: name for name in interned}.values())[:40]
for name in names:
    setattr(Asked, name, name)
def work():
    # By getattr, which the interpreter does not specialise.
    for name in names:
        getattr(asked, name), getattr(more, name)
    hasattr(asked, "".join(("re", "named")))
c.know_types(types())
"""


LEARNED = f"""{LOOKUPS}
for _ in range(4):
    c.place_type_versions("__doc__")
    work()
    c.learn_lookups()
"""


VERSIONS = """
import ctypes, gc
from harness.inside.repeatable import full_name, spread_type_versions, types
for number in range({others}):
    type(f"Other{{number}}", (int if number % 2 else object,), {{}})().__class__.__doc__
    globals()[f"kept{{number}}"] = type(f"Other{{number}}", (), {{}})
class Asked: first = 1
class More(Asked): second = 2
class Most(More): third = 3
def places(): return {{full_name(each): version(each) % 4096 for each in types() if "Other" not in full_name(each)}}
def version(each): return ctypes.c_uint.from_address(id(each) + 384).value
spread_type_versions(c)
gc.collect()  # the type that had the versions which were passed over is a cycle
after = places()
own = {{name: place == hash(name) % 2048 * 2 for name, place in after.items() if name.startswith("__main__.")}}
right = (Most.third, Most.second, Most.first, Most().first) == (3, 2, 1, 1)
class New: fourth = 4
New.fourth
print(json.dumps([after, own, right, version(New) % 4096]))
"""


def test_versions_follow_from_the_names_of_types_and_not_from_other_types(printed):
    (few, own, right, new), (many, *rest) = (
        printed(VERSIONS.format(others=number), PYTHONHASHSEED="0")  # as a server has it
        for number in (0, 301)
    )
    assert own == {"__main__.Asked": True, "__main__.More": True, "__main__.Most": True} and right and new < 8
    assert [own, right, new] == rest and few == many


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


PLACE = "def place(name): return id(name) // 16 % 2048 == hash(name) % 2048 and id(name) % 16 == 8\n"


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


def test_a_new_string_takes_no_place_of_a_name_in_bytecode(printed):
    """Of 40 names all are left in the table after 5,000 look-ups by new strings, each of which the table keeps."""
    source = "\n".join(f"x.placed_{number}" for number in range(400))
    compiled = marshal.dumps(compile(source, "<names>", "exec"))
    learned, parities = printed(
        f"""{PLACE}
import ctypes, marshal
from harness.inside.repeatable import spread_type_versions, types
c.place_names(bytes.fromhex("{compiled.hex()}"))
code = marshal.loads(bytes.fromhex("{compiled.hex()}"))
names = list({{id(name) // 16 % 2048: name for name in code.co_names}}.values())[:40]
Asked = type("Asked", (), dict.fromkeys(names, 1))
asked = Asked()
spread_type_versions(c)
c.know_types((Asked,))
for name in names:
    getattr(asked, name)
strings = ["_".join(("new", str(number))) for number in range(1000, 6000)]
for each in strings:
    hasattr(asked, each)
version = ctypes.c_uint.from_address(id(Asked) + 384).value
print(json.dumps([c.learn_lookups(), [version % 2, *{{id(each) % 16 for each in strings}}]]))
""",
        PYTHONHASHSEED="0",
    )
    assert learned >= 40 and parities == [0, 0]


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
