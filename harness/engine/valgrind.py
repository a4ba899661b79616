"""Find valgrind and its companions, build the server's command line, read valgrind's log into a sentence."""

from __future__ import annotations

import dataclasses
import functools
import re
import shutil
import subprocess
import sys
from pathlib import Path

from harness.errors import StartError

_INSTALL = "install it with your system's package manager (Debian, Ubuntu: apt-get install valgrind)"
_SIGNAL = re.compile(r"Process terminating with default action of signal \d+ \((SIG\w+)\)")
_BYTES = re.compile(r"unhandled instruction bytes: ((?:0x[0-9A-Fa-f]+ ?)+)")


@dataclasses.dataclass(frozen=True)
class Valgrind:
    """A valgrind that was found and answers. It places what it runs at addresses of its own choice, the same in every
    run, whether or not the kernel randomises those that it chooses."""

    path: str
    version: str

    def command(self, tool: str, log_folder: str, *options: str) -> tuple[str, ...]:
        """Everything before the interpreter. Each process of the server writes a log of its own, named by its pid."""
        return (
            self.path,
            f"--tool={tool}",
            *options,
            f"--log-file={log_folder}/%p",
            "--vgdb=no",  # no debugger's pipes in the temporary folder
        )

    @property
    def prefix(self) -> Path:
        return Path(self.path).resolve().parent.parent

    def places(self, *names: str) -> list[Path]:
        """Folders of valgrind's own that exist: under its prefix, or in Debian's folders for each machine there."""
        patterns = [*names, *(name.replace("lib/", "lib/*-linux-gnu*/") for name in names)]
        return [path for pattern in patterns for path in sorted(self.prefix.glob(pattern)) if path.is_dir()]

    def link_own_files(self, folder: Path) -> bool:
        """Make `folder` what VALGRIND_LIB may name, where a tool can be added; False if valgrind's files are not
        found."""
        for place in self.places("libexec/valgrind", "lib/valgrind"):
            if any(place.glob("none-*-linux")):
                folder.mkdir()
                for file in place.iterdir():
                    (folder / file.name).symlink_to(file)
                return True
        return False


@functools.cache
def find() -> Valgrind:
    """The valgrind on PATH. Raises StartError if there is none that runs."""
    if not sys.platform.startswith("linux"):
        raise StartError(f"counting needs Linux, this is {sys.platform!r}: run the suite in a Linux VM or container")
    path = shutil.which("valgrind")
    if path is None:
        raise StartError(f"no `valgrind` on PATH: {_INSTALL}")
    try:
        answer = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise StartError(f"{path} does not run ({error}): {_INSTALL}") from None
    match = re.fullmatch(r"valgrind-(\S+)\s*", answer.stdout)
    if answer.returncode != 0 or match is None:
        raise StartError(f"`{path} --version` answered {answer.stdout + answer.stderr!r}: {_INSTALL}")
    return Valgrind(path, match[1])


def c_compiler() -> str:
    """What compiles the harness's own C. Raises StartError if there is none."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        raise StartError("no C compiler (`gcc` or `cc`) on PATH: install one (Debian, Ubuntu: apt-get install gcc)")
    return compiler


def reason_in(log: str) -> str | None:
    """What valgrind's log says about a process's end, as a sentence with a cure; None if it says nothing of use."""
    if "out of memory" in log.lower():
        return "valgrind ran out of memory: free some, or count fewer cases at a time"
    died = _SIGNAL.search(log)
    instruction = _BYTES.search(log)
    if instruction is not None and (died is None or died[1] == "SIGILL"):
        opcode = instruction[1].split()
        name = "an AVX-512 instruction" if opcode[0].lower() == "0x62" else "an instruction"
        return (
            f"the process met {name} that valgrind does not know (bytes {' '.join(opcode)}): compile that code for a "
            "processor that valgrind knows, e.g. -march=x86-64-v3, or use a newer valgrind"
        )
    if died is not None:
        return f"the process died of {died[1]}"
    return None
