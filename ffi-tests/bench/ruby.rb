# frozen_string_literal: true

# What a span costs in Ruby, with the library: nanoseconds of its thread, the best of rounds.
#
#     SCOUTCORE_LIB=... ruby bench/ruby.rb ffi|fiddle

require "tmpdir"
require_relative "../../examples/ruby/scout"

CHILDREN = 30 # a request of usual size: one hand-over for all of its spans
STATEMENT = { "db.statement" => "SELECT * FROM orders WHERE id = 42" }.freeze

def spent
  Process.clock_gettime(Process::CLOCK_THREAD_CPUTIME_ID, :nanosecond)
end

def best(name, per, rounds = 9)
  times = Array.new(rounds) do
    began = spent
    yield
    (spent - began).tap { sleep 0.05 }
  end
  puts format("%-30s %6.0f", name, times.min.to_f / per)
end

def requests(tags)
  200.times do
    Scout.span("Controller/bench") { CHILDREN.times { Scout.span("SQL/Query", tags) { nil } } }
  end
end

spans = 200 * (CHILDREN + 1)
best("off, empty span", spans) { requests(nil) }
Scout.start(backend: ARGV[0].to_sym, data_dir: Dir.mktmpdir, recorder_memory_mib: 64) or abort(Scout.off_reason)
best("span, no tags", spans) { requests(nil) }
best("span, a statement", spans) { requests(STATEMENT) }
core = Scout.instance_variable_get(:@core)
now = Scout::Request.wall_clock
one = Scout::Record.span(core.names, "\1" * 16, 2, 1, now, now, "SQL/Query")
best("encode one span", 2000) do
  2000.times { Scout::Record.span(core.names, "\1" * 16, 2, 1, now, now, "SQL/Query") }
end
best("scout_record_batch, one span", 2000) { 2000.times { core.record_batch(one) } }
library, handle = core.instance_variable_get(:@library), core.instance_variable_get(:@handle)
best("the bare call, one span", 2000) { 2000.times { library.scout_record_batch(handle, one, 64, nil) } }
puts format("%-30s %6d", "dropped for want of room", Scout.stats["records_dropped_no_room"] || 0)
