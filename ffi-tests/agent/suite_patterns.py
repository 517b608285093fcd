"""The traffic of agents that cannot run here, after what is known of each: Elixir's and PHP's
order of commands, segments, ids and timestamps."""

import json
import socket
import struct
import time

from harness import Agent, equal, tree
from wire import Client, frame, registration, stamp, success


def elixir_batch(number, begin):
    """Parents before children; each span's tags behind its end; `error` behind the spans."""
    request = "Ab-_%08d" % number

    def at(offset):
        return stamp(begin + offset, "elixir")

    commands = [
        {"StartRequest": {"timestamp": at(0), "request_id": request}},
        {"TagRequest": {"timestamp": at(0), "request_id": request, "tag": "path", "value": "/users"}},
        {"TagRequest": {"timestamp": at(0), "request_id": request, "tag": "ip", "value": "10.0.0.1"}},
        {"TagRequest": {"timestamp": at(0), "request_id": request, "tag": "scout.queue_time_ns",
                        "value": "123000000"}},
    ]

    def span(span_id, parent, operation, start, stop, **tags):
        commands.append({"StartSpan": {"timestamp": at(start), "request_id": request,
                                       "span_id": span_id, "parent_id": parent,
                                       "operation": operation}})
        commands.append({"StopSpan": {"timestamp": at(stop), "request_id": request,
                                      "span_id": span_id}})
        for tag, value in tags.items():
            commands.append({"TagSpan": {"timestamp": at(start), "request_id": request,
                                         "span_id": span_id, "tag": tag.replace("__", "."),
                                         "value": value}})

    span("root%08d" % number, None, "Controller/UserController#index", 0, 0.09)
    span("sql1%08d" % number, "root%08d" % number, "SQL/Query", 0.01, 0.04,
         db__statement='SELECT u0."id" FROM "users" AS u0 WHERE (u0."id" = $1)',
         db__rows_returned="42", db__operation="Select")
    span("http%08d" % number, "root%08d" % number, "HTTP/GET", 0.05, 0.06,
         uri="https://api.example.com:443/x", http__status_code="200")
    if number % 4 == 0:
        commands.append({"TagRequest": {"timestamp": at(0.09), "request_id": request,
                                        "tag": "error", "value": "true"}})
    commands.append({"FinishRequest": {"timestamp": at(0.09), "request_id": request}})
    return {"BatchCommand": {"commands": commands}}


def test_elixir_two_sends_for_a_frame_and_tags_behind_the_end():
    agent = Agent(unix=True).start()
    client = Client(agent.socket)

    def ask(message):
        body = json.dumps(message).encode()
        client.socket.sendall(struct.pack(">I", len(body)))
        client.socket.sendall(body)
        reply = client.reply()
        # It decodes the body, and waits three seconds for an empty one.
        assert success(reply), reply

    ask(registration("Phoenix", language="elixir", host="elixir-host"))
    ask({"ApplicationEvent": {"event_type": "scout.metadata", "source": "#PID<0.1.0>",
                              "timestamp": stamp(form="elixir"),
                              "event_value": {"language": "elixir", "hostname": "elixir-host",
                                              "libraries": [["ecto", "3.1"]]}}})
    for number in range(20):
        ask(elixir_batch(number, time.time() - 0.2))
    client.close()
    payloads = agent.end()
    name = "UserController#index"
    equal(payloads.endpoints(), {name: 20}, "requests")
    equal(payloads.errors(), {name: 5}, "errors")
    equal(payloads.queries(), {("Controller/" + name, "User", "select"): 20}, "queries")
    rows = sum(query["rows_returned"] for payload in payloads.all
               for query in payload["db_metrics"]["query"])
    equal(rows, 42 * 20, "rows, which are text on the wire")
    equal(payloads.hosts(), {("Controller/" + name, "api.example.com"): 20}, "hosts")
    slow = payloads.transactions()[name]
    equal((slow["context"]["ip"], slow["hostname"]), ("10.0.0.1", "elixir-host"), "context")
    waited = [metric["total_call_time"] for payload in payloads.all for metric in payload["metrics"]
              if metric["key"]["bucket"] == "QueueTime"]
    equal([round(w, 4) for w in waited], [2.46], "queue time, which is text on the wire")


def test_elixir_reconnects_and_tells_its_metadata_again():
    agent = Agent().start()
    for number in range(30):
        with Client(agent.port) as client:
            assert success(client.ask(registration("Phoenix", language="elixir")))
            assert success(client.ask({"ApplicationEvent": {
                "event_type": "scout.metadata", "event_value": {"hostname": "h"},
                "timestamp": stamp(form="elixir"), "source": "#PID<0.1.0>"}}))
            assert success(client.ask(elixir_batch(number, time.time() - 0.2)))
    equal(agent.end().endpoints(), {"UserController#index": 30}, "requests")


def test_php_children_in_the_order_of_their_beginning():
    """Nested spans, with tags and children between start and stop; the request's tags among and
    behind them; a kind of span that is a function's name."""
    agent = Agent().start()
    begin = time.time() - 0.5

    def at(offset):
        return stamp(begin + offset, "php")

    request = "5f0c6f0e-7f0b-4b5f-9f0e-0123456789ab"

    def command(name, offset, **fields):
        return {name: {"request_id": request, "timestamp": at(offset), **fields}}

    def start(span, parent, operation, offset):
        return command("StartSpan", offset, span_id=span, parent_id=parent, operation=operation)

    commands = [
        command("StartRequest", 0),
        start("m", None, "Middleware/Auth", 0),
        start("c", "m", "Controller/App\\Http\\Home@index", 0.01),
        command("TagSpan", 0.01, span_id="c", tag="name", value="home"),
        start("q", "c", "SQL/Query", 0.02),
        command("TagSpan", 0.02, span_id="q", tag="db.statement",
                value="select * from `users` where `email` = 's3cret'"),
        command("StopSpan", 0.03, span_id="q"),
        command("TagRequest", 0.03, tag="user_id", value=7),
        start("v", "c", "View/Render", 0.04),
        start("f", "v", "file_get_contents", 0.05),
        command("TagSpan", 0.05, span_id="f", tag="args", value={"url": "https://s3cret"}),
        command("StopSpan", 0.06, span_id="f"),
        command("StopSpan", 0.07, span_id="v"),
        command("StopSpan", 0.08, span_id="c"),
        command("StopSpan", 0.09, span_id="m"),
        command("TagRequest", 0, tag="memory_delta", value=1.5),
        command("TagRequest", 0, tag="path", value="/home"),
        command("TagRequest", 0, tag="scout.queue_time_ns", value=250000000.0),
        command("FinishRequest", 0.1),
    ]
    with Client(agent.port) as client:
        # Sent as one segment, the whole of a worker's life.
        fields = registration("Laravel", language="php")["Register"]
        del fields["host"]
        batch = frame({"Register": fields}) + frame({"BatchCommand": {"commands": commands}})
        client.socket.sendall(batch)
        assert success(client.reply()) and success(client.reply())
    payloads = agent.end()
    name = "Controller/App\\Http\\Home@index"
    equal(tree(payloads.traces()[name]),
          (("Middleware/Auth", ((name, (("SQL/User/select", ()),
                                        ("View/Render", (("file_get_contents", ()),)))),)),),
          "the trace")
    slow = payloads.transactions()[name[len("Controller/"):]]
    equal(slow["mem_delta"], 1.5, "memory")
    equal(slow["uri"], "/home", "path")
    assert "s3cret" not in payloads.text()


def test_node_2_one_batch_and_a_pool_that_comes_and_goes():
    agent = Agent().start()
    for number in range(40):
        # Its probe of the port: opened, and closed.
        socket.create_connection(("127.0.0.1", agent.port)).close()
        fields = registration("Nest")["Register"]
        del fields["language"], fields["host"]
        begin = time.time() - 0.3

        def command(name, offset, **more):
            return {name: {"request_id": "req-%d" % number,
                           "timestamp": stamp(begin + offset, "node"), **more}}

        commands = [
            command("StartRequest", 0),
            command("TagRequest", 0, tag="path", value="/x"),
            {"TagRequest": {"request_id": "req-%d" % number, "tag": "undefined"}},
            command("StartSpan", 0, span_id="a", operation="Job/mail"),
            command("TagSpan", 0, span_id="a", tag="queue", value="letters"),
            command("TagSpan", 0, span_id="a", tag="scout.job_queue_time_ns", value=1.5e9),
            command("StartSpan", 0.1, span_id="b", parent_id="a", operation="MongoDB/users.Find"),
            command("StopSpan", 0.2, span_id="b"),
            command("StopSpan", 0.25, span_id="a"),
            command("FinishRequest", 0.25),
        ]
        with Client(agent.port) as client:
            assert success(client.ask({"Register": fields}))
            assert success(client.ask({"BatchCommand": {"commands": commands}}))
    payloads = agent.end()
    equal(payloads.jobs(), {("letters", "mail"): 40}, "jobs, their queue told by the span")
