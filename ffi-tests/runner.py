"""Running one test in a process of its own: environment, timeout, verdict."""

import os
import re
import signal
import subprocess
import sys
import tempfile

import payloads

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
OUTPUT = os.path.join(ROOT, "target", "ffi-tests")

_EXPECT = re.compile(r"^EXPECT (\d+) (request|layer|error) (.+)$", re.MULTILINE)
_VERDICT = re.compile(r"^(PASS|FAIL|SKIP) (\S+?):?(?: (.*))?$", re.MULTILINE)


class Finished:
    """What became of a process."""

    def __init__(self, code, output, errors, timed_out):
        self.code, self.output, self.errors, self.timed_out = code, output, errors, timed_out

    def complaint(self, timeout):
        """Why it did not do well, in a line; or None."""
        lines = (self.errors.strip() or self.output.strip()).splitlines()
        said = " | ".join(lines if len(lines) < 8 else lines[:3] + ["..."] + lines[-4:])
        if self.timed_out:
            return "no end after %d s: %s" % (timeout, said)
        if self.code < 0:
            return "killed by signal %d: %s" % (-self.code, said)
        if self.code:
            return said or "exit status %d" % self.code
        return None


def run(command, environment, timeout, folder=None):
    """Runs a command, and ends all of its processes when its time is up."""
    # Files, not pipes: a forked child that lives on must not keep us waiting for its end.
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            command, env=environment, cwd=folder, stdin=subprocess.DEVNULL,
            stdout=output, stderr=errors, start_new_session=True,
        )
        try:
            code, timed_out = process.wait(timeout), False
        except subprocess.TimeoutExpired:
            code, timed_out = -signal.SIGKILL, True
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        process.wait()
        texts = []
        for file in (output, errors):
            file.seek(0)
            texts.append(file.read().decode("utf-8", "replace"))
    return Finished(code, texts[0], texts[1], timed_out)


class Report:
    """Runs tests, prints their verdicts, and counts them."""

    def __init__(self, library, match, allow_skip):
        self.library, self.match, self.allow_skip = library, match, allow_skip
        self.counts = {"PASS": 0, "FAIL": 0, "SKIP": 0}

    def say(self, verdict, name, why=None):
        self.counts[verdict] += 1
        print("%s %s%s" % (verdict, name, ": " + why if why else ""))
        sys.stdout.flush()

    def missing(self, name, what):
        """A language or tool is not here: a failure, since then nothing was tested."""
        self.say("SKIP" if self.allow_skip else "FAIL", name, "%s is not installed" % what)

    def wanted(self, name):
        return self.match in name

    def folder(self, name):
        """An empty directory for a test's payload files."""
        path = os.path.join(OUTPUT, "run", *name.split("/"))
        os.makedirs(path, exist_ok=True)
        return path

    def environment(self, name, **more):
        """The test's environment: none of the caller's settings, and the library to be tested."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("SCOUT", "OTEL_"))}
        kept.update(SCOUTCORE_LIB=self.library, TEST_DIR=self.folder(name), LC_ALL="C.UTF-8")
        kept.update(more)
        return kept

    def build(self, name, command, folder=None, timeout=300):
        """A step that must succeed; says nothing then, and is a failed test otherwise."""
        complaint = run(command, dict(os.environ), timeout, folder).complaint(timeout)
        if complaint:
            self.say("FAIL", name, complaint)
        return not complaint

    def test(self, name, command, timeout=60, folder=None, expect=(), **environment):
        """One test in one process. Whatever it `EXPECT`s must be in the payload files."""
        if not self.wanted(name):
            return None
        variables = self.environment(name, **environment)
        finished = run(command, variables, timeout, folder)
        complaint = finished.complaint(timeout)
        if not complaint:
            said = [(int(n), what, of) for n, what, of in _EXPECT.findall(finished.output)]
            unmet = payloads.unmet(variables["TEST_DIR"], said + list(expect))
            complaint = "; ".join(unmet) or None
        self.say("FAIL" if complaint else "PASS", name, complaint)
        return finished

    def tests(self, name, command, names, timeout=120, **environment):
        """Many tests in one process, where each would take its time to start. It prints a verdict
        for each; those of which it says nothing have failed."""
        names = [test for test in names if self.wanted(name + "/" + test)]
        if not names:
            return
        variables = self.environment(name, **environment)
        finished = run(command + names, variables, timeout)
        verdicts = {test: (verdict, why) for verdict, test, why in _VERDICT.findall(finished.output)}
        for test in names:
            verdict, why = verdicts.get(test, ("FAIL", finished.complaint(timeout) or "no verdict"))
            if verdict == "PASS":
                said = _EXPECT.findall(_section(finished.output, test))
                folder = os.path.join(variables["TEST_DIR"], test)
                unmet = payloads.unmet(folder, [(int(n), what, of) for n, what, of in said])
                verdict, why = ("FAIL", "; ".join(unmet)) if unmet else ("PASS", None)
            if verdict == "SKIP" and not self.allow_skip:
                verdict = "FAIL"
            self.say(verdict, name + "/" + test, why)

    def finish(self, seconds):
        passed, failed, skipped = (self.counts[v] for v in ("PASS", "FAIL", "SKIP"))
        print("ffi-tests: %d passed, %d failed, %d skipped (%.0f s)" % (passed, failed, skipped, seconds))
        return 1 if failed or passed == 0 or (skipped and not self.allow_skip) else 0


def _section(output, test):
    """What a process of many tests printed before this test's verdict and after the last one's."""
    before = re.split(r"^PASS %s$" % re.escape(test), output, flags=re.MULTILINE)[0]
    return re.split(r"^(?:PASS|FAIL|SKIP) .*$", before, flags=re.MULTILINE)[-1]
