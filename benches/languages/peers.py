"""What a span costs in Python with the agents from PyPI, each in a process of its own.

    target/bench-venv/bin/python benches/languages/peers.py opentelemetry|ddtrace|sentry|elastic|scout

The same work as python.py beside this: a request with thirty spans in it, each with a statement;
nanoseconds of CPU of the recording thread, and of the process with its collector threads. No agent
sends anything: each has its own usual pipeline up to the exporter, and an exporter that discards.
"""

import os
import sys
import time

import rows

CHILDREN = 30
REQUESTS = 60
ROUNDS = 7
STATEMENT = "SELECT * FROM orders WHERE id = 42"


def opentelemetry():
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

    class Discard(SpanExporter):
        def export(self, spans):
            return SpanExportResult.SUCCESS

    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(Discard(), max_queue_size=16384))
    tracer = provider.get_tracer("bench")

    def request():
        with tracer.start_as_current_span("Controller/bench"):
            for _ in range(CHILDREN):
                with tracer.start_as_current_span("SQL/Query", attributes={"db.statement": STATEMENT}):
                    pass

    return request, "opentelemetry-sdk, batch processor"


def ddtrace():
    os.environ.update(DD_INSTRUMENTATION_TELEMETRY_ENABLED="false", DD_REMOTE_CONFIGURATION_ENABLED="false",
                      DD_TRACE_STARTUP_LOGS="false")  # fmt: skip
    from ddtrace.trace import TraceFilter, tracer

    class Discard(TraceFilter):
        def process_trace(self, trace):
            return None

    tracer.configure(trace_processors=[Discard()])

    def request():
        with tracer.trace("Controller/bench"):
            for _ in range(CHILDREN):
                with tracer.trace("SQL/Query", resource=STATEMENT):
                    pass

    return request, "ddtrace"


def sentry():
    import sentry_sdk
    from sentry_sdk.transport import Transport

    class Discard(Transport):
        def capture_envelope(self, envelope):
            pass

    sentry_sdk.init(dsn="http://key@127.0.0.1:1/1", traces_sample_rate=1.0, transport=Discard,
                    default_integrations=False, auto_enabling_integrations=False)  # fmt: skip

    def request():
        with sentry_sdk.start_transaction(op="Controller", name="bench"):
            for _ in range(CHILDREN):
                with sentry_sdk.start_span(op="db.query", name=STATEMENT):
                    pass

    return request, "sentry-sdk"


def elastic():
    import elasticapm

    client = elasticapm.Client(
        service_name="bench", metrics_interval="0ms", central_config=False, cloud_provider="none",
        server_url="http://127.0.0.1:1", disable_send=True,
    )  # fmt: skip

    def request():
        client.begin_transaction("request")
        for _ in range(CHILDREN):
            with elasticapm.capture_span("SQL/Query", span_type="db", extra={"db": {"statement": STATEMENT}}):
                pass
        client.end_transaction("Controller/bench", "ok")

    return request, "elastic-apm, sending disabled"


def scout():
    from scout_apm.core.config import scout_config
    from scout_apm.core.tracked_request import TrackedRequest

    scout_config.set(monitor=True, name="bench", core_agent_launch=False, core_agent_download=False,
                     core_agent_socket_path="/nonexistent/scout.sock")  # fmt: skip

    def request():
        tracked = TrackedRequest.instance()
        tracked.is_real_request = True
        tracked.start_span(operation="Controller/bench")
        for _ in range(CHILDREN):
            span = tracked.start_span(operation="SQL/Query")
            span.tag("db.statement", STATEMENT)
            tracked.stop_span()
        tracked.stop_span()

    return request, "scout-apm, without a core agent"


def main(name):
    request, label = globals()[name]()
    spans = REQUESTS * (CHILDREN + 1)
    thread, process = [], []
    for attempt in range(ROUNDS + 1):
        began, all_began = time.thread_time_ns(), time.process_time_ns()
        for _ in range(REQUESTS):
            request()
        spent = (time.thread_time_ns() - began) / spans
        time.sleep(0.3)  # for the collector thread, if there is one
        if attempt:  # the first one warms up
            thread.append(spent)
            process.append((time.process_time_ns() - all_began) / spans)
    note = "whole process %.0f ns of CPU" % sorted(process)[len(process) // 2]
    rows.write("python", label, thread, ours=False, note=note)
    sys.stdout.flush()
    os._exit(0)  # no agent's farewell


if __name__ == "__main__":
    main(sys.argv[1])
