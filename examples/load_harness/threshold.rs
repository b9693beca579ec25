//! Thresholds: what must not be, as told on the command line.

use std::{collections::BTreeMap, fmt, str::FromStr};

/// What was measured, by name: times in microseconds, memory in bytes, the rest as counted.
pub(crate) type Figures = BTreeMap<&'static str, f64>;

/// What a figure is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Time,
    Bytes,
    Count,
}

const METRICS: &[(&str, Kind)] = &[
    ("p50", Kind::Time),
    ("p90", Kind::Time),
    ("p99", Kind::Time),
    ("p999", Kind::Time),
    ("max", Kind::Time),
    ("login_p50", Kind::Time),
    ("login_p90", Kind::Time),
    ("login_p99", Kind::Time),
    ("login_p999", Kind::Time),
    ("login_max", Kind::Time),
    ("back_p50", Kind::Time),
    ("back_p90", Kind::Time),
    ("back_p99", Kind::Time),
    ("back_p999", Kind::Time),
    ("back_max", Kind::Time),
    ("lag", Kind::Time),
    ("login_cpu", Kind::Time),
    ("message_cpu", Kind::Time),
    ("storm_cpu", Kind::Time),
    ("memory", Kind::Bytes),
    ("failed", Kind::Count),
    ("lost", Kind::Count),
    ("missed", Kind::Count),
    ("down", Kind::Count),
    ("disconnects", Kind::Count),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Relation {
    Less,
    AtMost,
    More,
    AtLeast,
}

/// `METRIC OP VALUE`: broken where it holds.
#[derive(Clone, Debug)]
pub(crate) struct Threshold {
    text: String,
    metric: &'static str,
    kind: Kind,
    relation: Relation,
    value: f64,
}

/// A threshold beside what was measured.
#[derive(Clone, Debug)]
pub(crate) struct Verdict {
    pub(crate) threshold: String,
    pub(crate) measured: Option<f64>,
    pub(crate) broken: bool,
    kind: Kind,
}

impl Verdict {
    /// What the figure is in: microseconds, bytes, or nothing for a count.
    pub(crate) fn unit(&self) -> Option<&'static str> {
        match self.kind {
            Kind::Time => Some("us"),
            Kind::Bytes => Some("B"),
            Kind::Count => None,
        }
    }

    /// The figure with its unit, for people.
    pub(crate) fn shown(&self) -> String {
        let Some(figure) = self.measured else { return "not measured".to_owned() };
        let steps: &[(f64, &str)] = match self.kind {
            Kind::Time => &[(1e6, "s"), (1e3, "ms"), (1.0, "µs"), (1e-3, "ns")],
            Kind::Bytes => &[(1024.0 * 1024.0, "MiB"), (1024.0, "KiB"), (1.0, "B")],
            Kind::Count => return format!("{figure}"),
        };
        // Below the smallest unit there is only that.
        let fitting = steps.iter().find(|(of, _)| figure >= *of).or(steps.last());
        fitting.map_or_else(String::new, |(of, unit)| format!("{:.3} {unit}", figure / of))
    }
}

impl Threshold {
    /// Whether it holds; what was not measured breaks it, since nobody knows.
    pub(crate) fn judge(&self, figures: &Figures) -> Verdict {
        let measured = figures.get(self.metric).copied();
        let broken = measured.is_none_or(|figure| match self.relation {
            Relation::Less => figure < self.value,
            Relation::AtMost => figure <= self.value,
            Relation::More => figure > self.value,
            Relation::AtLeast => figure >= self.value,
        });
        Verdict { threshold: self.text.clone(), measured, broken, kind: self.kind }
    }
}

impl fmt::Display for Threshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Threshold {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let at = text.find(['<', '>']).ok_or("it needs one of < <= > >=")?;
        let (metric, rest) = text.split_at(at);
        let (relation, value) =
            [("<=", Relation::AtMost), (">=", Relation::AtLeast), ("<", Relation::Less), (">", Relation::More)]
                .into_iter()
                .find_map(|(sign, relation)| Some((relation, rest.strip_prefix(sign)?)))
                .ok_or("it needs one of < <= > >=")?;
        let metric = metric.trim();
        let (metric, kind) = METRICS.iter().copied().find(|(name, _)| *name == metric).ok_or_else(|| {
            let names: Vec<_> = METRICS.iter().map(|(name, _)| *name).collect();
            format!("`{metric}` is no metric; they are {}", names.join(", "))
        })?;
        let value = number(value.trim(), kind)?;
        Ok(Threshold { text: text.to_owned(), metric, kind, relation, value })
    }
}

/// A number with the unit that its kind needs.
fn number(text: &str, kind: Kind) -> Result<f64, String> {
    let end = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
    let (digits, unit) = text.split_at(end);
    let value: f64 = digits.parse().map_err(|_| format!("`{text}` does not begin with a number"))?;
    let factor = match (kind, unit.trim()) {
        (Kind::Time, "ns") => 1e-3,
        (Kind::Time, "us" | "µs") | (Kind::Bytes, "B") | (Kind::Count, "") => 1.0,
        (Kind::Time, "ms") => 1e3,
        (Kind::Time, "s") => 1e6,
        (Kind::Bytes, "KiB") => 1024.0,
        (Kind::Bytes, "MiB") => 1024.0 * 1024.0,
        (Kind::Time, _) => return Err(format!("`{text}` needs a unit of time: ns, us, ms or s")),
        (Kind::Bytes, _) => return Err(format!("`{text}` needs a unit of size: B, KiB or MiB")),
        (Kind::Count, _) => return Err(format!("`{text}` is a count and has no unit")),
    };
    Ok(value * factor)
}
