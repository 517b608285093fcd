"""The five lines of docs/agent.md, as they stand there, but for the port and the directory."""

import os
import re
import signal
import subprocess
import time
import urllib.request

import clients
import harness
from harness import agent_command, clean_env, equal, free_port, path, wait_until


def blocks(language):
    with open(os.path.join(harness.ROOT, "docs", "agent.md")) as file:
        return re.findall("```%s\n(.*?)```" % language, file.read(), re.DOTALL)


def test_from_pip_install_to_a_report_of_ones_own_application():
    with open(path("app.py"), "w") as file:
        file.write(blocks("python")[0])
    lines = blocks("sh")[0].strip().splitlines()
    equal(len(lines), 5, "lines")
    install, start, application, shutdown, report = lines
    # Installed already, once for all tests.
    equal(install, "pip install scout-apm flask", "the first line")
    agent, web = free_port(), free_port()
    tools = path("bin")
    os.mkdir(tools)
    os.symlink(harness.BINARY, os.path.join(tools, "scout-core-agent"))
    bin_ = os.path.dirname(clients.python())
    env = clean_env(
        PATH=os.pathsep.join([tools, bin_, os.environ["PATH"]]),
        SCOUT_CORE_AGENT_SOCKET_PATH="tcp://127.0.0.1:%d" % agent,
        SCOUT_DATA_DIR=path("data"),
        FLASK_RUN_PORT=str(web),
        COLUMNS="100",
    )

    def shell(line, flags=""):
        line = line.replace("/tmp/scout", path("scout")) + flags
        done = subprocess.run(line, shell=True, env=env, cwd=path("."), capture_output=True,
                              text=True, timeout=60)
        equal(done.returncode, 0, done.stderr)
        return done.stdout

    tcp = " --tcp 127.0.0.1:%d" % agent
    shell(start, tcp)
    try:
        app = subprocess.Popen("exec env " + application, shell=True, env=env, cwd=path("."),
                               stdout=open(path("app.out"), "w"), stderr=subprocess.STDOUT)

        def ask():
            try:
                url = "http://127.0.0.1:%d/hello/you" % web
                return urllib.request.urlopen(url, timeout=5).read()
            except OSError:
                assert app.poll() is None, open(path("app.out")).read()[-800:]
                return None

        equal(wait_until(ask, "the application", 30), b"Hello, you!\n", "its answer")
        for _ in range(9):
            ask()
        # Ctrl-C; its agent then sends what it still has.
        app.send_signal(signal.SIGINT)
        app.wait(20)
    finally:
        app.kill()
        shell(shutdown, tcp)
    wait_until(lambda: os.path.exists(path("scout")), "the payloads")
    shown = wait_until(lambda: shown_when_there(shell, report), "the report")
    assert re.search(r"app\.hello +10 ", shown), shown
    assert "Shop" in shown


def shown_when_there(shell, report):
    try:
        return shell(report)
    except AssertionError:
        time.sleep(0.2)
        return None
