"""asv's third-party scripts from npm: what can go wrong on the way. With an npm made up here."""

import base64
import hashlib
import io
import stat
import tarfile
from pathlib import Path

import asv
import pytest

from harness.asv_plugin import third_party
from harness.errors import StartError

PAGE = (
    '<script src="https://public.example/a/1.0/a.min.js" integrity="sha512-x" crossorigin="anonymous" onerror="f()">'
    "</script>"
)


def tarball(**files):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as made:
        for name, text in files.items():
            info = tarfile.TarInfo(f"package/{name.replace('_', '.')}")
            info.size = len(text)
            made.addfile(info, io.BytesIO(text.encode()))
    return packed.getvalue()


CONTENT = tarball(a_js="alert(1)", LICENSE="MIT")


@pytest.fixture
def page(tmp_path, monkeypatch):
    """A page with one script, and an npm that brings it."""
    digest = base64.b64encode(hashlib.sha512(CONTENT).digest()).decode()
    package = third_party.Package("a", "1.0", f"sha512-{digest}", {"a.min.js": "a.js"}, "LICENSE")
    monkeypatch.setattr(third_party, "PACKAGES", (package,))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "content").write_bytes(CONTENT)
    npm(tmp_path, monkeypatch, f"cp {tmp_path}/content a-1.0.tgz")
    html = tmp_path / "html"
    html.mkdir()
    (html / "index.html").write_text(PAGE)
    return html / "index.html"


def npm(tmp_path, monkeypatch, does):
    folder = tmp_path / "bin"
    folder.mkdir(exist_ok=True)
    (folder / "npm").write_text(f"#!/bin/sh\n{does}\n")
    (folder / "npm").chmod(stat.S_IRWXU)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")


def test_the_page_uses_what_npm_brought_and_the_licence_lies_beside(page):
    third_party.bring(page.parent)
    assert page.read_text() == '<script src="scripts/a/a.js" onerror="f()"></script>'
    assert (page.parent / "scripts/a/a.js").read_text() == "alert(1)"
    assert (page.parent / "scripts/a/LICENSE").read_text() == "MIT"


def test_npm_is_asked_once(page, tmp_path, monkeypatch):
    third_party.bring(page.parent)
    npm(tmp_path, monkeypatch, "exit 1")
    page.write_text(PAGE)
    third_party.bring(page.parent)
    assert "scripts/a/a.js" in page.read_text()


@pytest.mark.parametrize(
    ("does", "sentence"),
    [
        (
            "echo 'getaddrinfo ENOTFOUND' >&2; exit 1",
            r"could not be reached for a@1.0 \(status 1\): getaddrinfo ENOTFOUND",
        ),
        ("exit 0", "could not be reached for a@1.0"),
        ("echo other > a-1.0.tgz", "npm brought another a@1.0 than the one that is known"),
    ],
)
def test_what_npm_does_not_bring_leaves_the_page_as_it_was(page, tmp_path, monkeypatch, does, sentence):
    npm(tmp_path, monkeypatch, does)
    with pytest.raises(StartError, match=sentence):
        third_party.bring(page.parent)
    assert page.read_text() == PAGE and not (page.parent / "scripts").exists()


def test_a_script_that_is_not_known_is_named(page):
    page.write_text(PAGE.replace("a.min.js", "new.js"))
    with pytest.raises(StartError, match="scripts that are not known here: new.js"):
        third_party.bring(page.parent)


def test_every_script_of_this_asv_is_known():
    text = (Path(asv.__file__).parent / "www/index.html").read_text()
    wanted = {link for _, link, _ in third_party._LINK.findall(text)}
    assert wanted == {link for package in third_party.PACKAGES for link in package.links}
