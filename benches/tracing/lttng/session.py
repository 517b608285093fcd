"""A session of LTTng's, for lttng.c beside this: events go through shared memory to its daemon, which
writes them into a trace, as its users have it."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
# Of a request of lttng.c.
SPANS = 16


def is_installed():
    headers = ["pkg-config", "--exists", "lttng-ust"]
    return shutil.which("lttng-sessiond") and subprocess.run(headers, check=False).returncode == 0


class Session:
    """Daemons and all; nothing of it is left at the end."""

    def __init__(self, output):
        self.program = os.path.join(output, "tracing-lttng")
        self.folder = tempfile.mkdtemp()
        self.environment = {**os.environ, "LTTNG_HOME": self.folder}
        self.daemon = None

    def __enter__(self):
        subprocess.run(["gcc", "-std=gnu11", "-O2", "-I" + HERE, os.path.join(HERE, "lttng.c"), "-o", self.program,
                        "-llttng-ust", "-ldl"], check=True)  # fmt: skip
        self.daemon = subprocess.Popen(["lttng-sessiond", "--no-kernel", "--quiet"], env=self.environment,
                                       start_new_session=True)  # fmt: skip
        try:
            for _ in range(50):
                try:
                    self._lttng("list")
                    break
                except subprocess.CalledProcessError:
                    time.sleep(0.1)
            self._lttng("create", "bench", "--output=" + os.path.join(self.folder, "trace"))
            self._lttng("enable-channel", "--userspace", "--subbuf-size=1M", "--num-subbuf=8", "all")
            self._lttng("enable-event", "--userspace", "bench:*", "--channel=all")
            self._lttng("start")
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, failure, *_):
        """Fails if an event was lost, for that is cheaper than keeping it."""
        try:
            if failure is None:
                self._lttng("stop")
                shown = self._lttng("list", "bench")
                self._lttng("destroy", "bench")
                if "Discarded events: 0" not in shown:
                    sys.exit("LTTng lost events: the rows are too good\n" + shown)
        finally:
            self._end()

    def _end(self):
        os.killpg(self.daemon.pid, signal.SIGTERM)
        self.daemon.wait(20)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _lttng(self, *words):
        done = subprocess.run(["lttng", *words], env=self.environment, capture_output=True, text=True,
                              check=True, timeout=60)  # fmt: skip
        return done.stdout

    def run(self, row, requests):
        """Nanoseconds a span on the recording thread, and of CPU with the daemons'."""
        before = self._daemons_cpu()
        done = subprocess.run([self.program, row, str(requests)], env=self.environment, capture_output=True,
                              text=True, check=True, timeout=120)  # fmt: skip
        wall, cpu = (float(word) for word in done.stdout.split())
        # The program does its work twice, and shows the second time.
        spans = 2 * requests * SPANS
        return [wall, cpu + (self._daemons_cpu() - before) * 1e9 / spans]

    def _daemons_cpu(self):
        """Seconds of CPU of all processes of the daemon's session."""
        ticks = 0
        for process in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open("/proc/%s/stat" % process, encoding="utf-8") as file:
                    fields = file.read().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[3]) == self.daemon.pid:
                ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")
