# What a span costs in Elixir, with the library: nanoseconds of elapsed time (a BEAM process has no
# CPU clock of its own).
#
#     SCOUTCORE_LIB=... elixir -pa EBIN benches/languages/elixir.exs

defmodule Bench do
  alias Scout.Native

  @span 6000

  # A row for docs/benchmarks.md, as the Python scripts' rows.py writes them.
  def row(name, unit \\ "ns/span", fun) do
    measure = fn -> elem(:timer.tc(fn -> times(@span, fun) end), 0) * 1000 / @span end
    measure.()

    times =
      for _ <- 1..15 do
        Process.sleep(30)
        measure.()
      end
      |> Enum.sort()

    median = Enum.at(times, 7)
    :io.format("~-58s ~10.1f ~s~n", [String.to_charlist(name), median, unit])

    with path when path != nil <- System.get_env("SCOUT_BENCH_JSON") do
      line =
        ~s({"section":"elixir","row":"#{name}","ours":true,"unit":"#{unit}","median":#{median},) <>
          ~s("low":#{hd(times)},"high":#{List.last(times)},"note":""}\n)

      File.write!(path, line, [:append])
    end
  end

  def times(0, _), do: :ok

  def times(n, fun) do
    fun.()
    times(n - 1, fun)
  end

  def run do
    row("Scout.span, not started", fn -> Scout.span("SQL/Query", fn -> nil end) end)
    dir = Path.join(System.tmp_dir!(), "scout-bench-#{System.pid()}")
    :ok = Scout.start(data_dir: dir, recorder_memory_mib: 64)
    tags = %{"db.statement" => "SELECT * FROM orders WHERE id = 42"}

    Scout.span("Controller/bench", fn ->
      row("Scout.span, no tags", fn -> Scout.span("SQL/Query", fn -> nil end) end)
      row("Scout.span, a statement", fn -> Scout.span("SQL/Query", tags, fn -> nil end) end)
    end)

    core = :persistent_term.get({Scout, :core})
    root = Native.begin_span(core, nil)

    row("NIF record_span: one call a span, times given", fn ->
      Native.record_span(core, root, 5, 6, 1_000, 2_000, "SQL/Query", [])
    end)

    row("NIF begin_span", "ns/call", fn -> Native.begin_span(core, root) end)
    row("NIF end_span, no tags", "ns/call", fn -> Native.end_span(core, root, "SQL/Query", []) end)
    row("NIF end_span, a statement", "ns/call", fn -> Native.end_span(core, root, "SQL/Query", tags) end)
    row("floor: an empty NIF call (now: one clock reading)", "ns/call", fn -> Native.now(core) end)

    dropped = Scout.stats()["records_dropped_no_room"] || 0
    Scout.shutdown()
    File.rm_rf!(dir)
    if dropped > 0, do: raise("#{dropped} records were dropped for want of room: the rows are too good")
  end
end

Bench.run()
