use std::{collections::BTreeSet, time::Duration};

use crate::{
    config::Config,
    fleet::{cause::CauseKind, config::FleetConfig, handle::Fleet, metrics::CATALOGUE, state::StateKind},
    model::error::{Kick, LossCause},
};

fn fleet() -> Fleet {
    let config =
        Config::builder("org#app").addresses("http://127.0.0.1:9", "ws://127.0.0.1:9/websocket").build().unwrap();
    Fleet::start(FleetConfig::new(config).arbiters(3)).unwrap()
}

fn samples(text: &str) -> usize {
    text.lines().filter(|line| !line.starts_with('#')).count()
}

/// Has everything happen that a fleet counts, in every combination.
fn everything(fleet: &Fleet) {
    let shared = fleet.shared();
    let mut counts = shared.table.counts();
    let causes: Vec<_> = CauseKind::ALL.iter().copied().map(Some).chain([None]).collect();
    for from in StateKind::ALL {
        counts.entered(*from);
        for to in StateKind::ALL.iter().filter(|to| *to != from) {
            for cause in &causes {
                counts.moved(*from, *to, *cause);
            }
        }
    }
    let outcomes = CauseKind::ALL.iter().map(|cause| cause.name()).chain(["online", "cancelled"]);
    for outcome in outcomes {
        for kind in ["first", "reconnect"] {
            *counts.logins.entry((kind, outcome)).or_default() += 1;
        }
    }
    for kick in [Kick::UserRemoved, Kick::LoggedInElsewhere { ext: None }, Kick::PasswordChanged, Kick::ByOtherDevice] {
        for by in ["login", "login_with_text", "service"] {
            *counts.kicks.entry((kick.code().number(), by)).or_default() += 1;
        }
    }
    shared.table.login_time.add(Duration::from_secs(1));
    shared.table.queue_time.add(Duration::from_secs(1000));
    drop(counts);
    shared.totals.link_lost(&LossCause::Ended);
    shared.totals.handler_runs.add(Duration::from_millis(3));
    shared.totals.dead_letters.add(2);
}

#[actix_web::test]
async fn at_most_400_series_whatever_happens() {
    let fleet = fleet();
    assert!(samples(&fleet.metrics()) < 100);
    everything(&fleet);
    let text = fleet.metrics();
    assert!(samples(&text) <= 400, "{}", samples(&text));
    // Nothing is lost beyond the bound, but its cause.
    let moved = text.lines().filter_map(|line| line.strip_prefix("agora_chat_transitions_total{")?.rsplit_once("} "));
    let moved: u64 = moved.map(|(_, count)| count.parse::<u64>().unwrap()).sum();
    let kinds = StateKind::ALL.len();
    assert_eq!(moved, u64::try_from(kinds * (kinds - 1) * (CauseKind::ALL.len() + 1)).unwrap());
}

#[actix_web::test]
async fn buckets_add_up() {
    let fleet = fleet();
    everything(&fleet);
    let text = fleet.metrics();
    for line in [
        "agora_chat_login_queue_wait_seconds_bucket{le=\"600\"} 0",
        "agora_chat_login_queue_wait_seconds_bucket{le=\"+Inf\"} 1",
        "agora_chat_login_queue_wait_seconds_sum 1000",
        "agora_chat_login_queue_wait_seconds_count 1",
        "agora_chat_login_duration_seconds_bucket{le=\"0.5\"} 0",
        "agora_chat_login_duration_seconds_bucket{le=\"1\"} 1",
        "agora_chat_login_duration_seconds_bucket{le=\"2.5\"} 1",
        "agora_chat_handler_duration_seconds_bucket{le=\"0.001\"} 0",
        "agora_chat_handler_duration_seconds_bucket{le=\"0.005\"} 1",
        "agora_chat_dead_letters 2",
        "agora_chat_links_lost_total{cause=\"ended\"} 1",
    ] {
        assert!(text.lines().any(|known| known == line), "{line}\n{text}");
    }
}

#[actix_web::test]
async fn the_page_has_every_metric_and_no_other() {
    let page = include_str!("../../../docs/metrics.md");
    let told: BTreeSet<String> = page
        .lines()
        .filter(|line| line.starts_with("| `agora_chat_") && line.matches(" | ").count() >= 2)
        .map(|line| {
            let mut cells = line.trim_matches('|').split('|').map(|cell| cell.trim().replace('`', ""));
            let (name, kind, labels, help) = (cells.next(), cells.next(), cells.next(), cells.next());
            [name, kind, labels, help].map(Option::unwrap).join(" | ")
        })
        .collect();
    let known: BTreeSet<String> = CATALOGUE
        .iter()
        .chain([&super::ACCOUNT_ONLINE])
        .map(|metric| [metric.name, metric.kind.name(), &metric.labels.join(", "), metric.help].join(" | "))
        .collect();
    assert_eq!(told, known);

    // What is written is what the catalogue says.
    let fleet = fleet();
    everything(&fleet);
    let text = fleet.metrics();
    let typed: Vec<String> = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")).map(str::to_owned).collect();
    let catalogue: Vec<String> =
        CATALOGUE.iter().map(|metric| format!("{} {}", metric.name, metric.kind.name())).collect();
    assert_eq!(typed, catalogue);
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let name = line.split(['{', ' ']).next().unwrap();
        let metric = CATALOGUE.iter().find(|metric| {
            name.starts_with(metric.name) && {
                matches!(&name[metric.name.len()..], "" | "_bucket" | "_sum" | "_count")
            }
        });
        for label in metric.unwrap().labels {
            assert!(line.contains(&format!("{label}=\"")), "{line}");
        }
    }
}

#[test]
fn names_are_escaped() {
    use super::{ACCOUNT_ONLINE, Sink as _, Text};
    let mut text = Text::default();
    text.number(&ACCOUNT_ONLINE, &["a\"b", "c\\d\ne", "online"], 1.0);
    assert!(text.text.ends_with("{user=\"a\\\"b\",tag=\"c\\\\d\\ne\",state=\"online\"} 1\n"), "{}", text.text);
}
