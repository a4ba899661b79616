"""asv's part of a check and a bisection: read asv's configuration, make its environments, read and add to its results.

asv is used here as a library. A result that asv has saved says nothing of the wheel that it was counted on, so it is
taken only if the record that was stored beside it (see store/records.py) says that it was counted on the same binaries.
"""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import fcntl
import json
import math
import os
import re
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

from asv.config import Config
from asv.console import log
from asv.environment import Environment, get_environments
from asv.machine import Machine
from asv.plugin_manager import plugin_manager
from asv.repo import get_repo
from asv.results import Results, get_filename
from asv.runner import BenchmarkResult
from asv.util import ProcessError, UserError

from harness import protocol
from harness.asv_plugin import private_parts, terminal
from harness.asv_plugin.per_commit import EnvironmentPerCommit
from harness.engine import settings
from harness.errors import StartError
from harness.overlay.git import Repository
from harness.store import records
from harness.system import asv_folder

#: In an environment: what the files of requirements held that were installed into it.
_PINS = "harness-pins.json"
#: In a command: a file of requirements beside the configuration.
_REQUIREMENTS = re.compile(r"\{conf_dir\}/([\w./-]+\.txt)")
#: In a file of requirements: another one that it includes.
_INCLUDES = re.compile(r"^\s*(?:-r|-c|--requirement|--constraint)[\s=]*(\S+)", re.MULTILINE)


@dataclasses.dataclass(frozen=True)
class Benchmark:
    """One that asv keeps results of: its name without the metric, its version, the texts of each parameter's choices,
    and those of the cases that are wanted by index."""

    name: str
    version: str
    params: tuple[tuple[str, ...], ...]
    cases: dict[int, tuple[str, ...]]


def repository_of(configuration: Path) -> Repository:
    """The repository whose commits a configuration counts: the clone that it names, or what asv makes of anything else
    (a mirror of an address). Raises StartError, RepositoryError."""
    clone = configuration.resolve().parent / str(_read(configuration).repo)
    return Repository(clone if clone.is_dir() else AsvProject(configuration).repository)


def suite_of(configuration: Path) -> Path:
    """The folder of the suite that a configuration names. Raises StartError."""
    return configuration.resolve().parent / str(_read(configuration).benchmark_dir)


def _read(configuration: Path) -> Config:
    try:
        return Config.load(str(configuration.resolve()))
    except UserError as error:
        raise StartError(f"asv does not take {configuration}: {error}") from None


@contextlib.contextmanager
def _asv_talks() -> Iterator[None]:
    """asv's own progress goes to standard error, where it is not taken for an answer. asv leaves the last line of it
    open, so it is ended here: what comes next would be glued to it."""
    terminal.guard()
    with contextlib.redirect_stdout(sys.stderr):
        try:
            yield
        finally:
            log.flush()


@contextlib.contextmanager
def alone(configuration: Path) -> Iterator[None]:
    """One check or bisection at a time makes and uses asv's environments: two at once were seen to remove one from each
    other. Raises StartError."""
    asv_folder.check(configuration)
    folder = configuration.resolve().parent / asv_folder.NAME
    with contextlib.ExitStack() as stack:
        try:
            folder.mkdir(exist_ok=True)
            lock = stack.enter_context(open(folder / "environments.lock", "w"))
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StartError(
                f"another check or bisection runs with {configuration}: wait for the end of that"
            ) from None
        except OSError as error:
            raise StartError(
                f"{folder} cannot be written to ({error.strerror}): copy the suite to where it can"
            ) from None
        yield


@contextlib.contextmanager
def _making_environment() -> Iterator[None]:
    try:
        with _asv_talks():
            yield
    except (UserError, ProcessError, OSError) as error:
        raise StartError(f"asv could not make the environment: {error}") from None


class AsvProject:
    """The results of one configuration, on this machine; of another `clone` than it names, if that is given. Raises
    StartError."""

    def __init__(self, configuration: Path, clone: Path | None = None) -> None:
        asv_folder.check(configuration)
        configuration, clone = configuration.resolve(), clone and clone.resolve()
        self.root = configuration.parent
        os.chdir(self.root)  # as asv does: the paths in a configuration start there
        try:
            with _asv_talks():
                log.enable()
                self._configuration = Config.load(str(configuration))
                if clone is not None:
                    self._configuration.repo = str(clone)
                for plugin in self._configuration.plugins:
                    plugin_manager.import_plugin(plugin)
                self._repository = get_repo(self._configuration)
                self._repository.pull()
                self._machine = Machine.load(interactive=True, use_defaults=True)
        except (UserError, ProcessError) as error:
            raise StartError(f"asv does not take {configuration}: {error}") from None
        self._environments: dict[str, Environment] = {}
        self._machine.save(self._configuration.results_dir)

    @property
    def repository(self) -> Path:
        """Where the repository's objects are."""
        return private_parts.folder_of_repository(self._repository)

    @property
    def name(self) -> str:
        """What the configuration calls the project whose commits it counts."""
        return str(self._configuration.project)

    @property
    def suite(self) -> Path:
        return Path(self._configuration.benchmark_dir).resolve()

    @property
    def keep(self) -> Path:
        """asv's folder, where counts and profiles are kept."""
        return self.root / asv_folder.NAME

    @property
    def lays_over(self) -> bool:
        """Whether the configuration lays a commit's Python over a wheel's binaries, instead of installing it."""
        return any("harness overlay" in command for command in self._configuration.install_command or ())

    def python(self, commit: str, *, exactly: bool = False) -> str:
        """The interpreter of the environment that counts, which is made, with `commit` in it, if need be; another
        commit in it will do unless it must be `exactly` this one."""
        environment = self._environment("readable")
        with _making_environment():
            environment.create()
            installed, pins = environment.installed_commit_hash, self._pins()
            note = private_parts.folder_of_environment(environment) / _PINS
            if installed is not None and (not note.exists() or note.read_text() != pins):
                private_parts.forget_installation(environment)  # asv knows its commands, and not what they read
                installed = None
            if installed is None or (exactly and installed != commit):
                note.unlink(missing_ok=True)
                environment.install_project(self._configuration, self._repository, commit)
                note = private_parts.folder_of_environment(environment) / _PINS  # where the installation went
                note.write_text(pins)
            return str(environment.find_executable("python"))

    def _pins(self) -> str:
        """What the files of requirements beside the configuration hold that its commands install, and those that they
        include."""
        commands = self._configuration.install_command or ()
        waiting = [self.root / name for command in commands for name in _REQUIREMENTS.findall(command)]
        held: dict[str, str] = {}
        while waiting:
            path = waiting.pop()
            name = os.path.relpath(path, self.root)
            if name not in held and path.is_file():
                held[name] = path.read_text()
                waiting += [path.parent / included for included in _INCLUDES.findall(held[name])]
        return json.dumps(held, indent=1, sort_keys=True)

    def python_with(self, commit: str) -> str:
        """The interpreter of an environment in which asv's commands have installed `commit`, and which stays when
        another commit is wanted too (see per_commit.py); made if need be."""
        environment = self._only_environment("readable", EnvironmentPerCommit.tool_name)
        with _making_environment():
            environment.install_project(self._configuration, self._repository, commit)
            return str(environment.find_executable("python"))

    def environment_name(self, counter: str) -> str:
        return str(self._environment(counter).name)

    def _environment(self, counter: str) -> Environment:
        if counter not in self._environments:
            self._environments[counter] = self._only_environment(counter)
        return self._environments[counter]

    def _only_environment(self, counter: str, kind: str | None = None) -> Environment:
        configuration = copy.copy(self._configuration)
        if kind is not None:
            configuration.environment_type = kind
        matrix = configuration.matrix
        variables = {**matrix.get("env_nobuild", {}), settings.COUNTER: [counter]}
        configuration.matrix = {**matrix, "env_nobuild": variables}
        environments = list(get_environments(configuration, None))
        if len(environments) != 1:
            raise StartError(
                f"the configuration's matrix makes {len(environments)} environments; one can be counted in at a time"
            )
        return environments[0]

    # Results

    def saved(self, benchmark: Benchmark, counter: str, commit: str, wheel_name: str) -> dict[int, tuple[float, str]]:
        """What asv's results hold of the benchmark's cases at a commit on this wheel, by index; and on which binaries
        of it."""
        if not self._file(commit, counter).exists():
            return {}
        results = self._results(commit, counter)
        name = f"{benchmark.name}{protocol.TRACK}"
        if name not in results.get_result_keys({name: {"version": benchmark.version}}):
            return {}
        values = results.get_result_value(name, benchmark.params)
        saved = {}
        for index, texts in benchmark.cases.items():
            value = values[index]
            place = records.Place(self.keep, commit, self.environment_name(counter), benchmark.name, texts)
            binaries = _binaries(place, wheel_name, value)
            if binaries is not None:
                saved[index] = value, binaries
        return saved

    def save(
        self,
        benchmark: Benchmark,
        counter: str,
        commit: str,
        counts: Mapping[int, float],
        failures: Mapping[int, str],
    ) -> None:
        """Add to asv's results what was counted of a commit, on the wheel that it takes; others are left."""
        results = self._results(commit, counter)
        values: list[float | None] = [None] * math.prod(map(len, benchmark.params))
        for index, value in counts.items():
            values[index] = value
        described = {
            "name": f"{benchmark.name}{protocol.TRACK}",
            "version": benchmark.version,
            "params": [list(choices) for choices in benchmark.params],
        }
        nothing = [None] * len(values)
        text = "\n".join(failures.values())
        outcome = BenchmarkResult(values, list(nothing), list(nothing), int(bool(failures)), text, None)
        results.add_result(described, outcome, datetime.now(UTC), selected_idx={*counts, *failures})
        results.save(self._configuration.results_dir)

    def _results(self, commit: str, counter: str) -> Results:
        environment = self._environment(counter)
        facts = {**self._machine.__dict__, "python": environment.python, **environment.requirements}
        results = Results(
            facts,
            environment.requirements,
            commit,
            self._repository.get_date(commit),
            environment.python,
            environment.name,
            environment.env_vars,
        )
        try:
            results.load_data(self._configuration.results_dir)
        except UserError as error:
            raise StartError(f"asv's results {self._file(commit, counter)} cannot be read: {error}") from None
        return results

    def _file(self, commit: str, counter: str) -> Path:
        name = get_filename(self._machine.machine, commit, self._environment(counter).name)
        return Path(self._configuration.results_dir, name)


def _binaries(place: records.Place, wheel_name: str, value: float | None) -> str | None:
    """On which binaries the record kept in `place` says that `value` was counted, if they are this wheel's."""
    try:
        record = json.loads((place.folder / "count.json").read_text())
        fingerprint = record["fingerprint"]
        matches = record["instructions per call"] == value and fingerprint["python of commit"] == place.commit
        binaries = str(fingerprint["binaries"])
    except (OSError, ValueError, KeyError):
        return None
    return binaries if matches and binaries.startswith(f"{wheel_name}:") else None
