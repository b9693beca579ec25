//! The phases, as the client contract of the side-by-side harness has them.

use std::{
    error::Error,
    io::{self, Write as _},
    pin::pin,
    time::{Duration, Instant},
};

use actix_rt::time::sleep;
use tokio::sync::watch;

use crate::{
    fleet::{Fleet, Stop},
    measure::{Memory, Reading},
    options::{Plan, Scenario},
    progress::Progress,
    report::{After, Report},
    signals::Signals,
    tally::Tally,
    warm,
};

/// How often the counts are looked at.
const LOOK: Duration = Duration::from_millis(10);

/// How long the answers to the last messages may be under way.
const ANSWERS: Duration = Duration::from_millis(50);

/// How long an idle phase is let settle.
const SETTLE: Duration = Duration::from_secs(1);

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
    let mut signals = Signals::listen()?;
    let (start, memory) = (Reading::now(), Memory::now());

    let ended = log_in(&mut fleet, &mut progress, &mut signals).await;
    let login = start.spent();
    let tally = fleet.tally();
    let failures = fleet.take_failures();
    let mut report = Report::new(fleet.plan(), login, &tally, fleet.logins(), failures);
    progress.clear();
    let _ = writeln!(io::stderr(), "READY {}", tally.logged_in.get());

    report.interrupted = ended;
    report.lag = tally.lag();
    // With nobody there nothing follows.
    if !ended && report.ok() > 0 && fleet.plan().scenario != Scenario::Login {
        fleet.forget_lags();
        after_login(&fleet, &mut report, &mut progress, &mut signals).await;
        report.memory = Some((memory, Memory::now()));
        report.lag = fleet.tally().lag();
    }
    progress.clear();
    report.finish(fleet.plan(), &fleet.tally(), fleet.heard().await);
    Ok(report)
}

/// Whether it was interrupted.
async fn log_in(fleet: &mut Fleet, progress: &mut Progress, signals: &mut Signals) -> bool {
    let stop = watch::Sender::new(Stop::Not);
    let limited = fleet.plan().scenario != Scenario::Idle;
    let limit = fleet.plan().duration;
    let counts = fleet.counts();
    let mut logging_in = pin!(fleet.log_in(stop.subscribe()));
    let (began, mut ended) = (Instant::now(), false);
    loop {
        tokio::select! {
            () = &mut logging_in => return ended,
            _ = signals.next(), if !ended => {
                ended = true;
                stop.send_replace(Stop::Now);
            }
            () = sleep(Progress::EVERY) => progress.show("logging in", &counts.sum()),
        }
        if limited && began.elapsed() >= limit {
            stop.send_if_modified(|stop| {
                *stop == Stop::Not && {
                    *stop = Stop::Begun;
                    true
                }
            });
        }
    }
}

async fn after_login(fleet: &Fleet, report: &mut Report, progress: &mut Progress, signals: &mut Signals) {
    let plan = fleet.plan();
    let (sessions, expect) = (report.ok(), plan.expect);
    let doing = plan.scenario.name();
    let done = |tally: &Tally| match plan.scenario {
        Scenario::Messages => tally.received.get() >= expect,
        Scenario::Storm => tally.reconnected.get() >= sessions && tally.up.get() >= sessions,
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
            _ = signals.next() => {
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
