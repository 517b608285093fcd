# frozen_string_literal: true

require "rbconfig"

module Scout
  # Finding the shared object, loading it, and checking that it is the right one.
  module Library
    ABI_VERSION = 1
    BUILD = File.expand_path("../../../target/release", __dir__)
    DARWIN = RbConfig::CONFIG["host_os"].include?("darwin")
    FILES = DARWIN ? %w[libscoutcore.dylib libscoutcore.1.dylib] : %w[libscoutcore.so libscoutcore.so.1]
    SYSTEM = DARWIN ? %w[libscoutcore.1.dylib libscoutcore.dylib] : %w[libscoutcore.so.1]

    # Where the library may be, in order. `SCOUTCORE_LIB` stands alone: who names a file wants that
    # one or an explanation, not another.
    def self.candidates
      named = ENV["SCOUTCORE_LIB"]
      return [named] unless named.nil? || named.empty?

      beside = [__dir__, File.dirname(__dir__), BUILD].product(FILES).map { |parts| File.join(parts) }
      beside.select { |path| File.exist?(path) } + SYSTEM
    end

    # The first candidate that loads and fits; or nil, and why each did not.
    def self.load(backend_name = nil)
      @last = search(backend_name)
    end

    # The library of the last `load`, for what needs no core; looked for once. Or nil.
    def self.found
      (@last || load).first
    end

    def self.search(backend_name)
      backend = backend(backend_name)
      reasons = candidates.map do |path|
        return [open(backend, path), nil]
      rescue LoadError => e
        e.message
      end
      [nil, reasons.join("; ")]
    rescue LoadError => e # no backend
      [nil, e.message]
    end

    def self.open(backend, path)
      library = backend.load(path)
      version = library.scout_abi_version
      unless version == ABI_VERSION
        raise LoadError, "#{path}: its ABI is #{version}, this binding's #{ABI_VERSION}"
      end

      backend.complete(library)
      library
    end

    # The ffi gem where it is installed; Fiddle comes with Ruby.
    def self.backend(name)
      case name
      when :ffi then require_relative "ffi_backend"
      when :fiddle then require_relative "fiddle_backend"
      else
        begin
          return backend(:ffi)
        rescue LoadError
          return backend(:fiddle)
        end
      end
      name == :ffi ? FfiBackend : FiddleBackend
    end
    private_class_method :search, :open, :backend
  end
end
