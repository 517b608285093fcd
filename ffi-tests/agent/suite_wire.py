"""The protocol, to the letter."""

import socket
import struct
import time

from harness import Agent, equal, near
from wire import Client, Request, frame, registration, stamp, success


def ok(command):
    return {command: {"id": None, "result": "Success"}}


def test_replies_to_the_letter():
    agent = Agent().start()
    with Client(agent.port) as client:
        client.send({"CoreAgentVersion": {}})
        (length,) = struct.unpack(">I", client.read(4))
        equal(client.read(length),
              b'{"CoreAgentVersion":{"result":"Success","version":"1.6.0"}}', "version")
        client.send(registration())
        (length,) = struct.unpack(">I", client.read(4))
        equal(client.read(length), b'{"Register":{"id":null,"result":"Success"}}', "register")
        request = Request("r").start().span("s", "Controller/x", 0, 0.1, key="v").tag("t", 1).finish()
        for command in request.commands:
            (name,) = command
            equal(client.ask(command), ok(name), name)
        equal(client.ask(request.batch()), ok("BatchCommand"), "batch")
        event = {"event_type": "scout.metadata", "event_value": {}, "source": "Pid: 1",
                 "timestamp": stamp()}
        equal(client.ask({"ApplicationEvent": event}), ok("ApplicationEvent"), "event")
        equal(client.ask({"Dance": {}}),
              {"Failure": {"message": 'unknown command "Dance"'}}, "unknown")
        failure = client.ask({"StartSpan": {"request_id": "r"}})
        equal(failure, {"StartSpan": {"result": {"Failure": {"message": "span_id is missing"}}}}, "")
        assert success(client.ask({"CoreAgentVersion": {}})), "the socket lives on"
    agent.end()


def test_before_register_all_else_is_refused_and_the_socket_kept():
    agent = Agent().start()
    with Client(agent.port) as client:
        for command in Request("r").start().span("s", "Controller/x", 0, 0.1).finish().commands:
            (name,) = command
            reply = client.ask(command)
            assert "register" in reply[name]["result"]["Failure"]["message"].lower(), reply
        assert success(client.ask({"CoreAgentVersion": {}}))
        for missing in ("app", "key"):
            fields = registration()["Register"]
            del fields[missing]
            assert not success(client.ask({"Register": fields}))
        # Node sends no language and no host, PHP no host, Python a null one, or an empty key.
        for fields in ({"language": None, "host": None}, {"key": ""}, {"api_version": 2, "x": [1]}):
            assert success(client.ask(registration(**fields))), fields
    equal(agent.end().endpoints(), {}, "nothing counts")


def test_a_frame_in_any_pieces_and_many_in_one():
    agent = Agent().start()
    with Client(agent.port, register=("App",)) as client:
        batch = frame(Request("r1").start().span("s", "Controller/x", 0, 0.1).finish().batch())
        for byte in batch:
            client.socket.sendall(bytes([byte]))
        assert success(client.reply())
        client.socket.sendall(batch[:4])
        time.sleep(0.05)
        client.socket.sendall(batch[4:].replace(b'"r1"', b'"r2"'))
        assert success(client.reply())
        commands = Request("r3").start().span("s", "Controller/x", 0, 0.1).finish().commands
        client.socket.sendall(b"".join(frame(command) for command in commands) * 1)
        for command in commands:
            equal(client.reply(), ok(next(iter(command))), "in order")
        # A thousand at once, read only afterwards.
        client.socket.sendall(frame({"CoreAgentVersion": {}}) * 1000)
        for _ in range(1000):
            assert success(client.reply())
    equal(agent.end().endpoints(), {"x": 3}, "endpoints")


def test_order_does_not_matter_until_finish():
    import itertools

    agent = Agent().start()
    request = Request("x").start().tag("plan", 5)
    request.span("c", "SQL/Query", 0.01, 0.02, parent="p", db__statement="SELECT 1 FROM t")
    request.span("p", "Controller/any/order", 0, 0.05)
    commands = request.commands
    orders = [commands, commands[::-1], commands[3:] + commands[:3]]
    orders += list(itertools.islice(itertools.permutations(commands), 100, 5000, 700))
    with Client(agent.port, register=("App",)) as client:
        for number, order in enumerate(orders):
            renamed = [
                {name: {**fields, "request_id": "x%d" % number}}
                for command in order for name, fields in command.items()
            ]
            batch = {"BatchCommand": {"commands": renamed}}
            assert success(client.ask(batch))
            end = Request("x%d" % number).finish().commands[0]
            assert success(client.ask(end))
    payloads = agent.end()
    equal(payloads.endpoints(), {"any/order": len(orders)}, "endpoints")
    equal(payloads.layer("SQL", "any/order"), len(orders), "SQL")
    equal(payloads.transactions()["any/order"]["context"]["plan"], 5, "context")


def test_a_request_through_several_connections():
    agent = Agent(unix=True).start()
    clients = [Client(agent.port, register=("App",)) for _ in range(4)]
    clients += [Client(agent.socket, register=("App",)) for _ in range(4)]
    request = Request("shared").start().tag("a", 1).tag("b", 2)
    for n in range(5):
        request.span("s%d" % n, "SQL/Query", 0.01, 0.02, parent="p", db__statement="SELECT 1 FROM t")
    request.span("p", "Controller/shared", 0, 0.05).finish()
    for n, command in enumerate(request.commands):
        assert success(clients[n % len(clients)].ask(command))
    for client in clients:
        client.close()
    payloads = agent.end()
    equal((payloads.endpoints(), payloads.layer("SQL", "shared")), ({"shared": 1}, 5), "counted")


def test_every_timestamp_form_and_none():
    agent = Agent().start()
    with Client(agent.port, register=("App",)) as client:
        for form in ("python", "elixir", "php", "node", "ruby"):
            begin = int(time.time()) - 3
            request = Request(form, begin, form).start()
            request.span("s", "Controller/" + form, 0, 0.25).finish(0.25)
            assert success(client.ask(request.batch()))
        request = Request("none").start(None).span("s", "Controller/none", None, None)
        began = time.time()
        for command in request.commands:
            assert success(client.ask(command))
        time.sleep(0.2)
        assert success(client.ask({"StopSpan": {"request_id": "none", "span_id": "s",
                                                "timestamp": None}}))
        took = time.time() - began
        time.sleep(0.2)
        assert success(client.ask({"FinishRequest": {"request_id": "none", "timestamp": "later"}}))
    payloads = agent.end()
    for form in ("python", "elixir", "php", "node", "ruby"):
        near(payloads.seconds("Controller", form), 0.25, form)
    assert 0.2 <= payloads.seconds("Controller", "none") <= took, payloads.seconds("Controller", "none")


def test_open_spans_end_with_their_request():
    agent = Agent().start()
    with Client(agent.port, register=("App",)) as client:
        request = Request("r").start().span("p", "Controller/open", 0, None)
        request.span("c", "SQL/Query", 0.1, None, parent="p", db__statement="SELECT 1 FROM t")
        assert success(client.ask(request.finish(0.4).batch()))
        # PHP: stopped without a time, in a batch that is sent late.
        request = Request("php", time.time() - 5).start().span("p", "Controller/null", 0, None)
        request.add("StopSpan", None, span_id="p")
        assert success(client.ask(request.finish(0.4).batch()))
    payloads = agent.end()
    near(payloads.seconds("Controller", "open"), 0.4, "its end")
    near(payloads.seconds("Controller", "null"), 0.4, "a null end")
    near(payloads.seconds("SQL", "all"), 0.3, "the child's")


def test_odd_json_and_values_of_every_kind():
    agent = Agent().start()
    with Client(agent.port, register=("App",)) as client:
        request = Request("r").start().span("s", "Controller/odd", 0, 0.1)
        for n, value in enumerate([1, -2.5, True, None, "tëxt \ud83d\ude00", [1, {"a": None}], {"b": 2}]):
            request.tag("v%d" % n, value)
        request.tag("nan", float("nan")).tag("inf", float("-inf")).tag("text", "NaN, Infinity")
        request.tag("half", "\ud83d!").add("TagRequest", 0, tag="absent")
        request.commands.append({"FutureCommand": {}})
        reply = client.ask(request.batch())
        assert "1 of " in reply["BatchCommand"]["result"]["Failure"]["message"], reply
        assert success(client.ask(Request("r").finish().commands[0]))
    context = agent.end().transactions()["odd"]["context"]
    equal([context.get("v%d" % n) for n in range(5)], [1, -2.5, "true", None, "tëxt 😀"], "values")
    equal((context["v5"], context["v6"]), ('[1, {"a": null}]', '{"b": 2}'), "compound values")
    equal((context["text"], context.get("nan"), context["half"]),
          ("NaN, Infinity", None, "\ufffd!"), "odd ones")


def test_renames_ignores_and_roots():
    agent = Agent().start()
    with Client(agent.port, register=("App",)) as client:
        def send(request):
            assert success(client.ask(request.finish().batch()))

        send(Request("1").start().tag("transaction.name", "Controller/renamed")
             .span("s", "Controller/before", 0, 0.1))
        send(Request("2").start().tag("transaction.name", "Job/renamed")
             .span("s", "Job/before", 0, 0.1))
        for n, value in enumerate([True, "true", "True"]):
            send(Request("i%d" % n).start().tag("ignore_transaction", value)
                 .span("s", "Controller/ignored", 0, 0.1))
        send(Request("4").start().tag("ignore_transaction", False)
             .span("s", "Controller/kept", 0, 0.1))
        send(Request("5").start().tag("error", "true").span("s", "Controller/failed", 0, 0.1))
        # Several without a parent, one with a parent that never came.
        send(Request("6").start().span("a", "Middleware", 0, 0.01)
             .span("b", "Controller/several", 0.01, 0.05).span("c", "Custom/x", 0.02, 0.03)
             .span("d", "SQL/Query", 0.03, 0.04, parent="gone", db__statement="SELECT 1 FROM t"))
        send(Request("7").start().span("a", "Custom/only", 0, 0.1))
        send(Request("8").start().tag("alone", 1))
    payloads = agent.end()
    equal(payloads.endpoints(), {"renamed": 1, "kept": 1, "failed": 1, "several": 1}, "endpoints")
    equal(payloads.jobs(), {("default", "renamed"): 1}, "jobs")
    equal(payloads.errors(), {"failed": 1}, "errors")
    equal({name: payloads.layer(name, "several") for name in ("Middleware", "Custom", "SQL")},
          {"Middleware": 1, "Custom": 1, "SQL": 1}, "attached spans")
    near(payloads.seconds("Controller", "several"), 0.04, "the root's own time")


def test_samplers_are_clamped_and_metadata_remembered():
    agent = Agent().start()

    def event(client, kind, value):
        body = {"event_type": kind, "event_value": value, "timestamp": stamp(), "source": "Pid: 1"}
        return success(client.ask({"ApplicationEvent": body}))

    with Client(agent.port, register=("App",)) as client:
        assert event(client, "scout.metadata", {
            "application_root": "/srv/app", "scm_subdirectory": "backend", "git_sha": "cafe",
            "hostname": "web-7", "libraries": [["x", "1"]], "framework": None, "paas": ""})
    # Python says it once in a process's life, whatever becomes of its connection.
    with Client(agent.port, register=("App",)) as client:
        for value in (825.1, -3, 50, float("nan"), "12.5", None):
            assert event(client, "CPU/Utilization", value)
        assert event(client, "Memory/Physical", 63.5)
        assert event(client, "Something/New", {"a": 1})
        stack = [{"file": "/usr/lib/python3/x.py", "line": 1, "function": "f"},
                 {"file": "/srv/app/views.py", "line": 23, "function": "index"}]
        request = Request("r").start().span("s", "Controller/x", 0, 0.9)
        request.span("c", "SQL/Query", 0.1, 0.8, parent="s", db__statement="SELECT 1 FROM t",
                     stack=stack)
        assert success(client.ask(request.finish(0.9).batch()))
        counters = agent.counters()
    payloads = agent.end()
    equal(payloads.gauges(), {("CPU", "Utilization"): 4, ("Memory", "Physical"): 1}, "samples")
    equal(payloads.seconds("CPU", "Utilization"), 100 + 0 + 50 + 12.5, "CPU")
    equal((counters["samples_clamped"], counters["events_unknown"]), (4, 1), "counted")
    slow = payloads.transactions()["x"]
    equal((slow["git_sha"], slow["hostname"]), ("cafe", "host-1"), "metadata")
    frames = [
        frame
        for trace in payloads.traces().values()
        for span in trace["spans"]
        for frame in span["tags"].get("backtrace", [])
    ]
    equal(frames, [{"file": "backend/views.py", "line": "23", "function": "index"}], "backtrace")


def test_a_request_id_may_be_used_again():
    agent = Agent().start()
    with Client(agent.port, register=("App",)) as client:
        for _ in range(3):
            batch = Request("same").start().span("s", "Controller/again", 0, 0.1).finish().batch()
            assert success(client.ask(batch))
        # After its end nothing more belongs to it.
        assert success(client.ask(Request("same").tag("late", 1).commands[0]))
        assert success(client.ask(Request("never").finish().commands[0]))
    equal(agent.end().endpoints(), {"again": 3}, "endpoints")


def test_a_connection_that_says_nothing_is_normal():
    agent = Agent().start()
    for _ in range(300):
        socket.create_connection(("127.0.0.1", agent.port)).close()
    with Client(agent.port, register=("App",)):
        pass
    agent.end()
