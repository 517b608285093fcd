# frozen_string_literal: true

require_relative "testing"
require_relative "test_abi"
require_relative "test_encoding"
require_relative "test_loading"
require_relative "test_spans"
require_relative "test_sql"
require_relative "test_fork"

exit(main)
