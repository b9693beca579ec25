//! The phases, as the client contract of the side-by-side harness has them.

use std::{
    error::Error,
    io::{self, Write as _},
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use actix_rt::{signal, time::sleep};

use crate::{
    fleet::Fleet,
    measure::{Memory, Reading},
    options::{Plan, Scenario},
    progress::Progress,
    report::{After, Report},
    tally::Tally,
    warm,
};

/// How often the counts are looked at.
const LOOK: Duration = Duration::from_millis(10);

/// How long the answers to the last messages may be under way.
const ANSWERS: Duration = Duration::from_millis(50);

/// How long an idle phase is let settle.
const SETTLE: Duration = Duration::from_secs(1);

type Interrupt<'a> = Pin<&'a mut dyn Future<Output = ()>>;

/// Does what the plan says; ends early, with what was measured, when it is interrupted.
///
/// # Errors
/// What cannot be started, in words.
pub(crate) async fn run(plan: Plan) -> Result<Report, Box<dyn Error>> {
    if plan.tls
        && let Some(config) = plan.configs.first()
    {
        warm::tls(config).await?;
    }
    let mut progress = Progress::new(&plan);
    let mut fleet = Fleet::start(plan)?;
    // Actors begin at the thread's next turn.
    sleep(LOOK).await;
    let mut interrupted = pin!(interrupted());
    let (start, memory) = (Reading::now(), Memory::now());

    let ended = log_in(&mut fleet, &mut progress, interrupted.as_mut()).await;
    let login = start.spent();
    let tally = fleet.tally();
    let mut report = Report::new(fleet.plan(), login, &tally, fleet.logins());
    progress.clear();
    let _ = writeln!(io::stderr(), "READY {}", tally.logged_in.get());

    report.interrupted = ended;
    report.lag = tally.lag();
    if !ended && fleet.plan().scenario != Scenario::Login {
        fleet.forget_lags();
        after_login(&fleet, &mut report, &mut progress, interrupted).await;
        report.memory = Some((memory, Memory::now()));
        report.lag = fleet.tally().lag();
    }
    progress.clear();
    report.finish(fleet.plan(), &fleet.tally(), fleet.heard().await);
    Ok(report)
}

/// Whether it was interrupted.
async fn log_in(fleet: &mut Fleet, progress: &mut Progress, mut interrupted: Interrupt<'_>) -> bool {
    let stop = Arc::<AtomicBool>::default();
    let limited = fleet.plan().scenario != Scenario::Idle;
    let limit = fleet.plan().duration;
    let counts = fleet.counts();
    let mut logging_in = pin!(fleet.log_in(Arc::clone(&stop)));
    let (began, mut ended) = (Instant::now(), false);
    loop {
        tokio::select! {
            () = &mut logging_in => return ended,
            () = &mut interrupted, if !ended => {
                ended = true;
                stop.store(true, Relaxed);
            }
            () = sleep(Progress::EVERY) => progress.show("logging in", &counts.sum()),
        }
        if limited && began.elapsed() >= limit {
            stop.store(true, Relaxed);
        }
    }
}

async fn after_login(fleet: &Fleet, report: &mut Report, progress: &mut Progress, mut interrupted: Interrupt<'_>) {
    let plan = fleet.plan();
    let (accounts, expect) = (plan.accounts as u64, plan.expect);
    let doing = plan.scenario.name();
    let done = |tally: &Tally| match plan.scenario {
        Scenario::Messages => tally.received.get() >= expect,
        Scenario::Storm => tally.reconnected.get() >= accounts && tally.up.get() >= accounts,
        Scenario::Idle | Scenario::Login => false,
    };
    if plan.scenario == Scenario::Idle {
        sleep(SETTLE).await;
    }
    // What is waited for can be seen by counting; an idle phase is disturbed by it as little as can be.
    let look = if plan.scenario == Scenario::Idle { Progress::EVERY } else { LOOK };
    let start = Reading::now();
    let (began, mut shown) = (Instant::now(), Instant::now());
    loop {
        let tally = fleet.tally();
        let left = plan.duration.saturating_sub(began.elapsed());
        if done(&tally) || left.is_zero() {
            break;
        }
        if shown.elapsed() >= Progress::EVERY {
            shown = Instant::now();
            progress.show(doing, &tally);
        }
        tokio::select! {
            () = sleep(look.min(left)) => {}
            () = &mut interrupted => {
                report.interrupted = true;
                break;
            }
        }
    }
    if plan.scenario == Scenario::Messages {
        sleep(ANSWERS).await;
    }
    report.after = Some(After { spent: start.spent(), up: fleet.tally().up.get() });
}

/// Ctrl-C, or what a service manager sends.
async fn interrupted() {
    let mut terminate = signal::unix::signal(signal::unix::SignalKind::terminate()).ok();
    let terminated = async {
        match &mut terminate {
            Some(terminate) => terminate.recv().await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        result = signal::ctrl_c() => if result.is_err() {
            std::future::pending::<()>().await;
        },
        _ = terminated => {}
    }
}
