# frozen_string_literal: true

# A Rack application, loaded in the master when it is preloaded, else in each worker.
require_relative "../../../examples/ruby/scout"

Scout.start(name: "servers", data_dir: ENV.fetch("DATA_DIR")) || raise(Scout.off_reason)

# Records while workers are forked.
Thread.new do
  Integer(ENV.fetch("MASTER_JOBS")).times { Scout.span("Job/master") { sleep 0.001 } }
  File.write(File.join(ENV.fetch("DATA_DIR"), "jobs-done"), "")
end

run(lambda do |_environment|
  Scout.span("Controller/page") do
    2.times do
      Scout.span("SQL/Query", "db.statement" => "SELECT * FROM users WHERE id = 7") { sleep 0.0005 }
    end
  end
  [200, { "Content-Type" => "text/plain" }, [Process.pid.to_s]]
end)
