# frozen_string_literal: true

# The C functions called wrongly, through the backend that the binding uses.

NAMES = Hash.new { |names, status| names[status] = library.scout_status_name(status) }

def status(call)
  NAMES[call]
end

# Calls every function that takes a handle with this one.
def calls_with(library, handle)
  buffer, size = ("\0" * 64).b, ("\0" * 8).b
  {
    flush: library.scout_flush(handle, 10), shutdown: library.scout_shutdown(handle, 10),
    intern: library.scout_intern(handle, "a", 1, size),
    record_batch: library.scout_record_batch(handle, "", 0, size),
    stats: library.scout_stats(handle, buffer, 64, size),
    diagnose: library.scout_diagnose(handle, buffer, 64, size),
    next_log: library.scout_next_log(handle, buffer, 64, size)
  }
end

test "garbage-handles" do
  lib = library
  core = Scout::Core.new(lib, { data_dir: directory })
  handle = core.instance_variable_get(:@handle)
  [0, 1, 2**63, 2**64 - 1, handle + 1, handle << 1].each do |garbage|
    calls_with(lib, garbage & (2**64 - 1)).each do |name, answer|
      check(%w[SCOUT_E_HANDLE SCOUT_E_SHUT_DOWN].include?(status(answer)), [garbage, name, answer])
    end
  end
  check(core.shutdown(2000) >= 0)
  calls_with(lib, handle).each { |name, answer| same([name, status(answer)], [name, "SCOUT_E_SHUT_DOWN"]) }
end

test "nulls" do
  lib = library
  core = Scout::Core.new(lib, { data_dir: directory })
  handle, size, buffer = core.instance_variable_get(:@handle), ("\0" * 8).b, ("\0" * 64).b
  answers = [
    lib.scout_start(nil, 0, nil), lib.scout_intern(handle, nil, 1, size),
    lib.scout_intern(handle, "a", 1, nil), lib.scout_record_batch(handle, nil, 8, nil),
    lib.scout_stats(handle, buffer, 64, nil), lib.scout_stats(handle, nil, 64, size),
    lib.scout_diagnose(handle, nil, 64, size), lib.scout_next_log(handle, buffer, 64, nil),
    lib.scout_last_error(nil, 64, size), lib.scout_sql_sanitize(nil, 0, nil, 4, buffer, 64, size),
    lib.scout_sql_summarize(nil, 0, "x", 1, buffer, 64, nil)
  ]
  answers.each_with_index { |answer, i| same([i, status(answer)], [i, "SCOUT_E_NULL"]) }
  core.shutdown(2000)
end

test "copy-out" do
  lib = library
  statement = "SELECT * FROM users WHERE name = 'b\xFFob\0'".b
  size, buffer = ("\0" * 8).b, ("Z" * 64).b
  same status(lib.scout_sql_sanitize("mysql2", 6, statement, statement.bytesize, buffer, 4, size)),
       "SCOUT_E_TOO_SMALL"
  needed = size.unpack1("Q")
  same buffer, "Z" * 64
  same status(lib.scout_sql_sanitize("mysql2", 6, statement, statement.bytesize, buffer, needed, size)), "SCOUT_OK"
  same buffer.byteslice(0, needed), "SELECT * FROM users WHERE name = ?"
  same buffer.getbyte(needed), "Z".ord
end

test "bad-batch" do
  lib = library
  core = Scout::Core.new(lib, { data_dir: directory })
  good = Scout::Record.metric(Scout::Request.wall_clock, "Memory/Physical", 1.5)
  accepted = ("\xFF" * 8).b
  batch = good * 3 + "\xFF".b * 40
  handle = core.instance_variable_get(:@handle)
  same status(lib.scout_record_batch(handle, batch, batch.bytesize, accepted)), "SCOUT_E_FORMAT"
  same accepted.unpack1("Q"), 3
  message = core.send(:copied) { |*buffer| lib.scout_last_error(*buffer) }
  check(message.include?((3 * good.bytesize).to_s), message)
  core.shutdown(2000)
end
