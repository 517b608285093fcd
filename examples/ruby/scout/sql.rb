# frozen_string_literal: true

require_relative "copy_out"
require_relative "library"
require_relative "record"

module Scout
  # SQL made safe to show. It takes the library alone: before `start` and after `shutdown` too.
  module Sql
    extend CopyOut

    # The library uses no more of a statement than this.
    HEAD = 65_536

    # The statement without its literals; "?" if it cannot be told.
    def self.sanitize(sql, dialect)
      asked(:scout_sql_sanitize, sql, dialect) || "?"
    end

    # Its verbs and tables; "" if they cannot be told.
    def self.summarize(sql, dialect)
      asked(:scout_sql_summarize, sql, dialect) || ""
    end

    def self.asked(function, sql, dialect)
      library = Library.found
      return unless library && sql.is_a?(String)

      sql, dialect = Record.bytes(sql), Record.bytes(dialect)
      copied([sql.bytesize, HEAD].min + 64) do |*buffer|
        library.public_send(function, dialect, dialect.bytesize, sql, sql.bytesize, *buffer)
      end
    rescue StandardError # an encoding that has no way to UTF-8
      nil
    end
    private_class_method :asked
  end
end
