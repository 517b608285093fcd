# Which library is loaded is decided once a node: these tests run in a node each.
#
#     elixir -pa EBIN loading.exs --list
#     elixir -pa EBIN loading.exs NAME

Code.require_file("testing.exs", __DIR__)

defmodule Loading do
  import Testing

  def missing_library(directory), do: refused(directory, "/nonexistent/libscoutcore.so", ["/nonexistent/libscoutcore.so"])
  def other_abi(directory), do: refused(directory, System.fetch_env!("STUB_OTHER_ABI"), ["ABI is 2", "1"])
  def incomplete_library(directory), do: refused(directory, System.fetch_env!("STUB_INCOMPLETE"), ["not a scoutcore library"])
  def not_a_library(directory), do: refused(directory, __ENV__.file, ["loading.exs"])

  def never_started(_directory) do
    use_everything()
    check(Scout.off_reason() =~ "Scout.start")
  end

  def bad_options(directory) do
    {:off, reason} = Scout.start(no_such_option: 1)
    check(reason =~ "no_such_option", reason)
    use_everything()
    started(directory)
  end

  def switched_off(directory) do
    {:off, reason} = Scout.start(monitor: false, data_dir: directory)
    check(reason =~ "disabled", reason)
    use_everything()
  end

  def sql_at_any_time(directory) do
    sql_works()
    started(directory)
    sql_works()
    Scout.shutdown(5000)
    sql_works()
  end

  defp sql_works do
    statement = "SELECT  *  FROM users WHERE name = 'secret' AND id = 42 -- secret"
    same(Scout.sanitize_sql(statement), "SELECT * FROM users WHERE name = ? AND id = ?")
    same(Scout.summarize_sql(statement, "postgres"), "SELECT users")
  end

  # Without its shim, as when it could not be compiled.
  def without_the_shim(directory) do
    ebin = Path.join(directory, "ebin")
    File.cp_r!(Path.dirname(:code.which(Scout)), ebin)
    program =
      "{:off, reason} = Scout.start(); true = Scout.span(\"Controller/x\", fn -> true end); " <>
      "{\"?\", \"\"} = {Scout.sanitize_sql(\"a\"), Scout.summarize_sql(\"a\")}; IO.puts(reason)"
    {said, 0} = System.cmd("elixir", ["-pa", ebin, "-e", program], stderr_to_stdout: true)
    check(said =~ "scout_nif", said)
  end

  def at_exit(directory) do
    program = """
    :ok = Scout.start(data_dir: #{inspect(directory)})
    Scout.span("Controller/at exit", fn -> :ok end)
    """

    ebin = Path.dirname(:code.which(Scout))
    {_, 0} = System.cmd("elixir", ["-pa", ebin, "-e", program], stderr_to_stdout: true)
    {_, 1} = System.cmd("elixir", ["-pa", ebin, "-e", program <> "raise \"uncaught\""], stderr_to_stdout: true)
    expect(2, "request", "Controller/at exit")
  end

  defp refused(directory, path, words) do
    System.put_env("SCOUTCORE_LIB", path)
    {:off, reason} = Scout.start(data_dir: directory)
    for word <- words, do: check(reason =~ word, reason)
    same(Scout.off_reason(), reason)
    use_everything()
    same(Scout.Native.now(1), :off)
    same(Scout.sanitize_sql("SELECT 'secret' FROM users"), "?")
    same(Scout.summarize_sql("SELECT 'secret' FROM users", "postgres"), "")
  end

  # Every public function, as an application calls them.
  defp use_everything do
    value =
      Scout.span("Controller/off", %{"k" => "v"}, fn ->
        Scout.tag("k2", 2)
        Scout.tag_request(%{"path" => "/"})
        Scout.rename("Controller/other")
        Scout.ignore()
        Scout.error(%RuntimeError{message: "no"})
        Scout.span("SQL/Query", fn -> 42 end)
      end)

    same(value, 42)
    same(Scout.metric("Memory/Physical", 1.0), :ok)
    same(Scout.event("scout.metadata", "{}"), :ok)
    same(Scout.current(), nil)
    same(Scout.stats(), %{})
    check(Scout.diagnose() =~ "off")
    same([Scout.flush(10), Scout.shutdown(10)], [:off, :off])

    try do
      Scout.span("Controller/off", fn -> raise KeyError, key: :seen end)
      raise "swallowed"
    rescue
      KeyError -> :ok
    end
  end
end

Testing.alone(Loading)
