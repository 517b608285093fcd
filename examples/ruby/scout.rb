# frozen_string_literal: true

require_relative "scout/library"
require_relative "scout/record"
require_relative "scout/core"
require_relative "scout/span"
require_relative "scout/sql"

# scoutcore for Ruby: application monitoring through libscoutcore, with the ffi gem or Fiddle.
#
#     require_relative "scout"
#     Scout.start(name: "Shop")                       # never raises; Scout.off_reason says why not
#
#     Scout.span("Controller/orders/show") do         # a request: its root names the endpoint
#       Scout.tag_request("path" => "/orders/7")
#       Scout.span("SQL/Query", "db.statement" => sql) { connection.execute(sql) }
#     end
#
#     Scout.sanitize_sql("SELECT * FROM users WHERE id = 7", dialect: "postgres")  # "... WHERE id = ?"
#     Scout.summarize_sql("SELECT * FROM users WHERE id = 7")                      # "SELECT users"
#
# Copy `scout.rb` and `scout/` into your gem; they need nothing but Ruby 2.7 or newer. The ffi gem
# is used where it is installed, else Fiddle; `Scout.start(backend: :fiddle)` chooses.
#
# *The library* is looked for in `$SCOUTCORE_LIB` (a file; then only there), next to these files, in
# the repository's `target/release`, and where the system keeps `libscoutcore.so.1`. If none loads
# with the right ABI version, there is one warning and everything is a no-op.
#
# *What may wait.* The quick calls keep the GVL, the waiting ones release it, so that other threads
# go on: with ffi that is `blocking: true` for the latter, with Fiddle `need_gvl: true` for the former.
#
#   call                                                   may wait         GVL
#   span, tag_request, rename, ignore, error               never            kept
#   metric, event, stats                                   never            kept
#   sanitize_sql, summarize_sql                            never            kept
#   start, diagnose                                        milliseconds     kept
#   flush, shutdown (also at exit)                         to the timeout   released
#
# *Fork* (puma, unicorn, resque): nothing to do. The core heals itself; a child's spans begin
# requests of its own. A child that leaves through `exit!` runs no exit hook: call `Scout.flush`.
#
# The current span belongs to the fiber. Another thread or fiber continues a request with
# `Scout.attach(span) { ... }`, where `span = Scout.current` was asked before.
module Scout
  # How long an exiting process waits for its last delivery.
  EXIT_TIMEOUT_MS = 2000

  @off = "Scout.start was not called"
  @lock = Mutex.new

  class << self
    # Why nothing is recorded; nil while it is.
    def off_reason
      @off
    end

    # Where the core's own messages go.
    attr_writer :logger

    def logger
      @logger ||= Logger.new($stderr, progname: "scout", level: Logger::INFO)
    end

    # Starts recording, and returns whether it does. Never raises.
    #
    # Options are the core's (docs/configuration.md), e.g. `name: "Shop"`. Without a library, with
    # the wrong one, or with options it refuses: one warning, every other method does nothing, and
    # `off_reason` says why. A second call changes nothing.
    def start(backend: nil, logger: nil, **options)
      self.logger = logger if logger
      @lock.synchronize do
        return true if @core

        library, reason = Library.load(backend)
        @core = Core.new(library, options) if library
        return turn_off(reason) unless @core

        @off = nil
      end
      hook_exit
      event("scout.metadata", JSON.generate("language" => "ruby", "language_version" => RUBY_VERSION))
      true
    rescue Core::StartFailed => e
      turn_off(e.message, warn: e.status != Core::E_DISABLED)
    rescue StandardError => e # options that are not JSON
      turn_off("#{e.class}: #{e.message}")
    end

    # Times the block as a span, and returns what it returns. The operation is `Type/name`; without
    # a span around it, it begins a request: name those `Controller/...` or `Job/...`. Exceptions
    # pass through, and one that leaves the whole request is recorded as its error.
    def span(operation, tags = nil)
      fiber = Thread.current # its [] is the current fiber's
      parent = fiber[:scout_span]
      if parent
        request = parent.request
      elsif (core = @core)
        request = Request.new(core)
      else
        return yield(NoSpan)
      end
      span = Span.new(request, parent, operation, tags)
      fiber[:scout_span] = span
      begin
        yield(span)
      rescue StandardError => e
        span.passed_by(e)
        raise
      ensure
        fiber[:scout_span] = parent
        span.finish
      end
    end

    # The current span, or nil.
    def current
      Thread.current[:scout_span]
    end

    # Makes `span` the current one for the block: in another thread or fiber than it began in.
    def attach(span)
      before = Thread.current[:scout_span]
      Thread.current[:scout_span] = span
      yield
    ensure
      Thread.current[:scout_span] = before
    end

    # Tags the current request: `path`, `user_ip`, or any context of yours.
    def tag_request(tags)
      request = current&.request or return
      request.add(Record.request_tags(request.names, request.trace_id, request.now, tags))
    rescue StandardError => e
      debug(e)
    end

    # Renames the current request, e.g. once its route is known.
    def rename(operation)
      tag_request("transaction.name" => operation)
    end

    # Leaves the current request out of everything: a health check.
    def ignore
      tag_request("ignore_transaction" => true)
    end

    # Records an exception that the application handles itself, and marks the current request as
    # failed. One that escapes the request is recorded without this.
    def error(exception, tags = nil)
      span = current
      if span
        span.request.add(error_record(span.request, span.id, exception, tags))
      elsif (core = @core)
        core.record_batch(error_record(nil, 0, exception, tags))
      end
    rescue StandardError => e
      debug(e)
    end

    # Records a sample of a gauge, taken now: `Memory/Physical` in MB, `CPU/Utilization` in %.
    def metric(name, value)
      @core&.record_batch(Record.metric(Request.wall_clock, name, value))
    rescue StandardError => e
      debug(e)
    end

    # Records something about the application: `scout.metadata` and a JSON object as text.
    def event(kind, json)
      @core&.record_batch(Record.event(Request.wall_clock, kind, json))
    rescue StandardError => e
      debug(e)
    end

    # Delivers what was recorded, and moves the core's log to the logger. Returns a status, or nil
    # if nothing is recorded. May wait that long, without the GVL.
    def flush(timeout_ms = 1000)
      core = @core or return
      status = core.flush(timeout_ms)
      core.log_to(logger)
      status
    end

    # Flushes and stops. Runs at exit by itself; calling it twice does no harm.
    def shutdown(timeout_ms = EXIT_TIMEOUT_MS)
      core = @lock.synchronize do
        running, @core = @core, nil
        @off = "it was shut down" if running
        running
      end
      return unless core

      began = Request.clock
      core.flush(timeout_ms)
      core.log_to(logger) # now: after shutdown there is no core to ask
      spent_ms = (Request.clock - began) / 1_000_000
      core.shutdown([timeout_ms - spent_ms, 0].max)
    end

    # The core's counters; {} if nothing is recorded.
    def stats
      @core ? @core.stats : {}
    end

    # The core's report for a support ticket. Looks at files: not in a request.
    def diagnose
      @core ? @core.diagnose : { "off" => @off }
    end

    # The statement with `?` for every literal, without comments: safe to store and to show.
    #
    # `sql` is a String of any bytes; `dialect` a database's or an adapter's name ("postgres",
    # "mysql2", ...), and nil or an unknown one means the strictest reading. Never raises and never
    # returns the raw text: without a library, or for what is no String, it is "?".
    def sanitize_sql(sql, dialect: nil)
      Sql.sanitize(sql, dialect)
    end

    # The statement's verbs and tables, e.g. "SELECT users": of low cardinality, at most 255 bytes.
    # Otherwise as `sanitize_sql`; without a library "".
    def summarize_sql(sql, dialect: nil)
      Sql.summarize(sql, dialect)
    end

    # :nodoc: for Span
    def error_record(request, span_id, exception, tags)
      Record.error((request || @core).names, request ? request.trace_id : Record::NO_TRACE, span_id,
                   Request.wall_clock, exception.class.name, exception.message,
                   (exception.backtrace || []).join("\n"), tags)
    end

    # :nodoc: for Span
    def debug(exception)
      logger.debug { "a record was not made: #{exception.class}: #{exception.message}" }
    end

    private

    def turn_off(reason, warn: true)
      logger.warn("scoutcore is off, nothing is recorded: #{reason}") if warn && reason != @off
      @off = reason
      false
    end

    def hook_exit
      return if @hooked

      @hooked = true
      at_exit { shutdown }
    end
  end
end

# A child begins without the parent's current span. (Before Ruby 3.1, spans of a request that was
# open at the fork are not reported by the child; its next request is.)
if Process.respond_to?(:_fork)
  Process.singleton_class.prepend(
    Module.new do
      def _fork
        pid = super
        Thread.current[:scout_span] = nil if pid.zero?
        pid
      end
    end
  )
end
