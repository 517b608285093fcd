# frozen_string_literal: true

module Scout
  # The C functions this binding uses: result, arguments. Types are named as in the header;
  # `ptr` is any buffer (a String, as both backends take one), `text` a C string.
  #
  # There is no callback, no struct by value and nothing to free, so one table serves every
  # foreign-function library.
  FUNCTIONS = {
    scout_abi_version: [:u32, []],
    scout_version: [:text, []],
    scout_status_name: [:text, [:i32]],
    scout_start: [:i32, %i[ptr size ptr]],
    scout_flush: [:i32, %i[u64 u32]],
    scout_shutdown: [:i32, %i[u64 u32]],
    scout_intern: [:i32, %i[u64 ptr size ptr]],
    scout_record_batch: [:i32, %i[u64 ptr size ptr]],
    scout_stats: [:i32, %i[u64 ptr size ptr]],
    scout_diagnose: [:i32, %i[u64 ptr size ptr]],
    scout_next_log: [:i32, %i[u64 ptr size ptr]],
    scout_last_error: [:i32, %i[ptr size ptr]],
    scout_sql_sanitize: [:i32, %i[ptr size ptr size ptr size ptr]],
    scout_sql_summarize: [:i32, %i[ptr size ptr size ptr size ptr]]
  }.freeze

  # Only these may wait, and are called without the GVL, so that other threads go on. The others
  # return within a microsecond: letting go of the GVL for them would cost more than the call.
  WAITING = %i[scout_flush scout_shutdown].freeze
end
