"""Run the tests in other Debians, with their Pythons, valgrinds and C libraries: one root folder for each world.

Usage: test_worlds.py [--if-possible] [--minutes N] [--torch VERSION] [WORLD...]

A world is made with debootstrap and kept in the cache folder. In it, for each of its Pythons: the tests that need no
torch, no whole run of asv and no browser; and whole runs of asv on a small project, through explain and diff. It takes
root, debootstrap and a mirror of Debian; without them it says which is missing and ends with status 1, or, with
--if-possible, with 0. After N minutes no other Python is begun, and each is named that was not tried. With --torch no
test is run: that version of torch is installed, which may take gigabytes, and counted by scripts/six_counts.py.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from harness.system import cache

ROOT = Path(__file__).resolve().parent.parent


@dataclasses.dataclass(frozen=True)
class World:
    """A release of Debian, and those of its Pythons that are tried."""

    name: str
    pythons: tuple[str, ...]

    @property
    def packages(self) -> list[str]:
        pythons = [f"python{version}-{part}" for version in self.pythons for part in ("dev", "venv")]
        cross = ["gcc-aarch64-linux-gnu", "libc6-dev-arm64-cross"]
        return ["ca-certificates", "g++", "gcc", "git", "libc6-dev", "make", "procps", "valgrind", *cross, *pythons]


WORLDS = {
    world.name: world
    for world in (
        World("trixie", ("3.13",)),
        World("forky", ("3.14", "3.15")),
    )
}
#: What is run in a world for each of its Pythons: what needs neither asv nor torch, then whole runs of asv.
TESTS = (
    ("-m", "not torch and not torch_native and not asv and not browser"),
    ("-m", "asv and not browser", "tests/report/test_reasons.py", "tests/asv_plugin/test_two_pythons.py"),
)
#: How pip reaches its index here, and what else a process may need to reach anything: copied into each world.
SURROUNDINGS = ("/etc/resolv.conf", "/etc/pip.conf", "/etc/ssl/certs/ca-certificates.crt")


class Impossible(Exception):
    """A world cannot be had here; the text says why, and what to do."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--if-possible", action="store_true", help="end with status 0 where no world can be had")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="begin with no other Python after so many")
    parser.add_argument("--torch", metavar="VERSION", help="count this version of torch, instead of running tests")
    parser.add_argument("worlds", nargs="*", metavar="WORLD", help=f"all, if none is named: {', '.join(WORLDS)}")
    arguments = parser.parse_args()
    unknown = [name for name in arguments.worlds if name not in WORLDS]
    if unknown:
        parser.error(f"no world {unknown[0]!r}: known are {', '.join(WORLDS)}")
    failed = []
    ends = time.monotonic() + 60 * arguments.minutes
    late = f"{arguments.minutes:g} minutes are over" if arguments.minutes > 0 else "no time is left"
    for name in arguments.worlds or WORLDS:
        if time.monotonic() > ends:
            print(f"{name} is not tried: {late}", flush=True)
            continue
        try:
            root = made(WORLDS[name])
        except Impossible as reason:
            print(f"{name} is not tried: {reason}", flush=True)
            failed += [] if arguments.if_possible else [name]
            continue
        for version in WORLDS[name].pythons:
            if time.monotonic() > ends:
                print(f"{name}, Python {version} is not tried: {late}", flush=True)
            elif not passes(root, version, arguments.torch):
                failed.append(f"{name}, Python {version}")
    for what in failed:
        print(f"failed: {what}", file=sys.stderr)
    return 1 if failed else 0


def made(world: World) -> Path:
    """The root folder of a world, made where it is not there yet. Raises Impossible."""
    if os.getuid() != 0:
        raise Impossible("it takes root, for debootstrap and chroot")
    debootstrap = shutil.which("debootstrap")
    if debootstrap is None:
        raise Impossible("no debootstrap on PATH: apt-get install debootstrap")
    folder = cache.folder() / "worlds"
    root = folder / f"{world.name}-{cache.key(world.packages)}"
    if root.exists():
        return root
    beginning = root.with_suffix(".beginning")
    shutil.rmtree(beginning, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    print(f"{world.name}: made with debootstrap", flush=True)
    command = [debootstrap, "--variant=minbase", f"--include={','.join(world.packages)}", world.name, str(beginning)]
    scripts = Path("/usr/share/debootstrap/scripts")
    if not (scripts / world.name).exists():  # an older debootstrap; all new releases are made alike
        command += ["", str(scripts / "sid")]  # "": the mirror that debootstrap takes by itself
    with open(folder / f"{world.name}.log", "wb") as log:
        if subprocess.run(command, stdout=log, stderr=log).returncode != 0:
            last = Path(log.name).read_text(errors="replace").strip().splitlines()[-1:]
            raise Impossible(f"debootstrap failed ({''.join(last)}): is a mirror of Debian to be had? See {log.name}")
    beginning.rename(root)
    return root


def passes(root: Path, version: str, torch: str | None) -> bool:
    """Whether all tests pass with this Python; with a version of torch, whether that can be counted."""
    print(f"{root.name.partition('-')[0]}, Python {version}", flush=True)
    environment = f"/environments/{version}" if torch is None else f"/environments/{version}-torch-{torch}"
    python = f"{environment}/bin/python"
    packages = ["numpy"] if torch is None else ["numpy", f"torch=={torch}"]
    tests = [[python, "-m", "pytest", "-q", "-n", "auto", "--dist", "loadfile", *which] for which in TESTS]
    steps = [
        [f"python{version}", "-m", "venv", environment],
        [python, "-m", "pip", "install", "-q", "-r", "requirements-dev.txt", "-r", "requirements-test.txt", *packages],
        [python, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", "-e", "."],
        *(tests if torch is None else [[python, "scripts/six_counts.py"]]),
    ]
    copy(root / "suite")
    results = [run(root, step) for step in steps]  # all of them: what fails first is not all that fails
    return all(results)


def copy(target: Path) -> None:
    """This working tree as it is, and its history."""
    shutil.rmtree(target, ignore_errors=True)
    subprocess.run(["git", "clone", "-q", "--no-hardlinks", str(ROOT), str(target)], check=True)
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    for name in set(listed.split("\0")) - {""}:
        (target / name).unlink(missing_ok=True)
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name)


#: Mounts are this process's alone and go with it, and so does all that it has started.
_ENTER = """
set -e
mount --bind "$1" "$1"
cd "$1"; shift
mount -t proc proc proc; mount --rbind /dev dev; mount -t tmpfs tmpfs tmp
pivot_root . mnt  # not chroot alone: in that nobody may make a user namespace, as some tests do
exec chroot . sh -c 'umount -l /mnt && cd /suite && exec "$@"' sh "$@"
"""


def run(root: Path, command: list[str]) -> bool:
    """Whether a command in the world succeeds."""
    for path in SURROUNDINGS:
        if os.path.exists(path):
            shutil.copyfile(path, root / path.lstrip("/"))
    surroundings = {name: value for name, value in os.environ.items() if name.startswith("PIP_") or "proxy" in name}
    surroundings |= {"HOME": "/root", "PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "LANG": "C.UTF-8"}
    enter = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", _ENTER, "sh", str(root)]
    return subprocess.run([*enter, *command], env=surroundings, stdin=subprocess.DEVNULL).returncode == 0


if __name__ == "__main__":
    sys.exit(main())
