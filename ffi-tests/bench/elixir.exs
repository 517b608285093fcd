# What a span costs in Elixir, with the library: nanoseconds, the best of several rounds.
#
#     SCOUTCORE_LIB=... elixir -pa EBIN bench/elixir.exs

defmodule Bench do
  alias Scout.Native

  def best(name, per, fun) do
    times =
      for _ <- 1..9 do
        {time, _} = :timer.tc(fun)
        Process.sleep(50)
        time
      end

    :io.format("~-30s ~6.b~n", [String.to_charlist(name), round(Enum.min(times) * 1000 / per)])
  end

  def times(0, _), do: :ok

  def times(n, fun) do
    fun.()
    times(n - 1, fun)
  end

  def run do
    n = 6000
    best("off, empty span", n, fn -> times(n, fn -> Scout.span("SQL/Query", fn -> nil end) end) end)
    dir = Path.join(System.tmp_dir!(), "scout-bench-#{System.pid()}")
    :ok = Scout.start(data_dir: dir, recorder_memory_mib: 64)
    tags = %{"db.statement" => "SELECT * FROM orders WHERE id = 42"}

    Scout.span("Controller/bench", fn ->
      best("span, no tags", n, fn -> times(n, fn -> Scout.span("SQL/Query", fn -> nil end) end) end)
      best("span, a statement", n, fn -> times(n, fn -> Scout.span("SQL/Query", tags, fn -> nil end) end) end)
    end)

    core = :persistent_term.get({Scout, :core})
    root = Native.begin_span(core, nil)
    best("now", n, fn -> times(n, fn -> Native.now(core) end) end)
    best("begin_span", n, fn -> times(n, fn -> Native.begin_span(core, root) end) end)
    best("end_span, no tags", n, fn -> times(n, fn -> Native.end_span(core, root, "SQL/Query", []) end) end)
    best("end_span, a statement", n, fn -> times(n, fn -> Native.end_span(core, root, "SQL/Query", tags) end) end)

    best("record_span", n, fn ->
      times(n, fn -> Native.record_span(core, root, 5, 6, 1_000, 2_000, "SQL/Query", []) end)
    end)

    IO.inspect(Scout.stats()["records_dropped_no_room"], label: "dropped for want of room      ")
    File.rm_rf!(dir)
  end
end

Bench.run()
