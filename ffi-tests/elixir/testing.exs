defmodule Testing do
  @moduledoc """
  What the Elixir contract tests share: running them by name, checks, a core of one's own.

  A test is a function of one argument, its directory, in a module that is given to `together/1` or `alone/1`. Its
  name is the function's, with dashes.
  """

  @doc "Many tests in this node, with a verdict for each."
  def together(module), do: main(module, &verdict/3)

  @doc "One test in this node: its failure is the node's."
  def alone(module), do: main(module, &only/3)

  defp main(module, run) do
    tests = for {name, 1} <- module.__info__(:functions), do: {dashed(name), name}

    case System.argv() do
      ["--list"] -> Enum.each(tests, fn {name, _} -> IO.puts(name) end)
      names -> for {name, function} <- tests, name in names, do: run.(module, name, function)
    end
  end

  defp dashed(name), do: name |> Atom.to_string() |> String.replace("_", "-")

  defp only(module, _name, function) do
    apply(module, function, [System.fetch_env!("TEST_DIR")])
  rescue
    error ->
      IO.puts(:stderr, Exception.format(:error, error, __STACKTRACE__))
      System.halt(1)
  end

  # In a process of its own, with a time limit.
  defp verdict(module, name, function) do
    directory = Path.join(System.fetch_env!("TEST_DIR"), name)
    File.mkdir_p!(directory)

    task =
      Task.async(fn ->
        try do
          apply(module, function, [directory])
          :ok
        catch
          kind, reason -> Exception.format(kind, reason, __STACKTRACE__)
        after
          Scout.shutdown()
        end
      end)

    case Task.yield(task, 30_000) || Task.shutdown(task, :brutal_kill) do
      {:ok, :ok} -> IO.puts("PASS #{name}")
      {:ok, why} -> IO.puts("FAIL #{name}: #{String.replace(why, "\n", " | ")}")
      _ -> IO.puts("FAIL #{name}: no end after 30 s")
    end
  end

  @doc "Asks run.py to look into the payload files afterwards: `request`, `layer` or `error`."
  def expect(count, what, name), do: IO.puts("EXPECT #{count} #{what} #{name}")

  def same(got, want) do
    if got != want, do: raise("#{inspect(got)} is not #{inspect(want)}")
  end

  def check(held, saw \\ nil) do
    unless held, do: raise("not so: #{inspect(saw)}")
  end

  @doc "The binding, started with payload files in the test's directory."
  def started(directory, options \\ []) do
    same(Scout.start([name: "elixir", data_dir: directory] ++ options), :ok)
  end

  @doc "A core through the NIFs alone."
  def core(directory) do
    {:ok, core} = Scout.Native.start(Scout.Json.encode_options(data_dir: directory))
    core
  end
end
