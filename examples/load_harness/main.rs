//! Loads a chat server with many accounts from one process and measures both: logins, idle sessions, messages that
//! reach a subscriber actor, and the way back after every link was lost.
//!
//! `cargo run --release --example load_harness -- --rest-url http://127.0.0.1:17000 --socket-url
//! ws://127.0.0.1:17000/websocket --app-key org#app --accounts 1000 --scenario idle --duration 60`
//!
//! The last line on stdout is one JSON object; everything for people goes to stderr.

mod descriptors;
mod fleet;
mod guard;
mod listener;
mod measure;
mod options;
mod progress;
mod report;
mod scenario;
mod table;
mod tally;
mod threshold;
mod warm;

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

use clap::Parser as _;
use options::Options;

/// A threshold is broken.
const BROKEN: u8 = 1;
/// What was asked for cannot be done here; as clap's own.
const USAGE: u8 = 2;
/// Ctrl-C, by the shells' convention.
const INTERRUPTED: u8 = 130;

#[actix::main]
async fn main() -> ExitCode {
    let options = Options::parse();
    let plan = match options.plan() {
        Ok(plan) => plan,
        Err(problem) => {
            let _ = writeln!(io::stderr(), "load_harness: {problem}");
            return ExitCode::from(USAGE);
        }
    };
    let report = match scenario::run(plan).await {
        Ok(report) => report,
        Err(problem) => {
            let _ = writeln!(io::stderr(), "load_harness: {problem}");
            return ExitCode::from(USAGE);
        }
    };
    if !options.quiet {
        let _ = write!(io::stderr(), "{}", table::of(&report));
    }
    // A reader that has gone needs no answer.
    let _ = writeln!(io::stdout(), "{}", report.json());
    ExitCode::from(if report.interrupted {
        INTERRUPTED
    } else if report.verdicts.iter().any(|verdict| verdict.broken) {
        BROKEN
    } else {
        0
    })
}
