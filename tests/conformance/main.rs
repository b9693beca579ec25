//! The upgrade and the framing against the cases of the Autobahn test suite, as PyPI's `kosoku` runs them.
//!
//! `AGORA_CHAT_KOSOKU` names the program, `AGORA_CHAT_CONFORMANCE` the folder for its reports, into which also goes a count in
//! the form of TAP. `.ci/run` sets both and runs this; without them there is nothing to talk to.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

use std::{
    env, fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use agora_chat::{Limits, fuzzing::echo};
use serde_json::Value;

const AGENT: &str = "agora-chat";

/// How long one case may take; the suite itself gives up before.
const CASE: Duration = Duration::from_secs(120);

/// The suite's server, which ends with this.
struct Suite(Child);

impl Drop for Suite {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Suite {
    /// Starts it on a free port: the server and its address.
    fn start(cases: &[&str], reports: &Path) -> (Self, String) {
        let program = env::var_os("AGORA_CHAT_KOSOKU").expect("AGORA_CHAT_KOSOKU names the program");
        let mut command = Command::new(program);
        command.args(["-m", "fuzzingserver", "127.0.0.1:0", "-o"]).arg(reports);
        command.args(cases.iter().flat_map(|case| ["-i", *case]));
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let suite = Suite(child);
        let address = lines.find_map(|line| Some(line.unwrap().split_once("listening on ")?.1.to_owned()));
        let address = address.expect("the server says where it listens");
        // What it says of cases that failed stands in the report, too; the pipe must not fill.
        std::thread::spawn(move || lines.for_each(drop));
        (suite, address)
    }

    /// Waits for its end, when its reports are written.
    fn end(mut self) {
        self.0.wait().unwrap();
    }
}

/// The verdicts: case, of the exchange, of the closing handshake.
fn verdicts(reports: &Path) -> Vec<(String, String, String)> {
    let index: Value = serde_json::from_slice(&fs::read(reports.join("index.json")).unwrap()).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let cases = index[AGENT].as_object().unwrap();
    cases.iter().map(|(case, told)| (case.clone(), text(&told["behavior"]), text(&told["behaviorClose"]))).collect()
}

/// Runs these cases and holds each to its verdict.
async fn passes(name: &str, cases: &[&str], count: usize, largest: usize) {
    let reports = PathBuf::from(env::var_os("AGORA_CHAT_CONFORMANCE").expect("a folder for the reports")).join(name);
    let _ = fs::remove_dir_all(&reports);
    fs::create_dir_all(&reports).unwrap();
    let (suite, address) = Suite::start(cases, &reports);
    let talk = async |path: String| {
        let url = format!("{address}{path}");
        actix_rt::time::timeout(CASE, echo(&url, largest)).await.unwrap_or_else(|_| panic!("{url} takes too long"))
    };
    let (_, told) = talk("/getCaseCount".to_owned()).await;
    let told: usize = std::str::from_utf8(&told[0]).unwrap().parse().unwrap();
    for case in 1..=told {
        talk(format!("/runCase?case={case}&agent={AGENT}")).await;
    }
    talk(format!("/updateReports?agent={AGENT}")).await;
    suite.end();

    let verdicts = verdicts(&reports);
    let good = |verdict: &str| matches!(verdict, "OK" | "NON-STRICT" | "INFORMATIONAL");
    let bad: Vec<_> = verdicts.iter().filter(|(_, one, other)| !good(one) || !good(other)).collect();
    let (all, failed) = (verdicts.len(), bad.len());
    let tap = format!("# tests {all}\n# pass {}\n# fail {failed}\n", all - failed);
    fs::write(reports.join("cases.tap"), tap).unwrap();
    println!("{name}: {} of {all} cases pass; the report is {}", all - failed, reports.join("index.html").display());
    assert!(bad.is_empty(), "{bad:#?}");
    assert_eq!((told, all), (count, count), "as many cases as the suite has");
}

#[ignore = "needs PyPI's kosoku, see .ci/run"]
#[actix::test]
async fn the_upgrade_and_the_framing_pass_every_case_of_the_suite() {
    let cases = ["1.*", "2.*", "3.*", "4.*", "5.*", "6.*", "7.*", "10.*"];
    passes("framing", &cases, 247, Limits::default().frame).await;
}

#[ignore = "needs PyPI's kosoku, see .ci/run"]
#[actix::test]
async fn messages_of_16_mib_in_whole_and_in_fragments_pass_with_the_limits_raised() {
    passes("large", &["9.*"], 54, 64 << 20).await;
}
