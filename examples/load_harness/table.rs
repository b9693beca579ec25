//! What came of it, for people.

use std::fmt::Write as _;

use hdrhistogram::Histogram;

use crate::{options::Scenario, report::Report};

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
    writeln!(
        text,
        "logins      {ok} done, {} failed, {:.2} s, {:.0}/s, {:.1} µs CPU each",
        report.failed(),
        login.wall.as_secs_f64(),
        ok as f64 / login.wall.as_secs_f64().max(1e-9),
        login.cpu_us_each(ok),
    )?;
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
            Scenario::Messages => writeln!(
                text,
                "messages    {} of {} received, {} lost, {:.3} s, {:.0} ns CPU each",
                counts.received.get(),
                report.expect,
                report.lost(),
                report.span.as_secs_f64(),
                spent.cpu_us_each(counts.received.get()) * 1000.0
            )?,
            Scenario::Storm => writeln!(
                text,
                "storm       {} lost, {} back, {} up, {} attempts, {:.1} µs CPU each",
                counts.disconnects.get(),
                counts.reconnected.get(),
                after.up,
                counts.attempts.get(),
                spent.cpu_us_each(report.accounts)
            )?,
        }
    }
    if let (Some(rss), Some((_, after))) = (report.bytes_each(|memory| memory.rss), &report.memory) {
        writeln!(text, "memory      {rss:.0} bytes a session, {} KiB in all", after.rss)?;
    }
    writeln!(text, "\n{:<22}{:>11}{:>11}{:>11}{:>11}{:>11}", "milliseconds", "p50", "p90", "p99", "p99.9", "max")?;
    row(text, "login", &report.logins, 1e3)?;
    row(text, "delivery", &report.latency, 1e6)?;
    if let Some(corrected) = &report.corrected {
        row(text, "delivery, corrected", corrected, 1e6)?;
    }
    row(text, "lost until back", &report.back, 1e3)?;
    writeln!(text)?;
    if !report.saturated.is_empty() {
        writeln!(
            text,
            "SATURATED: {}. The figures say more about this process than about the server.",
            report.saturated.join("; ")
        )?;
    }
    for verdict in &report.verdicts {
        let measured = verdict
            .measured
            .map_or("not measured".to_owned(), |value| format!("{value:.1} in µs, bytes or as counted"));
        writeln!(
            text,
            "{} --fail-if '{}': {measured}",
            if verdict.broken { "BROKEN" } else { "ok    " },
            verdict.threshold
        )?;
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
