# Contract tests of the NIFs and the reference binding, all in one node.
#
#     elixir -pa EBIN contract.exs --list
#     elixir -pa EBIN contract.exs NAME...

Code.require_file("testing.exs", __DIR__)

defmodule Traced do
  use Scout.Tracing

  @scout "Custom/traced"
  def sum(a, b \\ 2)
  def sum(0, b), do: b
  def sum(a, b) when is_integer(a), do: a + b

  def untraced(a), do: private(a)

  @scout "Custom/private"
  defp private(a), do: a * 2
end

# What the tests of logs hear.
defmodule Heard do
  @behaviour :gen_event
  def init(_), do: {:ok, self()}
  def handle_call({:configure, options}, _), do: {:ok, :ok, options[:to]}
  def handle_event({level, _, {Logger, message, _, _}}, to) do
    send(to, {level, IO.iodata_to_binary(message)})
    {:ok, to}
  end
  def handle_event(_, to), do: {:ok, to}
  def handle_info(_, to), do: {:ok, to}
end

defmodule Contract do
  import Testing
  alias Scout.Native

  @trace <<7::128>>

  # ---- the NIFs, called wrongly

  def garbage_handles(directory) do
    core = core(directory)
    handles = [0, 1, 0xFFFFFFFFFFFFFFFF, core + 1, Bitwise.bsl(core, 1)]
    for handle <- handles, answer <- calls(handle), do: check(refused?(answer), {handle, answer})
    for handle <- [nil, -1, 1.5, "1", %{}, Bitwise.bsl(1, 70)], answer <- calls(handle), do: same(answer, :badarg)
    check(Native.shutdown(core, 2000) in [:ok, :spooled])
    for answer <- calls(core), do: check(refused?(answer, [:shut_down]), answer)
  end

  defp refused?(answer, statuses \\ [:handle, :shut_down])
  defp refused?({:error, {status, message}}, statuses), do: status in statuses and is_binary(message)
  defp refused?({answer, 0}, statuses), do: refused?(answer, statuses)
  defp refused?(answer, _), do: answer in [0, nil]

  defp calls(handle) do
    [
      Native.flush(handle, 10),
      Native.shutdown(handle, 10),
      Native.now(handle),
      Native.begin_span(handle, nil),
      Native.end_span(handle, <<1::320>>, "Controller/x", []),
      Native.record_span(handle, @trace, 1, 0, 1, 2, "Controller/x", []),
      Native.tag_request(handle, @trace, %{}),
      Native.record_error(handle, @trace, 1, 0, "E", "", "", []),
      Native.record_metric(handle, "Memory/Physical", 1),
      Native.record_event(handle, "scout.metadata", "{}"),
      Native.stats(handle),
      Native.diagnose(handle),
      Native.next_log(handle)
    ]
  end

  def wrong_terms(directory) do
    core = core(directory)
    span = Native.begin_span(core, nil)
    same(byte_size(span), 40)

    for wrong <- [:x, 1, [1], [{1}], [{"k", self()}], [{"k", %{}}], [{1, "v"}], [{"k", 1} | :improper], %{1 => 2}] do
      same(Native.end_span(core, span, "Controller/x", wrong), :badarg)
      same(Native.tag_request(core, span, wrong), :badarg)
    end

    for wrong <- [nil, :x, "short", <<0::328>>, <<0::7>>], do: same(Native.tag_request(core, wrong, []), :badarg)
    for wrong <- [:x, "short", <<0::328>>], do: same(Native.begin_span(core, wrong), :badarg)
    for wrong <- [nil, :atom, 1, 'charlist'], do: same(Native.end_span(core, span, wrong, []), :badarg)
    same(Native.record_span(core, @trace, -1, 0, 1, 2, "Controller/x", []), :badarg)
    same(Native.flush(core, -1), :badarg)
    same(Native.start(:options), :badarg)
    {:error, {:options, message}} = Native.start(~s({"no_such_option": 1}))
    check(message =~ "no_such_option")
    {:error, {:invalid, _}} = Native.record_span(core, <<0::128>>, 1, 0, 1, 2, "Controller/x", [])
    check(Native.shutdown(core, 2000) in [:ok, :spooled])
  end

  def tags(directory) do
    core = core(directory)
    span = Native.begin_span(core, nil)
    many = for n <- 1..10_000, do: {"key#{n}", n}
    same(Native.end_span(core, span, "Controller/tags", many), :clamped)
    span = Native.begin_span(core, nil)
    same(Native.end_span(core, span, "Controller/tags", Map.new(many)), :clamped)
    span = Native.begin_span(core, nil)
    all = [s: "text", b: <<255, 0>>, t: true, f: false, i: -1, d: 1.5, n: nil, a: :atom]
    same(Native.end_span(core, span, "Controller/tags", all), :ok)
    span = Native.begin_span(core, nil)
    same(Native.end_span(core, span, "Controller/tags", [{"s", String.duplicate("x", 20_000)}]), :clamped)
    check(Native.shutdown(core, 2000) in [:ok, :spooled])
    expect(4, "request", "Controller/tags")
  end

  def batches(directory) do
    core = core(directory)
    padding = <<8::little-32, 0, 1, 0::16>>
    now = Native.now(core)
    metric = <<48::little-32, 4, 1, 0::16, now::little-64, 1.5::little-float, 0x8000000F::little-32, 0::32, "Memory/Physical", 0>>
    same(Native.record_batch(core, padding <> metric <> metric), {:ok, 2})
    {{:error, {:format, message}}, 1} = Native.record_batch(core, metric <> <<0xFFFFFFFFFFFFFFFF::64>>)
    check(message =~ "48", message)
    check(Native.shutdown(core, 2000) in [:ok, :spooled])
  end

  def sql(_directory) do
    same(Native.sql_sanitize("postgres", "SELECT 1 WHERE a = 'secret'"), {:ok, "SELECT ? WHERE a = ?"})
    same(Native.sql_summarize("", "SELECT * FROM users"), {:ok, "SELECT users"})
    {:ok, long} = Native.sql_sanitize("", "SELECT a FROM b WHERE " <> String.duplicate("c = d AND ", 4_000))
    check(byte_size(long) > 30_000)
    same(Native.sql_sanitize(nil, "x"), :badarg)
    same(Native.sql_summarize("", self()), :badarg)
  end

  def sql_dialects(_directory) do
    # A backslash escapes in MySQL only.
    statement = "SELECT a FROM t WHERE b = 'x\\' AND c = 'y'"
    sanitized = "SELECT a FROM t WHERE b = ?"
    for dialect <- ["postgres", :postgrex], do: same(Scout.sanitize_sql(statement, dialect), sanitized <> " AND c = ?")
    for dialect <- ["mysql2", :myxql, nil], do: same(Scout.sanitize_sql(statement, dialect), sanitized)

    for dialect <- [nil, "sqlite", "no such", "", <<0>>, <<255>>, 7, 'list'] do
      same(Scout.sanitize_sql("SELECT a FROM users WHERE b = 'secret'", dialect), "SELECT a FROM users WHERE b = ?")
      same(Scout.summarize_sql("SELECT a FROM users WHERE b = 'secret'", dialect), "SELECT users")
    end
  end

  def sql_of_any_bytes(_directory) do
    same([Scout.sanitize_sql(""), Scout.summarize_sql("")], ["", ""])

    for inside <- [<<255, 254>>, <<0>>, <<?a, 0, ?b>>, <<0xC3>>, "é"] do
      statement = "SELECT * FROM users WHERE a = 'secret" <> inside <> "'"
      same(Scout.sanitize_sql(statement), "SELECT * FROM users WHERE a = ?")
      same(Scout.summarize_sql(statement), "SELECT users")
    end

    all = String.duplicate(:binary.list_to_bin(Enum.to_list(0..255)), 40)

    for garbage <- [<<255>>, <<0>>, "'secret" <> <<0>>, all, String.duplicate("SELECT `" <> <<255>> <> "`, ", 400)] do
      sanitized = Scout.sanitize_sql(garbage)
      check(String.valid?(sanitized) and not (sanitized =~ "secret"), sanitized)
      check(String.valid?(Scout.summarize_sql(garbage)))
    end

    for other <- [nil, 7, :atom, self(), 'SELECT 1', <<1::7>>],
        do: same([Scout.sanitize_sql(other), Scout.summarize_sql(other)], ["?", ""])
  end

  # On a normal scheduler up to 64 KiB, on a dirty one above.
  def sql_of_many_kilobytes(_directory) do
    for kilobytes <- [60, 100], part <- ["name = 'secret' AND ", "a = b AND "] do
      statement = "SELECT * FROM users WHERE " <> String.duplicate(part, div(kilobytes * 1024, byte_size(part))) <> "name = 'secret'"
      sanitized = Scout.sanitize_sql(statement)
      check(String.starts_with?(sanitized, "SELECT * FROM users WHERE") and not (sanitized =~ "secret"))
      check(byte_size(sanitized) <= 65_536 + 64, byte_size(sanitized))
      same(Scout.summarize_sql(statement), "SELECT users")
    end

    for size <- [65_535, 65_536, 65_537], do: check(Scout.sanitize_sql("SELECT '" <> String.duplicate("x", size - 8)) == "SELECT ?")
  end

  # ---- the binding

  def nested(directory) do
    started(directory)

    value =
      Scout.span("Controller/nested", fn ->
        Scout.tag_request(%{"path" => "/nested", beta: true})

        for n <- 1..12 do
          Scout.span("SQL/Query", %{"db.statement" => "SELECT #{n}"}, fn ->
            Scout.tag("db.rows_returned", n)
            Scout.span("Custom/inside", fn -> nil end)
          end)
        end

        :value
      end)

    same(value, :value)
    same(Scout.current(), nil)
    same(Process.get(), Enum.filter(Process.get(), fn {key, _} -> not match?({Scout, _}, key) end))
    expect(1, "request", "Controller/nested")
    expect(12, "layer", "SQL")
    expect(12, "layer", "Custom")
  end

  def exceptions(directory) do
    started(directory)

    try do
      Scout.span("Controller/failing", fn -> Scout.span("Custom/inner", fn -> raise ArgumentError, "inside" end) end)
    rescue
      error in ArgumentError -> same(error.message, "inside")
    end

    # Handled on the way out: no failure.
    Scout.span("Controller/handling", fn ->
      try do
        Scout.span("HTTP/GET", fn -> raise KeyError, key: :handled end)
      rescue
        KeyError -> :ok
      end
    end)

    same(catch_throw(fn -> throw(:thrown) end), :thrown)
    same(catch_exit(fn -> exit(:normal) end), :normal)
    same(catch_exit(fn -> exit(:boom) end), :boom)
    Scout.span("Controller/reported", fn -> Scout.error(%RuntimeError{message: "reported"}, [], form: "signup") end)
    Scout.error(%File.Error{reason: :enoent, action: "open", path: "x"})
    same(Scout.current(), nil)
    expect(1, "request", "Controller/failing")
    expect(3, "request", "Controller/leaving")
    expect(1, "error", "ArgumentError")
    expect(0, "error", "KeyError")
    expect(1, "error", "RuntimeError")
    expect(1, "error", "File.Error")
    expect(1, "error", "exit")
    expect(0, "error", "throw")
  end

  defp catch_throw(fun) do
    Scout.span("Controller/leaving", fun)
  catch
    value -> value
  end

  defp catch_exit(fun) do
    Scout.span("Controller/leaving", fun)
  catch
    :exit, reason -> reason
  end

  def hostile_values(directory) do
    started(directory)

    Scout.span("Controller/hostile", %{self() => make_ref(), "n" => Bitwise.bsl(1, 80), 1 => {:a}, "d" => ~D[2026-01-01]}, fn ->
      Scout.span(:atom, [{"k", <<255>>}, {'list', 'list'}], fn -> :ok end)
      Scout.span(nil, [], fn -> :ok end)
      Scout.tag_request([{self(), self()}])
      Scout.tag(self(), self())
    end)

    Scout.span("Controller/fine", fn -> :ok end)
    expect(1, "request", "Controller/hostile")
    expect(1, "request", "Controller/fine")
  end

  def processes(directory) do
    started(directory)

    1..2000
    |> Task.async_stream(fn _ ->
      Scout.span("Controller/process", fn -> Scout.span("SQL/Query", fn -> :ok end) end)
    end, max_concurrency: 50)
    |> Stream.run()

    Scout.span("Controller/shared", fn ->
      parent = Scout.current()

      for _ <- 1..20 do
        Task.async(fn ->
          same(Scout.current(), nil)
          Scout.attach(parent, fn -> Scout.span("HTTP/GET", fn -> :ok end) end)
          same(Scout.current(), nil)
        end)
      end
      |> Task.await_many()
    end)

    expect(2000, "request", "Controller/process")
    expect(2000, "layer", "SQL")
    expect(1, "request", "Controller/shared")
    expect(20, "layer", "HTTP")
  end

  def traced_functions(directory) do
    started(directory)

    Scout.span("Controller/traced", fn ->
      same(Traced.sum(1), 3)
      same(Traced.sum(0, 5), 5)
      same(Traced.untraced(4), 8)
    end)

    expect(1, "request", "Controller/traced")
    expect(3, "layer", "Custom")
  end

  def shut_down(directory) do
    started(directory)
    Scout.span("Controller/before", fn -> check(Scout.shutdown(5000) in [:ok, :spooled]) end)
    Scout.span("Controller/after", fn -> Scout.tag_request(%{"path" => "/"}) end)
    same(Scout.shutdown(), :off)
    same(Scout.off_reason(), "it was shut down")
    started(directory)
    same(Scout.off_reason(), nil)
    Scout.span("Controller/again", fn -> :ok end)
    expect(0, "request", "Controller/after")
    expect(1, "request", "Controller/again")
  end

  def logs_and_reports(directory) do
    {:ok, _} = Logger.add_backend(Heard)
    Logger.configure_backend(Heard, to: self())
    started(directory, key: "k", destination: "http://127.0.0.1:1")
    Scout.span("Controller/logged", fn -> :ok end)
    Scout.flush(1000)
    stats = Scout.stats()
    check(map_size(stats) > 10 and stats["requests"] == 1, stats)
    check(Scout.diagnose() =~ "\"version\"")
    Scout.shutdown(1000)
    Logger.flush()
    assert_heard_warning()
    Logger.remove_backend(Heard)
  end

  defp assert_heard_warning do
    receive do
      {level, "scoutcore: " <> message} when level in [:warning, :warn] -> check(message != "" and not (message =~ "{"), message)
      _ -> assert_heard_warning()
    after
      2000 -> raise "no warning was logged"
    end
  end

  # Flushes that wait for a deaf receiver must not hold up the schedulers, of which there may be no
  # more than two: others go on meanwhile. (With normal NIFs they come to a handful of turns.)
  def waiting_lets_others_run(directory) do
    {:ok, listener} = :gen_tcp.listen(0, ip: {127, 0, 0, 1})
    {:ok, port} = :inet.port(listener)
    started(directory, key: "k", destination: "http://127.0.0.1:#{port}")
    Scout.span("Controller/deaf", fn -> :ok end)
    flushes = for _ <- 1..4, do: Task.async(fn -> Scout.flush(1500) end)
    turns = turns_while(hd(flushes).pid, 0)
    Task.await_many(flushes)
    check(turns > 50, turns)
    Scout.shutdown(100)
  end

  defp turns_while(pid, turns) do
    Process.sleep(5)
    if Process.alive?(pid), do: turns_while(pid, turns + 1), else: turns
  end

  # A new version of the module takes over while spans are open, and the old one goes.
  def hot_upgrade(directory) do
    started(directory)

    Scout.span("Controller/upgraded", fn ->
      for _ <- 1..3 do
        {:module, Native} = :code.load_file(Native)
        true = :code.soft_purge(Native)
        Scout.span("Custom/between", fn -> :ok end)
      end
    end)

    same(Scout.off_reason(), nil)
    expect(1, "request", "Controller/upgraded")
    expect(3, "layer", "Custom")
  end
end

Testing.together(Contract)
