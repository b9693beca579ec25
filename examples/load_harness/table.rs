//! What came of it, for people.

use std::fmt::Write as _;

use hdrhistogram::Histogram;

use crate::{options::Scenario, reasons::Failure, report::Report};

/// The table; ends with a line end.
pub(crate) fn of(report: &Report) -> String {
    let mut text = String::new();
    // Writing to a text cannot fail.
    let _ = write(report, &mut text);
    text
}

fn write(report: &Report, text: &mut String) -> std::fmt::Result {
    let (ok, login) = (report.ok(), &report.login);
    writeln!(text, "{} accounts, {} arbiters, scenario {}", report.accounts, report.arbiters, report.scenario.name())?;
    write!(text, "logins      {ok} done, {} failed", report.failed())?;
    if report.untried() > 0 {
        write!(text, ", {} not tried", report.untried())?;
    }
    let per_second = ok as f64 / login.wall.as_secs_f64().max(1e-9);
    write!(text, ", {:.2} s, {per_second:.0}/s", login.wall.as_secs_f64())?;
    cpu_each(text, login.cpu_us_each(ok), "µs", 1)?;
    text.push_str(&reasons(report));
    if let Some(after) = &report.after {
        let (spent, counts) = (&after.spent, &report.counts);
        match report.scenario {
            Scenario::Login => {}
            Scenario::Idle => writeln!(
                text,
                "idle        {} up, {:.1} s, {:.3} % of a core",
                after.up,
                spent.wall.as_secs_f64(),
                spent.cores() * 100.0
            )?,
            Scenario::Messages => {
                let (received, span) = (counts.received.get(), report.span.as_secs_f64());
                write!(text, "messages    {received} of {} received, {} lost", report.expect, report.lost())?;
                if received > 0 {
                    write!(text, ", {span:.3} s")?;
                }
                cpu_each(text, spent.cpu_us_each(received).map(|us| us * 1000.0), "ns", 0)?;
            }
            Scenario::Storm => {
                let (lost, back) = (counts.disconnects.get(), counts.reconnected.get());
                write!(text, "storm       {lost} lost, {back} back, {} up", after.up)?;
                write!(text, ", {} connects with those of the logins", report.attempts())?;
                cpu_each(text, spent.cpu_us_each(ok), "µs", 1)?;
            }
        }
    }
    if let (Some(rss), Some((_, after))) = (report.bytes_each(|memory| memory.rss), &report.memory) {
        writeln!(text, "memory      {rss:.0} bytes a session, {} KiB in all", after.rss)?;
    }
    if ![&report.logins, &report.latency, &report.back].iter().any(|values| !values.is_empty()) {
        return verdicts(report, text);
    }
    writeln!(text, "\n{:<22}{:>11}{:>11}{:>11}{:>11}{:>11}", "milliseconds", "p50", "p90", "p99", "p99.9", "max")?;
    row(text, "login", &report.logins, 1e3)?;
    row(text, "delivery", &report.latency, 1e6)?;
    if let Some(corrected) = &report.corrected {
        row(text, "delivery, corrected", corrected, 1e6)?;
    }
    row(text, "lost until back", &report.back, 1e3)?;
    writeln!(text)?;
    verdicts(report, text)
}

/// Ends a line that says what something cost.
fn cpu_each(text: &mut String, each: Option<f64>, unit: &str, digits: usize) -> std::fmt::Result {
    match each {
        Some(each) => writeln!(text, ", {each:.digits$} {unit} CPU each"),
        None => writeln!(text),
    }
}

/// Why logins failed, a line each.
pub(crate) fn reasons(report: &Report) -> String {
    let line = |failure: &Failure| format!("            {} × {} ({})\n", failure.count, failure.reason, failure.user);
    report.failures.iter().map(line).collect()
}

fn verdicts(report: &Report, text: &mut String) -> std::fmt::Result {
    if !report.saturated.is_empty() {
        writeln!(
            text,
            "SATURATED: {}. The figures say more about this process than about the server.",
            report.saturated.join("; ")
        )?;
    }
    for verdict in &report.verdicts {
        let judged = if verdict.broken { "BROKEN" } else { "ok    " };
        writeln!(text, "{judged} --fail-if '{}': {}", verdict.threshold, verdict.shown())?;
    }
    if report.interrupted {
        writeln!(text, "interrupted: this is what was measured until then")?;
    }
    Ok(())
}

fn row(text: &mut String, name: &str, values: &Histogram<u32>, scale: f64) -> std::fmt::Result {
    if values.is_empty() {
        return Ok(());
    }
    write!(text, "{name:<22}")?;
    for quantile in [0.5, 0.9, 0.99, 0.999, 1.0] {
        write!(text, "{:>11.3}", values.value_at_quantile(quantile) as f64 / scale)?;
    }
    writeln!(text)
}
