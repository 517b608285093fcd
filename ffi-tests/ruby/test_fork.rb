# frozen_string_literal: true

# Forked children: nothing to call, nothing lost, nothing twice.

def finish(pid, seconds = 20)
  (seconds * 500).times do
    done, status = Process.waitpid2(pid, Process::WNOHANG)
    return check(status.success?, status) if done

    sleep 0.002
  end
  Process.kill(:KILL, pid)
  raise "a child hung"
end

# Forks; the child works, flushes and leaves without exit hooks.
def in_child
  fork do
    yield
    exit!([0, 1].include?(Scout.flush(8000)) ? 0 : 2)
  rescue StandardError => e
    warn e.full_message
    exit!(3)
  end
end

test "children-record-and-flush" do
  started
  stop = false
  threads = Array.new(3) { Thread.new { Scout.span("Controller/parent") { sleep 0.0005 } until stop } }
  15.times do
    children = Array.new(4) { in_child { Scout.span("Controller/child") { Scout.span("SQL/Query") { nil } } } }
    children.each { |pid| finish(pid) }
  end
  stop = true
  threads.each(&:join)
  expect(60, "request", "Controller/child")
end

test "in-the-middle-of-a-request" do
  started
  Scout.span("Controller/forking") do |root|
    Scout.span("SQL/Query") { nil }
    Scout.span("Custom/around the fork") do
      finish(in_child do
        same Scout.current, nil
        Scout.span("Job/in the child") { |own| check(own.request.trace_id != root.request.trace_id) }
      end)
    end
  end
  pid = nil
  Scout.span("Controller/both") { pid = fork } # a child that leaves through inherited spans
  unless pid
    Scout.flush(8000)
    exit!(0)
  end
  finish(pid)
  expect(1, "request", "Controller/forking")
  expect(1, "request", "Job/in the child")
  expect(1, "request", "Controller/both")
  expect(1, "layer", "SQL")
end

test "exit-hooks-in-children" do
  started
  finish(fork { Scout.span("Controller/worker") { nil } }) # through at_exit, as puma's workers do
  expect(1, "request", "Controller/worker")
end
