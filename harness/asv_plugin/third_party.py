"""asv's third-party scripts, so that its pages need no internet: fetched from npm, checked, put beside the pages.

asv's index.html loads them from public servers. npm brings the same versions, with their licences; which registry it
asks, and how, is npm's own configuration. Packages are kept in the user's cache folder and checked, each time, against
the digests here.
"""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import hashlib
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

from harness.errors import StartError
from harness.system import cache

_PATIENCE_SECONDS = 120
FOLDER = "scripts"


@dataclasses.dataclass(frozen=True)
class Package:
    """An npm package at one version, its digest as npm tells it, which of its files are wanted, and its licence (or
    what names it, where the package has no text of it). `links` are the file names by which asv's page knows them."""

    name: str
    version: str
    integrity: str
    links: dict[str, str]
    licence: str
    others: tuple[str, ...] = ()

    @property
    def tarball(self) -> str:
        return f"{self.name}-{self.version}.tgz"


PACKAGES = (
    Package(
        "jquery",
        "3.3.1",
        "sha512-Ubldcmxp5np52/ENotGxlLe6aGMvmF4R8S6tZjsP6Knsaxd/xp3Zrh50cG93lR6nPXyUFwzN3ZSOQI0wRJNdGg==",
        {"jquery-3.3.1.min.js": "dist/jquery.min.js"},
        "LICENSE.txt",
    ),
    Package(
        "flot",
        "0.8.3",
        "sha512-xg2otcTJDvS+ERK+my4wxG/ASq90QURXtoM4LhacCq0jQW2jbyjdttbRNqU2cPykrpMvJ6b2uSp6SAgYAzj9tQ==",
        {
            "jquery.flot.min.js": "jquery.flot.js",
            "jquery.flot.time.min.js": "jquery.flot.time.js",
            "jquery.flot.selection.min.js": "jquery.flot.selection.js",
            "jquery.flot.categories.min.js": "jquery.flot.categories.js",
        },
        "LICENSE.txt",
    ),
    Package(
        "bootstrap",
        "3.1.1",
        "sha512-TAzqS8E/ISpVHP29gYhy+1NSV+FJwApDVQhDfgLYsIuUDJiqJzH2DfORN5tiu+Ie2iBLrzEG34t4Rf465cigqg==",
        {"bootstrap.min.js": "dist/js/bootstrap.min.js", "bootstrap.min.css": "dist/css/bootstrap.min.css"},
        "LICENSE",
        ("dist/fonts/glyphicons-halflings-regular.woff", "dist/fonts/glyphicons-halflings-regular.ttf"),
    ),
    Package(
        "stupid-table-plugin",  # npm's name of stupidtable; 1.0.1, which asv links to, is not there
        "1.1.3",
        "sha512-2Vk7XouQPxUQPRe9w0Fu7ZZ8kHLK7rDoLMsCgtKxRNJ7f4dSOGvW9CkHsq5wD6QsaEnWoyLBYH3xOEsrK3yWBg==",
        {"stupidtable.min.js": "stupidtable.min.js"},
        "LICENSE",
    ),
    Package(
        "blueimp-md5",
        "2.19.0",
        "sha512-DRQrD6gJyy8FbiE4s+bDoXS9hiW3Vbx5uCdwvcCf3zLHL+Iv7LtGHLpr+GZV8rHG8tK766FGYBwRbu8pELTt+w==",
        {"md5.min.js": "js/md5.min.js"},
        "LICENSE.txt",
    ),
    Package(
        "flot-orderbars",
        "1.0.0",
        "sha512-Jv51fvzevUjNXEeozpwEKfPjhiZhfiJddv0WHjduUTCmSF+7T5K7C9c9Y1wIVmUhDBv5fLMjgbwKecT0GIKPZA==",
        {"jquery.flot.orderBars.js": "js/jquery.flot.orderBars.js"},
        "package.json",
    ),
)

_LINK = re.compile(r'(src|href)="https?://[^"]*/([^"/]+)"([^>]*)>')


def bring(html: Path) -> None:
    """Put the scripts into the folder of asv's pages and let index.html use them. Raises StartError where that cannot
    be done; the page is then as asv wrote it."""
    page = html / "index.html"
    wanted = {link: package for package in PACKAGES for link in package.links}
    unknown = {link for _, link, _ in _LINK.findall(page.read_text())} - wanted.keys()
    if unknown:
        raise StartError(f"this asv's page loads scripts that are not known here: {', '.join(sorted(unknown))}")
    with tempfile.TemporaryDirectory(prefix="harness-npm-") as made:
        tarballs = [fetch(package, Path(made)) for package in PACKAGES]
        for package, tarball in zip(PACKAGES, tarballs, strict=True):
            _unpack(package, tarball, html / FOLDER / package.name)

    def local(match: re.Match[str]) -> str:
        kind, link, rest = match.groups()
        package = wanted[link]
        rest = re.sub(r'\s(integrity|crossorigin|referrerpolicy)="[^"]*"', "", rest)
        return f'{kind}="{FOLDER}/{package.name}/{package.links[link]}"{rest}>'

    page.write_text(_LINK.sub(local, page.read_text()))


def fetch(package: Package, folder: Path) -> Path:
    """The package as npm brings it, from the cache or into `folder`, its digest checked. Raises StartError."""
    cached = cache.find(cache.folder() / "npm" / package.tarball)
    if cached is not None and _integrity(cached) == package.integrity:
        return cached
    npm = shutil.which("npm")
    if npm is None:
        raise StartError("npm is not installed (Debian, Ubuntu: apt-get install npm)")
    wanted = f"{package.name}@{package.version}"
    command = [npm, "pack", "--silent", "--fetch-retries=1", "--fetch-timeout=20000", wanted]
    try:
        result = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=_PATIENCE_SECONDS)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise StartError(f"npm could not be asked for {wanted}: {error}") from None
    tarball = folder / package.tarball
    if result.returncode != 0 or not tarball.exists():
        said = (result.stderr or result.stdout).strip().splitlines()
        raise StartError(f"npm could not be reached for {wanted} (status {result.returncode}): {' '.join(said[-2:])}")
    found = _integrity(tarball)
    if found != package.integrity:
        raise StartError(f"npm brought another {wanted} than the one that is known: {found}, not {package.integrity}")
    cache.store(tarball, cache.folder() / "npm" / package.tarball)
    return tarball


def _integrity(tarball: Path) -> str:
    with contextlib.suppress(OSError):
        return f"sha512-{base64.b64encode(hashlib.sha512(tarball.read_bytes()).digest()).decode()}"
    return "nothing that can be read"


def _unpack(package: Package, tarball: Path, folder: Path) -> None:
    with tarfile.open(tarball) as packed:
        for name in (*package.links.values(), *package.others, package.licence):
            content = packed.extractfile(f"package/{name}")
            if content is None:
                raise StartError(f"{tarball} has no file {name}")
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content.read())
            os.chmod(target, 0o644)
