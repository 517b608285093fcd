# frozen_string_literal: true

module Scout
  # The record format of docs/record-format.md: Ruby values in, the bytes of one record out.
  #
  # Pure: no clock, no library. `names` maps a name to its interned id, or to 0 for a name that has
  # none and must travel as text. Two neighbouring little-endian fields of 32 bits are packed as
  # one of 64: `Array#pack` costs by the number of its values.
  module Record
    MAX_RECORD = 65_400
    MAX_STRING = 16_384
    MAX_TAGS = 128
    MAX_EVENT = 65_000

    INLINE = 1 << 31
    STRING, I64, F64, BOOL = (1..4).map { |kind| kind << 32 }
    CUT = 1 << 40
    VERSION = 1 << 40
    I64_RANGE = (-(1 << 63)...(1 << 63)).freeze
    PADDING = Array.new(8) { |count| ("\0" * count).b.freeze }.freeze
    PLAIN_ENCODINGS = [Encoding::UTF_8, Encoding::BINARY, Encoding::US_ASCII].freeze
    NO_TRACE = ("\0" * 16).b.freeze

    # A kind of record: its bits in the header, its fixed part, and a template by tag count.
    class Layout
      attr_reader :bits, :size, :templates

      def initialize(kind, size, fixed)
        @bits = kind << 32 | VERSION
        @size = size
        @templates = Array.new(MAX_TAGS + 1) { |tags| "Q<#{fixed}Q<#{2 * tags}".freeze }
      end
    end

    SPAN = Layout.new(1, 64, "a16Q<5")
    REQUEST_TAGS = Layout.new(2, 32, "a16Q<")
    ERROR = Layout.new(3, 56, "a16Q<Q<L<4")
    METRIC = Layout.new(4, 32, "Q<EQ<")
    EVENT = Layout.new(5, 24, "Q<L<2")

    PLAIN_SPAN = SPAN.size | SPAN.bits
    PLAIN_TEMPLATE = SPAN.templates[0]

    # Header and template of a span with one text, by the text's length in words; `a` pads with
    # zeros. Made at first use.
    TEXT_SPANS = Hash.new do |spans, words|
      size = SPAN.size + 16 + 8 * words
      spans[words] = [size | SPAN.bits | 1 << 48, "#{SPAN.templates[1]}a#{8 * words}"].freeze
    end

    module_function

    # A completed span; `tags` is a Hash or an Array of pairs.
    def span(names, trace_id, span_id, parent_id, start_ns, end_ns, operation, tags = nil)
      name = names[operation]
      if name != 0
        # The two shapes that nearly all spans have, much cheaper than the general way: no tags,
        # and one text (a statement, a URL).
        if tags.nil? || tags.empty?
          return [PLAIN_SPAN, trace_id, span_id, parent_id, start_ns, end_ns, name].pack(PLAIN_TEMPLATE)
        end
        if tags.size == 1
          key, value = tags.first
          size = value.bytesize if value.instance_of?(String) && PLAIN_ENCODINGS.include?(value.encoding)
          if size && size <= MAX_STRING && (key = names[key]) != 0
            header, template = TEXT_SPANS[(size + 7) >> 3]
            return [header, trace_id, span_id, parent_id, start_ns, end_ns, name,
                    key | STRING, size | INLINE, value].pack(template)
          end
        end
      end

      text = "".b
      name = inline(bytes(operation), text) if name == 0
      join(SPAN, [trace_id, span_id, parent_id, start_ns, end_ns, name], text, names, tags)
    end

    # Tags of a whole request.
    def request_tags(names, trace_id, time_ns, tags)
      join(REQUEST_TAGS, [trace_id, time_ns], "".b, names, tags)
    end

    # An exception; `backtrace` is text, one line a frame. No request: NO_TRACE and 0.
    def error(names, trace_id, span_id, time_ns, class_name, message, backtrace, tags = nil)
      text = "".b
      texts = [class_name, message, backtrace].map { |part| inline(bytes(part), text) }
      join(ERROR, [trace_id, span_id, time_ns, *texts, 0], text, names, tags)
    end

    # One sample of a gauge.
    def metric(time_ns, name, value)
      text = "".b
      join(METRIC, [time_ns, value, inline(bytes(name), text)], text)
    end

    # Something about the application as a whole. Its JSON is not cut: that would be none.
    def event(time_ns, kind, json)
      raise ArgumentError, "an event's JSON has at most #{MAX_EVENT} bytes" if json.bytesize > MAX_EVENT

      text = "".b
      kind = inline(bytes(kind).byteslice(0, 256), text)
      join(EVENT, [time_ns, kind, INLINE | json.bytesize], text << bytes(json))
    end

    # Puts a record together. `text` is the string area so far; tags that do not fit are left out
    # from the end, as the core itself does.
    def join(layout, fixed, text, names = nil, tags = nil)
      entries = []
      tags&.each do |key, value|
        next if value.nil?

        before = text.bytesize
        bits = names[key]
        bits = inline(bytes(key), text) if bits == 0
        type_bits, value = tag_value(value, text)
        count = entries.size / 2 + 1
        if count > MAX_TAGS || layout.size + 16 * count + text.bytesize > MAX_RECORD
          text = text.byteslice(0, before)
          break
        end
        entries << (bits | type_bits) << value
      end
      count = entries.size / 2
      size = layout.size + 16 * count + text.bytesize
      padding = -size & 7
      header = size + padding | layout.bits | count << 48
      [header, *fixed, *entries].pack(layout.templates[count]) << text << PADDING[padding]
    end

    # A tag's type bits, and its 8 bytes as a number. What is none of the types travels as text.
    def tag_value(value, text)
      case value
      when String, Symbol
        value = bytes(value)
        [value.bytesize > MAX_STRING ? STRING | CUT : STRING, inline(value, text)]
      when true then [BOOL, 1]
      when false then [BOOL, 0]
      when I64_RANGE
        value.is_a?(Integer) ? [I64, value] : [F64, [value.to_f].pack("E").unpack1("Q<")]
      when Float then [F64, [value].pack("E").unpack1("Q<")]
      else tag_value(value.to_s, text)
      end
    end

    # Appends a text to the string area, cut to the limit, and returns its reference.
    def inline(value, text)
      value = value.byteslice(0, MAX_STRING) if value.bytesize > MAX_STRING
      text << value
      INLINE | value.bytesize
    end

    # The bytes of a text, in UTF-8 if it says what else it is in; as they are if it does not.
    def bytes(value)
      value = value.to_s
      return value.b if PLAIN_ENCODINGS.include?(value.encoding)

      value.encode(Encoding::UTF_8, invalid: :replace, undef: :replace).b
    end
  end
end
