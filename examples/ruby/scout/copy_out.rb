# frozen_string_literal: true

module Scout
  # Calling the C functions that copy a text out.
  module CopyOut
    OK = 0
    E_TOO_SMALL = -3

    private

    # Room for a result of up to 8 bytes.
    def out
      ("\0" * 8).b
    end

    # Calls a function that copies out, with a buffer that is large enough. nil: nothing to copy.
    def copied(room = 4096)
      buffer = ("\0" * room).b
      size = out
      status = yield(buffer, buffer.bytesize, size)
      while status == E_TOO_SMALL # again if it grew in between
        buffer = ("\0" * (size.unpack1("Q") + 256)).b
        status = yield(buffer, buffer.bytesize, size)
      end
      buffer.byteslice(0, size.unpack1("Q")).force_encoding(Encoding::UTF_8).scrub if status == OK
    end
  end
end
