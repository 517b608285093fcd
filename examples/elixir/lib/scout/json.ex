defmodule Scout.Json do
  @moduledoc """
  As much JSON as this binding needs, since there is none in Elixir's standard library: values of
  options out, a flat object of numbers in.
  """

  @doc "The options of `Scout.start/1`."
  def encode_options(options) when options == [] or options == %{}, do: ""
  def encode_options(options), do: object(options)

  @doc "The numbers of a flat object, as `Scout.stats/0` gives them."
  def numbers(json) do
    for [_, key, value] <- Regex.scan(~r/"([^"]+)":\s*(-?[0-9.eE+-]+)/, json), into: %{} do
      {key, value |> Float.parse() |> elem(0) |> whole()}
    end
  end

  defp whole(number) when trunc(number) == number, do: trunc(number)
  defp whole(number), do: number

  @doc "Encodes a value; keyword lists and maps become objects."
  def encode(nil), do: "null"
  def encode(value) when is_boolean(value), do: to_string(value)
  def encode(value) when is_integer(value) or is_float(value), do: to_string(value)
  def encode(value) when is_atom(value), do: encode(Atom.to_string(value))
  def encode(value) when is_binary(value), do: "\"" <> escape(value) <> "\""
  def encode(%{} = value), do: object(value)
  def encode([{_, _} | _] = value), do: object(value)
  def encode(value) when is_list(value), do: "[" <> Enum.map_join(value, ",", &encode/1) <> "]"

  defp object(pairs) do
    "{" <> Enum.map_join(pairs, ",", fn {k, v} -> encode("#{k}") <> ":" <> encode(v) end) <> "}"
  end

  defp escape(text) do
    for <<char::utf8 <- text>>, into: "" do
      case char do
        ?" -> "\\\""
        ?\\ -> "\\\\"
        _ when char < 32 -> "\\u" <> String.pad_leading(Integer.to_string(char, 16), 4, "0")
        _ -> <<char::utf8>>
      end
    end
  end
end
