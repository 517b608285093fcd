"""PHP's own sockets, as PHP-FPM uses the agent: a connection for each web request."""

import collections
import json
import os
import shutil
import subprocess

import harness
from harness import Agent, clean_env, equal, path
from suite_python import sums


def test_a_connection_for_each_web_request():
    assert shutil.which("php"), "no php: apt-get install php-cli"
    agent = Agent().start()
    script = os.path.join(harness.HERE, "apps", "client.php")
    runs = [
        subprocess.Popen(["php", script, str(agent.port), "150", path("diary%d" % n)],
                         env=clean_env(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        for n in range(4)
    ]
    for run in runs:
        output, _ = run.communicate(timeout=60)
        equal((run.returncode, output.decode()), (0, ""), "php")
    counters = agent.counters()
    payloads = agent.end()
    lines = []
    for n in range(4):
        with open(path("diary%d" % n)) as file:
            lines += [json.loads(line) for line in file]
    equal(payloads.endpoints(), dict(collections.Counter(did["endpoint"] for did in lines)), "requests")
    found = {scope[len("Controller/"):]: n for (scope, model, operation), n
             in payloads.queries().items() if (model, operation) == ("Order", "select")}
    equal(found, sums(lines, "selects"), "selects")
    equal(counters["connections"], 602, "connections")
    assert "s3cret" not in payloads.text(), "arguments stay out"
    slow = payloads.transactions()["page0"]
    equal(slow["mem_delta"], 0, "memory: less than before is shown as none")
    # Never stopped: it ends with its request.
    assert 0.06 <= slow["total_call_time"] <= 0.09, slow["total_call_time"]
