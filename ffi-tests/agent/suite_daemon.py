"""The command line: exit codes, daemonizing, logs, socket files, signals."""

import json
import os
import re
import signal
import socket
import stat
import subprocess
import time

import harness
from harness import KEY, Agent, agent_command, clean_env, equal, free_port, path, wait_until
from wire import Client, Request, success


def processes(marker):
    """Agents whose command line holds a text."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/%s/cmdline" % pid, "rb") as file:
                words = file.read().split(b"\0")
        except OSError:
            continue
        if any(marker.encode() in word for word in words) and b"start" in words:
            found.append(int(pid))
    return found


def gone(pid):
    """Whether a process has ended; orphans of ours may be waited for by nobody."""
    try:
        with open("/proc/%d/stat" % pid) as file:
            return file.read().rsplit(")", 1)[1].split()[0] == "Z"
    except OSError:
        return True


def test_daemonize_returns_when_served_and_inherits_nothing():
    port, log, out = free_port(), path("log"), path("payloads")
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    inherited = os.open("/etc/hostname", os.O_RDONLY)
    done = subprocess.run(
        [harness.BINARY, "start", "--daemonize", "true", "--log-level", "debug", "--log-file", log,
         "--tcp", "127.0.0.1:%d" % port, "--destination", "file://" + out,
         "--data-dir", path("data")],
        env=clean_env(), pass_fds=[listener.fileno(), inherited], timeout=60,
        capture_output=True, text=True,
    )
    # A pipe of ours that the daemon held would have kept run() waiting.
    equal(done.returncode, 0, "exit code")
    with Client(port, register=("App",)) as client:
        (pid,) = processes("127.0.0.1:%d" % port)
        held = {os.readlink("/proc/%d/fd/%s" % (pid, fd)) for fd in os.listdir("/proc/%d/fd" % pid)}
        assert "/etc/hostname" not in held, held
        mine = os.readlink("/proc/self/fd/%d" % listener.fileno())
        assert mine not in held, held
        for fd in (0, 1, 2):
            equal(os.readlink("/proc/%d/fd/%d" % (pid, fd)), "/dev/null", "descriptor %d" % fd)
        with open("/proc/%d/stat" % pid) as file:
            session = int(file.read().rsplit(")", 1)[1].split()[3])
        equal(session, pid, "its own session")
        request = Request("r").start().span("s", "Controller/x", 0, 0.05).finish()
        assert success(client.ask(request.batch()))
    equal(agent_command("probe", "--tcp", "127.0.0.1:%d" % port).returncode, 0, "probe")
    equal(agent_command("shutdown", "--tcp", "127.0.0.1:%d" % port).returncode, 0, "shutdown")
    wait_until(lambda: gone(pid), "the daemon to end")
    equal(harness.Payloads(out).endpoints(), {"x": 1}, "endpoints")
    os.close(inherited)
    listener.close()
    lines = open(log).read().splitlines()
    form = r"\[\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\]\[[a-z0-9_:-]+\]\[(ERROR|WARN|INFO|DEBUG|TRACE)\] .+"
    assert all(re.fullmatch(form, line) for line in lines), lines
    assert any("[core_agent][INFO] Starting ScoutApm CoreAgent version: " in line for line in lines)
    assert any("[socket::server][INFO] Socket Server bound to socket at " in l for l in lines)


def test_exit_code_3_when_another_serves_the_address():
    agent = Agent(unix=True).start()
    for address in (["--tcp", "127.0.0.1:%d" % agent.port], ["--socket", agent.socket]):
        for daemonize in ("true", "false"):
            done = agent_command("start", "--daemonize", daemonize, *address)
            equal(done.returncode, 3, "exit code with %s" % address)
    agent.end()


def test_many_starts_at_once_leave_one():
    port, sock = free_port(), path("many.sock")
    for address in (["--tcp", "127.0.0.1:%d" % port], ["--socket", sock]):
        command = [harness.BINARY, "start", "--daemonize", "true", "--log-file", path("log"),
                   "--data-dir", path("data"), *address]
        starts = [subprocess.Popen(command, env=clean_env()) for _ in range(8)]
        codes = sorted(start.wait(60) for start in starts)
        equal(codes, [0] + [3] * 7, "exit codes at %s" % address)
        pids = processes(address[1])
        equal(len(pids), 1, "agents left")
        agent_command("shutdown", *address)
        wait_until(lambda: gone(pids[0]), "the daemon to end")


def test_an_address_in_use_by_something_else_is_1():
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        began = time.monotonic()
        done = agent_command("start", "--tcp", "127.0.0.1:%d" % other.getsockname()[1], timeout=60)
    equal(done.returncode, 1, "exit code")
    assert "does not answer as a core agent" in done.stdout + done.stderr, done
    assert time.monotonic() - began < 40


def test_probe_says_what_it_found():
    agent = Agent().start()
    done = agent_command("probe", "--tcp", "127.0.0.1:%d" % agent.port)
    equal((done.returncode, done.stdout),
          (0, 'Agent found: CoreAgentVersion { raw: "1.6.0" }\n'), "probe")
    agent.end()
    done = agent_command("probe", "--tcp", "127.0.0.1:%d" % agent.port)
    equal(done.returncode, 1, "exit code")
    assert "Connection refused" in done.stdout, done.stdout


def test_every_ending_signal_delivers():
    for sig in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
        harness.reset()
        agent = Agent().start()
        with Client(agent.port, register=("App",)) as client:
            batch = Request("r").start().span("s", "Controller/x", 0, 0.05).finish().batch()
            assert success(client.ask(batch))
            equal(agent.end(sig).endpoints(), {"x": 1}, "after %s" % sig)


def test_a_stale_socket_file_is_replaced_and_nothing_else_is():
    agent = Agent(unix=True).start()
    equal(stat.S_IMODE(os.stat(agent.socket).st_mode), 0o666, "mode")
    agent.end(signal.SIGKILL)
    assert os.path.exists(agent.socket), "a killed agent leaves its file"
    agent.start()
    with Client(agent.socket, register=("App",)):
        pass
    agent.end()
    assert not os.path.exists(agent.socket), "an orderly one does not"
    with open(agent.socket, "w") as file:
        file.write("precious")
    done = agent_command("start", "--socket", agent.socket)
    equal(done.returncode, 1, "exit code")
    assert "is no socket" in done.stderr, done.stderr
    equal(open(agent.socket).read(), "precious", "the file")


def test_socket_mode_and_a_directory_that_is_not_there():
    sock = path("deep/er/agent.sock")
    args = ["--socket", sock, "--socket-mode", "0600", "--data-dir", path("data")]
    equal(agent_command("start", "--daemonize", "true", *args).returncode, 0, "exit code")
    equal(stat.S_IMODE(os.stat(sock).st_mode), 0o600, "mode")
    equal(agent_command("shutdown", "--socket", sock).returncode, 0, "shutdown")


def test_tcp_listens_on_loopback_only_unless_told():
    done = agent_command("start", "--tcp", "0.0.0.0:%d" % free_port())
    equal(done.returncode, 2, "exit code")
    assert "--allow-remote" in done.stderr, done.stderr


def test_a_log_file_that_cannot_be_written_is_no_failure():
    port = free_port()
    for log in (path("no/such/directory/log"), "/dev/null"):
        args = ["--tcp", "127.0.0.1:%d" % port, "--log-file", log, "--data-dir", path("data")]
        done = agent_command("start", "--daemonize", "true", "--log-level", "WARNING", *args)
        equal(done.returncode, 0, "exit code with %s" % log)
        agent_command("shutdown", "--tcp", "127.0.0.1:%d" % port)
        wait_until(lambda: not processes("127.0.0.1:%d" % port), "the daemon to end")


def test_the_log_file_is_reopened_at_hangup():
    agent = Agent().start()
    os.rename(agent.log, agent.log + ".1")
    agent.process.send_signal(signal.SIGHUP)
    wait_until(lambda: os.path.exists(agent.log), "a new log file")
    agent.end()
    assert "Shutting down" in agent.log_text()


def test_config_file_and_ingest_url_and_their_mistakes():
    config = path("config.toml")
    with open(config, "w") as file:
        file.write('[debug]\ningest_url = "http://127.0.0.1:9/ingest"\n')
    shown = agent_command("config", "--config-file", config).stdout
    assert "http://127.0.0.1:9/ingest" in shown, shown
    shown = agent_command("config", "--config-file", config, "--ingest-url", "https://a.example").stdout
    assert "https://a.example" in shown and "127.0.0.1:9" not in shown, shown
    # A key would travel unencrypted to another machine.
    done = agent_command("start", "--ingest-url", "http://example.com", "--tcp", "127.0.0.1:0")
    equal(done.returncode, 1, "exit code")
    assert "unencrypted" in done.stderr, done.stderr
    done = agent_command("start", "--ca-cert", path("missing.pem"), "--tcp", "127.0.0.1:0")
    assert done.returncode == 1 and "ca_cert" in done.stderr, done


def test_the_starters_own_settings_are_not_everybodys():
    env = clean_env(SCOUT_NAME="Starter", SCOUT_KEY="startersownkey", SCOUT_MONITOR="false",
                    SCOUT_LOG_LEVEL="WARNING", SCOUT_SAMPLE_RATE="0")
    agent = Agent(env=env).start()
    with Client(agent.port, register=("Other",)) as client:
        batch = Request("r").start().span("s", "Controller/x", 0, 0.05).finish().batch()
        assert success(client.ask(batch))
    payloads = agent.end()
    equal(payloads.of("other").endpoints(), {"x": 1}, "endpoints")
    assert "Starter" not in payloads.text() and "startersownkey" not in payloads.text()


def test_diagnose_and_help_are_worth_reading():
    agent = Agent().start()
    with Client(agent.port, register=("App", KEY)) as client:
        client.ask(Request("r").start().span("s", "Controller/x", 0, 0.05).batch())
        done = agent_command("diagnose", "--tcp", "127.0.0.1:%d" % agent.port)
    equal(done.returncode, 0, "exit code")
    assert '"requests_open": 1' in done.stdout and KEY not in done.stdout, done.stdout
    agent.end()
    done = agent_command("diagnose", "--tcp", "127.0.0.1:%d" % agent.port)
    assert done.returncode == 1 and "nothing listens there" in done.stdout, done.stdout
    shown = agent_command("start", "--help")
    equal(shown.returncode, 0, "exit code")
    for word in ("--daemonize", "--tcp", "--socket-mode", "file:///", "Exit codes", "exit codes"):
        assert word in shown.stdout, word
    assert all(len(line) <= 100 for line in shown.stdout.splitlines())


def test_the_layout_that_agents_launch_by_themselves():
    directory = path("core")
    script = os.path.join(harness.ROOT, "examples", "core-agent", "dist")
    done = subprocess.run([script, directory], env={**clean_env(), "SCOUT_CORE_AGENT": harness.BINARY},
                          capture_output=True, text=True)
    equal(done.returncode, 0, done.stderr)
    manifest = json.load(open(os.path.join(directory, "manifest.json")))
    keys = {"version", "core_agent_version", "core_agent_binary", "core_agent_binary_sha256"}
    equal(set(manifest), keys, "manifest")
    import hashlib

    binary = os.path.join(directory, manifest["core_agent_binary"])
    equal(hashlib.sha256(open(binary, "rb").read()).hexdigest(),
          manifest["core_agent_binary_sha256"], "sha256")
    assert os.access(binary, os.X_OK)
