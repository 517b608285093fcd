"""strace on a process that waits for it."""

import subprocess
import time


def attach(pid, log, *options):
    """strace, which has the process by now, and writes to `log`; it ends with the process."""
    command = ["strace", "-f", "-qq", "-o", log, "-p", str(pid), *options]
    tracer = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    ends = time.monotonic() + 30
    while "TracerPid:\t0" in open("/proc/%d/status" % pid).read():
        assert time.monotonic() < ends and tracer.poll() is None, "strace did not attach"
        time.sleep(0.002)
    return tracer
