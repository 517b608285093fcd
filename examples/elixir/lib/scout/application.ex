defmodule Scout.Application do
  @moduledoc """
  Starts the core with the application's environment, and delivers the rest when it stops:

      config :scout, name: "Shop"
  """

  use Application

  @impl true
  def start(_type, _arguments) do
    Scout.start(Application.get_all_env(:scout))
    Supervisor.start_link([], strategy: :one_for_one, name: Scout.Supervisor)
  end

  @impl true
  def stop(_state), do: Scout.shutdown()
end
