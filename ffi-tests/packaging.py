"""The traps of shipping a native library, asserted on the artefacts that `make build` made.

Prints PASS or FAIL a line, closes with the counts, and exits 1 on any failure.
Needs binutils, gcc, make and pkg-config. Standard library only.
"""

import ctypes
import os
import re
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SHARED = os.environ.get("SCOUTCORE_LIB", os.path.join(ROOT, "target/release/libscoutcore.so"))
STATIC = os.path.join(os.path.dirname(SHARED), "libscoutcore.a")
SONAME = "libscoutcore.so.1"
MIB = 1 << 20
# design.md, section 8: with TLS and the SQL parser.
SIZE_LIMIT = 4 * MIB

results = []


def check(test):
    """Runs a test at once; its docstring is its name, an assertion its failure."""
    try:
        test()
        results.append(True)
        print("PASS packaging:", test.__doc__)
    except Exception as error:  # a failing tool is a failing test
        results.append(False)
        print("FAIL packaging:", test.__doc__, "--", error)


def run(*command, **options):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          timeout=300, **options)
    assert done.returncode == 0, "%s: exit %s\n%s" % (command[0], done.returncode, done.stdout[-2000:])
    return done.stdout


def declared():
    with open(os.path.join(ROOT, "include/scoutcore.h")) as header:
        code = re.sub(r"/\*.*?\*/", "", header.read(), flags=re.S)
    return set(re.findall(r"\b(scout_\w+)\(", code))


def exported():
    return {line.split()[-1] for line in run("nm", "-D", "--defined-only", SHARED).splitlines()}


@check
def exports():
    """the dynamic symbols are exactly the header's functions"""
    assert exported() == declared(), exported() ^ declared()


@check
def dynamic_section():
    """SONAME, no unloading, immediate binding, and only libc, libgcc_s and the loader are needed"""
    text = run("readelf", "-dW", SHARED)
    assert "soname: [%s]" % SONAME in text
    assert "NODELETE" in text
    assert "NOW" in text
    needed = set(re.findall(r"NEEDED.*\[(.*)\]", text))
    assert needed <= {"libc.so.6", "libgcc_s.so.1", "ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1"}, needed
    assert "TEXTREL" not in text and "RPATH" not in text and "RUNPATH" not in text


@check
def no_surprises():
    """no executable stack, no writable code, no crypto or runtime symbols of others visible"""
    headers = run("readelf", "-lW", SHARED)
    stack = re.search(r"GNU_STACK.*", headers).group(0)
    assert " RWE" not in stack, stack
    assert not re.search(r"LOAD .* RWE ", headers)


@check
def size():
    """the shared object is within its budget"""
    with tempfile.TemporaryDirectory() as place:
        stripped = os.path.join(place, "stripped.so")
        run("strip", "-o", stripped, SHARED)
        size = os.path.getsize(stripped)
    print("     shared object, stripped: %.2f MiB of %.0f; static library: %.1f MiB"
          % (size / MIB, SIZE_LIMIT / MIB, os.path.getsize(STATIC) / MIB))
    assert size <= SIZE_LIMIT, size


@check
def lto():
    """link-time optimisation took place: one unit of code, where each crate had been one"""
    # With several crate types in one build, cargo switches LTO off without a word.
    symbols = run("readelf", "-sW", SHARED)
    units = re.findall(r" FILE .* (\w+)\.[0-9a-f]+-cgu\.\w+$", symbols, flags=re.M)
    others = set(units) - {"scoutcore", "compiler_builtins"}
    assert units.count("scoutcore") == 1 and not others, others or units
    with open(os.path.join(ROOT, "Cargo.toml")) as manifest:
        text = manifest.read()
    assert re.search(r'^crate-type = \["lib"\]$', text, flags=re.M), "one crate type a build"
    assert re.search(r'^lto = "fat"$', text, flags=re.M)


@check
def one_crypto_provider():
    """exactly one TLS crypto provider is in the lock file"""
    with open(os.path.join(ROOT, "Cargo.lock")) as lock:
        crates = set(re.findall(r'^name = "(.*)"$', lock.read(), flags=re.M))
    assert "ring" in crates
    unwanted = crates & {"aws-lc-rs", "aws-lc-sys", "openssl-sys", "native-tls", "tokio"}
    assert not unwanted, unwanted


@check
def version():
    """the library, the manifest and the header agree on the versions"""
    with open(os.path.join(ROOT, "Cargo.toml")) as manifest:
        version = re.search(r'^version = "(.*)"$', manifest.read(), flags=re.M).group(1)
    library = ctypes.CDLL(SHARED)
    library.scout_version.restype = ctypes.c_char_p
    assert library.scout_version().decode() == version
    with open(os.path.join(ROOT, "include/scoutcore.h")) as header:
        abi = int(re.search(r"#define SCOUT_ABI_VERSION (\d+)", header.read()).group(1))
    assert library.scout_abi_version() == abi
    assert SONAME.endswith(".%d" % abi)


PROGRAM = r"""
#include <scoutcore.h>
#include <stdio.h>
#include <string.h>
int main(int argc, char **argv) {
    scout_core_t core;
    char options[4096];
    int n = snprintf(options, sizeof options, "{\"data_dir\":\"%s\"}", argc > 1 ? argv[1] : "");
    if (scout_abi_version() != SCOUT_ABI_VERSION) return 2;
    if (scout_start(options, (size_t)n, &core) != SCOUT_OK) return 3;
    scout_span_t root = {.struct_size = sizeof root};
    if (scout_span_begin(core, NULL, 0, &root) != SCOUT_OK) return 4;
    root.operation = "Controller/installed";
    root.operation_len = strlen(root.operation);
    if (scout_span_end(core, &root, NULL, 0) != SCOUT_OK) return 5;
    if (scout_flush(core, 10000) != SCOUT_OK) return 6;
    return scout_shutdown(core, 10000) == SCOUT_OK ? 0 : 7;
}
"""


def installed_program(place, *extra):
    """Installs into `place`, compiles PROGRAM against it through pkg-config, and runs it."""
    root = os.path.join(place, "root")
    run("make", "-s", "-C", ROOT, "install-files", "PREFIX=/usr", "DESTDIR=" + root)
    source = os.path.join(place, "program.c")
    with open(source, "w") as file:
        file.write(PROGRAM)
    lib = os.path.join(root, "usr/lib")
    environment = dict(os.environ, PKG_CONFIG_PATH=os.path.join(lib, "pkgconfig"),
                       PKG_CONFIG_SYSROOT_DIR=root)
    static = ["--static"] if extra else []
    flags = run("pkg-config", "--cflags", "--libs", *static, "scoutcore", env=environment).split()
    if extra:
        flags = [flag if flag != "-lscoutcore" else os.path.join(lib, "libscoutcore.a") for flag in flags]
    program = os.path.join(place, "program")
    run("gcc", "-std=c11", "-Wall", "-Wextra", "-Werror", source, "-o", program, *flags)
    data = os.path.join(place, "data")
    run(program, data, env=dict(os.environ, LD_LIBRARY_PATH=lib))
    found = [name for _, _, names in os.walk(data) for name in names if name.endswith(".checkin.json")]
    assert found, "the program left no payload"
    return program


@check
def installed_shared():
    """a C program, compiled against the installed library through pkg-config, delivers"""
    with tempfile.TemporaryDirectory() as place:
        program = installed_program(place)
        assert SONAME in run("readelf", "-dW", program), "it must need the library by its SONAME"


@check
def installed_static():
    """so does one that links the static library"""
    with tempfile.TemporaryDirectory() as place:
        program = installed_program(place, "static")
        assert "libscoutcore" not in run("readelf", "-dW", program)


@check
def reproducible_paths():
    """no path of the machine that built it is in the shared object"""
    with open(SHARED, "rb") as file:
        data = file.read()
    home = os.path.expanduser("~").encode()
    for secret in (ROOT.encode() + b"/src", home + b"/.cargo"):
        assert secret not in data, secret.decode()


print("packaging: %d passed, %d failed" % (results.count(True), results.count(False)))
sys.exit(0 if all(results) else 1)
