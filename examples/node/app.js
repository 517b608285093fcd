"use strict";

// A small program that shows the binding: requests, an N+1, an error, a job.
//
//     npm install && node app.js        # payload files go to ./scout-data

const { setTimeout: sleep } = require("timers/promises");
const scout = require("./scout");

async function query(sql, rows) {
  return scout.span("SQL/Query", { "db.statement": sql }, async (span) => {
    await sleep(1);
    span.tag("db.rows_returned", rows);
    return Array.from({ length: rows }, (_, id) => ({ id }));
  });
}

const index = scout.wrap("Controller/orders/index", async () => {
  scout.tagRequest({ path: "/orders", user_ip: "127.0.0.1" });
  const orders = await query("SELECT id FROM orders WHERE customer = 'ada'", 12);
  for (const { id } of orders) await query(`SELECT * FROM items WHERE order_id = ${id}`, 1); // an N+1
  scout.span("Template/Render", { name: "orders/index.html" }, () => JSON.stringify(orders));
});

const broken = scout.wrap("Controller/orders/broken", async () => {
  JSON.parse("no JSON"); // the exception marks the request
});

const nightly = scout.wrap("Job/reports/nightly", async () => {
  // Under the job, at the same time: each has the current span of the place that began it.
  const fetch = (url) => scout.span("HTTP/GET", { url }, () => sleep(5));
  await Promise.all([fetch("https://a.example/"), fetch("https://b.example/")]);
});

async function main() {
  if (!scout.start({ name: "Example", data_dir: "scout-data" })) {
    console.log("scoutcore is off:", scout.offReason());
  }
  await Promise.all(Array.from({ length: 20 }, () => index())); // twenty requests at once
  await broken().catch(() => {});
  await nightly();
  await scout.flush(2000);
  console.log("recorded:", scout.stats());
}

main();
