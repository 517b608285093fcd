"""What was answered with "Success" outlives the agent, however it ends."""

import glob
import os
import random
import signal
import threading
import time

from harness import Agent, Payloads, equal, near
from wire import Client, Request, success


def send_until_killed(agent, name, sent, begun):
    try:
        with Client(agent.port, register=("App",)) as client:
            n = 0
            while True:
                request = Request("%s-%d" % (name, n)).start()
                request.span("r", "Controller/" + name, 0, 0.01)
                request.span("q", "SQL/Query", 0, 0.001, parent="r", db__statement="SELECT 1 FROM t")
                begun[name] = n + 1
                if not success(client.ask(request.finish().batch())):
                    return
                n += 1
                sent[name] = n
    except (OSError, EOFError):
        pass


def test_kill_9_loses_nothing_that_was_answered():
    chance = random.Random(11)
    total, most = {}, {}
    agent = Agent()
    for round_ in range(5):
        agent.start()
        sent, begun = {}, {}
        names = ["r%d-%d" % (round_, n) for n in range(3)]
        threads = [threading.Thread(target=send_until_killed, args=(agent, name, sent, begun))
                   for name in names]
        for thread in threads:
            thread.start()
        time.sleep(0.2 + chance.random())
        agent.end(signal.SIGKILL)
        for thread in threads:
            thread.join()
        total.update(sent)
        most.update(begun)
    # The next one finds what the killed ones left.
    agent.start()
    send = Request("last").start().span("s", "Controller/last", 0, 0.01).finish().batch()
    with Client(agent.port, register=("App",)) as client:
        assert success(client.ask(send))
    payloads = agent.end()
    found = payloads.endpoints()
    lost = {name: n - found.get(name, 0) for name, n in total.items() if found.get(name, 0) < n}
    # The one under way when the agent was killed may be there or not; never twice.
    twice = {name: found[name] for name in total if found.get(name, 0) > most[name]}
    equal(twice, {}, "counted more often than sent")
    equal(lost, {}, "answered, and lost")
    return "%d requests, 5 kills" % sum(total.values())


def test_an_orderly_end_under_load_loses_nothing_that_was_answered():
    for sig in (signal.SIGTERM, signal.SIGINT):
        agent = Agent("agent-%d" % sig).start()
        sent, begun = {}, {}
        names = ["n%d" % n for n in range(4)]
        threads = [threading.Thread(target=send_until_killed, args=(agent, name, sent, begun))
                   for name in names]
        for thread in threads:
            thread.start()
        time.sleep(0.7)
        payloads = agent.end(sig)
        for thread in threads:
            thread.join()
        found = payloads.endpoints()
        for name in names:
            assert sent[name] <= found[name] <= begun[name], (name, sent, begun, found)


def test_started_again_while_clients_stay():
    """Python connects and registers anew, without a word on its metadata."""
    agent = Agent()
    for round_, sig in enumerate([signal.SIGKILL, signal.SIGTERM, signal.SIGTERM]):
        agent.start()
        with Client(agent.port, register=("App",)) as client:
            if round_ == 0:
                said = {"event_type": "scout.metadata", "timestamp": None,
                        "event_value": {"git_sha": "cafe", "hostname": "web-7"}}
                assert success(client.ask({"ApplicationEvent": said}))
            batch = Request("r%d" % round_).start().span("s", "Controller/x", 0, 0.01).finish().batch()
            assert success(client.ask(batch))
        agent.end(sig)
    payloads = Payloads(agent.output)
    equal(payloads.endpoints(), {"x": 3}, "requests")
    for payload in payloads.all:
        for slow in payload["slow_transactions"]:
            equal(slow["git_sha"], "cafe", "metadata")


def single(client, commands):
    """Each command in a frame of its own, and what is answered."""
    for command in commands:
        equal(success(client.ask(command)), True, "answer to %r" % command)


def unfinished(name, n, spans=5):
    """A request that is under way: some spans are done, one is open, one was only tagged."""
    request = Request("%s-%d" % (name, n), begin=time.time() - 1).start().tag("path", "/" + name)
    request.span("root", "Controller/" + name, 0, None)
    for m in range(spans):
        request.span("s%d" % m, "SQL/Query", 0.01, 0.02, parent="root",
                     db__statement="SELECT * FROM users WHERE id = %d" % m)
    request.span("open", "HTTP/GET", 0.3, None, parent="root", url="http://example.com/x")
    request.add("TagSpan", 0.5, span_id="open", tag="http.status_code", value="200")
    return request


def test_open_requests_outlive_kill_9():
    """Those whose clients come back go on where they were; the others are closed as they were."""
    agent = Agent().start()
    requests = {name: [unfinished(name, n) for n in range(20)] for name in ("back", "gone")}
    with Client(agent.port, register=("App",)) as client:
        for request in requests["back"] + requests["gone"]:
            single(client, request.commands)
        # And of some that came in a batch.
        for n in range(20, 30):
            request = unfinished("back", n)
            requests["back"].append(request)
            whole = Request("whole%d" % n).start().span("s", "Controller/whole", 0, 0.1).finish()
            assert success(client.ask({"BatchCommand": {"commands": whole.commands + request.commands}}))
        kept = agent.counters()
    agent.end(signal.SIGKILL)
    agent.start()
    with Client(agent.port, register=("App",)) as client:
        recovered = agent.counters()
        for request in requests["back"]:
            request.commands = []
            request.add("StopSpan", 0.6, span_id="open").add("StopSpan", 0.8, span_id="root")
            single(client, request.tag("plan", 7).finish(0.9).commands)
    payloads = agent.end()
    equal(kept["commands_not_kept"], 0, "commands not kept")
    equal(recovered["requests_recovered"], 50, "requests recovered")
    equal(payloads.endpoints(), {"back": 30, "gone": 20, "whole": 10}, "requests")
    for name, count in (("back", 30), ("gone", 20)):
        equal(payloads.layer("SQL", name), 5 * count, "spans of " + name)
        equal(payloads.layer("HTTP", name), count, "open spans of " + name)
    near(payloads.seconds("Controller", "back") / 30, 0.8, "as long as the client said")
    # Closed with the last that was heard of it.
    near(payloads.seconds("Controller", "gone") / 20, 0.5, "as long as was known")
    shown = payloads.transactions()["back"]["context"]
    equal(shown["plan"], 7, "what came after")
    assert "WHERE id = 3" not in payloads.text(), "a literal"


def test_kill_9_at_any_moment_of_single_commands():
    """Clients that send command by command, as Node's old agent does, and are killed under."""
    chance = random.Random(23)
    agent = Agent()
    finished, opened = {}, {}

    def send(name, stopping):
        try:
            with Client(agent.port, register=("App",)) as client:
                n = 0
                while not stopping.is_set():
                    request = unfinished(name, n, spans=3)
                    # Not finished, then finished, by turns: both kinds lie about at any moment.
                    single(client, request.commands[:1])
                    opened[name] = n + 1
                    single(client, request.commands[1:])
                    if n % 4:
                        request.commands = []
                        single(client, request.add("StopSpan", 0.9, span_id="root").commands)
                        answered = client.ask(request.finish(1).commands[-1])
                        assert success(answered)
                        finished[name] = finished.get(name, 0) + 1
                    n += 1
        except (OSError, EOFError):
            pass

    for round_ in range(6):
        agent.start()
        stopping = threading.Event()
        threads = [threading.Thread(target=send, args=("r%d-%d" % (round_, n), stopping))
                   for n in range(3)]
        for thread in threads:
            thread.start()
        time.sleep(0.1 + 0.5 * chance.random())
        agent.end(signal.SIGKILL)
        stopping.set()
        for thread in threads:
            thread.join()
    agent.start()
    with Client(agent.port, register=("App",)):
        counters = agent.counters()
    payloads = agent.end()
    found = payloads.endpoints()
    # Every request whose first command was answered, once; but the very last of each client may
    # have got no span yet, and then it is nothing to count.
    wrong = {name: (found.get(name, 0), n) for name, n in opened.items()
             if not n - 1 <= found.get(name, 0) <= n}
    equal(wrong, {}, "found, opened")
    total = sum(opened.values())
    return "%d requests, %d of them finished, %d open at the last kill" % (
        total, sum(finished.values()), counters["requests_recovered"])


def test_an_orderly_end_leaves_no_journal():
    agent = Agent().start()
    with Client(agent.port, register=("App",)) as client:
        single(client, unfinished("x", 1).commands)
        assert journals(agent), "an open request is kept"
    payloads = agent.end()
    equal(payloads.endpoints(), {"x": 1}, "requests")
    equal(journals(agent), [], "files left")


def journals(agent):
    return glob.glob(os.path.join(agent.data, "**", "*.open-requests"), recursive=True)
