"""Finding the library, refusing a wrong one, and doing nothing in good order without one."""

import logging
import os
import shutil
import subprocess
import sys

from testing import BINDING, directory, expect, test

import scoutcore as scout


class Lines(logging.Handler):
    """Keeps what is logged."""

    def __init__(self):
        super().__init__()
        self.lines = []
        logging.getLogger("scoutcore").addHandler(self)
        logging.getLogger("scoutcore").setLevel(logging.DEBUG)

    def emit(self, record):
        self.lines.append((record.levelno, record.getMessage()))

    def warnings(self):
        return [line for level, line in self.lines if level >= logging.WARNING]


def use_everything():
    """Every public function, as an application calls them."""

    @scout.span("Job/decorated")
    def decorated(value):
        return value + 1

    with scout.span("Controller/off", {"k": "v"}) as span:
        span.tag("k2", 2)
        scout.tag_request({"path": "/"})
        scout.rename("Controller/other")
        scout.ignore()
        scout.error(ValueError("no"))
        with scout.span("SQL/Query"):
            pass
    assert decorated(1) == 2
    scout.metric("Memory/Physical", 1.0)
    scout.event("scout.metadata", "{}")
    assert scout.current() is None
    assert scout.stats() == {}
    assert scout.flush(10) is None and scout.shutdown(10) is None
    try:
        with scout.span("Controller/off"):
            raise KeyError("seen")
    except KeyError:
        pass
    else:
        raise AssertionError("the exception was swallowed")


def refused(path, *words):
    os.environ["SCOUTCORE_LIB"] = path
    heard = Lines()
    assert scout.start(data_dir=directory()) is False
    assert scout.start(data_dir=directory()) is False
    reason = scout.off_reason()
    for word in words:
        assert word in reason, reason
    assert len(heard.warnings()) == 1, heard.lines
    use_everything()
    assert scout.diagnose() == {"off": reason}
    assert scout.sanitize_sql("SELECT 'secret' FROM users") == "?"
    assert scout.summarize_sql("SELECT 'secret' FROM users", "postgres") == ""


@test
def missing_library():
    refused("/nonexistent/libscoutcore.so", "/nonexistent/libscoutcore.so")


@test
def other_abi():
    refused(os.environ["STUB_OTHER_ABI"], "ABI is 2", "1")


@test
def incomplete_library():
    refused(os.environ["STUB_INCOMPLETE"], "not a scoutcore library")


@test
def not_a_library():
    refused(__file__, os.path.basename(__file__))


@test
def never_started():
    use_everything()
    assert "start" in scout.off_reason()


@test
def bad_options():
    heard = Lines()
    assert scout.start(no_such_option=1) is False
    assert "no_such_option" in scout.off_reason()
    assert scout.start(name=object()) is False
    assert len(heard.warnings()) == 2
    use_everything()
    assert scout.start(data_dir=directory()) is True  # a later, better start
    assert scout.off_reason() is None


@test
def switched_off():
    heard = Lines()
    assert scout.start(monitor=False, data_dir=directory()) is False
    assert "DISABLED" in scout.off_reason()
    assert heard.warnings() == []  # as configured
    use_everything()


@test
def beside_the_binding():
    library = os.environ["SCOUTCORE_LIB"]
    folder = directory("copied")
    shutil.copytree(os.path.join(BINDING, "scoutcore"), os.path.join(folder, "scoutcore"))
    shutil.copy(library, os.path.join(folder, "scoutcore", "libscoutcore.so"))
    program = (
        "import scoutcore as s, os\n"
        "assert s.start(data_dir=os.environ['TEST_DIR'] + '/data'), s.off_reason()\n"
        "from scoutcore import _agent\n"
        "print(_agent._core.library.path)\n"
        "with s.span('Controller/beside'): pass\n"
    )
    environment = dict(os.environ, PYTHONPATH=folder)
    del environment["SCOUTCORE_LIB"]
    said = subprocess.check_output([sys.executable, "-c", program], env=environment, text=True)
    assert said.startswith(folder), said
    expect(1, "request", "Controller/beside")
