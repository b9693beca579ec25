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
    measure::{Memory, Reading},
    options::{Plan, Scenario},
    progress::Progress,
    report::{After, Report},
    sessions::{Sessions, Stop},
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
    let mut sessions = Sessions::start(plan)?;
    // Actors begin at the thread's next turn.
    sleep(LOOK).await;
    let mut signals = Signals::listen()?;
    let (start, memory) = (Reading::now(), Memory::now());

    let ended = log_in(&mut sessions, &mut progress, &mut signals).await;
    let login = start.spent();
    let tally = sessions.tally();
    let failures = sessions.take_failures();
    let mut report = Report::new(sessions.plan(), login, &tally, sessions.logins(), failures);
    progress.clear();
    let _ = writeln!(io::stderr(), "READY {}", tally.logged_in.get());

    report.interrupted = ended;
    report.lag = tally.lag();
    // With nobody there nothing follows.
    if !ended && report.ok() > 0 && sessions.plan().scenario != Scenario::Login {
        sessions.forget_lags();
        after_login(&sessions, &mut report, &mut progress, &mut signals).await;
        report.memory = Some((memory, Memory::now()));
        report.lag = sessions.tally().lag();
    }
    progress.clear();
    report.finish(sessions.plan(), &sessions.tally(), sessions.heard().await);
    Ok(report)
}

/// Whether it was interrupted.
async fn log_in(sessions: &mut Sessions, progress: &mut Progress, signals: &mut Signals) -> bool {
    let stop = watch::Sender::new(Stop::Not);
    let limited = sessions.plan().scenario != Scenario::Idle;
    let limit = sessions.plan().duration;
    let counts = sessions.counts();
    let mut logging_in = pin!(sessions.log_in(stop.subscribe()));
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

async fn after_login(sessions: &Sessions, report: &mut Report, progress: &mut Progress, signals: &mut Signals) {
    let plan = sessions.plan();
    let (all, expect) = (report.ok(), plan.expect);
    let doing = plan.scenario.name();
    let done = |tally: &Tally| match plan.scenario {
        Scenario::Messages => tally.received.get() >= expect,
        Scenario::Storm => tally.reconnected.get() >= all && tally.up.get() >= all,
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
        let tally = sessions.tally();
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
    report.after = Some(After { spent: start.spent(), up: sessions.tally().up.get() });
}
