#!/usr/bin/env node
// What holds for all values, by the compiler's own checker and Debian's z3:
//   node chain/contracts/prove.js [bmc|chc] [CONTRACT ...]
// Without arguments the books of rewards (test/Books.sol), in some seconds.
// The contracts themselves are too much for it: no answer in 100 seconds.
// Exit 1 if something is not proved.
"use strict";
const fs = require("fs");
const path = require("path");
const solc = require("solc");
const checker = require("solc/smtchecker");
const solver = require("solc/smtsolver");

process.chdir(__dirname);
const engine = process.argv[2] || "bmc";
const wanted = process.argv.slice(3);
if (!["chc", "bmc"].includes(engine)) {
  console.error("prove.js: expected chc or bmc, found " + engine);
  process.exit(2);
}

const files = { CoveyFederation: "src", CoveyRewards: "src", Books: "test" };
const names = wanted.length ? wanted : ["Books"];
for (const name of names.filter((n) => !files[n])) {
  console.error(`prove.js: no ${name}; one of ${Object.keys(files)}`);
  process.exit(2);
}
if (solver.availableSolvers.length === 0) {
  console.error("prove.js: no solver; install Debian's z3");
  process.exit(3);
}
const find = (file) => {
  const where = file.startsWith("@") ? "node_modules/" + file : file;
  try {
    return { contents: fs.readFileSync(path.normalize(where), "utf8") };
  } catch (e) {
    return { error: e.message };
  }
};

// Overflows are checked at run time; asking for them all takes long.
const targets = process.env.TARGETS
  ? process.env.TARGETS.split(",")
  : ["assert"];

let bad = false;
for (const name of names) {
  const file = `${files[name]}/${name}.sol`;
  const input = {
    language: "Solidity",
    sources: { [file]: { content: find(file).contents } },
    settings: {
      evmVersion: "cancun",
      outputSelection: { [file]: { [name]: ["abi"] } },
      modelChecker: {
        engine,
        solvers: ["smtlib2"],
        contracts: { [file]: [name] },
        targets,
        showProvedSafe: true,
        showUnproved: true,
        timeout: 10000,
      },
    },
  };
  const output = JSON.parse(
    solc.compile(JSON.stringify(input), {
      import: find,
      smtSolver: checker.smtCallback(solver.smtSolver),
    })
  );
  for (const e of output.errors || []) {
    if (!e.message.match(/^(CHC|BMC)/) && e.severity !== "error") continue;
    const line = e.sourceLocation ? lineOf(e.sourceLocation) : "";
    console.log(`${name} ${line} ${e.message.split("\n")[0]}`);
    if (!/ is safe/.test(e.message)) bad = true;
  }
}
process.exitCode = bad ? 1 : 0;

function lineOf(at) {
  const text = find(at.file).contents || "";
  return `${at.file}:${text.slice(0, at.start).split("\n").length}`;
}
