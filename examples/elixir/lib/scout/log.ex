defmodule Scout.Log do
  @moduledoc """
  Moves the core's waiting log lines to `Logger`.

  A line is a flat JSON object with a level and a message. The two are picked out here, since there
  is no JSON parser in Elixir's standard library.
  """

  require Logger

  @level ~r/"level":\s*"(\w+)"/
  @message ~r/"message":\s*"((?:[^"\\]|\\.)*)"/

  @doc "Takes all lines there are, up to `limit`."
  def pull(core, limit \\ 1000)
  def pull(_core, 0), do: :ok

  def pull(core, limit) do
    case Scout.Native.next_log(core) do
      {:ok, line} ->
        Logger.log(level(line), fn -> "scoutcore: " <> message(line) end)
        pull(core, limit - 1)

      _ ->
        :ok
    end
  end

  defp level(line) do
    case Regex.run(@level, line) do
      [_, "error"] -> :error
      [_, "warn"] -> :warning
      [_, "debug"] -> :debug
      _ -> :info
    end
  end

  defp message(line) do
    [_, text] = Regex.run(@message, line)
    Macro.unescape_string(text)
  rescue
    _ -> line
  end
end
