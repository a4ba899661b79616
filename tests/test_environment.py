from harness import environment, rules
from harness.scratch import Scratch


def test_the_servers_environment_is_a_list_and_not_an_inheritance(monkeypatch):
    monkeypatch.setenv("SOMETHING", "inherited")
    monkeypatch.setenv("CXX", "g++-12")
    with Scratch.make() as scratch:
        found = environment.server_environment(scratch, rules.load("torch"))
    assert "SOMETHING" not in found and found["CXX"] == "g++-12"
    assert found["PYTHONHASHSEED"] == "0" and found["OMP_NUM_THREADS"] == "1"
    assert set(found) >= {"PATH", "HOME", "TMPDIR", "LANG", "PYTHONPATH"}


def test_a_fingerprint_tells_counters_rules_and_libraries_apart(monkeypatch):
    plain = environment.fingerprint(rules.load("plain"), "callgrind", {"python": "3.11"})
    assert plain == environment.fingerprint(rules.load("plain"), "callgrind", {"python": "3.11"})
    assert plain != environment.fingerprint(rules.load("plain"), "opcodes", {"python": "3.11"})
    assert plain != environment.fingerprint(rules.load("plain"), "callgrind", {"python": "3.12"})
    assert "package torch" in environment.fingerprint(rules.load("torch"), "callgrind", {})
    monkeypatch.setattr(environment, "COUNTING_RULES", environment.COUNTING_RULES + 1)
    assert plain != environment.fingerprint(rules.load("plain"), "callgrind", {"python": "3.11"})
