//! One line on a terminal that says how far it is.

use std::{
    io::{self, IsTerminal as _, Write as _},
    time::{Duration, Instant},
};

use crate::{
    options::{Plan, Scenario},
    tally::Tally,
};

/// The line; nothing where stderr is no terminal, or nobody wants it.
pub(crate) struct Progress {
    shown: bool,
    accounts: usize,
    expect: Option<u64>,
    last: (Instant, u64),
    dirty: bool,
}

impl Progress {
    /// How often it is worth a look.
    pub(crate) const EVERY: Duration = Duration::from_millis(250);

    pub(crate) fn new(plan: &Plan) -> Self {
        Progress {
            shown: !plan.quiet && io::stderr().is_terminal(),
            accounts: plan.accounts,
            expect: (plan.scenario == Scenario::Messages).then_some(plan.expect),
            last: (Instant::now(), 0),
            dirty: false,
        }
    }

    pub(crate) fn show(&mut self, doing: &str, tally: &Tally) {
        if !self.shown {
            return;
        }
        let mut line = format!("{doing}: {} of {} logged in", tally.logged_in.get(), self.accounts);
        for (count, what) in [
            (tally.failed.get(), "failed"),
            (tally.up.get(), "up"),
            (tally.disconnects.get(), "lost"),
            (tally.reconnected.get(), "back"),
            (tally.missed.get(), "MISSED"),
        ] {
            if count > 0 {
                line += &format!(", {count} {what}");
            }
        }
        if let Some(expect) = self.expect {
            let (now, received) = (Instant::now(), tally.received.get());
            let rate = (received - self.last.1.min(received)) as f64 / (now - self.last.0).as_secs_f64().max(1e-3);
            self.last = (now, received);
            line += &format!(", {received} of {expect} messages ({rate:.0}/s)");
        }
        line += &format!(", lag {:.1} ms", tally.lag().as_secs_f64() * 1e3);
        let _ = write!(io::stderr(), "\r\x1b[K{line}");
        self.dirty = true;
    }

    /// Takes the line away, for what stays.
    pub(crate) fn clear(&mut self) {
        if std::mem::take(&mut self.dirty) {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}
