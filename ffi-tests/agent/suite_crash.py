"""What was answered with "Success" outlives the agent, however it ends."""

import random
import signal
import threading
import time

from harness import Agent, Payloads, equal
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
