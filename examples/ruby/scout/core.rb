# frozen_string_literal: true

require "json"
require "logger"
require_relative "copy_out"

module Scout
  # One running core: its handle, what it knows by name, and what it tells about itself.
  class Core
    include CopyOut

    # The core could not be started; the message says why, for a person.
    class StartFailed < StandardError
      attr_reader :status

      def initialize(status, message)
        super(message)
        @status = status
      end
    end

    E_DISABLED = -104
    MAX_NAMES = 4096
    LEVELS = {
      "error" => Logger::ERROR, "warn" => Logger::WARN, "info" => Logger::INFO, "debug" => Logger::DEBUG
    }.freeze

    attr_reader :names

    def initialize(library, options)
      json = options.empty? ? "" : JSON.generate(options)
      handle = out
      status = library.scout_start(json, json.bytesize, handle)
      if status.negative?
        name = library.scout_status_name(status)
        message = copied { |*buffer| library.scout_last_error(*buffer) }
        raise StartFailed.new(status, message.to_s.empty? ? name : "#{name}: #{message}")
      end
      @library = library
      @handle = handle.unpack1("Q")
      # Interned ids by name, asked for at first use; 0: not interned, send the text. Bounded,
      # because applications put ids and URLs into names in spite of all advice.
      @names = Hash.new do |names, name|
        names.size < MAX_NAMES ? names[name.dup.freeze] = intern(name) : 0
      end
    end

    # The id of a name, or 0 if it has none: too long, not UTF-8, or the table is full.
    def intern(name)
      name = Record.bytes(name)
      id = out
      @library.scout_intern(@handle, name, name.bytesize, id) == OK ? id.unpack1("L") : 0
    end

    # Hands over encoded records; the core copies them. Never waits.
    def record_batch(records)
      @library.scout_record_batch(@handle, records, records.bytesize, nil)
    end

    # Waits until all is delivered or on disk, without the GVL.
    def flush(timeout_ms)
      @library.scout_flush(@handle, timeout_ms)
    end

    # Flushes and stops, without the GVL.
    def shutdown(timeout_ms)
      @library.scout_shutdown(@handle, timeout_ms)
    end

    # The core's counters, by name; {} when it has been shut down.
    def stats
      JSON.parse(copied { |*buffer| @library.scout_stats(@handle, *buffer) } || "{}")
    end

    # A report about configuration, directories and delivery. Looks at files.
    def diagnose
      JSON.parse(copied { |*buffer| @library.scout_diagnose(@handle, *buffer) } || "{}")
    end

    # Moves the core's waiting log lines to a Logger.
    def log_to(logger, limit = 1000)
      limit.times do
        line = copied { |*buffer| @library.scout_next_log(@handle, *buffer) } or return
        line = JSON.parse(line)
        logger.add(LEVELS.fetch(line["level"], Logger::INFO), line["message"], "scout")
      end
    end
  end
end
