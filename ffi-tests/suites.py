"""The suites: what each language builds, and which tests it runs."""

import os
import shutil
import sys
import time

import scenario
from runner import HERE, OUTPUT, ROOT, run

EXAMPLES = os.path.join(ROOT, "examples")
INCLUDE = os.path.join(ROOT, "include")
WARNINGS = ["-Wall", "-Wextra", "-Werror"]
CC = ["gcc", "-std=c11", "-O1", "-g", "-pthread", *WARNINGS, "-I" + INCLUDE]

# What every language's example program does.
EXAMPLE = [
    (20, "request", "Controller/orders/index"),
    (1, "request", "Controller/orders/broken"),
    (1, "request", "Job/reports/nightly"),
]


def _here(*parts):
    return os.path.join(HERE, *parts)


def _built(*parts):
    path = os.path.join(OUTPUT, *parts)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    return path


def _linked(report):
    """How to link against the library under test: by its file, found again by its SONAME."""
    folder = os.path.dirname(report.library)
    link = _built("lib", "libscoutcore.so.1")
    if os.path.lexists(link):
        os.remove(link)
    os.symlink(report.library, link)
    return [report.library, "-Wl,-rpath," + os.path.dirname(link), "-Wl,-rpath," + folder, "-ldl", "-lm"]


def _lines(command, report):
    """What a program lists."""
    listed = run(command, report.environment("list"), 30)
    if listed.code:
        report.say("FAIL", "list", "%s: %s" % (" ".join(command), listed.complaint(30)))
    return listed.output.split()


def _stubs(report, name):
    """The two shared objects that bindings must refuse, as environment variables."""
    stubs = {"STUB_OTHER_ABI": 2, "STUB_INCOMPLETE": 1}
    paths = {variable: _built("stubs", variable + ".so") for variable in stubs}
    for variable, abi in stubs.items():
        source = [_here("stubs", "stub.c"), "-DSTUB_ABI=%d" % abi, "-o", paths[variable]]
        if not report.build(name + "/stubs", [*CC, "-shared", "-fPIC", *source]):
            return {}
    return paths


C_HARNESS = [
    "harness.c", "check.c", "misuse.c", "record.c", "batches.c", "threads.c", "cores.c", "forks.c",
    "signals.c", "faults.c", "descriptors.c",
]


def c(report):
    if not shutil.which("gcc"):
        return report.missing("c", "gcc")
    header = os.path.join(INCLUDE, "scoutcore.h")
    alone = ["-fsyntax-only", *WARNINGS, "-Wpedantic", header]
    report.test("c/header-as-c", ["gcc", "-x", "c", "-std=c11", *alone])
    report.test("c/header-as-c++", ["gcc", "-x", "c++", "-std=c++11", *alone])
    linked = _linked(report)
    programs = {
        "harness": C_HARNESS,
        "unload": ["unload.c"],
    }
    for name, sources in programs.items():
        files = [_here("c", source) for source in sources]
        libraries = linked if name != "unload" else ["-ldl"]
        if not report.build("c/" + name, [*CC, *files, "-o", _built("c", name), *libraries]):
            return None
    app = os.path.join(EXAMPLES, "c", "app.c")
    if not report.build("c/example", [*CC, app, "-o", _built("c", "app"), *linked]):
        return None
    harness = _built("c", "harness")
    for test in _lines([harness, "--list"], report):
        report.test("c/" + test, [harness, test], timeout=3600 if "FORKS" in os.environ else 60)
    if shutil.which("strace"):
        slow = ["strace", "-f", "-qq", "-o", os.devnull, "-e", "inject=fallocate:delay_enter=200000"]
        report.test("c/burst-on-a-slow-disk", [*slow, harness, "burst"])
    else:
        report.missing("c/burst-on-a-slow-disk", "strace")
    report.test("c/unload", [_built("c", "unload"), report.library])
    folder = report.folder("c/example")
    report.test("c/example", [_built("c", "app")], folder=folder, expect=EXAMPLE)
    return None


# Of the C harness's tests, what memcheck is not for: children of a fork, which leave their parent's
# core where it lies, and so leak it; and what only repeats or races, a hundred times as slow there.
NOT_FOR_MEMCHECK = (
    "all-descriptors", "burst", "clone", "flush-from", "fork", "idle", "live-threads", "many-threads",
    "races", "saturated", "short-", "ten-thousand", "under-load",
)


def memcheck(report):
    """The C harness under valgrind: no invalid access, no use of what was never written, no leak."""
    if not shutil.which("valgrind"):
        return report.missing("memcheck", "valgrind")
    linked = _linked(report)
    harness = _built("c", "harness")
    files = [_here("c", source) for source in C_HARNESS]
    if not report.build("memcheck/harness", [*CC, *files, "-o", harness, *linked]):
        return None
    valgrind = ["valgrind", "--quiet", "--error-exitcode=9", "--leak-check=full",
                "--errors-for-leak-kinds=definite", "--trace-children=no", "--child-silent-after-fork=yes"]
    for test in _lines([harness, "--list"], report):
        if not any(part in test for part in NOT_FOR_MEMCHECK):
            report.test("memcheck/" + test, [*valgrind, harness, test], timeout=300)
    return None


# Of the C harness's tests, what AddressSanitizer is not for: it has handlers of its own for the
# signals that must be left alone; and a child of a fork under busy threads may find its allocator
# locked for ever (LLVM before 17).
NOT_FOR_ASAN = ("default-signals", "asan/fork", "lock-renewed")


def asan(report):
    """The C harness and the library with AddressSanitizer and LeakSanitizer: `make asan`."""
    clang = shutil.which(os.environ.get("CLANG", "clang"))
    if not clang:
        return report.missing("asan", "clang")
    harness = _built("c", "harness-asan")
    files = [_here("c", source) for source in C_HARNESS]
    flags = [clang, *CC[1:], "-fsanitize=address", "-fno-omit-frame-pointer"]
    if not report.build("asan/harness", [*flags, *files, "-o", harness, *_linked(report)]):
        return None
    told = {
        "ASAN_OPTIONS": "detect_leaks=1:detect_stack_use_after_return=1:strict_string_checks=1:exitcode=9",
        "FORKS": os.environ.get("FORKS", "100"),
    }
    for test in _lines([harness, "--list"], report):
        if not any(part in "asan/" + test for part in NOT_FOR_ASAN):
            report.test("asan/" + test, [harness, test], timeout=300, **told)
    return None


def python(report):
    stubs = _stubs(report, "python")
    contract = [sys.executable, _here("python", "contract.py")]
    for test in _lines([*contract, "--list"], report):
        report.test("python/" + test, [*contract, test], **stubs)
    folder = report.folder("python/example")
    app = os.path.join(EXAMPLES, "python", "app.py")
    report.test("python/example", [sys.executable, app], folder=folder, expect=EXAMPLE)


def ruby(report):
    if not shutil.which("ruby"):
        return report.missing("ruby", "ruby")
    stubs = _stubs(report, "ruby")
    for backend, gem in (("ffi", "ffi"), ("fiddle", "fiddle")):
        if run(["ruby", "-e", "require '%s'" % gem], dict(os.environ), 30).code:
            report.missing("ruby-" + backend, "ruby's " + gem)
            continue
        contract = ["ruby", "-w", _here("ruby", "contract.rb"), backend]
        for test in _lines([*contract, "--list"], report):
            report.test("ruby-%s/%s" % (backend, test), [*contract, test], **stubs)
        folder = report.folder("ruby-%s/example" % backend)
        app = ["ruby", "-w", os.path.join(EXAMPLES, "ruby", "app.rb"), backend]
        report.test("ruby-%s/example" % backend, app, folder=folder, expect=EXAMPLE)
    return None


def _elixir_built(report, name):
    """The binding, built by its own Makefile; its `ebin`."""
    for tool in ("elixirc", "erl", "make"):
        if not shutil.which(tool):
            return report.missing(name, tool)
    make = ["make", "-s", "-C", os.path.join(EXAMPLES, "elixir"), "OUT=" + _built("elixir")]
    return _built("elixir", "ebin") if report.build(name + "/build", make) else None


def elixir(report):
    ebin = _elixir_built(report, "elixir")
    if not ebin:
        return
    stubs = _stubs(report, "elixir")
    contract = ["elixir", "-pa", ebin, _here("elixir", "contract.exs")]
    report.tests("elixir", contract, _lines([*contract, "--list"], report), **stubs)
    # A node of its own for each: which library is loaded is decided once.
    alone = ["elixir", "-pa", ebin, _here("elixir", "loading.exs")]
    for test in _lines([*alone, "--list"], report):
        report.test("elixir/" + test, [*alone, test], **stubs)
    folder = report.folder("elixir/example")
    app = ["elixir", "-pa", ebin, os.path.join(EXAMPLES, "elixir", "app.exs")]
    report.test("elixir/example", app, folder=folder, expect=EXAMPLE)


def _node(report, name):
    """The environment in which Node finds koffi; or None."""
    if not shutil.which("node"):
        return report.missing(name, "node")
    modules = _built("node", "node_modules")
    if not os.path.isdir(os.path.join(modules, "koffi")):
        return report.missing(name, "koffi, from npm (ffi-tests/install-deps does it),")
    return {"NODE_PATH": modules}


def node(report):
    modules = _node(report, "node")
    if not modules:
        return
    variables = {**modules, **_stubs(report, "node")}
    contract = ["node", _here("node", "contract.js")]
    for test in _lines([*contract, "--list"], report):
        report.test("node/" + test, [*contract, test], **variables)
    folder = report.folder("node/example")
    app = os.path.join(EXAMPLES, "node", "app.js")
    report.test("node/example", ["node", app], folder=folder, expect=EXAMPLE, **modules)


def same_payload(report):
    """The scenario in every language; then all payloads are compared with the first one's."""
    runners = {"python": [sys.executable, _here("python", "scenario.py")]}
    if shutil.which("gcc"):
        files = [_here("c", "scenario.c"), _here("c", "check.c")]
        build = [*CC, *files, "-o", _built("c", "scenario"), *_linked(report)]
        if report.build("scenario/c", build):
            runners = {"c": [_built("c", "scenario")], **runners}
    else:
        report.missing("scenario/c", "gcc")
    if shutil.which("ruby"):
        for backend in ("ffi", "fiddle"):
            runners["ruby-" + backend] = ["ruby", _here("ruby", "scenario.rb"), backend]
    else:
        report.missing("scenario/ruby", "ruby")
    ebin = _elixir_built(report, "scenario/elixir")
    if ebin:
        runners["elixir"] = ["elixir", "-pa", ebin, _here("elixir", "scenario.exs")]
    modules = _node(report, "scenario/node")
    if modules:
        runners["node"] = ["node", _here("node", "scenario.js")]

    minute_ns = int(time.time()) // 60 * 60 * 10**9
    calls = _built("scenario.txt")
    with open(calls, "w", encoding="ascii") as file:
        file.writelines(scenario.calls(scenario.load(_here("scenario.json")), minute_ns))
    folders = []
    for name, command in runners.items():
        finished = report.test("scenario/" + name, [*command, calls], **(modules or {}))
        if finished and finished.code == 0:
            folders.append(report.folder("scenario/" + name))
    if not report.wanted("scenario/same-payload"):
        return
    if len(folders) < len(runners):
        report.say("FAIL", "scenario/same-payload", "not every language has a payload")
        return
    report.test("scenario/same-payload", [sys.executable, _here("compare.py"), *folders])


def delivery(report):
    """Deliveries to a real receiver on a socket."""
    if not shutil.which("openssl"):
        return report.missing("delivery", "openssl")
    contract = [sys.executable, _here("delivery", "contract.py")]
    for test in _lines([*contract, "--list"], report):
        report.test("delivery/" + test, [*contract, test])
    return None


def small(report):
    """The build without TLS, and what of the deliveries is for it: another HTTP client."""
    target = _built("small-build", "")
    if not report.build("small/build", ["make", "-s", "small", "TARGET=" + target], folder=ROOT, timeout=1200):
        return None
    library = os.path.join(target, "small", os.path.basename(report.library))
    variables = {"SCOUTCORE_LIB": library, "SMALL_BUILD": "1"}
    contract = [sys.executable, _here("delivery", "contract.py")]
    listed = run([*contract, "--list"], report.environment("list", **variables), 30).output.split()
    if not listed:
        report.say("FAIL", "small", "no tests are listed")
    for test in listed:
        report.test("small/" + test, [*contract, test], **variables)
    return None


def servers(report):
    """Preforking servers of each language, with real requests."""
    for tool in ("puma", "unicorn"):
        if not shutil.which(tool):
            return report.missing("servers", tool)
    contract = [sys.executable, _here("servers", "contract.py")]
    for test in _lines([*contract, "--list"], report):
        report.test("servers/" + test, [*contract, test], timeout=180)
    return None


def processes(report):
    """Processes that share a spool, that die, and whose machine has no room for them."""
    program = _built("processes", "memory")
    build = [*CC, _here("processes", "memory.c"), "-o", program, "-ldl"]
    if not report.build("processes/memory", build):
        return
    contract = [sys.executable, _here("processes", "contract.py")]
    for test in _lines([*contract, "--list"], report):
        if test in ("order-on-disk", "unreadable-sectors") and not shutil.which("strace"):
            report.missing("processes/" + test, "strace")
        else:
            report.test("processes/" + test, [*contract, test], timeout=240, MEMORY_PROGRAM=program)


def kill(report):
    """Processes killed at random points; the long run is `make soak`."""
    report.test("kill/random-points", [sys.executable, _here("kill", "run.py"), "300"], timeout=300)


ALL = {"c": c, "memcheck": memcheck, "python": python, "ruby": ruby, "elixir": elixir, "node": node,
       "scenario": same_payload, "delivery": delivery, "small": small, "servers": servers,
       "processes": processes, "kill": kill}  # fmt: skip
# Only by name: the library is built for them.
ON_REQUEST = {"asan": asan}
