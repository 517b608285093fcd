# frozen_string_literal: true

# Spans, requests and errors as an application makes them.

require "socket"

test "nested" do
  started
  value = Scout.span("Controller/nested") do
    Scout.tag_request("path" => "/nested")
    12.times do |n|
      Scout.span("SQL/Query", "db.statement" => "SELECT #{n}") do |span|
        span.tag("db.rows_returned", n)
        Scout.span("Custom/inside") { nil }
      end
    end
    :value
  end
  same value, :value
  same Scout.current, nil
  expect(1, "request", "Controller/nested")
  expect(12, "layer", "SQL")
  expect(12, "layer", "Custom")
end

test "exceptions" do
  started
  raised = ArgumentError.new("from inside")
  begin
    Scout.span("Controller/failing") { Scout.span("Custom/inner") { raise raised } }
  rescue ArgumentError => e
    check(e.equal?(raised))
  end
  same Scout.current, nil
  Scout.span("Controller/handling") do # handled on the way out: no failure
    Scout.span("HTTP/GET") { raise IOError, "handled" }
  rescue IOError
    nil
  end
  begin
    Scout.span("Controller/leaving") { raise SystemExit }
  rescue SystemExit
    nil
  end
  same catch(:done) { Scout.span("Controller/leaving") { throw :done, 7 } }, 7
  same((Scout.span("Controller/leaving") { break 8 }), 8)
  Scout.span("Controller/reported") { Scout.error(KeyError.new("reported"), "form" => "signup") }
  Scout.error(EOFError.new("outside"))
  expect(1, "request", "Controller/failing")
  expect(3, "request", "Controller/leaving")
  expect(1, "error", "ArgumentError")
  expect(0, "error", "IOError")
  expect(0, "error", "SystemExit")
  expect(1, "error", "KeyError")
  expect(1, "error", "EOFError")
end

test "hostile-values" do
  started
  angry = Object.new
  angry.define_singleton_method(:to_s) { raise "no text" }
  Scout.span("Controller/hostile", "angry" => angry) do
    Scout.span("Custom/\xFF", { "a" => "\xFF", 5 => 6, "n" => 1 << 80, "nan" => Float::NAN }) do
      Scout.tag_request("x" => angry)
    end
    Scout.span(nil) { nil }
    Scout.span("Custom/list", 17) { nil }
  end
  Scout.span("Controller/fine") { nil }
  expect(1, "request", "Controller/fine")
end

test "threads-and-fibers" do
  started
  Array.new(8) do
    Thread.new { 300.times { Scout.span("Controller/thread") { Scout.span("SQL/Query") { nil } } } }
  end.each(&:join)
  Scout.span("Controller/shared") do |root|
    Array.new(4) { Thread.new { Scout.attach(root) { Scout.span("HTTP/GET") { nil } } } }.each(&:join)
    fiber = Fiber.new do
      same Scout.current, nil # a fiber begins without
      Scout.attach(root) { Scout.span("HTTP/GET") { Fiber.yield } }
    end
    fiber.resume
    same Scout.current, root # its span is not ours
    fiber.resume
  end
  expect(2400, "request", "Controller/thread")
  expect(2400, "layer", "SQL")
  expect(1, "request", "Controller/shared")
  expect(5, "layer", "HTTP")
end

test "bounded-buffer" do
  batches = []
  core = Object.new
  core.define_singleton_method(:names) { NONE }
  core.define_singleton_method(:record_batch) { |bytes| batches << bytes }
  Scout.instance_variable_set(:@core, core)
  Scout.span("Job/long") do
    5000.times { Scout.span("SQL/Query", "db.statement" => "x" * 100) { nil } }
  end
  check(batches.size > 15 && batches.map(&:bytesize).max <= Scout::Request::BUFFER + 1024, batches.size)
  before = batches.size
  Scout.span("Controller/short") { Scout.span("SQL/Query") { nil } }
  same batches.size, before + 1
  Scout.instance_variable_set(:@core, nil)
end

test "ids-of-our-own" do
  started
  traces = Array.new(3) do
    Kernel.srand(1)
    Scout.span("Controller/ids") { |span| span.request.trace_id }
  end
  same traces.uniq.size, 3
end

test "flush-at-exit" do
  program = "require '#{File.expand_path('../../examples/ruby/scout', __dir__)}'; " \
            "Scout.start(backend: :#{BACKEND}, data_dir: '#{directory}') or abort(Scout.off_reason); " \
            "Scout.span('Controller/at exit') { }"
  check(system("ruby", "-w", "-e", program))
  check(system("ruby", "-w", "-e", "#{program}; exit"))
  check(!system("ruby", "-w", "-e", "#{program}; raise 'uncaught'", err: File::NULL))
  expect(3, "request", "Controller/at exit")
end

test "shut-down" do
  started
  Scout.span("Controller/before") { check(Scout.shutdown(5000) >= 0) } # in the middle of a request
  Scout.span("Controller/after") { Scout.tag_request("path" => "/") }
  same Scout.shutdown(100), nil
  same Scout.off_reason, "it was shut down"
  started # and again
  Scout.span("Controller/again") { nil }
  expect(0, "request", "Controller/after")
  expect(1, "request", "Controller/again")
end

test "logs-and-reports" do
  said = heard
  started(key: "k", destination: "http://127.0.0.1:1") # where nobody listens
  Scout.span("Controller/logged") { nil }
  Scout.flush(1000)
  stats = Scout.stats
  check(stats.any? && stats.values.all?(Numeric), stats)
  check(Scout.diagnose.key?("version"))
  Scout.shutdown(1000)
  check(said.string.include?("WARN"), said.string)
end

test "waiting-lets-others-run" do
  listener = TCPServer.new("127.0.0.1", 0) # connections are accepted by the kernel, never answered
  started(key: "k", destination: "http://127.0.0.1:#{listener.addr[1]}")
  Scout.span("Controller/deaf") { nil }
  ticks, done = 0, false
  counter = Thread.new { (ticks += 1) && sleep(0.001) until done }
  began = Scout::Request.clock
  Scout.flush(500)
  took = (Scout::Request.clock - began) / 1e9
  done = true
  counter.join
  check(took < 2.5, took)
  check(ticks > 50 * took, [ticks, took])
  Scout.shutdown(100)
end
