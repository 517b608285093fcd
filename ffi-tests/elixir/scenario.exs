# Makes the calls of a flat scenario file through the NIFs, one C call each.
#
#     elixir -pa EBIN scenario.exs FILE

defmodule Scenario do
  alias Scout.Native

  def run(path) do
    dir = System.fetch_env!("TEST_DIR")
    options = Scout.Json.encode_options(name: "Scenario", hostname: "host", data_dir: dir)
    {:ok, core} = Native.start(options)

    for line <- File.stream!(path) do
      [kind | fields] = line |> String.trim_trailing("\n") |> String.split("\t")
      accepted(call(core, kind, fields), line)
    end

    accepted(Native.shutdown(core, 10_000), "shutdown")
  end

  defp accepted(status, _line) when status in [:ok, :clamped, :spooled], do: :ok
  defp accepted(status, line), do: raise("#{String.slice(line, 0, 100)}: #{inspect(status)}")

  defp call(core, "span", [trace, id, parent, start, stop, operation | tags]) do
    [id, parent, start, stop] = Enum.map([id, parent, start, stop], &String.to_integer/1)
    Native.record_span(core, text(trace), id, parent, start, stop, text(operation), tags(tags))
  end

  defp call(core, "tag", [trace | tags]), do: Native.tag_request(core, text(trace), tags(tags))

  defp call(core, "error", [trace, id, time, class, message, backtrace | tags]) do
    [id, time] = Enum.map([id, time], &String.to_integer/1)
    [class, message, backtrace] = Enum.map([class, message, backtrace], &text/1)
    Native.record_error(core, text(trace), id, time, class, message, backtrace, tags(tags))
  end

  defp call(core, "metric", [name, value]) do
    Native.record_metric(core, text(name), String.to_float(value))
  end

  defp call(core, "event", [kind, json]), do: Native.record_event(core, text(kind), text(json))

  # A list, since a key may come twice.
  defp tags([_count | fields]) do
    for [key, type, value] <- Enum.chunk_every(fields, 3), do: {text(key), value(type, value)}
  end

  defp value("s", text), do: text(text)
  defp value("i", text), do: String.to_integer(text)
  defp value("f", text), do: text |> Float.parse() |> elem(0)
  defp value("b", text), do: text == "1"

  defp text(hex), do: Base.decode16!(hex, case: :lower)
end

Scenario.run(hd(System.argv()))
