# frozen_string_literal: true

require "fiddle"
require_relative "functions"

module Scout
  # Calls through Fiddle, which comes with Ruby: about 1 us each, so requests are batched. It lets
  # go of the GVL unless told otherwise.
  module FiddleBackend
    TYPES = {
      i32: Fiddle::TYPE_INT, u32: -Fiddle::TYPE_INT, u64: -Fiddle::TYPE_LONG_LONG,
      size: Fiddle::TYPE_SIZE_T, ptr: Fiddle::TYPE_VOIDP, text: Fiddle::TYPE_VOIDP
    }.freeze

    # An object with the C functions as methods. Raises LoadError.
    def self.load(path)
      library = Object.new
      library.instance_variable_set(:@handle, Fiddle.dlopen(path))
      attach(library, :scout_abi_version)
      library
    rescue Fiddle::DLError => e
      raise LoadError, e.message
    end

    # Adds the rest, once the ABI is known to be the right one.
    def self.complete(library)
      FUNCTIONS.each_key { |name| attach(library, name) unless name == :scout_abi_version }
    rescue Fiddle::DLError => e
      raise LoadError, e.message
    end

    def self.attach(library, name)
      result, arguments = FUNCTIONS.fetch(name)
      types = arguments.map { |type| TYPES.fetch(type) }
      address = library.instance_variable_get(:@handle)[name.to_s]
      function = function(address, types, TYPES.fetch(result), !WAITING.include?(name))
      if result == :text
        library.define_singleton_method(name) { |*values| function.call(*values).to_s }
      else
        library.define_singleton_method(name) { |*values| function.call(*values) }
      end
    end

    def self.function(address, types, result, need_gvl)
      Fiddle::Function.new(address, types, result, need_gvl: need_gvl)
    rescue ArgumentError # before Ruby 3.0 the GVL is always released: correct, only slower
      Fiddle::Function.new(address, types, result)
    end
    private_class_method :attach, :function
  end
end
