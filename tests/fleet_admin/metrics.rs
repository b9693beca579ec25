//! `/metrics`, and how large everything is with many accounts.

use std::{collections::BTreeMap, time::Instant};

use agora_chat::{
    Config, Credentials,
    fleet::{AccountSpec, Filter, Fleet, FleetConfig, LoginPace, Page},
};
use serde_json::json;

use crate::Scene;

/// The samples of a text in the format of Prometheus, by their names and labels; what is not in that format fails.
fn parsed(text: &str) -> BTreeMap<String, f64> {
    let mut samples = BTreeMap::new();
    let (mut family, mut kind) = (String::new(), String::new());
    let mut families = std::collections::BTreeSet::new();
    for line in text.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            family = help.split_once(' ').unwrap().0.to_owned();
            assert!(families.insert(family.clone()), "{family} comes twice");
            continue;
        }
        if let Some(typed) = line.strip_prefix("# TYPE ") {
            let (name, typed) = typed.split_once(' ').unwrap();
            assert_eq!(name, family);
            kind = typed.to_owned();
            assert!(matches!(typed, "counter" | "gauge" | "histogram"), "{line}");
            continue;
        }
        let end = line.find(['{', ' ']).unwrap();
        let name = &line[..end];
        assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{line}");
        let suffix = name.strip_prefix(&family).unwrap_or_else(|| panic!("{line} is not of {family}"));
        assert!(
            suffix.is_empty() != (kind == "histogram") && matches!(suffix, "" | "_bucket" | "_sum" | "_count"),
            "{line}"
        );
        let mut rest = &line[end..];
        if let Some(labels) = rest.strip_prefix('{') {
            rest = labels;
            loop {
                let (label, value) = rest.split_once("=\"").unwrap();
                assert!(!label.is_empty() && label.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{line}");
                let mut escaped = false;
                let close = value.find(|c| {
                    let closes = c == '"' && !escaped;
                    assert!(!escaped || matches!(c, '\\' | '"' | 'n'), "{line}");
                    escaped = c == '\\' && !escaped;
                    closes
                });
                rest = &value[close.unwrap() + 1..];
                match rest.strip_prefix(',') {
                    Some(more) => rest = more,
                    None => break,
                }
            }
            rest = rest.strip_prefix('}').unwrap_or_else(|| panic!("{line}"));
        }
        let value = rest.strip_prefix(' ').unwrap().parse().unwrap_or_else(|_| panic!("{line}"));
        let key = line[..line.len() - rest.len()].to_owned();
        assert!(samples.insert(key, value).is_none(), "{line} comes twice");
    }
    assert!(text.ends_with('\n'));
    samples
}

#[actix_web::test]
async fn what_happened_is_counted() {
    let scene = Scene::of(&["bot-1", "bot-2"]).await;
    scene.server.create_user("alice", "password").unwrap();
    scene.json("POST", "/accounts/bot-1/send", &json!({"to": "alice", "text": "hi"})).await.is(200);
    scene.call("POST", "/accounts/bot-2/pause").await.is(200);
    scene.until("bot-2", agora_chat::fleet::StateKind::Paused).await;
    let reply = scene.call("GET", "/metrics").await.is(200);
    assert!(reply.head.contains("content-type: text/plain; version=0.0.4; charset=utf-8"), "{}", reply.head);
    let samples = parsed(&reply.body);
    for (name, value) in [
        (r#"agora_chat_accounts{state="online"}"#, 1.0),
        (r#"agora_chat_accounts{state="paused"}"#, 1.0),
        (r#"agora_chat_accounts{state="failed"}"#, 0.0),
        (r#"agora_chat_logins_total{kind="first",outcome="online"}"#, 2.0),
        (r#"agora_chat_transitions_total{from="online",to="paused",cause="asked"}"#, 1.0),
        (r#"agora_chat_breaker_state{state="closed"}"#, 1.0),
        (r#"agora_chat_breaker_state{state="open"}"#, 0.0),
        (r#"agora_chat_messages_total{direction="sent"}"#, 1.0),
        ("agora_chat_login_duration_seconds_count", 2.0),
        (r#"agora_chat_login_duration_seconds_bucket{le="+Inf"}"#, 2.0),
        ("agora_chat_login_queue_wait_seconds_count", 2.0),
        ("agora_chat_login_queue_length", 0.0),
        ("agora_chat_accounts_limit", 100_000.0),
        (concat!(r#"agora_chat_build_info{version=""#, env!("CARGO_PKG_VERSION"), r#""}"#), 1.0),
    ] {
        assert_eq!(samples.get(name), Some(&value), "{name}\n{}", reply.body);
    }
    assert!(samples.contains_key("agora_chat_arbiter_lag_seconds"));
    assert!(samples.len() <= 400, "{}", samples.len());
    assert!(!reply.body.contains("bot-"));

    let single = scene.call("GET", "/metrics?per_account=1&tag=odd").await.is(200);
    let samples = parsed(&single.body);
    assert_eq!(samples.get(r#"agora_chat_account_online{user="bot-1",tag="odd",state="online"}"#), Some(&1.0));
    assert!(!single.body.contains("bot-2"));
}

/// A fleet whose accounts never get their turn: nothing is dialled.
async fn idle(accounts: usize) -> Fleet {
    let config =
        Config::builder("org#app").addresses("http://127.0.0.1:9", "ws://127.0.0.1:9/websocket").build().unwrap();
    let fleet = Fleet::start(FleetConfig::new(config).arbiters(1).pace(LoginPace::per_second(0.01).burst(1))).unwrap();
    let specs = (0..accounts)
        .map(|n| AccountSpec::new(Credentials::password(&format!("bot-{n}"), "password").unwrap()).tag("all"));
    assert!(fleet.add_all(specs).await.unwrap().iter().all(Result::is_ok));
    fleet
}

#[actix_web::test]
async fn ten_thousand_accounts_are_told_soon_and_in_as_few_series() {
    let fleet = idle(10_000).await;
    let least = |run: &dyn Fn()| {
        let timed = (0..10).map(|_| {
            let began = Instant::now();
            run();
            began.elapsed()
        });
        timed.min().unwrap()
    };
    // The bar is 20 ms in an optimised build, see `benches/snapshot.rs`; this one is not.
    let snapshot = least(&|| assert_eq!(fleet.accounts(&Filter::all(), &Page::first(10_000)).accounts.len(), 10_000));
    assert!(snapshot.as_millis() <= 200, "{snapshot:?}");
    let metrics = least(&|| assert!(parsed(&fleet.metrics()).len() <= 400));
    assert!(metrics.as_millis() <= 100, "{metrics:?}");
    // Even on request one page of accounts is all.
    let all = parsed(&fleet.metrics_of(&Filter::all().tag("all")));
    assert!(all.len() <= 400 + Fleet::MAX_ACCOUNT_METRICS, "{}", all.len());
    assert!(all.len() >= Fleet::MAX_ACCOUNT_METRICS);
}
