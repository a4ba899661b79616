"""What statements need built against the torch under test: C++ loops in a library, TorchScript models in files.

Runs natively, in a process of its own (see suite/build_process.py). Whatever goes wrong with one statement is noted for
that one alone and told to the worker that comes to count it.
"""

from __future__ import annotations

import dataclasses
import importlib
import importlib.util
import json
import re
import shutil
import subprocess
import textwrap
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.engine.extension import cpp_compiler
from harness.errors import StartError
from harness.inside.definitions import TimerArgs
from harness.inside.pytorch import built_files
from harness.system import cache

_FLAGS = ("-std=c++20", "-O2", "-g0", "-w", "-fPIC", "-shared")
_COUNTING = Path(__file__).parent.parent / "inside/counting.h"

# `harness_` keeps clear of names that a setup may define.
_FILE = """\
#include <exception>
#include <string>
#include <torch/torch.h>
#include "counting.h"
{includes}
#line 1 "loops.cpp"
static const char *harness_keep(const char *text) {{
    static std::string kept;
    kept = text;
    return kept.c_str();
}}
"""
# The same code three times: to warm up; for what it keeps from call to call to lie in an allocator that is as if new;
# and counted. The empty loop has the same shape, and is the overhead.
_LOOP = """\
extern "C" const char *{name}(long harness_calls, struct counting *harness_counting) try {{
    torch::set_num_threads({threads});
#line 1 "setup of statement {number}"
{setup}
#line 1 "statement {number}"
    for (int harness_pass = 0; harness_pass < 3; harness_pass++) {{
        const long harness_turns = harness_pass == 0 ? {warm_ups} : harness_pass == 1 ? {settling} : harness_calls;
        if (harness_pass == 1)
            renew_allocator(harness_counting);
        if (harness_pass == 2)
            start_counting(harness_counting);
        for (long harness_turn = 0; harness_turn < harness_turns; harness_turn++) {{
#line 1 "statement {number}"
{stmt}
        }}
        if (harness_pass == 2)
            stop_counting(harness_counting);
    }}
    return nullptr;
}} catch (const std::exception &harness_error) {{
    return harness_keep(harness_error.what());
}}
"""
_EMPTY = TimerArgs(stmt='asm volatile("" ::: "memory");', setup="")


def loop_source(args: TimerArgs, number: int, name: str | None = None) -> str:
    """The C++ function that counts one statement."""
    return _LOOP.format(
        name=name or built_files.symbol(number),
        number=number,
        threads=args.num_threads,
        setup=textwrap.indent(args.setup, "    "),
        stmt=textwrap.indent(args.stmt, " " * 12),
        warm_ups=built_files.WARM_UPS,
        settling=built_files.SETTLING,
    )


def library_source(loops: Mapping[int, TimerArgs]) -> str:
    """One file with the loops of all these statements, by number, and the empty loop."""
    first_with = {args.global_setup: number for number, args in reversed(list(loops.items())) if args.global_setup}
    includes = "\n".join(f'#line 1 "statement {number}"\n{text}' for text, number in first_with.items())
    functions = [loop_source(args, number) for number, args in loops.items()]
    return "\n".join([_FILE.format(includes=includes), loop_source(_EMPTY, -1, built_files.EMPTY_SYMBOL), *functions])


def build_loops(loops: Mapping[int, TimerArgs], folder: Path, cached: Path) -> None:
    """Compile the statements into `folder`, all in one library if all compile. Raises StartError.

    Those that the compiler complains of are each compiled alone, which tells whether it is right.
    """
    compiler = _Compiler.find(cached)
    outcomes: dict[int, dict[str, str]] = {}
    together = dict(loops)
    for number, args in loops.items():
        reason = unbalanced(f"{args.setup}\n{args.stmt}")
        if reason is not None:
            outcomes[number] = {"failed": f"the C++ statement is not even a statement: {reason}\n{_shown(args)}"}
            del together[number]
    while together:
        complaint = compiler.build(library_source(together), folder / "loops.so")
        if complaint is None:
            outcomes |= {number: {"file": "loops.so"} for number in together}
            break
        suspects = {int(number) for number in re.findall(r"statement (\d+)(?=:\d)", complaint)} & together.keys()
        if not suspects:
            raise StartError(f"the C++ statements do not compile, and no single one is to blame:\n{complaint[-4000:]}")
        for number in sorted(suspects):
            args = together.pop(number)
            alone = compiler.build(library_source({number: args}), folder / f"loop_{number}.so")
            outcomes[number] = (
                {"file": f"loop_{number}.so"}
                if alone is None
                else {"failed": f"the C++ statement does not compile\n{_shown(args)}\n{_first_errors(alone)}"}
            )
    _tell(folder, outcomes)


def save_models(models: Mapping[int, str], folder: Path) -> None:
    """Script and save every model, each defined by a Python source that ends with `model` defined."""
    reason = _no_torchscript(folder)
    outcomes: dict[int, dict[str, str]] = {}
    for number, source in models.items():
        if reason is not None:
            outcomes[number] = {"skipped": reason}
            continue
        try:
            _script(source, folder / f"model_{number}.py").save(str(folder / f"{number}.pt"))
            outcomes[number] = {"file": f"{number}.pt"}
        except Exception:
            outcomes[number] = {
                "failed": f"TorchScript does not take the model\n{source}\n{traceback.format_exc()[-4000:]}"
            }
    _tell(folder, outcomes)


def unbalanced(code: str) -> str | None:
    """What bracket of this C++ code has no partner, in words; None if all have. It would spoil its neighbours."""
    bare = re.sub(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', " ", code, flags=re.DOTALL)
    pairs = {")": "(", "]": "[", "}": "{"}
    open_ones: list[str] = []
    for character in re.findall(r"[()\[\]{}\"']", bare):
        if character in "\"'":
            return f"a quotation mark {character} is left open"
        if character in pairs and (not open_ones or open_ones.pop() != pairs[character]):
            return f"{character!r} closes nothing"
        if character not in pairs:
            open_ones.append(character)
    return f"{open_ones[-1]!r} is left open" if open_ones else None


@dataclasses.dataclass(frozen=True)
class _Compiler:
    """The compiler, against the torch that is imported here. `facts` are what its libraries depend on."""

    path: str
    options: tuple[str, ...]
    libraries: tuple[str, ...]
    facts: tuple[str, ...]
    cached: Path

    @classmethod
    def find(cls, cached: Path) -> _Compiler:
        path = cpp_compiler()
        if path is None:
            raise StartError("no C++ compiler (`g++`, or what CXX names) on PATH: install one (apt-get install g++)")
        torch: Any = importlib.import_module("torch")
        root = Path(torch.__file__).resolve().parent
        if not (root / "include/torch/csrc/api/include/torch/torch.h").exists():
            raise StartError(f"this torch brings no C++ headers: there is no torch/torch.h under {root / 'include'}")
        version = subprocess.run([path, "--version"], capture_output=True, text=True).stdout.partition("\n")[0]
        abi = f"-D_GLIBCXX_USE_CXX11_ABI={int(torch.compiled_with_cxx11_abi())}"
        folders = (root / "include", root / "include/torch/csrc/api/include", _COUNTING.parent)
        options = (*_FLAGS, abi, *(f"-I{folder}" for folder in folders), f"-ffile-prefix-map={root}=torch")
        libraries = (f"-L{root}/lib", "-Wl,--no-as-needed", "-ltorch", "-ltorch_cpu", "-lc10")
        facts = (version, abi, *_FLAGS, torch.__version__, str(torch.version.git_version), _COUNTING.read_text())
        return cls(path, options, libraries, facts, cached)

    def build(self, source: str, library: Path) -> str | None:
        """Compile `source` to `library`; what the compiler has against it, or None. Either is remembered."""
        name = cache.key([source, *self.facts])
        good, bad = (self.cached / f"cpp-{name}{ending}" for ending in (".so", ".txt"))
        if cache.find(good, self.cached) is not None:
            shutil.copy(good, library)
            return None
        if cache.find(bad, self.cached) is not None:
            return bad.read_text()
        file = library.with_suffix(".cpp")
        file.write_text(source)
        command = [self.path, *self.options, str(file), "-o", str(library), *self.libraries]
        answer = subprocess.run(command, capture_output=True, text=True)
        if answer.returncode == 0:
            cache.store(library, good, self.cached)
            return None
        complaint = answer.stderr or f"{self.path} ended with status {answer.returncode} and said nothing"
        if "error:" in complaint and "fatal error:" not in complaint:  # and not a full disk or a missing header
            note = library.with_suffix(".txt")
            note.write_text(complaint)
            cache.store(note, bad, self.cached)
        return complaint


def _no_torchscript(folder: Path) -> str | None:
    """Why nothing can be scripted here, None if it can."""
    try:
        _script("def model(x):\n    return x\n", folder / "probe.py")
    except Exception as error:
        return f"TorchScript is not to be had here: {type(error).__name__}: {str(error)[:500]}"
    return None


def _script(source: str, file: Path) -> Any:
    """TorchScript reads source code, so there must be a file. The weights of a module are the same every time."""
    torch: Any = importlib.import_module("torch")
    file.write_text(f"import torch\n{source}\njit_model = torch.jit.script(model)\n")
    specification = importlib.util.spec_from_file_location(file.stem, file)
    assert specification is not None and specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    torch.manual_seed(0)
    specification.loader.exec_module(module)
    return module.jit_model


def _tell(folder: Path, outcomes: dict[int, dict[str, str]]) -> None:
    (folder / built_files.OUTCOMES).write_text(json.dumps(outcomes, indent=1))


def _shown(args: TimerArgs) -> str:
    return f"setup:\n{textwrap.indent(args.setup, '    ')}\nstatement:\n{textwrap.indent(args.stmt, '    ')}"


def _first_errors(complaint: str) -> str:
    lines = complaint.splitlines()
    first = next((number for number, line in enumerate(lines) if "error:" in line), 0)
    return "\n".join(lines[max(0, first - 3) : first + 17])
