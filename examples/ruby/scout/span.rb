# frozen_string_literal: true

module Scout
  # What the spans of one request share: its id, its clock, and the records not yet handed over.
  class Request
    # Bytes a request may hold back. Long requests (a job, a stream) hand over in several calls.
    BUFFER = 48 * 1024

    attr_reader :core, :names, :trace_id, :offset
    attr_accessor :failure

    def initialize(core)
      @core = core
      @names = core.names
      @pid = Process.pid
      @trace_id = Ids.trace(@pid)
      # Times are this wall-clock offset plus the monotonic clock: a clock that is set while a
      # request runs bends no duration.
      @offset = Request.wall_clock - Request.clock
      @records = "".b
      @ended = false
    end

    def self.clock
      Process.clock_gettime(Process::CLOCK_MONOTONIC, :nanosecond)
    end

    def self.wall_clock
      Process.clock_gettime(Process::CLOCK_REALTIME, :nanosecond)
    end

    def now
      Request.clock + @offset
    end

    # Buffers a record; what comes after the root's end, or is too much, goes at once.
    def add(record)
      @records << record # one call into C: with the GVL, no other thread comes in between
      send_records if @ended || @records.bytesize > BUFFER
    end

    def end
      @ended = true
      send_records
    end

    private

    def send_records
      # Swapped in one statement without a call into Ruby code: threads do not take turns there.
      records, @records = @records, "".b
      # What a forked child inherits is its parent's to report.
      @core.record_batch(records) if !records.empty? && @pid == Process.pid
    end
  end

  # Random ids, from a generator of our own: an application that seeds `Kernel.srand` must not get
  # the same ids in each process. Seeded anew in a forked child.
  module Ids
    LIMIT = (1 << 62) - 1 # what Ruby holds without allocating

    @random = Random.new
    @pid = Process.pid

    def self.trace(pid)
      @random, @pid = Random.new, pid if pid != @pid
      @random.bytes(16)
    end

    def self.span
      @random.rand(LIMIT) + 1 # cheaper than of a range, and never 0
    end
  end

  # A timed piece of work. Made by Scout.span, which yields it.
  class Span
    attr_reader :request, :id, :parent

    def initialize(request, parent, operation, tags)
      @request = request
      @parent = parent
      @operation = operation
      @tags = tags
      @id = Ids.span
      @start = Request.clock
    end

    # Adds a tag that is known only later, e.g. a row count.
    def tag(key, value)
      @tags = (@tags || {}).merge(key => value)
    end

    # Notes the innermost span of an exception; records it when it leaves the request. One that is
    # handled on the way out was not the request's failure.
    def passed_by(exception)
      failure = @request.failure
      failure = @request.failure = [exception.object_id, @id] if failure&.first != exception.object_id
      @request.add(Scout.error_record(@request, failure.last, exception, nil)) unless @parent
    rescue StandardError => e
      Scout.debug(e)
    end

    def finish
      offset = @request.offset
      @request.add(
        Record.span(@request.names, @request.trace_id, @id, @parent ? @parent.id : 0,
                    @start + offset, Request.clock + offset, @operation, @tags)
      )
    rescue StandardError => e # whatever a tag's to_s does, the application goes on
      Scout.debug(e)
    ensure
      @request.end unless @parent
    end
  end

  # What Scout.span yields while nothing is recorded.
  module NoSpan
    def self.tag(_key, _value) end
  end
end
