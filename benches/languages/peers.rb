# frozen_string_literal: true

# What a span costs in Ruby with others' agents, from Debian's packages, each in a process of its own.
#
#     ruby benches/languages/peers.rb sentry|jaeger
#
# The same work as ruby.rb beside this: a request with thirty spans in it, each with a statement, and
# nanoseconds of CPU of the recording thread. Nothing is sent: what would do that discards.

require "json"
require "logger"

CHILDREN = 30
REQUESTS = 60
ROUNDS = 9
STATEMENT = "SELECT * FROM orders WHERE id = 42"

def sentry
  require "sentry-ruby"
  discard = Class.new(Sentry::Transport) { def send_event(event) = event }
  Sentry.init do |config|
    config.dsn = "http://key@127.0.0.1:1/1"
    config.traces_sample_rate = 1.0
    config.transport.transport_class = discard
    config.background_worker_threads = 0
    config.logger = Logger.new(nil)
  end
  request = lambda do
    transaction = Sentry.start_transaction(op: "Controller", name: "bench")
    Sentry.get_current_scope.set_span(transaction)
    CHILDREN.times { Sentry.with_child_span(op: "db.query", description: STATEMENT) { nil } }
    transaction.finish
  end
  [request, "sentry-ruby", Sentry::VERSION]
end

def jaeger
  require "jaeger/client"
  discard = Class.new { def report(span) = span }
  tracer = Jaeger::Client.build(service_name: "bench", sampler: Jaeger::Samplers::Const.new(true),
                                reporter: discard.new)
  tags = { "db.statement" => STATEMENT }
  request = lambda do
    tracer.start_active_span("Controller/bench") do
      CHILDREN.times { tracer.start_active_span("SQL/Query", tags: tags) { nil } }
    end
  end
  [request, "jaeger-client (OpenTracing)", Gem.loaded_specs["jaeger-client"]&.version.to_s]
end

def spent
  Process.clock_gettime(Process::CLOCK_THREAD_CPUTIME_ID, :nanosecond)
end

request, label, version = { "sentry" => method(:sentry), "jaeger" => method(:jaeger) }.fetch(ARGV.fetch(0)).call
round = lambda do
  began = spent
  REQUESTS.times { request.call }
  (spent - began).to_f / REQUESTS / (CHILDREN + 1)
end
round.call
times = Array.new(ROUNDS) { round.call }.sort
puts format("%-58s %10.1f ns/span", label, times[ROUNDS / 2])
if (path = ENV["SCOUT_BENCH_JSON"])
  line = { section: "ruby", row: label, ours: false, unit: "ns/span", median: times[ROUNDS / 2],
           low: times.first, high: times.last, note: version }
  File.open(path, "a") { |file| file.puts(JSON.generate(line)) }
end
