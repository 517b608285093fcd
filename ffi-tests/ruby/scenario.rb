# frozen_string_literal: true

# Makes the calls of a flat scenario file through the Ruby binding, one record a call.
#
#     scenario.rb ffi|fiddle FILE

require_relative "../../examples/ruby/scout"

VALUES = {
  "s" => ->(text) { [text].pack("H*") }, "i" => ->(text) { Integer(text) },
  "f" => ->(text) { Float(text) }, "b" => ->(text) { text == "1" }
}.freeze

def text(hex)
  [hex].pack("H*")
end

# Pairs, since a key may come twice.
def tags(fields)
  fields.drop(1).each_slice(3).map { |key, type, value| [text(key), VALUES.fetch(type).call(value)] }
end

def record(names, kind, fields)
  case kind
  when "span"
    Scout::Record.span(names, text(fields[0]), *fields[1, 4].map(&:to_i), text(fields[5]), tags(fields.drop(6)))
  when "tag"
    Scout::Record.request_tags(names, text(fields[0]), Scout::Request.wall_clock, tags(fields.drop(1)))
  when "error"
    Scout::Record.error(names, text(fields[0]), fields[1].to_i, fields[2].to_i,
                        *fields[3, 3].map { |field| text(field) }, tags(fields.drop(6)))
  when "metric" then Scout::Record.metric(Scout::Request.wall_clock, text(fields[0]), Float(fields[1]))
  when "event" then Scout::Record.event(Scout::Request.wall_clock, text(fields[0]), text(fields[1]))
  end
end

library, reason = Scout::Library.load(ARGV[0].to_sym)
abort(reason) unless library
core = Scout::Core.new(library, { "name" => "Scenario", "hostname" => "host", "data_dir" => ENV.fetch("TEST_DIR") })
File.foreach(ARGV[1], chomp: true) do |line|
  kind, *fields = line.split("\t", -1)
  status = core.record_batch(record(core.names, kind, fields))
  abort("#{line[0, 100]}: #{library.scout_status_name(status)}") if status.negative?
end
status = core.shutdown(10_000)
abort(library.scout_status_name(status)) if status.negative?
