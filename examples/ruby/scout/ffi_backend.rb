# frozen_string_literal: true

require "ffi"
require_relative "functions"

module Scout
  # Calls through the ffi gem, about 0.1 us each. It keeps the GVL unless told otherwise.
  module FfiBackend
    TYPES = {
      i32: :int32, u32: :uint32, u64: :uint64, size: :size_t, ptr: :pointer, text: :string
    }.freeze

    # An object with the C functions as methods. Raises LoadError.
    def self.load(path)
      library = Module.new { extend FFI::Library }
      library.ffi_lib(path)
      attach(library, :scout_abi_version)
      library
    rescue FFI::NotFoundError => e
      raise LoadError, e.message
    end

    # Adds the rest, once the ABI is known to be the right one.
    def self.complete(library)
      FUNCTIONS.each_key { |name| attach(library, name) unless name == :scout_abi_version }
    rescue FFI::NotFoundError => e
      raise LoadError, e.message
    end

    def self.attach(library, name)
      result, arguments = FUNCTIONS.fetch(name)
      library.attach_function(name, arguments.map { |type| TYPES.fetch(type) },
                              TYPES.fetch(result), blocking: WAITING.include?(name))
    end
    private_class_method :attach
  end
end
