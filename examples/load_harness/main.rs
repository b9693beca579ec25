//! Loads a chat server with many accounts from one process and measures both: logins, idle sessions, messages that
//! reach a subscriber actor, and the way back after every link was lost.
//!
//! `cargo run --release --example local_server -- --load-users 1000 --stay`, and beside it
//! `cargo run --release --example load_harness -- --accounts 1000 --scenario idle --duration 60`
//!
//! The last line on stdout is one JSON object; everything for people goes to stderr.

mod descriptors;
mod fleet;
mod guard;
mod listener;
mod measure;
mod options;
mod progress;
mod reasons;
mod report;
mod scenario;
mod sessions;
#[path = "../common/signals.rs"]
mod signals;
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
/// No login succeeded, or nobody got the report.
const NOTHING: u8 = 3;
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
    if report.ok() == 0 && !report.interrupted {
        let reasons = if options.quiet { table::reasons(&report) } else { String::new() };
        let _ = write!(io::stderr(), "load_harness: no login succeeded\n{reasons}");
    }
    let written = writeln!(io::stdout(), "{}", report.json());
    if let Err(error) = &written {
        let _ = writeln!(io::stderr(), "load_harness: the report could not be written: {error}");
    }
    ExitCode::from(if report.interrupted {
        INTERRUPTED
    } else if report.ok() == 0 || written.is_err() {
        NOTHING
    } else if report.verdicts.iter().any(|verdict| verdict.broken) {
        BROKEN
    } else {
        0
    })
}
