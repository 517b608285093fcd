defmodule Scout do
  @moduledoc """
  scoutcore for Elixir: application monitoring through libscoutcore and a small NIF.

      Scout.start(name: "Shop")                        # never raises; Scout.off_reason() says why not

      Scout.span("Controller/orders/show", fn ->       # a request: its root names the endpoint
        Scout.tag_request(%{"path" => "/orders/7"})
        Scout.span("SQL/Query", %{"db.statement" => sql}, fn -> Repo.query(sql) end)
      end)

      Scout.sanitize_sql("SELECT * FROM users WHERE id = 7", "postgres")  # "... WHERE id = ?"
      Scout.summarize_sql("SELECT * FROM users WHERE id = 7")             # "SELECT users"

  `Scout.Tracing` traces whole functions by an attribute. Copy `lib/` and `c_src/` into your
  library; they need nothing but Elixir 1.12 and a C compiler (`make`, or mix, which calls it).

  **The library** is looked for in `$SCOUTCORE_LIB` (a file; then only there), in `priv/`, in the
  repository's `target/release`, and where the system keeps `libscoutcore.so.1`. If none loads with
  the right ABI version, there is one warning and everything is a no-op.

  **What may wait:**

  | call                                               | may wait       | runs on              |
  |----------------------------------------------------|----------------|----------------------|
  | `span`, `tag`, `tag_request`, `rename`, `ignore`   | never          | the normal scheduler |
  | `error`, `metric`, `event`, `stats`                | never          | the normal scheduler |
  | `sanitize_sql`, `summarize_sql`: up to 64 KiB      | never          | the normal scheduler |
  | ... and of longer statements                       | never          | a dirty CPU one      |
  | `start`, `diagnose`                                | milliseconds   | a dirty I/O one      |
  | `flush`, `shutdown` (also when the node stops)     | to the timeout | a dirty I/O one      |

  The current span is in the process dictionary. A task continues its parent's request with
  `Scout.attach(span, fun)`, where `span = Scout.current()` was asked before.
  """

  require Logger

  alias Scout.{Json, Log, Native}

  @span {__MODULE__, :span}
  @tags {__MODULE__, :tags}
  @failure {__MODULE__, :failure}
  @no_trace <<0::128>>

  @typedoc "`Type/name`; an endpoint's is `Controller/...` or `Job/...`."
  @type operation :: String.t()
  @type tags :: %{optional(String.t() | atom) => term} | [{String.t() | atom, term}]

  @doc """
  Starts recording. Never raises.

  Options are the core's (docs/configuration.md). Without a library, with the wrong one, or with
  options it refuses: one warning, every other function does nothing, and `off_reason/0` says why.
  A second call changes nothing.
  """
  @spec start(keyword | map) :: :ok | {:off, String.t()}
  def start(options \\ []) do
    # One at a time: two processes that start at once are to get one core.
    :global.trans({__MODULE__, self()}, fn -> start_once(options) end, [node()])
  end

  defp start_once(options) do
    case core() || Native.off_reason() || Native.start(Json.encode_options(options)) do
      core when is_integer(core) ->
        :ok

      {:ok, core} ->
        :persistent_term.put({__MODULE__, :core}, core)
        :persistent_term.erase({__MODULE__, :off})
        at_exit()
        event("scout.metadata", Json.encode(language: "elixir", language_version: System.version()))
        :ok

      {:error, {status, message}} ->
        turn_off("#{status}: #{message}", status != :disabled)

      reason when is_binary(reason) ->
        turn_off(reason, true)
    end
  rescue
    error -> turn_off(Exception.message(error), true)
  end

  @doc "Why nothing is recorded; nil while it is."
  @spec off_reason() :: String.t() | nil
  def off_reason do
    unless core(), do: :persistent_term.get({__MODULE__, :off}, "Scout.start was not called")
  end

  @doc """
  Times the function as a span, and returns what it returns.

  Without a span around it, it begins a request. Exceptions pass through, and one that leaves the
  whole request is recorded as its error. Throws, and exits that are orderly, are no errors.
  """
  @spec span(operation, tags, (() -> result)) :: result when result: term
  def span(operation, tags \\ [], fun) do
    case core() do
      nil -> fun.()
      core -> span_in(core, operation, tags, fun)
    end
  end

  defp span_in(core, operation, tags, fun) do
    parent = Process.get(@span)
    span = Native.begin_span(core, parent)
    Process.put(@span, span)
    outer_tags = Process.put(@tags, [])

    try do
      fun.()
    catch
      kind, reason ->
        passed_by(core, span, parent, kind, reason, __STACKTRACE__)
        :erlang.raise(kind, reason, __STACKTRACE__)
    after
      restore(@span, parent)
      more = restore(@tags, outer_tags)
      if is_binary(span), do: finish(core, span, operation, with_more(tags, more))
    end
  end

  defp finish(core, span, operation, tags) do
    with :badarg <- Native.end_span(core, span, operation, tags),
         do: Native.end_span(core, span, text(operation), texts(tags))
  end

  defp with_more(tags, empty) when empty in [nil, []], do: tags
  defp with_more(tags, more), do: Enum.concat(tags, Enum.reverse(more))

  defp restore(key, nil), do: Process.delete(key)
  defp restore(key, value), do: Process.put(key, value)

  @doc "Tags the current span with what is known only later, e.g. a row count."
  @spec tag(String.t() | atom, term) :: :ok
  def tag(key, value) do
    case Process.get(@tags) do
      nil -> :ok
      more -> Process.put(@tags, [{key, value} | more])
    end

    :ok
  end

  @doc "The current span, for `attach/2`; or nil."
  def current, do: Process.get(@span)

  @doc "Makes `span` the current one while `fun` runs: in another process than it began in."
  def attach(span, fun) do
    before = Process.get(@span)
    restore(@span, span)

    try do
      fun.()
    after
      restore(@span, before)
    end
  end

  @doc "Tags the current request: `path`, `user_ip`, or any context of yours."
  @spec tag_request(tags) :: :ok
  def tag_request(tags) do
    with core when core != nil <- core(),
         span when span != nil <- current(),
         :badarg <- Native.tag_request(core, span, tags),
         do: Native.tag_request(core, span, texts(tags))

    :ok
  end

  @doc "Renames the current request, e.g. once its route is known."
  def rename(operation), do: tag_request(%{"transaction.name" => operation})

  @doc "Leaves the current request out of everything: a health check."
  def ignore, do: tag_request(%{"ignore_transaction" => true})

  @doc """
  Records an exception that the application handles itself, and marks the current request as
  failed. One that escapes the request is recorded without this.
  """
  def error(exception, stacktrace \\ [], tags \\ []) do
    if core = core(), do: record_error(core, current(), :error, exception, stacktrace, tags)
    :ok
  end

  @doc "Records a sample of a gauge, taken now: `Memory/Physical` in MB, `CPU/Utilization` in %."
  def metric(name, value) do
    if core = core(), do: Native.record_metric(core, name, value)
    :ok
  end

  @doc "Records something about the application: `scout.metadata` and a JSON object as text."
  def event(kind, json) do
    if core = core(), do: Native.record_event(core, kind, json)
    :ok
  end

  @doc """
  Delivers what was recorded, and moves the core's log to `Logger`. May wait that long, on a dirty
  I/O scheduler.
  """
  @spec flush(non_neg_integer) :: :ok | :spooled | :off | {:error, {atom, String.t()}}
  def flush(timeout_ms \\ 1000) do
    case core() do
      nil ->
        :off

      core ->
        answer = Native.flush(core, timeout_ms)
        Log.pull(core)
        answer
    end
  end

  @doc "Flushes and stops. Runs when the node stops by itself; calling it twice does no harm."
  def shutdown(timeout_ms \\ 2000) do
    case core() do
      nil ->
        :off

      core ->
        began = System.monotonic_time(:millisecond)
        Native.flush(core, timeout_ms)
        # Now: after shutdown there is no core to ask.
        Log.pull(core)
        :persistent_term.erase({__MODULE__, :core})
        :persistent_term.put({__MODULE__, :off}, "it was shut down")
        spent = System.monotonic_time(:millisecond) - began
        Native.shutdown(core, max(timeout_ms - spent, 0))
    end
  end

  @doc "The core's counters; an empty map if nothing is recorded."
  @spec stats() :: %{optional(String.t()) => number}
  def stats do
    with core when core != nil <- core(), {:ok, json} <- Native.stats(core) do
      Json.numbers(json)
    else
      _ -> %{}
    end
  end

  @doc "The core's report for a support ticket, as JSON. Looks at files: not in a request."
  def diagnose do
    with core when core != nil <- core(), {:ok, json} <- Native.diagnose(core) do
      json
    else
      _ -> Json.encode(off: off_reason())
    end
  end

  @doc """
  The statement with `?` for every literal, without comments: safe to store and to show.

  `sql` is a binary of any bytes; `dialect` a database's or an adapter's name ("postgres", :myxql,
  ...), and nil or an unknown one means the strictest reading. Needs no `start/1`. Never raises and
  never returns the raw text: without a library, or for what is no binary, it is "?".
  """
  @spec sanitize_sql(binary, String.t() | atom) :: String.t()
  def sanitize_sql(sql, dialect \\ nil) do
    case Native.sql_sanitize(dialect(dialect), sql) do
      {:ok, text} -> text
      _ -> "?"
    end
  end

  @doc """
  The statement's verbs and tables, e.g. "SELECT users": of low cardinality, at most 255 bytes.
  Otherwise as `sanitize_sql/2`; without a library "".
  """
  @spec summarize_sql(binary, String.t() | atom) :: String.t()
  def summarize_sql(sql, dialect \\ nil) do
    case Native.sql_summarize(dialect(dialect), sql) do
      {:ok, text} -> text
      _ -> ""
    end
  end

  defp dialect(name) when is_binary(name), do: name
  defp dialect(name) when is_atom(name) and name != nil, do: Atom.to_string(name)
  defp dialect(_), do: ""

  defp core, do: :persistent_term.get({__MODULE__, :core}, nil)

  # Once a node: hooks cannot be taken back.
  defp at_exit do
    unless :persistent_term.get({__MODULE__, :at_exit}, false) do
      :persistent_term.put({__MODULE__, :at_exit}, true)
      System.at_exit(fn _status -> shutdown() end)
    end
  end

  defp turn_off(reason, warn) do
    if warn and reason != off_reason(),
      do: Logger.warning("scoutcore is off, nothing is recorded: " <> reason)

    :persistent_term.put({__MODULE__, :off}, reason)
    {:off, reason}
  end

  # Notes the innermost span of a failure; records it when it leaves the request. One that is
  # handled on the way out was not the request's.
  defp passed_by(core, span, parent, kind, reason, stacktrace) do
    if failure?(kind, reason) do
      innermost =
        case Process.get(@failure) do
          {^reason, span} -> span
          _ -> span
        end

      if parent do
        Process.put(@failure, {reason, innermost})
      else
        Process.delete(@failure)
        record_error(core, innermost, kind, reason, stacktrace, [])
      end
    end
  end

  defp failure?(:throw, _), do: false
  defp failure?(:exit, reason) when reason in [:normal, :shutdown], do: false
  defp failure?(:exit, {:shutdown, _}), do: false
  defp failure?(_, _), do: true

  defp record_error(core, span, kind, reason, stacktrace, tags) do
    {class, message} =
      case Exception.normalize(kind, reason, stacktrace) do
        %module{} = exception when kind == :error -> {inspect(module), Exception.message(exception)}
        other -> {Atom.to_string(kind), inspect(other)}
      end

    trace = if is_binary(span), do: span, else: @no_trace
    id = if is_binary(span), do: span_id(span), else: 0
    lines = Enum.map_join(stacktrace, "\n", &Exception.format_stacktrace_entry/1)

    with :badarg <- Native.record_error(core, trace, id, 0, class, message, lines, tags),
         do: Native.record_error(core, trace, id, 0, class, message, lines, texts(tags))
  end

  # As scout_nif.c lays a begun span out.
  defp span_id(<<_trace::binary-size(16), id::native-64, _::binary>>), do: id

  # Tags that the NIF does not take as they are: everything unusual becomes text.
  defp texts(tags) do
    for {key, value} <- tags, do: {text(key), if(plain?(value), do: value, else: text(value))}
  end

  defp plain?(value) do
    is_boolean(value) or is_nil(value) or is_float(value) or
      (is_integer(value) and value in -0x8000000000000000..0x7FFFFFFFFFFFFFFF)
  end

  defp text(value) when is_binary(value), do: value

  defp text(value) do
    to_string(value)
  rescue
    _ -> inspect(value)
  end
end
