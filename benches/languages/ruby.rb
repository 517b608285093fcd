# frozen_string_literal: true

# What a span costs in Ruby, with the library: nanoseconds of CPU of its thread.
#
#     SCOUTCORE_LIB=... ruby benches/languages/ruby.rb ffi|fiddle

require "json"
require "tmpdir"
require_relative "../../examples/ruby/scout"

BACKEND = ARGV.fetch(0)
CHILDREN = 30 # a request of usual size: one hand-over for all of its spans
STATEMENT = { "db.statement" => "SELECT * FROM orders WHERE id = 42" }.freeze

def spent
  Process.clock_gettime(Process::CLOCK_THREAD_CPUTIME_ID, :nanosecond)
end

# A row for docs/benchmarks.md, as the Python scripts' rows.py writes them.
def row(name, per, unit = "ns/span")
  yield
  times = Array.new(9) do
    sleep 0.05
    began = spent
    yield
    (spent - began).to_f / per
  end.sort
  name = "#{BACKEND}: #{name}"
  puts format("%-58s %10.1f %s", name, times[4], unit)
  path = ENV["SCOUT_BENCH_JSON"] or return
  line = { section: "ruby", row: name, ours: true, unit: unit, median: times[4],
           low: times.first, high: times.last, note: "" }
  File.open(path, "a") { |file| file.puts(JSON.generate(line)) }
end

def requests(tags)
  200.times do
    Scout.span("Controller/bench") { CHILDREN.times { Scout.span("SQL/Query", tags) { nil } } }
  end
end

folder = Dir.mktmpdir
spans = 200 * (CHILDREN + 1)
row("not started", spans) { requests(nil) }
Scout.start(backend: BACKEND.to_sym, data_dir: folder, recorder_memory_mib: 64) or abort(Scout.off_reason)
row("no tags", spans) { requests(nil) }
row("a statement", spans) { requests(STATEMENT) }
core = Scout.instance_variable_get(:@core)
now = Scout::Request.wall_clock
row("of which encoding, no tags", 2000) do
  2000.times { Scout::Record.span(core.names, "\1" * 16, 2, 1, now, now, "SQL/Query") }
end
one = Scout::Record.span(core.names, "\1" * 16, 2, 1, now, now, "SQL/Query")
library, handle = core.instance_variable_get(:@library), core.instance_variable_get(:@handle)
row("floor: scout_abi_version, an empty call", 2000, "ns/call") { 2000.times { library.scout_abi_version } }
row("scout_record_batch, one span", 2000, "ns/call") do
  2000.times { library.scout_record_batch(handle, one, 64, nil) }
end
dropped = Scout.stats["records_dropped_no_room"] || 0
Scout.shutdown
FileUtils.remove_entry(folder)
abort("#{dropped} records were dropped for want of room: the rows are too good") if dropped > 0
