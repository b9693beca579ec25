//! The metrics of a fleet: written from its own counts, with a bounded number of series whatever the number of accounts.

use std::{fmt::Write as _, sync::atomic::Ordering, time::Duration};

use crate::{
    fleet::{
        handle::{Fleet, Shared},
        shard::ShardActor,
        state::StateKind,
        table::{Filter, Page},
    },
    model::totals::Histogram,
    util::unix_time,
};

/// What a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Counter,
    Gauge,
    Histogram,
}

impl Kind {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        }
    }
}

/// A metric of the catalogue.
#[derive(Clone, Copy, Debug)]
pub(super) struct Metric {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) labels: &'static [&'static str],
    pub(super) help: &'static str,
}

macro_rules! catalogue {
    ($($id:ident = $kind:ident $name:literal [$($label:literal),*], $help:literal;)*) => {
        $(const $id: Metric = Metric { name: $name, kind: Kind::$kind, labels: &[$($label),*], help: $help };)*

        /// Every metric, in the order in which they are written.
        #[cfg(any(test, feature = "metrics"))]
        pub(super) const CATALOGUE: &[Metric] = &[$($id),*];
    };
}

catalogue! {
    ACCOUNTS = Gauge "agora_chat_accounts" ["state"], "Accounts in each state.";
    ACCOUNTS_LIMIT = Gauge "agora_chat_accounts_limit" [], "The most accounts that the fleet may have.";
    TRANSITIONS = Counter "agora_chat_transitions_total" ["from", "to", "cause"],
        "Accounts that came from one state to another, and why.";
    LOGINS = Counter "agora_chat_logins_total" ["kind", "outcome"],
        "Attempts to log in that are over: first ones and reconnects, by what became of them.";
    LOGIN_DURATION = Histogram "agora_chat_login_duration_seconds" [],
        "Time from an attempt's permit to its success.";
    QUEUE_LENGTH = Gauge "agora_chat_login_queue_length" [], "Attempts that wait for their turn.";
    QUEUE_OLDEST = Gauge "agora_chat_login_queue_longest_wait_seconds" [],
        "Time that the attempt that has waited longest has waited so far.";
    UNDER_WAY = Gauge "agora_chat_logins_under_way" [], "Attempts that have their permit and are not over.";
    QUEUE_WAIT = Histogram "agora_chat_login_queue_wait_seconds" [], "Time that attempts waited for their permit.";
    BREAKER_STATE = Gauge "agora_chat_breaker_state" ["state"], "1 for the state of the breaker of logins, else 0.";
    BREAKER_OPENED = Counter "agora_chat_breaker_opened_total" [], "Times that the breaker of logins opened.";
    LINKS_LOST = Counter "agora_chat_links_lost_total" ["cause"], "Links lost that had been up.";
    KICKS = Counter "agora_chat_kicks_total" ["code", "by"], "Sessions that the service ended, by its number and by whom.";
    MESSAGES = Counter "agora_chat_messages_total" ["direction"],
        "Messages and notices received, and messages that the service has taken.";
    SENDS_FAILED = Counter "agora_chat_sends_failed_total" [], "Messages that the service has not taken, or not in time.";
    HANDLER_DURATION = Histogram "agora_chat_handler_duration_seconds" [],
        "Time that message handlers took, one run for each attempt.";
    DEAD_LETTERS = Counter "agora_chat_dead_letters" [], "Messages whose handlers failed as often as allowed.";
    ARBITER_LAG = Gauge "agora_chat_arbiter_lag_seconds" [],
        "How late the slowest arbiter runs its timers, or since when it has not.";
    DRAINING = Gauge "agora_chat_draining" [], "1 while the fleet is being drained and after it, else 0.";
    START_TIME = Gauge "agora_chat_start_time_seconds" [], "When the fleet was started, in seconds since 1970.";
    BUILD_INFO = Gauge "agora_chat_build_info" ["version"], "1, with the version of the crate.";
}

/// Those of single accounts, on request only.
const ACCOUNT_ONLINE: Metric = Metric {
    name: "agora_chat_account_online",
    kind: Kind::Gauge,
    labels: &["user", "tag", "state"],
    help: "1 for an account that is online, else 0. On request only.",
};

/// What takes the values.
pub(super) trait Sink {
    fn number(&mut self, metric: &Metric, labels: &[&str], value: f64);
    fn histogram(&mut self, metric: &Metric, durations: &Histogram);
}

/// Gives all values of a fleet to a sink, in the order of the catalogue.
pub(super) fn collect(shared: &Shared, sink: &mut impl Sink) {
    let (queue, breaker, draining) = {
        let whole = shared.table.whole();
        (whole.queue, whole.breaker, whole.draining || whole.ended)
    };
    // A copy: the sink may be the application's, and take its time.
    let counts = shared.table.counts().clone();
    let states = counts.states();
    for state in StateKind::ALL {
        sink.number(&ACCOUNTS, &[state.name()], number(states.get(state).copied().unwrap_or_default()));
    }
    sink.number(&ACCOUNTS_LIMIT, &[], number(shared.config.max_accounts));
    for ((from, to, cause), count) in &counts.transitions {
        let cause = cause.map_or("", |cause| cause.name());
        sink.number(&TRANSITIONS, &[from.name(), to.name(), cause], total(*count));
    }
    for ((kind, outcome), count) in &counts.logins {
        sink.number(&LOGINS, &[kind, outcome], total(*count));
    }
    sink.histogram(&LOGIN_DURATION, &shared.table.login_time);
    sink.number(&QUEUE_LENGTH, &[], number(queue.length));
    sink.number(&QUEUE_OLDEST, &[], Duration::from_millis(queue.longest_wait_ms).as_secs_f64());
    sink.number(&UNDER_WAY, &[], number(queue.under_way));
    sink.histogram(&QUEUE_WAIT, &shared.table.queue_time);
    for state in ["closed", "open", "half_open", "recovering"] {
        sink.number(&BREAKER_STATE, &[state], f64::from(u8::from(state == breaker.name())));
    }
    sink.number(&BREAKER_OPENED, &[], total(counts.breaker_opened));
    for (class, count) in shared.totals.links_lost() {
        sink.number(&LINKS_LOST, &[class.name()], total(count));
    }
    for ((code, by), count) in &counts.kicks {
        sink.number(&KICKS, &[&code.to_string(), by], total(*count));
    }
    let totals = &shared.totals;
    sink.number(&MESSAGES, &["received"], total(totals.received.get()));
    sink.number(&MESSAGES, &["sent"], total(totals.sent.get()));
    sink.number(&SENDS_FAILED, &[], total(totals.sends_failed.get()));
    sink.histogram(&HANDLER_DURATION, &totals.handler_runs);
    sink.number(&DEAD_LETTERS, &[], total(totals.dead_letters.get()));
    sink.number(&ARBITER_LAG, &[], lag(shared).as_secs_f64());
    sink.number(&DRAINING, &[], f64::from(u8::from(draining)));
    sink.number(&START_TIME, &[], Duration::from_millis(shared.started_ms).as_secs_f64());
    sink.number(&BUILD_INFO, &[env!("CARGO_PKG_VERSION")], 1.0);
}

#[allow(clippy::cast_precision_loss, reason = "exact up to 2^53")]
fn total(count: u64) -> f64 {
    count as f64
}

fn number(count: usize) -> f64 {
    total(u64::try_from(count).unwrap_or(u64::MAX))
}

/// Returns how late the slowest arbiter is.
fn lag(shared: &Shared) -> Duration {
    let now = unix_time::now_ms();
    let lags = shared.beats.iter().map(|beat| {
        let ran = beat.at_ms.load(Ordering::Relaxed).max(shared.started_ms);
        let silent = Duration::from_millis(now.saturating_sub(ran)).saturating_sub(ShardActor::BEAT);
        silent.max(Duration::from_millis(beat.late_ms.load(Ordering::Relaxed)))
    });
    lags.max().unwrap_or_default()
}

/// Writes the text format of Prometheus, version 0.0.4.
#[derive(Default)]
struct Text {
    text: String,
    /// The metric that is being written.
    within: &'static str,
}

impl Text {
    fn head(&mut self, metric: &Metric) {
        if self.within != metric.name {
            self.within = metric.name;
            let (name, kind) = (metric.name, metric.kind.name());
            // Writing to a string does not fail, here and below.
            let _ = writeln!(self.text, "# HELP {name} {}\n# TYPE {name} {kind}", metric.help);
        }
    }

    fn sample(&mut self, metric: &Metric, suffix: &str, labels: &[(&str, &str)], value: f64) {
        let _ = write!(self.text, "{}{suffix}", metric.name);
        for (place, (label, text)) in labels.iter().enumerate() {
            let _ = write!(self.text, "{}{label}=\"", if place == 0 { '{' } else { ',' });
            for c in text.chars() {
                match c {
                    '\\' => self.text.push_str("\\\\"),
                    '"' => self.text.push_str("\\\""),
                    '\n' => self.text.push_str("\\n"),
                    c => self.text.push(c),
                }
            }
            self.text.push('"');
        }
        let _ = writeln!(self.text, "{} {value}", if labels.is_empty() { "" } else { "}" });
    }
}

impl Sink for Text {
    fn number(&mut self, metric: &Metric, labels: &[&str], value: f64) {
        self.head(metric);
        let labels: Vec<_> = metric.labels.iter().copied().zip(labels.iter().copied()).collect();
        self.sample(metric, "", &labels, value);
    }

    fn histogram(&mut self, metric: &Metric, durations: &Histogram) {
        self.head(metric);
        let mut below = 0;
        let bounds = durations.bounds().map(|bound| bound.to_string()).chain(["+Inf".to_owned()]);
        for (bound, count) in bounds.zip(durations.counts()) {
            below += count;
            self.sample(metric, "_bucket", &[("le", &bound)], total(below));
        }
        self.sample(metric, "_sum", &[], durations.sum().as_secs_f64());
        self.sample(metric, "_count", &[], total(below));
    }
}

impl Fleet {
    /// The most accounts that [`metrics_of`](Fleet::metrics_of) writes.
    pub const MAX_ACCOUNT_METRICS: usize = 1000;

    /// Returns the fleet's metrics in the text format of Prometheus; no actor is asked.
    ///
    /// Whatever the number of accounts and whatever happens, these are at most 400 series. The page on
    /// [metrics](crate::guide::metrics) has them all.
    #[must_use]
    pub fn metrics(&self) -> String {
        let mut text = Text { text: String::with_capacity(16 * 1024), within: "" };
        collect(self.shared(), &mut text);
        text.text
    }

    /// Returns [`metrics`](Fleet::metrics) with one series more for each account that a filter takes, the first
    /// [`MAX_ACCOUNT_METRICS`](Fleet::MAX_ACCOUNT_METRICS) of them. Give it a filter that takes few: a monitoring system keeps
    /// every series it has seen.
    #[must_use]
    pub fn metrics_of(&self, filter: &Filter) -> String {
        let mut text = Text { text: self.metrics(), within: "" };
        for account in self.accounts(filter, &Page::first(Self::MAX_ACCOUNT_METRICS)).accounts {
            let state = account.state.kind();
            let labels = [account.user.as_str(), account.tag.as_deref().unwrap_or_default(), state.name()];
            text.number(&ACCOUNT_ONLINE, &labels, f64::from(u8::from(state == StateKind::Online)));
        }
        text.text
    }
}

#[cfg(feature = "metrics")]
mod facade;
#[cfg(feature = "metrics")]
pub(super) use facade::emit_every_second;

#[cfg(test)]
mod tests;
