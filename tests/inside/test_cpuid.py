"""Which bytes are the instruction cpuid: what inside/cpuid.c finds in a library, against what a disassembler reads."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from harness.engine import extension

pytestmark = pytest.mark.skipif(os.uname().machine != "x86_64", reason="cpuid is an instruction of x86-64")
#: The bytes within a longer instruction and in constants, where a cpuid is none; and three that are cpuids.
ASSEMBLY = """
    .text
    .globl within
    .type within, @function
within:
    .cfi_startproc
    mov $0xa20f, %eax
    movabs $0x11a20f1122334455, %rcx
    vpermq $0xa2, %ymm1, %ymm15
    lea 0xa20f(%rbx,%rcx,2), %rdx
    vaddps 0xa20f(%rip), %zmm1, %zmm2
    test $0x0fa2, %ax
    cmpw $0xa20f, 0x10(%rsp)
    extrq $0xa2, $0x0f, %xmm1
    ret
    .cfi_endproc
    .globl true
    .type true, @function
true:
    .cfi_startproc
    push %rbx
    xor %eax, %eax
    cpuid
    pop %rbx
    ret
    .cfi_endproc
    .globl without_frame
    .type without_frame, @function
without_frame:
    push %rbx
    mov %rsp, %rbp
    mov $1, %eax
    mov 0x20(%rdi), %rcx
    add $0x12345678, %ecx
    lea 0x10(%rsi,%rdi,4), %rdx
    cmp $0x7, %ecx
    mov %rdx, 0x18(%rsp)
    mov 0x18(%rsp), %rsi
    xor %ecx, %ecx
    cpuid
    pop %rbx
    ret
    .section .first, "ax", @progbits
    xor %eax, %eax
    cpuid
    ret
    .section .rodata
    .byte 0x0f, 0xa2, 0x0f, 0xa2
"""


@pytest.fixture(scope="module")
def find(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cpuid")
    extension.add(folder, with_valgrind=False)
    spec = importlib.util.spec_from_file_location("_client_requests", folder / extension.NAME)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return lambda path: set(module.cpuids_in(Path(path).read_bytes()))


def disassembled(path: str | Path) -> set[int]:
    """The addresses of the lines that say cpuid; grep finds them, since there are millions of others."""
    answer = subprocess.run(
        ["sh", "-ec", 'objdump -d --no-show-raw-insn "$1" | grep -P "\\tcpuid"', "sh", str(path)],
        capture_output=True,
        text=True,
    )
    assert answer.returncode in (0, 1) and not answer.stderr, answer.stderr
    return {int(line.partition(":")[0], 16) for line in answer.stdout.splitlines()}


def libraries(packages: str) -> list[str]:
    """What a process with these packages in it has mapped, and the C++ library."""
    code = f"import ctypes, {packages}; ctypes.CDLL('libstdc++.so.6'); print(open('/proc/self/maps').read())"
    maps = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    return sorted(set(re.findall(r"r-xp .*\s(/\S+)\n", maps)))


def test_each_is_found_and_nothing_else(tmp_path, find):
    (tmp_path / "some.s").write_text(ASSEMBLY)
    made = tmp_path / "some.so"
    subprocess.run(["gcc", "-shared", "-nostdlib", "-o", str(made), str(tmp_path / "some.s")], check=True)
    assert made.read_bytes().count(b"\x0f\xa2") >= 11
    assert find(made) == disassembled(made) and len(find(made)) == 3


@pytest.mark.parametrize(
    "packages",
    [pytest.param("ssl", marks=pytest.mark.valgrind), pytest.param("numpy, ssl", marks=pytest.mark.torch_native)],
)
def test_in_the_libraries_of_a_process(find, packages):
    """Where they differ, it is in libcrypto: objdump reads its constants, which lie among code, as instructions.
    numpy's libraries are torch's: to disassemble them takes most of the time."""
    found = {path: find(path) for path in libraries(packages)}
    read = {path: disassembled(path) for path in found}
    assert sum(map(len, found.values())) > 20
    for path, addresses in found.items():
        assert addresses <= read[path], path
        if "libcrypto" not in path:
            assert addresses == read[path], path


def test_what_is_no_library_is_refused(tmp_path, find):
    (tmp_path / "text").write_text("\x0f\xa2 some text that is long enough to be a header, were it one" * 4)
    with pytest.raises(ValueError, match="not an ELF file for x86-64"):
        find(tmp_path / "text")
