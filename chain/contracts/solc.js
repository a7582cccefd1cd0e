#!/usr/bin/env node
// The compiler as forge wants it: --version and --standard-json of npm's solc,
// for which no native program is packaged.
"use strict";
const fs = require("fs");
const solc = require("solc");

const args = process.argv.slice(2);
if (args.includes("--version")) {
  console.log("solc, the solidity compiler commandline interface");
  console.log("Version: " + solc.version());
} else if (args.includes("--standard-json")) {
  process.stdout.write(solc.compile(fs.readFileSync(0, "utf8")));
} else {
  console.error("solc.js: expected --version or --standard-json");
  process.exitCode = 2;
}
