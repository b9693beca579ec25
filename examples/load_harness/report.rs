//! What came of it: the JSON line, and the figures that thresholds look at.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde_json::{Value, json};

use crate::{
    listener::{Heard, histogram},
    measure::{Memory, Spent},
    options::{Plan, Scenario},
    reasons::Failure,
    tally::Tally,
    threshold::{Figures, Verdict},
};

/// What followed the logins.
pub(crate) struct After {
    pub(crate) spent: Spent,
    pub(crate) up: u64,
}

/// Everything measured.
pub(crate) struct Report {
    pub(crate) scenario: Scenario,
    pub(crate) accounts: u64,
    pub(crate) arbiters: usize,
    pub(crate) interrupted: bool,
    pub(crate) login: Spent,
    pub(crate) after: Option<After>,
    pub(crate) memory: Option<(Memory, Memory)>,
    pub(crate) lag: Duration,
    pub(crate) verdicts: Vec<Verdict>,
    /// Why the figures say more about this process than about the server.
    pub(crate) saturated: Vec<String>,
    pub(crate) expect: u64,
    pub(crate) counts: Tally,
    ok: u64,
    failed: u64,
    /// Why logins failed, the most frequent reason first.
    pub(crate) failures: Vec<Failure>,
    /// In microseconds.
    pub(crate) logins: Histogram<u32>,
    /// In nanoseconds.
    pub(crate) latency: Histogram<u32>,
    /// With what a stall hid, where the rate is known.
    pub(crate) corrected: Option<Histogram<u32>>,
    /// In microseconds.
    pub(crate) back: Histogram<u32>,
    /// From the first message to the last.
    pub(crate) span: Duration,
}

/// Past this a thread is as good as busy all the time.
const BUSY: f64 = 0.9;
/// A phase has to take so long before that says anything: a short one is work from its beginning to its end.
const TELLING: Duration = Duration::from_secs(1);
/// Past this the lateness of timers shows in latencies.
const LATE: Duration = Duration::from_millis(50);

impl Report {
    pub(crate) fn new(
        plan: &Plan,
        login: Spent,
        tally: &Tally,
        logins: &Histogram<u32>,
        failures: Vec<Failure>,
    ) -> Self {
        Report {
            scenario: plan.scenario,
            accounts: plan.accounts as u64,
            arbiters: plan.arbiters,
            interrupted: false,
            login,
            after: None,
            memory: None,
            lag: Duration::ZERO,
            verdicts: Vec::new(),
            saturated: Vec::new(),
            expect: plan.expect,
            counts: Tally::default(),
            ok: tally.logged_in.get(),
            failed: tally.failed.get(),
            failures,
            logins: logins.clone(),
            latency: histogram(1),
            corrected: None,
            back: histogram(1),
            span: Duration::ZERO,
        }
    }

    /// Takes in what the subscribers measured, and judges.
    pub(crate) fn finish(&mut self, plan: &Plan, tally: &Tally, heard: Option<Heard>) {
        self.counts = Tally::sum([tally]);
        if let Some(heard) = heard {
            self.span = Duration::from_nanos(heard.last.saturating_sub(heard.first));
            self.corrected = plan
                .interval
                .map(|interval| heard.latency.clone_correct(u64::try_from(interval.as_nanos()).unwrap_or(u64::MAX)));
            (self.latency, self.back) = (heard.latency, heard.back);
        }
        self.saturated = self.saturation();
        let figures = self.figures();
        self.verdicts = plan.thresholds.iter().map(|threshold| threshold.judge(&figures)).collect();
    }

    fn saturation(&self) -> Vec<String> {
        let mut why = Vec::new();
        let (phase, spent) = match &self.after {
            Some(after) => (self.scenario.name(), after.spent),
            None => ("login", self.login),
        };
        let per_arbiter = spent.cores() / self.arbiters as f64;
        if per_arbiter >= BUSY && spent.wall >= TELLING {
            why.push(format!("{:.0} % of a core per arbiter in the {phase} phase", per_arbiter * 100.0));
        }
        if self.lag >= LATE {
            why.push(format!("a timer was {:.0} ms late", self.lag.as_secs_f64() * 1e3));
        }
        if self.counts.missed.get() > 0 {
            why.push(format!("full mailboxes cost {} events", self.counts.missed.get()));
        }
        why
    }

    pub(crate) fn ok(&self) -> u64 {
        self.ok
    }

    pub(crate) fn failed(&self) -> u64 {
        self.failed
    }

    /// Accounts whose login was not begun, or not waited for.
    pub(crate) fn untried(&self) -> u64 {
        self.accounts.saturating_sub(self.ok + self.failed)
    }

    /// Connects in all, those of the logins included, as the other clients count them.
    pub(crate) fn attempts(&self) -> u64 {
        self.ok + self.counts.attempts.get()
    }

    /// Messages expected that did not come.
    pub(crate) fn lost(&self) -> u64 {
        self.expect.saturating_sub(self.counts.received.get())
    }

    /// Resident bytes for each session.
    pub(crate) fn bytes_each(&self, of: impl Fn(&Memory) -> u64) -> Option<f64> {
        let (before, after) = self.memory.as_ref()?;
        Some((of(after).saturating_sub(of(before)) as f64 * 1024.0 / self.ok.max(1) as f64).round())
    }

    /// What thresholds look at; nothing in it that was not measured.
    pub(crate) fn figures(&self) -> Figures {
        let mut figures = Figures::new();
        let mut add = |names: [&'static str; 5], values: &Histogram<u32>, per_us: f64| {
            if values.is_empty() {
                return;
            }
            let quantiles = [0.5, 0.9, 0.99, 0.999, 1.0].map(|q| values.value_at_quantile(q) as f64 / per_us);
            figures.extend(names.into_iter().zip(quantiles));
        };
        const MAIN: [&str; 5] = ["p50", "p90", "p99", "p999", "max"];
        let latency = self.corrected.as_ref().unwrap_or(&self.latency);
        match self.scenario {
            Scenario::Login | Scenario::Idle => add(MAIN, &self.logins, 1.0),
            Scenario::Messages => add(MAIN, latency, 1000.0),
            Scenario::Storm => add(MAIN, &self.back, 1.0),
        }
        add(["login_p50", "login_p90", "login_p99", "login_p999", "login_max"], &self.logins, 1.0);
        add(["back_p50", "back_p90", "back_p99", "back_p999", "back_max"], &self.back, 1.0);
        figures.insert("lag", self.lag.as_secs_f64() * 1e6);
        figures.insert("failed", (self.failed + self.untried()) as f64);
        figures.insert("missed", self.counts.missed.get() as f64);
        figures.insert("disconnects", self.counts.disconnects.get() as f64);
        figures.insert("down", self.accounts.saturating_sub(self.counts.up.get()) as f64);
        let mut each = |name, spent: &Spent, of| figures.extend(spent.cpu_us_each(of).map(|figure| (name, figure)));
        each("login_cpu", &self.login, self.ok);
        match (&self.after, self.scenario) {
            (Some(after), Scenario::Messages) => each("message_cpu", &after.spent, self.counts.received.get()),
            (Some(after), Scenario::Storm) => each("storm_cpu", &after.spent, self.ok),
            _ => {}
        }
        if let Some(bytes) = self.bytes_each(|memory| memory.rss) {
            figures.insert("memory", bytes);
        }
        if self.scenario == Scenario::Messages && self.after.is_some() {
            figures.insert("lost", self.lost() as f64);
        }
        figures
    }

    /// The line on stdout: what the contract names, and `harness` for what it does not. What was not measured is absent.
    pub(crate) fn json(&self) -> Value {
        let mut all = json!({
            "client": "agora-chat",
            "scenario": self.scenario.name(),
            "accounts": self.accounts,
            "login": {
                "ok": self.ok, "failed": self.failed, "untried": self.untried(),
                "wall_s": thousandths(self.login.wall.as_secs_f64()),
                "cpu_s": thousandths(self.login.cpu().as_secs_f64()),
                "cpu_user_s": thousandths(self.login.user.as_secs_f64()),
                "cpu_sys_s": thousandths(self.login.system.as_secs_f64()),
                "per_s": tenths(self.ok as f64 / self.login.wall.as_secs_f64().max(1e-9)),
                "per_cpu_s": tenths(self.ok as f64 / self.login.cpu().as_secs_f64().max(1e-9)),
                "cpu_us_each": self.login.cpu_us_each(self.ok).map(tenths),
                "latency_ms": quantiles(&self.logins, 1000.0),
                "failures": self.failures.iter().map(Failure::json).collect::<Vec<_>>(),
            },
            "harness": {
                "interrupted": self.interrupted, "arbiters": self.arbiters,
                "saturated": !self.saturated.is_empty(), "saturation": self.saturated,
                "lag_ms": thousandths(self.lag.as_secs_f64() * 1e3), "missed": self.counts.missed.get(),
                "thresholds": self.verdicts.iter().map(|verdict| json!({
                    "fail_if": verdict.threshold, "measured": verdict.measured, "unit": verdict.unit(),
                    "broken": verdict.broken,
                })).collect::<Vec<_>>(),
            },
        });
        if let Value::Object(members) = &mut all {
            members.extend(self.memory_json().map(|memory| ("memory".to_owned(), memory)));
            members.extend(self.after_json().map(|after| (self.scenario.name().to_owned(), after)));
        }
        without_nulls(&mut all);
        all
    }

    fn memory_json(&self) -> Option<Value> {
        let (before, after) = self.memory.as_ref()?;
        Some(json!({
            "rss_before_kb": before.rss, "rss_after_kb": after.rss,
            "pss_before_kb": before.pss, "pss_after_kb": after.pss,
            "rss_per_conn_b": self.bytes_each(|memory| memory.rss),
            "pss_per_conn_b": self.bytes_each(|memory| memory.pss),
            "anon_per_conn_b": self.bytes_each(|memory| memory.anonymous),
        }))
    }

    /// Messages a second, where there was more than one moment at which some came.
    fn message_rate(&self) -> Option<f64> {
        (!self.span.is_zero()).then(|| self.counts.received.get() as f64 / self.span.as_secs_f64())
    }

    fn after_json(&self) -> Option<Value> {
        let After { spent, up } = self.after.as_ref()?;
        let cpu = spent.cpu().as_secs_f64();
        let received = self.counts.received.get();
        Some(match self.scenario {
            Scenario::Login => return None,
            Scenario::Idle => json!({
                "duration_s": thousandths(spent.wall.as_secs_f64()), "cpu_s": thousandths(cpu),
                "cpu_percent_of_core": thousandths(spent.cores() * 100.0), "up": up,
            }),
            Scenario::Messages => json!({
                "received": received, "expected": self.expect,
                "wall_s": thousandths(self.span.as_secs_f64()), "cpu_s": thousandths(cpu),
                "cpu_user_s": thousandths(spent.user.as_secs_f64()),
                "cpu_sys_s": thousandths(spent.system.as_secs_f64()),
                "per_s": self.message_rate().map(f64::round),
                "cpu_ns_each": spent.cpu_us_each(received).map(|us| (us * 1000.0).round()),
                "latency_us": quantiles(&self.latency, 1000.0),
                "latency_us_corrected": self.corrected.as_ref().and_then(|values| quantiles(values, 1000.0)),
            }),
            Scenario::Storm => json!({
                "disconnects": self.counts.disconnects.get(), "reconnected": self.counts.reconnected.get(),
                "up": up, "attempts": self.attempts(), "cpu_s": thousandths(cpu),
                "cpu_us_each": spent.cpu_us_each(self.ok).map(tenths), "back_ms": quantiles(&self.back, 1000.0),
            }),
        })
    }
}

fn tenths(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

fn thousandths(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

/// `None` where nothing was measured.
fn quantiles(values: &Histogram<u32>, scale: f64) -> Option<Value> {
    let at = |q| thousandths(values.value_at_quantile(q) as f64 / scale);
    let all = || json!({"p50": at(0.5), "p90": at(0.9), "p99": at(0.99), "p999": at(0.999), "max": at(1.0)});
    (!values.is_empty()).then(all)
}

/// Takes out what was not measured; a verdict says so by its null.
fn without_nulls(value: &mut Value) {
    if let Value::Object(members) = value {
        members.retain(|_, value| !value.is_null());
        members.values_mut().for_each(without_nulls);
    }
}
