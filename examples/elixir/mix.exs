defmodule Scout.MixProject do
  use Mix.Project

  def project do
    [
      app: :scout,
      version: "0.1.0",
      elixir: "~> 1.12",
      compilers: [:scout_nif | Mix.compilers()],
      deps: []
    ]
  end

  def application do
    [mod: {Scout.Application, []}, extra_applications: [:logger]]
  end
end

defmodule Mix.Tasks.Compile.ScoutNif do
  @moduledoc "Builds the shim into the application's priv directory."
  use Mix.Task.Compiler

  @impl true
  def run(_arguments) do
    case System.cmd("make", ["nif", "OUT=" <> Mix.Project.app_path()], stderr_to_stdout: true) do
      {_, 0} -> :ok
      # Without a shim everything is a no-op: no reason to fail the host's build.
      {output, _} -> Mix.shell().error("scout: no monitoring, the shim was not built:\n" <> output)
    end

    :ok
  end
end
