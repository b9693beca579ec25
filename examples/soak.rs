//! Keeps many accounts online through a network that fails at random, and measures what that leaves behind.
//!
//! `cargo run --release --example soak -- --accounts 200 --seconds 300`

#[path = "common/failure.rs"]
#[allow(dead_code, reason = "what other programs need is there as well")]
mod failure;
#[path = "common/signals.rs"]
mod signals;

use std::{
    cell::Cell,
    error::Error,
    fmt, fs,
    io::{self, Write as _},
    process::ExitCode,
    rc::Rc,
    time::Duration,
};

use agora_chat::{
    Connection, ConnectionState, Credentials, DisconnectReason, EventHandler, EventKind, Reconnect,
    config::Flapping,
    local_server::{Cut, Direction, Door, FaultProxy, Faults, LocalServer},
};
use clap::Parser;
use signals::Signals;
use tokio::time::{Instant, sleep, sleep_until};

/// Keeps many accounts online through a network that fails at random.
///
/// Server, proxy and clients run in this process. Every second the network does something else: cuts one chunk in a
/// hundred, delays, stalls, cuts everything, refuses or drops or ignores new connections. In the end the faults stop.
#[derive(Clone, Copy, Parser)]
#[command(after_help = "\
Exit status: 0 when in the end every account is online, no account was ever logged out, there are no more descriptors,
threads and links than before the faults, no send is left unanswered, and memory grew by no more than the noise; else 1. 130 when SIGINT,
SIGTERM or SIGHUP ended it before that.
Tasks of an actix system cannot be counted from outside; links at the proxy, links at the server and sends under way are
one or two tasks each, and everything else is started once for each account.

Memory is compared with that of a third of the time. The noise is 8 MiB and 64 KiB for each account, most of it what
the server remembers of messages and frames, up to its bounds.")]
struct Options {
    /// How many accounts.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=5_000))]
    accounts: u32,
    /// For how long the network fails.
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u64).range(3..=1_000_000))]
    seconds: u64,
    /// What chance is drawn from; without it, drawn anew.
    #[arg(long)]
    seed: Option<u64>,
    /// Seconds between reports.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..))]
    every: u64,
}

/// How long everybody may take to be online when the network is well again.
const RECOVERY: Duration = Duration::from_secs(60);

/// What the subscribers of all accounts have counted.
#[derive(Default)]
struct Heard {
    reconnecting: Cell<u64>,
    resumed: Cell<u64>,
    messages: Cell<u64>,
    flapping: Cell<u64>,
    sends_under_way: Cell<u64>,
    logged_out: Cell<u64>,
}

struct Soak {
    options: Options,
    server: LocalServer,
    proxy: FaultProxy,
    connections: Vec<Connection>,
    heard: Rc<Heard>,
    rng: fastrand::Rng,
    begun: Instant,
}

/// What the process holds.
#[derive(Clone, Copy, Debug, Default)]
struct Held {
    descriptors: usize,
    threads: usize,
    resident_kib: usize,
}

impl Held {
    fn now() -> Self {
        let entries = |path| fs::read_dir(path).map_or(0, Iterator::count);
        let statm = fs::read_to_string("/proc/self/statm").unwrap_or_default();
        let pages: usize = statm.split(' ').nth(1).and_then(|pages| pages.parse().ok()).unwrap_or(0);
        Held {
            // Reading the directory takes one itself.
            descriptors: entries("/proc/self/fd").saturating_sub(1),
            threads: entries("/proc/self/task"),
            resident_kib: pages * 4,
        }
    }
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Held { descriptors, threads, resident_kib } = self;
        write!(f, "{descriptors} descriptors, {threads} threads, {:.1} MiB", *resident_kib as f64 / 1024.0)
    }
}

impl Soak {
    async fn start(options: Options) -> Result<Self, Box<dyn Error>> {
        let seed = options.seed.unwrap_or_else(|| fastrand::u64(..));
        let server = LocalServer::start().await?;
        let proxy = FaultProxy::seeded(server.address(), seed).await?;
        writeln!(io::stdout(), "{} accounts for {} s, seed {seed}", options.accounts, options.seconds)?;
        let heard = Rc::new(Heard::default());
        let mut flapping = Flapping::default();
        flapping.floor = Duration::from_secs(5);
        let mut connections = Vec::new();
        for nth in 0..options.accounts {
            server.create_user(&name(nth), "secret")?;
            let mut reconnect = Reconnect::default();
            reconnect.base = Duration::from_millis(200);
            reconnect.cap = Duration::from_secs(5);
            // Everybody flaps in this network; a floor of a minute would leave little to see.
            reconnect.flapping = Some(flapping.clone());
            let config = proxy
                .config_through(&server)?
                .reconnect(reconnect)
                .heartbeat(Duration::from_secs(5), Duration::from_secs(3))
                .connect_timeouts(Duration::from_secs(3), Duration::from_secs(3));
            let connection = Connection::start(config.build()?)?;
            connection.add_event_handler("soak", listen(nth, &heard))?;
            connection.open(Credentials::password(&name(nth), "secret")?).await?;
            connections.push(connection);
        }
        let rng = fastrand::Rng::with_seed(seed);
        Ok(Soak { options, server, proxy, connections, heard, rng, begun: Instant::now() })
    }

    fn online(&self) -> usize {
        self.connections.iter().filter(|connection| connection.state() == ConnectionState::Online).count()
    }

    fn report(&self) -> io::Result<()> {
        let Heard { reconnecting, resumed, messages, flapping, sends_under_way, .. } = &*self.heard;
        writeln!(
            io::stdout(),
            "{:4} s: {} online, {} attempts to reconnect, {} succeeded, {} flapping, {} cuts, {} messages, {} sends and \
             {} links under way; {}",
            self.begun.elapsed().as_secs(),
            self.online(),
            reconnecting.get(),
            resumed.get(),
            flapping.get(),
            self.proxy.counts().cuts,
            messages.get(),
            sends_under_way.get(),
            self.proxy.counts().open,
            Held::now(),
        )
    }

    /// Lets the network do something else.
    async fn weather(&mut self) -> Result<(), Box<dyn Error>> {
        self.proxy.door(Door::Open).await?;
        let mut direction = Direction::default();
        direction.cut_chance = 0.01;
        direction.jitter = Duration::from_millis(self.rng.u64(0..80));
        let mut faults = Faults::both(direction);
        match self.rng.u8(0..20) {
            0 => {
                self.proxy.cut_all(if self.rng.bool() { Cut::Fin } else { Cut::Rst });
            }
            1 => faults.to_server.stalled = true,
            2 => faults.to_client.stalled = true,
            3 => faults = Faults::stalled(),
            4 => self.proxy.door(Door::Refused).await?,
            5 => self.proxy.door(Door::Dropped(Cut::Rst)).await?,
            6 => self.proxy.door(Door::Silent).await?,
            7 => {
                faults.cut_chance = 0.5;
                faults.cut_within = 2_000;
            }
            _ => {}
        }
        self.proxy.set(faults);
        Ok(())
    }

    /// A few accounts say something to somebody; it may fail.
    fn chatter(&mut self) {
        for _ in 0..self.options.accounts.div_ceil(10) {
            let (from, to) = (self.rng.usize(0..self.connections.len()), self.rng.u32(0..self.options.accounts));
            if let Some(connection) = self.connections.get(from).cloned() {
                let heard = Rc::clone(&self.heard);
                heard.sends_under_way.set(heard.sends_under_way.get() + 1);
                actix_rt::spawn(async move {
                    // What is not delivered is told to nobody here.
                    let _ = connection.send_text(&name(to), "hello over there").await;
                    heard.sends_under_way.set(heard.sends_under_way.get() - 1);
                });
            }
        }
    }

    /// Whether everybody is online and nothing is left of links that were lost, within the time for that.
    async fn settles(&self) -> bool {
        let deadline = Instant::now() + RECOVERY;
        let wanted = self.connections.len();
        while self.online() < wanted
            || self.server.stats().links > wanted
            || self.proxy.counts().open > wanted
            || self.heard.sends_under_way.get() > 0
        {
            if Instant::now() >= deadline {
                return false;
            }
            sleep(Duration::from_millis(100)).await;
        }
        true
    }

    /// Runs to the end; what went wrong, in words.
    async fn run(&mut self) -> Result<Vec<String>, Box<dyn Error>> {
        if !self.settles().await {
            return Ok(vec!["not everybody came online before the first fault".to_owned()]);
        }
        let before = Held::now();
        writeln!(io::stdout(), "all online: {before}")?;
        let mut warm = None;
        self.begun = Instant::now();
        for second in 1..=self.options.seconds {
            self.weather().await?;
            self.chatter();
            sleep_until(self.begun + Duration::from_secs(second)).await;
            if second.is_multiple_of(self.options.every) {
                self.report()?;
            }
            if second >= self.options.seconds / 3 {
                warm.get_or_insert_with(Held::now);
            }
        }
        self.proxy.door(Door::Open).await?;
        self.proxy.clear();
        let settled = self.settles().await;
        self.report()?;
        let (after, warm) = (Held::now(), warm.unwrap_or(before));
        let stats = self.server.stats();
        writeln!(
            io::stdout(),
            "before {before}\nwarm   {warm}\nafter  {after}\nlinks: {} at the proxy, {} at the server",
            self.proxy.counts().open,
            stats.links,
        )?;
        let mut wrong = Vec::new();
        let mut check = |holds: bool, what: String| {
            if !holds {
                wrong.push(what);
            }
        };
        check(
            settled,
            format!("{} of {} are online, or links or sends are left", self.online(), self.connections.len()),
        );
        check(self.heard.logged_out.get() == 0, format!("{} were logged out", self.heard.logged_out.get()));
        check(after.descriptors <= before.descriptors, "there are more descriptors than before".to_owned());
        check(after.threads <= before.threads + 1, "there are more threads than before".to_owned());
        let noise = 8 * 1024 + 64 * self.connections.len();
        let grown = after.resident_kib.saturating_sub(warm.resident_kib);
        check(grown <= noise, format!("memory grew by {grown} KiB, the noise is {noise}"));
        Ok(wrong)
    }
}

fn name(nth: u32) -> String {
    format!("account-{nth}")
}

fn listen(nth: u32, heard: &Rc<Heard>) -> EventHandler {
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let heard = Rc::clone(heard);
    actix_rt::spawn(async move {
        let add = |count: &Cell<u64>| count.set(count.get() + 1);
        while let Some(kind) = told.recv().await {
            match kind {
                EventKind::Reconnecting { .. } => add(&heard.reconnecting),
                EventKind::Connected { resumed: true } => add(&heard.resumed),
                EventKind::Message(_) => add(&heard.messages),
                EventKind::Flapping { .. } => add(&heard.flapping),
                EventKind::Disconnected { reason } if reason != DisconnectReason::Closed => {
                    add(&heard.logged_out);
                    let _ = writeln!(io::stdout(), "{} is logged out: {reason}", name(nth));
                }
                _ => {}
            }
        }
    });
    EventHandler::new().on_event(move |event| {
        // The program may be ending.
        let _ = tell.send(event.kind().clone());
    })
}

/// Interrupted, by the shells' convention.
const INTERRUPTED: u8 = 130;

/// Runs to the end, or until a signal; `None` where one came.
async fn soak(options: Options) -> Result<Option<Vec<String>>, Box<dyn Error>> {
    let mut signals = Signals::listen()?;
    let mut soak = Soak::start(options).await?;
    tokio::select! {
        wrong = soak.run() => return wrong.map(Some),
        _ = signals.next() => {}
    }
    soak.report()?;
    Ok(None)
}

#[actix::main]
async fn main() -> ExitCode {
    match soak(Options::parse()).await {
        Ok(Some(wrong)) if wrong.is_empty() => {
            let _ = writeln!(io::stdout(), "all is well");
            ExitCode::SUCCESS
        }
        Ok(Some(wrong)) => {
            let _ = writeln!(io::stdout(), "failed: {}", wrong.join("; "));
            ExitCode::FAILURE
        }
        Ok(None) => {
            let _ = writeln!(io::stdout(), "interrupted: this is what was counted until then");
            ExitCode::from(INTERRUPTED)
        }
        Err(error) => failure::status(Err(error)),
    }
}
