"use strict";

// Contract tests in Node: the reference binding, and the C functions through koffi.
//
//     contract.js --list
//     contract.js NAME

const { main } = require("./testing");

for (const name of ["abi", "encoding", "loading", "spans", "async", "sql", "processes", "threads"]) {
  require(`./test_${name}`);
}

main(process.argv[2]).catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
