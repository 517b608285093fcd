# frozen_string_literal: true

# What the Ruby contract tests share: a registry, checks, a core of one's own.
#
#     contract.rb ffi|fiddle --list
#     contract.rb ffi|fiddle NAME

require "fileutils"
require "logger"
require "stringio"
require_relative "../../examples/ruby/scout"

BACKEND = ARGV[0].to_sym
TESTS = {}

# Registers a test.
def test(name, &body)
  TESTS[name] = body
end

# Asks run.py to look into the payload files afterwards: `request`, `layer` or `error`.
def expect(count, what, name)
  puts "EXPECT #{count} #{what} #{name}"
  $stdout.flush
end

def check(held, saw = nil)
  raise "not so: #{saw.inspect}" unless held
end

def same(got, want)
  raise "#{got.inspect} is not #{want.inspect}" unless got == want
end

def directory(name = "data")
  File.join(ENV.fetch("TEST_DIR"), name).tap { |path| FileUtils.mkdir_p(path) }
end

# The binding, started with payload files under $TEST_DIR.
def started(**options)
  running = Scout.start(backend: BACKEND, name: "ruby", data_dir: directory, **options)
  raise Scout.off_reason unless running
end

# The C functions of the library under test, as the binding loads them.
def library
  loaded, reason = Scout::Library.load(BACKEND)
  loaded || raise(reason)
end

def main
  return puts(TESTS.keys) || 0 if ARGV[1] == "--list"

  TESTS.fetch(ARGV[1]).call
  0
rescue StandardError => e
  warn e.full_message(highlight: false)
  1
end
