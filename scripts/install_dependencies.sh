#!/bin/sh
# install_dependencies.sh [test] [bench] [ci] - installs the packages that a build needs and that are missing.
#
#   always   C compiler, cmake >= 3.22, make, pkg-config; zlib, libpng, libjpeg, libarchive, utf8proc, libhdf5,
#            libcurl, sqlite3 (optional: Glia builds without them)
#   test     cmocka
#   bench    Debian's PyTorch with both builds of OpenBLAS; oneDNN; OpenBLAS's headers, for kann; python3 with venv
#            and a C++ compiler for the newest PyTorch
#   ci       clang with its sanitizer and fuzzer run-time, python3 with venv; on x86 a compiler for 64-bit ARM, and QEMU
#
# With apt-get, installs missing packages (as root, or with sudo). On other systems prints what to install, and fails
# only if a required package is missing.
set -eu

has_command() { command -v "$1" >/dev/null 2>&1; }
has_module() { has_command pkg-config && pkg-config --exists "$1"; }
has_hdf5() { has_module hdf5-serial || has_module hdf5; } # Debian's name, the others'
has_compiler() { echo 'int main(void) { return 0; }' | "${CC:-cc}" -x c - -o /dev/null 2>/dev/null; }
has_venv() { python3 -c 'import venv, ensurepip' 2>/dev/null; }
has_torch() {
    [ -x /usr/bin/python3 ] && /usr/bin/python3 -c 'import importlib.util as u; exit(not u.find_spec("torch"))'
}
has_openblas() { ls /usr/lib/*/openblas-openmp/libblas.so.3 /usr/lib/*/openblas-pthread/libblas.so.3; } >/dev/null 2>&1
has_arm() { { has_command aarch64-linux-gnu-gcc && has_command qemu-aarch64-static &&
    ls /usr/lib/aarch64-linux-gnu/pkgconfig/cmocka.pc; } >/dev/null 2>&1; }
has_cblas() { echo '#include <cblas.h>' | "${CC:-cc}" -E - >/dev/null 2>&1; }
has_dnnl() { ls /usr/lib/*/libdnnl.so.[23] >/dev/null 2>&1; }
has_fuzzer() { echo 'int LLVMFuzzerTestOneInput(void) { return 0; }' |
    clang -fsanitize=fuzzer -x c - -o /dev/null 2>/dev/null; }

arm_packages="gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user-static libcmocka-dev:arm64"
missing=''  # Debian packages
essential=0 # 1: a required one is missing

# need HOW PACKAGES CHECK...: adds the packages to `missing` if the check fails. HOW: essential, optional.
need() {
    how=$1 packages=$2
    shift 2
    if ! "$@"; then
        missing="$missing $packages"
        if [ "$how" = essential ]; then essential=1; fi
    fi
}

find_missing() {
    missing='' essential=0
    need essential "gcc libc6-dev" has_compiler
    need essential cmake has_command cmake
    need essential make has_command make
    need essential pkg-config has_command pkg-config
    need optional zlib1g-dev has_module zlib
    need optional libpng-dev has_module libpng
    need optional libjpeg-dev has_module libjpeg
    need optional libsqlite3-dev has_module sqlite3
    need optional libarchive-dev has_module libarchive
    need optional libutf8proc-dev has_module libutf8proc
    need optional libhdf5-dev has_hdf5
    need optional libcurl4-openssl-dev has_module libcurl
    for group in "$@"; do
        case $group in
        test) need essential libcmocka-dev has_module cmocka ;;
        bench)
            need essential python3 has_command python3
            need optional python3-venv has_venv
            need optional python3-torch has_torch
            need optional "libopenblas0-pthread libopenblas0-openmp" has_openblas
            need optional libdnnl-dev has_dnnl
            need optional libopenblas-dev has_cblas
            need optional "g++ python3-dev" has_command g++ ;;
        ci)
            need essential clang has_command clang
            need essential "$(fuzzer_package)" has_fuzzer
            need optional "python3 python3-venv" has_venv
            if [ "$(uname -m)" = x86_64 ]; then need optional "$arm_packages" has_arm; fi ;;
        *) echo "install_dependencies.sh: unknown group $group (test, bench, ci)" >&2; exit 2 ;;
        esac
    done
}

# The package of clang's run-time: libclang-rt-14-dev for clang 14, libclang-rt-dev if clang is not installed.
fuzzer_package() {
    version=$(clang -dumpversion 2>/dev/null | cut -d. -f1) || version=
    echo "libclang-rt-${version:+$version-}dev"
}

find_missing "$@"
[ -n "$missing" ] || exit 0

if has_command apt-get; then
    if [ "$(id -u)" = 0 ]; then root=; elif has_command sudo; then root=sudo; else root=none; fi
    if [ "$root" != none ]; then
        echo "installing:$missing"
        case $missing in *:arm64*) $root dpkg --add-architecture arm64 ;; esac
        # shellcheck disable=SC2086 # lists of words
        { $root apt-get update -qq && $root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq \
            --no-install-recommends $missing >/dev/null </dev/null; } || echo "apt-get failed" >&2
        find_missing "$@"
        [ -n "$missing" ] || exit 0
    fi
    echo "Missing packages. Install them with:" >&2
    echo "    apt-get install$missing" >&2
else
    cat >&2 <<END
Missing (Debian names):$missing
Names in other distributions:
    Fedora    gcc cmake make pkgconf zlib-devel libpng-devel libjpeg-turbo-devel libarchive-devel utf8proc-devel
              hdf5-devel libcurl-devel sqlite-devel libcmocka-devel clang compiler-rt
    Arch      gcc cmake make pkgconf zlib libpng libjpeg-turbo libarchive libutf8proc hdf5 curl sqlite cmocka
              clang compiler-rt
    Alpine    build-base cmake pkgconf zlib-dev libpng-dev libjpeg-turbo-dev libarchive-dev utf8proc-dev
              hdf5-dev curl-dev sqlite-dev cmocka-dev clang compiler-rt
    openSUSE  gcc cmake make pkgconf zlib-devel libpng16-devel libjpeg8-devel libarchive-devel utf8proc-devel
              hdf5-devel libcurl-devel sqlite3-devel libcmocka-devel clang
END
fi
[ "$essential" = 0 ] || exit 1
echo "Continuing without them." >&2
