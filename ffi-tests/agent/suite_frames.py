"""Real clients' traffic, as it was captured, against what it must come to."""

import json
import os

import harness
from harness import Agent, equal, tree
from wire import Client, success

VECTORS = os.path.join(harness.HERE, "frames")


def replay(agent, name):
    """Sends a capture's frames, byte for byte as they were; gives the payloads of its application."""
    clients = {}
    with open(os.path.join(VECTORS, name + ".jsonl")) as lines:
        for line in lines:
            event = json.loads(line)
            number = event.get("conn")
            if event["ev"] == "open":
                clients[number] = Client(agent.socket if event["kind"] == "unix" else agent.port)
            elif event["ev"] == "close":
                clients[number].close()
            elif event["ev"] == "frame":
                if number not in clients:
                    clients[number] = Client(agent.port)
                # One of them holds a bare NaN; Python writes it as it reads it.
                message = event["msg"]
                (command,) = message
                equal(clients[number].ask(message), {command: {"id": None, "result": "Success"}}, "")
    for client in clients.values():
        client.close()


def facts(payloads):
    """What does not depend on when it runs."""
    metrics = {}
    for payload in payloads.all:
        for metric in payload["metrics"]:
            key = metric["key"]
            scope = key["scope"] or {}
            name = "/".join([key["bucket"], key["name"]]) + (
                " in " + "/".join([scope["bucket"], scope["name"]]) if scope else "")
            metrics[name] = [metric["call_count"], round(metric["total_call_time"], 6),
                             round(metric["total_exclusive_time"], 6)]
    traces = {}
    for name, trace in payloads.traces().items():
        traces[name] = {
            "tree": tree(trace),
            "descriptions": [span["tags"]["desc"] for span in trace["spans"] if "desc" in span["tags"]],
            "path": trace["identity"]["naming"]["path"],
        }
    contexts = {}
    for payload in payloads.all:
        for slow in payload["slow_transactions"] + payload["slow_jobs"]:
            context = dict(slow["context"])
            del context["transaction_id"]
            contexts[slow.get("name") or slow["key"]["name"]] = context
    jobs = {"/".join(key): n for key, n in payloads.jobs().items()}
    queries = {" ".join(key): n for key, n in payloads.queries().items()}
    hosts = {" ".join(key): n for key, n in payloads.hosts().items()}
    found = {"metrics": metrics, "traces": traces, "contexts": contexts, "jobs": jobs,
             "queries": queries, "hosts": hosts}
    return json.loads(json.dumps(found, sort_keys=True))


def check(name):
    agent = Agent(unix=True).start()
    replay(agent, name)
    found = facts(agent.end())
    golden = os.path.join(VECTORS, name + ".golden.json")
    if os.environ.get("SCOUT_BLESS"):
        with open(golden, "w") as file:
            json.dump(found, file, indent=1, sort_keys=True)
            file.write("\n")
    with open(golden) as file:
        expected = json.load(file)
    for part in expected:
        equal(found[part], expected[part], part)


def test_python_client():
    check("py")


def test_flask():
    check("flask")


def test_node_over_tcp():
    check("node")


def test_node_over_a_socket_file():
    check("node_unix")
