# frozen_string_literal: true

# The encoder against docs/record-format.md, byte by byte.

TRACE = ("\7" * 16).b
NONE = Hash.new(0)

# The bytes that the document works out, read from the document itself.
def worked_example
  text = File.read(File.expand_path("../../docs/record-format.md", __dir__))
  block = text.split("## Worked example")[1].split("```")[1]
  hex = block.lines.map { |line| "#{line.chomp}  "[/\A(?:[0-9a-f]{2}\s+)+/] }.compact.join
  [hex.delete(" \n")].pack("H*")
end

test "worked-bytes" do
  names = Hash.new(0).merge("op" => 5)
  names.default = 0
  same worked_example.bytesize, 88
  made = Scout::Record.span(names, TRACE, 2, 0, 1000, 3500, "op", { "k" => "hi" })
  same made.unpack1("H*"), worked_example.unpack1("H*")
  same Scout::Record.span(names, TRACE, 2, 0, 1000, 3500, "op", [[:k, :hi]]), worked_example
end

test "every-type-of-tag" do
  tags = { "s" => "text", "b" => "\xFF\0".b, "t" => true, "f" => false, "i" => -1, "d" => 1.5,
           "none" => nil, "big" => 1 << 70, "list" => [1, 2] }
  record = Scout::Record.span(NONE, TRACE, 2, 0, 1, 2, "", tags)
  same record.unpack("L<CCS<"), [record.bytesize, 1, 1, 8]
  values = Array.new(8) { |i| record.byteslice(64 + 16 * i, 16).unpack("L<CCS<Q<") }
  same values.map { |value| value[1] }, [1, 1, 4, 4, 2, 3, 1, 1]
  same values[4][4], 2**64 - 1
  same [values[5][4]].pack("Q<"), [1.5].pack("E")
  same record.byteslice(64 + 128..).delete_suffix("\0").sub(/\0+\z/, ""),
       "stextb\xFF\0tfidbig1180591620717411303424list[1, 2]".b
end

test "limits" do
  long = Scout::Record.span(NONE, TRACE, 2, 0, 1, 2, "x" * 20_000, { "k" => "y" * 20_000 })
  same long.bytesize, 64 + 16 + 16_384 + 1 + 16_384 + 7
  same long.getbyte(64 + 5), 1
  many = Scout::Record.span(NONE, TRACE, 2, 0, 1, 2, "x", Array.new(10_000) { |i| ["k#{i}", i] })
  same many.unpack1("@6S<"), 128
  full = Scout::Record.span(NONE, TRACE, 2, 0, 1, 2, "x", [["k", "v" * 16_384]] * 128)
  same full.unpack1("@6S<"), 3
  check(full.bytesize <= 65_400 && (full.bytesize % 8).zero?)
end

# The largest records that the binding makes are taken by the core.
test "full-records-are-taken" do
  core = Scout::Core.new(library, { data_dir: directory, recorder_memory_mib: 64 })
  15_000.step(16_383, 5) do |last|
    tags = [["k", "v" * 16_384]] * 3 + [["k", "v" * last]]
    record = Scout::Record.span(core.names, TRACE, 2, 1, 10**18, 10**18, "Custom/full", tags)
    same [last, core.record_batch(record)], [last, Scout::Core::OK]
  end
  core.shutdown(5000)
end

test "other-records" do
  record = Scout::Record.request_tags(NONE, TRACE, 5, { "path" => "/" })
  same record.unpack("L<CCS<a16Q<"), [56, 2, 1, 1, TRACE, 5]
  record = Scout::Record.error(NONE, TRACE, 2, 5, "E", "no", "a\nb")
  inline = 1 << 31
  same record.unpack("L<CCS<a16Q<Q<L<4"), [64, 3, 1, 0, TRACE, 2, 5, inline | 1, inline | 2, inline | 3, 0]
  same record.byteslice(56..), "Enoa\nb\0\0"
  record = Scout::Record.metric(5, "Memory/Physical", 1.5)
  same record.unpack("L<CCS<Q<EL<2"), [48, 4, 1, 0, 5, 1.5, inline | 15, 0]
  record = Scout::Record.event(5, "kind", "{}")
  same record.unpack("L<CCS<Q<L<2"), [32, 5, 1, 0, 5, inline | 4, inline | 2]
end

test "encodings" do
  record = Scout::Record.span(NONE, TRACE, 2, 0, 1, 2, "caf\xE9".dup.force_encoding("ISO-8859-1"), { k: "\xFF" })
  check(record.include?("café".b), record)
  check(record.include?("k\xFF".b), record)
end
