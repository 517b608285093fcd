// An Express application, as its users write them; nothing in it knows our agent.
// Serves on the port given, writes what each request did to the file given, a line of JSON each.
"use strict";
const scout = require("@scout_apm/scout-apm");
const express = require("express");
const http = require("http");
const fs = require("fs");

const [port, diary, socketPath, other] = process.argv.slice(2);
const config = scout.buildScoutConfiguration({
  monitor: true,
  name: process.env.SCOUT_NAME,
  key: process.env.SCOUT_KEY,
  coreAgentLaunch: false,
  socketPath,
  statisticsIntervalMS: 500,
});
const note = (did) => fs.appendFileSync(diary, JSON.stringify(did) + "\n");
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

const app = express();
app.use(scout.expressMiddleware({ config, requestTimeoutMs: 0 }));

// What its integration does for pg and mysql, whose servers this test does without.
const sql = (statement) =>
  scout.api.instrument("SQL/Query", (done, { span }) =>
    span
      .addContext("db.statement", statement)
      .then(() => sleep(3))
      .then(() => done())
  );

app.get("/users/:id", async (req, res) => {
  scout.api.Context.addSync("plan", "gold");
  scout.api.Context.addSync("n", req.query.n);
  await sql(`SELECT * FROM users WHERE id = ${req.params.id} AND name = 's3cret'`);
  note({ endpoint: "GET /users/:id", selects: 1, n: req.query.n });
  res.send("done");
});

app.post("/users", async (req, res) => {
  await sql("INSERT INTO users (name) VALUES ('s3cret')");
  note({ endpoint: "POST /users", inserts: 1 });
  res.send("done");
});

app.get("/repeated", async (req, res) => {
  for (let n = 0; n < 6; n++) await sql(`SELECT * FROM users WHERE id = ${n}`);
  note({ endpoint: "GET /repeated", selects: 6 });
  res.send("done");
});

app.get("/calls", (req, res) => {
  http.get(other, (reply) => {
    reply.resume();
    reply.on("end", () => {
      note({ endpoint: "GET /calls" });
      res.send("done");
    });
  });
});

app.get("/job", async (req, res) => {
  res.send("done");
  note({ endpoint: "GET /job", job: 1 });
});

let jobs = 0;
async function runJobs(count) {
  for (let n = 0; n < count; n++) {
    await scout.api.BackgroundTransaction.run("mailer", async (finish) => {
      await sleep(5);
      jobs++;
      await finish();
    });
  }
}

(async () => {
  await scout.install(config);
  const server = app.listen(Number(port), "127.0.0.1");
  // Its end is its standard input's.
  process.stdin.resume();
  process.stdin.on("end", async () => {
    await runJobs(4);
    note({ endpoint: "jobs", jobs });
    server.close();
    // The client has no way to wait for what it has sent.
    await sleep(700);
    process.exit(0);
  });
})().catch((error) => {
  console.error(error);
  process.exit(1);
});
