from harness.engine import environment
from harness.engine.sandbox import Sandbox
from harness.inside import rules


def test_the_servers_environment_is_a_list_and_not_an_inheritance(monkeypatch):
    monkeypatch.setenv("SOMETHING", "inherited")
    monkeypatch.setenv("CXX", "g++-12")
    with Sandbox.make() as sandbox:
        found = environment.server_environment(sandbox, rules.load("torch"))
    assert "SOMETHING" not in found and found["CXX"] == "g++-12"
    assert found["PYTHONHASHSEED"] == "0" and found["OMP_NUM_THREADS"] == "1"
    assert set(found) >= {"PATH", "HOME", "TMPDIR", "LANG", "PYTHONPATH"}


def test_a_fingerprint_tells_counters_rules_and_libraries_apart(tmp_path, monkeypatch):
    def found(name, counter="callgrind", python="3.11"):
        return environment.fingerprint(rules.load(name), counter, tmp_path, {"python": python})

    plain = found("plain")
    assert plain == found("plain")
    assert plain != found("plain", counter="opcodes")
    assert plain != found("plain", python="3.12")
    assert found("torch")["package torch"] == "none"
    (tmp_path / "torch-9.9.dist-info").mkdir()
    (tmp_path / "torch-9.9.dist-info/METADATA").write_text("Name: torch\nVersion: 9.9\n")
    assert found("torch")["package torch"] == "9.9"  # what the server sees, whatever is installed
    monkeypatch.setattr(environment, "COUNTING_RULES", environment.COUNTING_RULES + 1)
    assert plain != found("plain")
