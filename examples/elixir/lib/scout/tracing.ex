defmodule Scout.Tracing do
  @moduledoc """
  Traces whole functions, by an attribute before them:

      defmodule Shop.Prices do
        use Scout.Tracing

        @scout "Custom/prices/total"
        def total(order), do: ...
      end

  Every call of `total/1`, all its clauses, is a span then.
  """

  defmacro __using__(_options) do
    quote do
      Module.register_attribute(__MODULE__, :scout_traced, accumulate: true)
      @on_definition Scout.Tracing
      @before_compile Scout.Tracing
    end
  end

  @doc false
  def __on_definition__(env, kind, name, arguments, _guards, _body) do
    case Module.delete_attribute(env.module, :scout) do
      nil -> :ok
      operation -> Module.put_attribute(env.module, :scout_traced, {kind, name, length(arguments), operation})
    end
  end

  @doc false
  defmacro __before_compile__(env) do
    for {kind, name, arity, operation} <- Module.get_attribute(env.module, :scout_traced) do
      arguments = Macro.generate_arguments(arity, __MODULE__)

      quote do
        defoverridable [{unquote(name), unquote(arity)}]

        Kernel.unquote(kind)(unquote(name)(unquote_splicing(arguments))) do
          Scout.span(unquote(operation), fn -> super(unquote_splicing(arguments)) end)
        end
      end
    end
  end
end
