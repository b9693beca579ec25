//! Many accounts for a long time, with cuts and an outage: the server in a process of its own. Short here;
//! `.ci/long fleet` runs 10 000 accounts for ten minutes.

use std::{
    env, fs,
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, ChildStdin, ChildStdout, Stdio},
    time::{Duration, Instant},
};

use agora_chat::{
    Config,
    fleet::{Breaker, Fleet, FleetConfig, LoginPace, StateKind},
    local_server::{Activity, Cut, Door, LocalServer, SessionEnd},
};

use crate::support::{
    own_process::{command, done_alone, full_name},
    quick, specs, until, within,
};

/// Set for the process that is the server.
const SERVER: &str = "AGORA_CHAT_FLEET_SERVER";

/// The size of the run.
struct Run {
    accounts: usize,
    lasts: Duration,
    outage: Duration,
    /// The share of the links that is cut each minute.
    cuts: f64,
    pace: u32,
    spread: Duration,
}

impl Run {
    fn of_this_process() -> Self {
        let number = |name: &str| env::var(name).ok().map(|value| value.parse::<u64>().unwrap());
        let seconds = number("AGORA_CHAT_FLEET_SECONDS");
        let long = seconds.is_some();
        Run {
            accounts: number("AGORA_CHAT_FLEET_ACCOUNTS").unwrap_or(if long { 10_000 } else { 300 }) as usize,
            lasts: Duration::from_secs(seconds.unwrap_or(12)),
            outage: Duration::from_secs(if long { 60 } else { 3 }),
            cuts: if long { 0.01 } else { 0.6 },
            pace: 100,
            spread: Duration::from_secs(if long { 60 } else { 2 }),
        }
    }
}

/// The server's process, told what to do a line at a time; each is answered by a line.
struct Server {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl Server {
    fn start(accounts: usize) -> (Self, Config) {
        let test = full_name(module_path!(), "the_server_of_its_own_process");
        let mut command = command(&test);
        command.env(SERVER, accounts.to_string()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (stdin, stdout) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        let mut server = Server { child, stdin, stdout };
        let words = server.answer();
        let [key, rest, socket] = [0, 1, 2].map(|at| words.split(' ').nth(at).unwrap().to_owned());
        (server, quick(Config::builder(key).addresses(rest, socket)).build().unwrap())
    }

    fn answer(&mut self) -> String {
        loop {
            let mut line = String::new();
            assert!(self.stdout.read_line(&mut line).unwrap() > 0, "the server has ended");
            if let Some((_, answer)) = line.split_once("answer: ") {
                return answer.trim().to_owned();
            }
        }
    }

    fn tell(&mut self, what: &str) -> String {
        writeln!(self.stdin, "{what}").unwrap();
        self.stdin.flush().unwrap();
        self.answer()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[actix::test]
#[ignore = "a part of another test, in a process of its own"]
#[allow(clippy::print_stdout, reason = "what the other process reads")]
async fn the_server_of_its_own_process() {
    let Ok(accounts) = env::var(SERVER) else { return };
    let server = LocalServer::start().await.unwrap();
    for number in 0..accounts.parse().unwrap() {
        server.create_user(&crate::support::name(number), "password").unwrap();
    }
    println!("answer: {} {} {}", server.app_key(), server.rest_url(), server.socket_url());
    let (told, mut lines) = tokio::sync::mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lines() {
            let Ok(line) = line else { return };
            if told.send(line).is_err() {
                return;
            }
        }
    });
    while let Some(line) = lines.recv().await {
        let words: Vec<&str> = line.split(' ').collect();
        let answer = match words[..] {
            ["cut", share, seed] => {
                server.cut_some(share.parse().unwrap(), seed.parse().unwrap(), Cut::Rst).to_string()
            }
            ["down"] => {
                server.door(Door::Refused).await.unwrap();
                server.drop_all(Cut::Rst).to_string()
            }
            ["up"] => {
                server.door(Door::Open).await.unwrap();
                String::new()
            }
            ["anew"] => {
                server.reset_rates();
                String::new()
            }
            ["dials"] => server.rate(Activity::Dials).peak_per_second().to_string(),
            ["seconds"] => {
                let seconds: Vec<String> =
                    server.rate(Activity::Logins).per_second().iter().map(u32::to_string).collect();
                seconds.join(",")
            }
            ["twice"] => server.online_twice().len().to_string(),
            ["online"] => server.online().to_string(),
            ["ends"] => {
                let log = server.session_log();
                let ended = |by| log.iter().filter(|session| session.end == Some(by)).count();
                format!("{} {}", ended(SessionEnd::Logout), ended(SessionEnd::Link))
            }
            _ => panic!("{line}"),
        };
        println!("answer: {answer}");
    }
}

/// Descriptors open, and resident memory in KiB.
fn taken() -> (usize, u64) {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let rss = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    let descriptors = fs::read_dir("/proc/self/fd").unwrap().count();
    (descriptors, rss.trim().trim_end_matches(" kB").parse().unwrap())
}

#[cfg(target_os = "linux")]
#[actix::test]
#[allow(clippy::print_stdout, reason = "the figures of the long run")]
async fn many_accounts_outlive_random_cuts_and_an_outage_and_leave_nothing_behind() {
    if done_alone() {
        return;
    }
    let run = Run::of_this_process();
    let (mut server, config) = Server::start(run.accounts);
    let mut breaker = Breaker::default();
    breaker.spread = run.spread;
    let pace = LoginPace::per_second(run.pace).burst(50).concurrent(64);
    let fleet = Fleet::start(FleetConfig::new(config).arbiters(2).pace(pace).breaker(breaker)).unwrap();
    let begun = Instant::now();
    for added in fleet.add_all(specs(0..run.accounts)).await.unwrap() {
        added.unwrap();
    }
    all_online(&fleet, run.accounts, Duration::from_secs(run.accounts as u64 / u64::from(run.pace) * 3 + 30)).await;
    let cold = begun.elapsed();
    let first = server.tell("dials");
    let before = taken();
    println!("{} accounts online after {cold:.1?}; {before:?} descriptors and KiB", run.accounts);

    // A share of the links, drawn each second; and one outage.
    server.tell("anew");
    let mut random = fastrand::Rng::with_seed(7);
    let (begun, outage_at) = (Instant::now(), run.lasts / 4);
    let mut cut = 0_usize;
    let mut outage = None;
    let mut owed = 0.0;
    while begun.elapsed() < run.lasts {
        tokio::time::sleep(Duration::from_secs(1)).await;
        owed += run.accounts as f64 * run.cuts / 60.0;
        if owed >= 1.0 {
            let share = owed.floor() / run.accounts as f64;
            owed -= owed.floor();
            cut += server.tell(&format!("cut {share} {}", random.u32(..))).parse::<usize>().unwrap();
        }
        if outage.is_none() && begun.elapsed() >= outage_at {
            outage = Some(Instant::now());
            println!("the outage cuts {} links at {:.1?}", server.tell("down"), begun.elapsed());
            tokio::time::sleep(run.outage).await;
            server.tell("up");
            println!("it is over at {:.1?}", begun.elapsed());
        }
    }
    all_online(&fleet, run.accounts, Duration::from_secs(300)).await;
    let (dials, seconds) = (server.tell("dials"), server.tell("seconds"));
    println!(
        "{cut} links cut at random; dials in any second: at most {first} at first and {dials} after; logins by second: {seconds}"
    );
    let slack = run.pace as usize * 3;
    assert!(first.parse::<usize>().unwrap() <= slack && dials.parse::<usize>().unwrap() <= slack, "{first} {dials}");

    // What was there before is there again, and no more: the last links' sockets may still be closing.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let after = taken();
    println!("before {before:?}, after {after:?} descriptors and KiB");
    assert!(after.0 <= before.0 + 20, "descriptors: {before:?} {after:?}");
    assert!(after.1 <= before.1 + before.1 / 4 + 4096, "memory: {before:?} {after:?}");
    assert_eq!(server.tell("twice"), "0");
    assert_eq!(server.tell("online"), run.accounts.to_string());
    let report = within("the drain", fleet.drain(Duration::from_secs(50))).await;
    println!("{report}");
    assert!(report.is_clean(), "{report}");
    let ends = server.tell("ends");
    assert_eq!(ends.split(' ').next(), Some(run.accounts.to_string().as_str()), "{ends}");
}

async fn all_online(fleet: &Fleet, accounts: usize, limit: Duration) {
    let waited = until(fleet, "all online", |fleet| fleet.summary().of(StateKind::Online) == accounts);
    tokio::time::timeout(limit, waited).await.unwrap_or_else(|_| panic!("{:?}", fleet.summary()));
}
