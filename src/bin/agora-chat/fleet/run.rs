//! `agora-chat fleet run`.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use agora_chat::{
    LogConfig, LogHandle,
    delivery::FileDeadLetters,
    fleet::{
        Fleet, FleetChange, FleetConfig, FleetError,
        admin::{Admin, AdminError, Served},
    },
    logger::Terminal,
    store::FileCursors,
};
use slog::{Logger, error, info, warn};
use tokio::{
    sync::oneshot,
    time::{interval, timeout},
};

use super::{
    FILES,
    accounts::{self, Row},
    changes, check,
    config::{self, Settings},
    echo,
    folder::Folder,
    roster::Roster,
};
use crate::{
    exit, failure, notify,
    out::Out,
    print,
    signals::{Asked, Signals},
};

/// How long the end may take beside the drain: output, and the log.
const PATIENCE: Duration = Duration::from_secs(1);

/// How often a service manager is asked for more time while the fleet is drained.
const EXTEND_EVERY: Duration = Duration::from_secs(2);

/// Keeps the accounts of a file online until a signal ends it.
#[derive(clap::Args)]
#[command(after_long_help = format!("{FILES}
`agora-chat fleet check` reads all of it and says what is wrong.

Signals: SIGTERM and SIGINT log everybody out, and the program ends; a second one ends it at once. SIGHUP reads the accounts
again (new ones are logged in, missing ones logged out and forgotten, changed ones updated) and opens the log file anew. A
file of accounts that cannot be read, or with a single wrong line, then changes nothing, and the log says why.

stdout: nothing, or with --json one object for each change of an account's state and nothing else:
{{\"at_ms\":…,\"user\":\"bot-1\",\"from\":\"waiting\",\"to\":\"logging_in\",\"cause\":null,\"epoch\":…}}, where epoch is the time of the
start in milliseconds. A reader who stands still delays nobody: what changed meanwhile comes as one. When nobody reads any
more, everybody is logged out, and the program ends with 6. stderr: the log.

systemd: with Type=notify or notify-reload it is told READY=1 once the accounts are read, RELOADING=1, STOPPING=1,
EXTEND_TIMEOUT_USEC while accounts are logged out, and WATCHDOG=1 where WatchdogSec is set.

Exit status: 0 everybody was logged out as asked, 1 not started (the folder is in use by another process, the port is taken,
a disk fails), 2 usage: the command line, the configuration or the accounts are wrong, 6 stdout is gone, 130 a second signal
cut the end short."))]
pub(crate) struct Args {
    /// The configuration, TOML
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// One JSON object for each change of an account's state on stdout
    #[arg(long)]
    json: bool,
}

pub(crate) fn main(args: &Args) -> u8 {
    actix_rt::System::new().block_on(async {
        // From here on a signal logs out.
        let signals = match Signals::listen() {
            Ok(signals) => signals,
            Err(error) => return not_started(error),
        };
        let Some((settings, rows)) = check::read(&args.config) else { return exit::USAGE };
        raise_descriptors();
        match start(args, &settings) {
            Ok(started) => run(started, &settings, rows, signals).await,
            Err(why) => not_started(why),
        }
    })
}

fn not_started(why: impl std::fmt::Display) -> u8 {
    print::problem(why);
    exit::NOT_STARTED
}

/// What is there before the first account.
struct Started {
    fleet: Fleet,
    log: LogHandle,
    cursors: FileCursors,
    out: Option<Out>,
    admin: Option<Served>,
    /// Whether the accounts are read.
    is_ready: Arc<AtomicBool>,
    /// Locked until the end.
    _folder: Folder,
}

fn start(args: &Args, settings: &Settings) -> Result<Started, String> {
    let folder = Folder::open(&settings.state_dir)?;
    let mut log = LogConfig::new().terminal(Terminal::Stderr).level(settings.level);
    if let Some(file) = &settings.log_file {
        log = log.file(file);
    }
    let log = LogHandle::start(log).map_err(|error| error.to_string())?;
    // The first lines nobody waits for are none: a line left out is caught up with.
    let out = args.json.then(|| Out::start(|_| String::new())).transpose().map_err(|error| error.to_string())?;
    let config = settings.config.clone().kick_policy(settings.kicks.clone());
    let config =
        config.state_dir(folder.state.clone()).logger(log.slog()).build().map_err(|error| error.to_string())?;
    let mut fleet = FleetConfig::new(config).node(settings.node.as_str()).pace(settings.pace.of_fleet());
    if settings.echo {
        let letters = FileDeadLetters::open(folder.state.path()).map_err(|error| error.to_string())?;
        fleet = fleet.handler(move |account| echo::handler(account, letters.clone()));
    }
    let cursors = FileCursors::open(folder.state.path()).map_err(|error| error.to_string())?;
    let fleet = Fleet::start(fleet).map_err(|error| error.to_string())?;
    let is_ready = Arc::<AtomicBool>::default();
    let admin = settings.admin.as_ref().map(|admin| serve(&fleet, admin, &log, &is_ready)).transpose();
    let admin = admin.map_err(|error| error.to_string())?;
    Ok(Started { fleet, log, cursors, out, admin, is_ready, _folder: folder })
}

async fn run(started: Started, settings: &Settings, rows: Vec<Row>, signals: Signals) -> u8 {
    let Started { fleet, log: handle, cursors, out, admin, is_ready, _folder } = started;
    let log = handle.slog();
    if !settings.echo {
        warn!(log, "messages are received and dropped, since the configuration has no [bot]");
    }
    let changes = fleet.watch();
    let (told, all_told) = oneshot::channel::<()>();
    if let Some(out) = &out {
        let (fleet, out, changes, epoch) = (fleet.clone(), out.clone(), fleet.watch(), fleet.epoch());
        actix_rt::spawn(async move {
            // Its reader's end is heard of elsewhere.
            let _ = changes::tell(&fleet, changes, &out, epoch).await;
            drop(told);
        });
    }
    let mut roster = Roster::new(settings.tokens.clone(), cursors, log.clone());
    match roster.apply(&fleet, rows).await {
        Ok(changed) => info!(log, "accounts read"; "changed" => %changed),
        Err(error) => return not_started(error),
    }
    is_ready.store(true, Ordering::Relaxed);
    notify::ready();
    info!(log, "the fleet runs"; "accounts" => fleet.summary().total, "node" => settings.node.as_str());
    let mut running = Running { fleet, log, handle, roster, settings, signals, out };
    let status = running.until_drained(changes).await;
    let last = async {
        if let Some(admin) = &admin {
            let _late = timeout(PATIENCE, admin.stop()).await;
        }
        // An error is the sign that all is told.
        let _late = timeout(PATIENCE, all_told).await;
        if let Some(out) = &running.out {
            out.finish(PATIENCE).await;
        }
        let _late = timeout(PATIENCE, running.handle.shutdown()).await;
    };
    tokio::select! { () = last => status, () = ended(&mut running.signals) => exit::INTERRUPTED }
}

/// Starts the admin interface.
fn serve(
    fleet: &Fleet,
    settings: &config::Admin,
    log: &LogHandle,
    is_ready: &Arc<AtomicBool>,
) -> Result<Served, AdminError> {
    let is_ready = Arc::clone(is_ready);
    let mut admin = Admin::new(fleet).log(log.clone()).ready_when(move || is_ready.load(Ordering::Relaxed));
    if let Some(token) = &settings.token {
        admin = admin.token(token.clone());
    }
    for host in &settings.hosts {
        admin = admin.host(host.as_str());
    }
    let served = admin.serve(settings.listen)?;
    info!(log.slog(), "the admin interface listens"; "address" => %served.address());
    Ok(served)
}

/// Waits for a signal that asks for the end.
async fn ended(signals: &mut Signals) {
    while signals.next().await != Asked::End {}
}

struct Running<'a> {
    fleet: Fleet,
    log: Logger,
    handle: LogHandle,
    roster: Roster,
    settings: &'a Settings,
    signals: Signals,
    out: Option<Out>,
}

impl Running<'_> {
    /// Runs until a signal, the end of the reader or a call of the admin interface has drained the fleet; returns the exit
    /// status.
    async fn until_drained(&mut self, mut changes: agora_chat::fleet::Changes) -> u8 {
        let (mut status, mut draining) = (exit::DONE, false);
        let mut alive = notify::alive_every().map(interval);
        let mut extend = interval(EXTEND_EVERY);
        let out = self.out.clone();
        let mut gone = std::pin::pin!(async {
            match &out {
                Some(out) => out.gone().await,
                None => std::future::pending().await,
            }
        });
        loop {
            tokio::select! {
                biased;
                asked = self.signals.next() => match asked {
                    Asked::End if draining => failure::leave(exit::INTERRUPTED),
                    Asked::End => draining = self.drain("a signal"),
                    Asked::Reload if draining => self.handle.reopen(),
                    Asked::Reload => self.reload().await,
                },
                () = &mut gone, if !draining => {
                    status = exit::NOBODY_READS;
                    draining = self.drain("nobody reads standard output any more");
                }
                change = changes.next() => match change {
                    Some(FleetChange::Draining) => {
                        notify::stopping();
                        notify::extend(EXTEND_EVERY * 5);
                        draining = true;
                    }
                    Some(FleetChange::Drained(report)) => {
                        if !report.is_clean() {
                            warn!(self.log, "not everybody was logged out in order"; "report" => %report);
                        }
                        return status;
                    }
                    None => return status,
                    Some(_) => {}
                },
                _ = extend.tick(), if draining => notify::extend(EXTEND_EVERY * 5),
                () = tick(&mut alive) => {
                    if self.fleet.is_live() {
                        notify::alive();
                    }
                }
            }
        }
    }

    /// Begins to log everybody out.
    fn drain(&self, why: &str) -> bool {
        info!(self.log, "logging everybody out"; "why" => why, "deadline" => ?self.settings.drain);
        let (fleet, deadline) = (self.fleet.clone(), self.settings.drain);
        // Its end is heard of among the changes.
        actix_rt::spawn(async move { drop(fleet.drain(deadline).await) });
        true
    }

    /// Reads the accounts again, and opens the log file anew.
    async fn reload(&mut self) {
        notify::reloading();
        self.handle.reopen();
        let (path, source) = (self.settings.accounts.clone(), self.settings.tokens.clone());
        let read = actix_rt::task::spawn_blocking(move || accounts::read(&path, source.as_ref())).await;
        match read {
            Ok(Ok(rows)) => match self.roster.apply(&self.fleet, rows).await {
                Ok(changed) => info!(self.log, "accounts read again"; "changed" => %changed),
                Err(FleetError::Draining | FleetError::Stopped) => {}
                Err(error) => error!(self.log, "accounts read again, but not all taken"; "error" => %error),
            },
            Ok(Err(mistakes)) => {
                for mistake in mistakes {
                    error!(self.log, "the accounts cannot be read again: all stay as they are"; "mistake" => mistake);
                }
            }
            Err(error) => error!(self.log, "the accounts were not read again"; "error" => %error),
        }
        notify::ready();
    }
}

/// Waits for the next time at which the service manager must hear something; for ever if it need not.
async fn tick(every: &mut Option<tokio::time::Interval>) {
    match every {
        Some(every) => drop(every.tick().await),
        None => std::future::pending().await,
    }
}

/// Takes as many file descriptors as this process may have: each account has a socket.
fn raise_descriptors() {
    #[cfg(unix)]
    {
        use nix::sys::resource::{Resource, getrlimit, setrlimit};
        if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE)
            && soft < hard
        {
            // With fewer it runs as well, until they are used up; the log says so then.
            let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
        }
    }
}
