"""Commits of the installed torch's own Python, the suite's benchmarks, and asv's configuration for the two."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

from tests.conftest import ROOT
from tests.histories import torch_history
from tests.projects import asv_program, configuration


class TorchProject:
    """The made-up range of histories.py, and these modules of the suite."""

    def __init__(self, folder: Path, *benchmarks: str, length: int = 18) -> None:
        self.folder = folder
        self.history = torch_history(folder / "pytorch", Path(sysconfig.get_path("purelib")), length)
        (folder / "benchmarks").mkdir()
        for name in ("__init__", *benchmarks):
            shutil.copyfile(ROOT / f"benchmarks/{name}.py", folder / f"benchmarks/{name}.py")
        settings = configuration("asv.pytorch.conf.json")
        settings["repo"] = "pytorch"
        for name in ("install_command", "uninstall_command"):
            settings[name] = [command.replace("{conf_dir}", str(ROOT)) for command in settings[name]]
        (folder / "asv.pytorch.conf.json").write_text(json.dumps(settings))
        answer = self.run(asv_program(), "--config", "asv.pytorch.conf.json", "machine", "--yes")
        assert answer.returncode == 0, answer.stdout + answer.stderr

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        surroundings = {**os.environ, "HOME": str(self.folder)}
        return subprocess.run(command, cwd=self.folder, capture_output=True, text=True, timeout=2700, env=surroundings)

    def harness(self, *words: str, status: int = 0) -> Any:
        """What a command of the harness tells as JSON."""
        answer = self.run(sys.executable, "-m", "harness", *words, "--json")
        assert answer.returncode == status, answer.stdout + answer.stderr
        return json.loads(answer.stdout)
