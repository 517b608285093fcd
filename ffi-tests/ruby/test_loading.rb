# frozen_string_literal: true

# Finding the library, refusing a wrong one, and doing nothing in good order without one.

# What the binding logs from now on.
def heard
  StringIO.new.tap { |text| Scout.logger = Logger.new(text) }
end

# Every public method, as an application calls them.
def use_everything
  value = Scout.span("Controller/off", "k" => "v") do |span|
    span.tag("k2", 2)
    Scout.tag_request("path" => "/")
    Scout.rename("Controller/other")
    Scout.ignore
    Scout.error(RuntimeError.new("no"))
    Scout.span("SQL/Query") { 42 }
  end
  same value, 42
  Scout.metric("Memory/Physical", 1.0)
  Scout.event("scout.metadata", "{}")
  same Scout.current, nil
  same Scout.stats, {}
  same [Scout.flush(10), Scout.shutdown(10)], [nil, nil]
  begin
    Scout.span("Controller/off") { raise KeyError, "seen" }
  rescue KeyError
    return
  end
  raise "the exception was swallowed"
end

def refused(path, *words)
  ENV["SCOUTCORE_LIB"] = path
  said = heard
  2.times { same Scout.start(backend: BACKEND, data_dir: directory), false }
  words.each { |word| check(Scout.off_reason.include?(word), Scout.off_reason) }
  same said.string.scan("WARN").size, 1
  use_everything
  same Scout.diagnose, { "off" => Scout.off_reason }
  same Scout.sanitize_sql("SELECT 'secret' FROM users"), "?"
  same Scout.summarize_sql("SELECT 'secret' FROM users", dialect: "postgres"), ""
end

test("missing-library") { refused("/nonexistent/libscoutcore.so", "/nonexistent/libscoutcore.so") }
test("other-abi") { refused(ENV.fetch("STUB_OTHER_ABI"), "ABI is 2", "1") }
test("incomplete-library") { refused(ENV.fetch("STUB_INCOMPLETE"), "scout_") }
test("not-a-library") { refused(__FILE__, File.basename(__FILE__)) }

test "never-started" do
  use_everything
  check(Scout.off_reason.include?("start"))
end

test "bad-options" do
  said = heard
  same Scout.start(backend: BACKEND, no_such_option: 1), false
  check(Scout.off_reason.include?("no_such_option"), Scout.off_reason)
  same said.string.scan("WARN").size, 1
  use_everything
  same Scout.start(backend: BACKEND, data_dir: directory), true # a later, better start
  same Scout.off_reason, nil
end

test "switched-off" do
  said = heard
  same Scout.start(backend: BACKEND, monitor: false, data_dir: directory), false
  same said.string, ""
  use_everything
end

test "beside-the-binding" do
  folder = directory("copied")
  FileUtils.cp_r(Dir[File.expand_path("../../examples/ruby/scout{,.rb}", __dir__)], folder)
  FileUtils.cp(ENV.fetch("SCOUTCORE_LIB"), File.join(folder, "libscoutcore.so"))
  program = "require '#{folder}/scout'; Scout.start(backend: :#{BACKEND}, data_dir: '#{directory}') or " \
            "abort(Scout.off_reason); Scout.span('Controller/beside') { }"
  check(system({ "SCOUTCORE_LIB" => nil }, "ruby", "-w", "-e", program))
  expect(1, "request", "Controller/beside")
end
