"""Make the pictures in docs/img anew, and print the output that docs/how-to/explain.md shows. Ten minutes.

    python scripts/pictures.py

The quick suite is counted with Callgrind on three commits of a made-up PyTorch: the installed torch's own Python, then
one commit that makes DTensor's dispatch dearer, and one that makes tracing dearer. The counts are this machine's.
"""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from tests.browsing import Look, chromium, serving  # noqa: E402 - the tests' browser serves here too
from tests.histories import torch_history  # noqa: E402

_CONFIGURATION = "asv.pytorch.conf.json"
_BEFORE, _DETACH, _TRACING = "onnx 2", "detach costlier", "tracing costlier"


def main() -> None:
    images = ROOT / "docs/img"
    with tempfile.TemporaryDirectory(prefix="pictures-") as name:
        folder = Path(name)
        history = torch_history(folder / "pytorch", Path(sysconfig.get_path("purelib")))
        chosen = [history.commits[subject] for subject in (_BEFORE, _DETACH, _TRACING)]
        suite = folder / "suite"
        run(folder, "git", "clone", "--quiet", str(ROOT), str(suite))
        configuration = suite / _CONFIGURATION
        configuration.write_text(configuration.read_text().replace('["readable"]', '["callgrind"]'))
        (suite / "commits.txt").write_text("\n".join(chosen))

        asv = [str(Path(sys.executable).with_name("asv")), "--config", _CONFIGURATION]
        run(suite, *asv, "machine", "--yes")
        run(suite, *asv, "run", "HASHFILE:commits.txt", HARNESS_SUITE="quick")
        difference = ["diff", *chosen[:2], "dtensor.Detach", "--param", "device=cpu", "--python"]
        run(suite, sys.executable, "-m", "harness", *difference, "--config", _CONFIGURATION)
        run(suite, *asv, "publish")
        with serving(suite / ".asv/pytorch/html") as address, chromium() as browser:
            look = Look(browser, address)
            look.page.set_viewport_size({"width": 1280, "height": 1000})
            look.at("index.html").wait_for_function("document.body.dataset.shown !== undefined")
            look.page.screenshot(path=images / "overview.png")
            look.at_reasons(commit=chosen[1], benchmark="dtensor.Detach", view="python", **{"p-device": "cpu"})
            look.page.get_by_role("button", name="colour by change").click()
            look.page.screenshot(path=images / "difference.png")
            if look.complaints:
                raise SystemExit("\n".join(look.complaints))


def run(folder: Path, *command: str, **variables: str) -> None:
    print("$", *command, flush=True)
    subprocess.run(command, cwd=folder, check=True, env={**os.environ, **variables})


if __name__ == "__main__":
    main()
