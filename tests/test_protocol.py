import pytest

from harness import protocol

CASE = protocol.Case("suite.module", "Workload", 3, ("a", "1"), 10.0)


@pytest.mark.parametrize(
    "message",
    [
        CASE,
        protocol.Ask(CASE, (CASE, CASE)),
        protocol.Order(7, "suite.module", "Workload", 3, "/folder", "/built"),
        protocol.Ready("imported", 7, {"python": "3.11"}),
        protocol.Ready("imported", 7, {"python": "3.11"}, ("a note", "another")),
        protocol.Counted(7, 1000, 10, 3, "/profile", {"count": 1.5}, (1000, 1001), {"torch": "2"}),
        protocol.Counted(7, 1000, 10, 3, None, {}),
        protocol.Skipped(7, "no device"),
        protocol.Failed(7, "a sentence", "details", None),
    ],
    ids=lambda message: type(message).__name__,
)
def test_what_is_encoded_is_decoded(message):
    data = protocol.encode(message)
    assert data.endswith(b"\n") and data.count(b"\n") == 1
    assert protocol.decode(data) == message


@pytest.mark.parametrize("data", [b"", b"not json", b"[]", b'{"kind": "Nothing"}', b'{"kind": "Order", "number": 1}'])
def test_anything_else_is_refused_by_name(data):
    with pytest.raises(ValueError, match="not a message of this harness"):
        protocol.decode(data)


def test_instructions_per_call_take_the_overhead_off_and_stay_whole_where_they_are():
    assert protocol.Counted(1, 1000, 10, 1, None, {}).instructions_per_call == 990
    assert isinstance(protocol.Counted(1, 1000, 10, 1, None, {}).instructions_per_call, int)
    assert protocol.Counted(1, 1010, 10, 100, None, {}).instructions_per_call == 10
    assert protocol.Counted(1, 1001, 0, 2, None, {}).instructions_per_call == 500.5


def test_a_case_names_itself():
    assert str(CASE) == "suite.module.Workload(a, 1)"
