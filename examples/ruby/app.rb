# frozen_string_literal: true

# A small program that shows the binding: requests, an N+1, an error, a job.
#
#     ruby app.rb [ffi|fiddle]      # payload files go to ./scout-data

require_relative "scout"

def query(sql, rows)
  Scout.span("SQL/Query", "db.statement" => sql) do |span|
    sleep 0.0002
    span.tag("db.rows_returned", rows)
  end
end

def index
  Scout.span("Controller/orders/index") do
    Scout.tag_request("path" => "/orders", "user_ip" => "127.0.0.1")
    query("SELECT id FROM orders WHERE customer = 'ada'", 12)
    1.upto(12) { |order| query("SELECT * FROM items WHERE order_id = #{order}", 1) } # an N+1
    Scout.span("Template/Render", "name" => "orders/index.erb") { sleep 0.002 }
  end
end

def broken
  Scout.span("Controller/orders/broken") { Integer("seven") } # the exception marks the request
end

def nightly
  Scout.span("Job/reports/nightly") do
    job = Scout.current
    %w[https://a.example/ https://b.example/].map do |url|
      Thread.new { Scout.attach(job) { Scout.span("HTTP/GET", "url" => url) { sleep 0.005 } } }
    end.each(&:join)
  end
end

unless Scout.start(name: "Example", data_dir: File.expand_path("scout-data"), backend: ARGV[0]&.to_sym)
  puts "scoutcore is off: #{Scout.off_reason}"
end
20.times { index }
begin
  broken
rescue ArgumentError
  nil
end
nightly
Scout.flush(2000)
puts "recorded: #{Scout.stats}"
