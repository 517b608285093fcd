defmodule Scout.Native do
  @moduledoc """
  The NIFs of `c_src/scout_nif.c`, one for each C function, under the names of the C functions.

  The shim finds the shared object itself, among the candidates given here. Without the shim, or
  without the library, every function returns `:off` and `off_reason/0` says why: a node boots and
  runs without monitoring rather than not at all.

  Handles and ids are integers; a begun span is an opaque binary of 40 bytes. Tags are a map or a
  list of pairs; keys are strings or atoms, values strings, atoms, booleans, integers or floats.
  What is neither gives `:badarg`, and `Scout` makes texts of it.
  """

  @on_load :load
  @build Path.expand("../../../../target/release", __DIR__)
  @functions [
    start: 1,
    flush: 2,
    shutdown: 2,
    diagnose: 1,
    now: 1,
    begin_span: 2,
    end_span: 4,
    record_span: 8,
    record_batch: 2,
    tag_request: 3,
    record_error: 8,
    record_metric: 3,
    record_event: 3,
    stats: 1,
    next_log: 1,
    sql_sanitize: 2,
    sql_summarize: 2
  ]

  for {name, arity} <- @functions do
    arguments = Macro.generate_arguments(arity, __MODULE__)
    @doc false
    def unquote(name)(unquote_splicing(arguments)) do
      _ = unquote(arguments)
      :off
    end
  end

  @doc "Why nothing is recorded; nil if the library is loaded."
  def off_reason, do: :persistent_term.get({__MODULE__, :off}, "the shim is not loaded")

  @doc false
  def load do
    case :erlang.load_nif(Path.join(priv(), "scout_nif"), candidates()) do
      :ok -> :ok
      {:error, {reason, text}} -> :persistent_term.put({__MODULE__, :off}, "#{reason}: #{text}")
    end

    :ok
  end

  # In order. SCOUTCORE_LIB stands alone: who names a file wants that one or an explanation.
  defp candidates do
    case System.get_env("SCOUTCORE_LIB", "") do
      "" ->
        {files, system} =
          case :os.type() do
            {:unix, :darwin} ->
              {["libscoutcore.dylib"], ["libscoutcore.1.dylib", "libscoutcore.dylib"]}

            _ ->
              {["libscoutcore.so", "libscoutcore.so.1"], ["libscoutcore.so.1"]}
          end

        beside = for folder <- [priv(), @build], file <- files, do: Path.join(folder, file)
        Enum.filter(beside, &File.exists?/1) ++ system

      named ->
        [named]
    end
  end

  # Of the application; or beside `ebin`, when the module is used without one.
  defp priv do
    with {:error, :bad_name} <- :code.priv_dir(:scout),
         :non_existing <- :code.where_is_file('#{__MODULE__}.beam') do
      Path.expand("../../priv", __DIR__)
    else
      file_or_folder ->
        path = List.to_string(file_or_folder)
        if String.ends_with?(path, ".beam"), do: Path.expand("../../priv", path), else: path
    end
  end
end
