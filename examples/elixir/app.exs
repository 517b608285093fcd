# A small program that shows the binding: requests, an N+1, an error, a job with tasks.
#
#     make && elixir -pa _build/make/ebin app.exs      # payload files go to ./scout-data

defmodule Example do
  use Scout.Tracing

  def query(sql, rows) do
    Scout.span("SQL/Query", %{"db.statement" => sql}, fn ->
      Process.sleep(1)
      Scout.tag("db.rows_returned", rows)
    end)
  end

  @scout "Controller/orders/index"
  def index do
    Scout.tag_request(%{path: "/orders", user_ip: "127.0.0.1"})
    query("SELECT id FROM orders WHERE customer = 'ada'", 12)
    for order <- 1..12, do: query("SELECT * FROM items WHERE order_id = #{order}", 1) # an N+1
    Scout.span("Template/Render", [name: "orders/index.eex"], fn -> Process.sleep(2) end)
  end

  @scout "Controller/orders/broken"
  def broken, do: String.to_integer(Enum.random(["seven", "eleven"]))

  @scout "Job/reports/nightly"
  def nightly do
    job = Scout.current()

    ["https://a.example/", "https://b.example/"]
    |> Enum.map(fn url ->
      Task.async(fn ->
        Scout.attach(job, fn ->
          Scout.span("HTTP/GET", %{"url" => url}, fn -> Process.sleep(5) end)
        end)
      end)
    end)
    |> Task.await_many()
  end
end

case Scout.start(name: "Example", data_dir: Path.expand("scout-data")) do
  :ok -> :ok
  {:off, reason} -> IO.puts("scoutcore is off: " <> reason)
end

for _ <- 1..20, do: Example.index()

try do
  Example.broken()
rescue
  ArgumentError -> :ok
end

Example.nightly()
Scout.flush(2000)
IO.inspect(Scout.stats(), label: "recorded")
