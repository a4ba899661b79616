#!/bin/sh
# Installs what pip cannot bring, where it is missing: valgrind with its headers, a C++ compiler, Python's headers; and
# whatever commands are named, from packages of the same names.
# Usage: install_tools.sh PYTHON [COMMAND...]
set -eu
python=$1
shift
command -v "$python" >/dev/null || { echo "no $python on PATH: install it, or name another with 'make PYTHON=...'" >&2; exit 1; }

version=$("$python" -c '
import platform, sysconfig
freed = ", a free-threaded build" if sysconfig.get_config_var("Py_GIL_DISABLED") else ""
print(platform.python_implementation(), platform.python_version() + freed)')
known=
case $version in
*,*) ;;
"CPython 3.1"[1-5].*) known=yes ;;
esac
if [ -z "$known" ]; then
    echo "counting works with CPython 3.11 to 3.15, and $python is $version: install one of these," \
        "or name one with 'make PYTHON=...'" >&2
    exit 1
fi

missing=
command -v valgrind >/dev/null && [ -e /usr/include/valgrind/callgrind.h ] || missing="$missing valgrind"
command -v g++ >/dev/null || missing="$missing g++"
headers=$("$python" -c 'import sysconfig; print(sysconfig.get_path("include"))')
[ -e "$headers/Python.h" ] || missing="$missing $("$python" -c 'import sys; print("python%d.%d-dev" % sys.version_info[:2])')"
for command; do
    command -v "$command" >/dev/null || missing="$missing $command"
done
[ -n "$missing" ] || exit 0

if ! command -v apt-get >/dev/null; then
    echo "no apt-get here: install$missing with this system's package manager, then run make again" >&2
    exit 1
fi
root=
[ "$(id -u)" -eq 0 ] || root=sudo
# Nobody's system is changed unasked: root's is root's own, and CI is there to be changed.
if [ -n "$root" ] && [ -z "${CI:-}${INSTALL:-}" ]; then
    echo "missing:$missing" >&2
    echo "'make deps' installs what is missing, or do it yourself: sudo apt-get install$missing" >&2
    exit 1
fi
echo "installing:$missing"
$root apt-get update -qq
# shellcheck disable=SC2086
DEBIAN_FRONTEND=noninteractive $root apt-get install -y -qq --no-install-recommends $missing
