//! Hosts that are dead, and the discovery of hosts.

use std::time::Duration;

use agora_chat::{
    Config, ConfigBuilder, EventKind, LossCause, OpenError,
    config::{Addresses, Endpoints},
    errors::{ConnectStep, RestErrorKind},
    local_server::{Cut, Door, FaultProxy, LocalServer},
};
use serde_json::{Value, json};

use crate::faults::{
    SHORT, refused_login,
    scripted::{Reply, Scripted},
    support::{alice, online, pauses_of, quick, server},
    token,
};

/// Three ways to one server.
async fn three(server: &LocalServer) -> (Vec<FaultProxy>, ConfigBuilder) {
    let mut hosts = Vec::new();
    for _ in 0..3 {
        hosts.push(FaultProxy::start(server.address()).await.unwrap());
    }
    let socket = hosts.iter().map(|host| host.through(&server.socket_url()).unwrap()).collect();
    let addresses = Addresses { rest: vec![server.rest_url()], socket };
    let config = quick(server.config()).endpoints(Endpoints::Fixed(addresses));
    (hosts, config)
}

#[actix::test]
async fn one_dead_host_of_three_costs_an_attempt_whichever_it_is() {
    for dead in 0..3 {
        let server = server().await;
        let (hosts, config) = three(&server).await;
        hosts[dead].door(Door::Refused).await.unwrap();
        let (connection, mut heard) = online(config, token(&server)).await;
        for _ in 0..4 {
            server.drop_links("alice", Cut::Rst);
            let mut attempts = 0;
            loop {
                match heard.next().await {
                    EventKind::Reconnecting { .. } => attempts += 1,
                    EventKind::Connected { resumed: true } => break,
                    other => panic!("{other:?}"),
                }
            }
            assert!(attempts <= 2, "the dead one is met once at the most, not {attempts} times");
        }
        for (nth, host) in hosts.iter().enumerate() {
            assert_eq!(host.counts().connections > 0, nth != dead, "all that live are used");
        }
        connection.close().await;
    }
}

#[actix::test]
async fn when_all_hosts_are_dead_each_is_tried_in_turn_and_the_first_to_come_back_is_found() {
    let server = server().await;
    let (hosts, config) = three(&server).await;
    let policy = pauses_of(Duration::from_millis(2));
    let (connection, mut heard) = online(config.reconnect(policy), token(&server)).await;
    for host in &hosts {
        host.door(Door::Dropped(Cut::Rst)).await.unwrap();
    }
    let before: Vec<u64> = hosts.iter().map(|host| host.counts().connections).collect();
    server.drop_links("alice", Cut::Rst);
    for _ in 0..30 {
        heard.lost().await;
    }
    let tried: Vec<u64> = hosts.iter().zip(before).map(|(host, before)| host.counts().connections - before).collect();
    assert!(tried.iter().all(|tried| (9..=11).contains(tried)), "evenly: {tried:?}");
    hosts[1].door(Door::Open).await.unwrap();
    assert!(heard.connected().await);
    connection.close().await;
}

fn found_by(hosts: &[&str]) -> ConfigBuilder {
    let hosts = hosts.iter().map(|host| (*host).to_owned()).collect();
    let config = Config::builder("local#test").endpoints(Endpoints::Discovery(hosts));
    quick(config).rest_timeout(SHORT)
}

fn named(entries: &Value) -> Reply {
    Reply::json(200, &json!({"rest": {"hosts": entries}, "msync-wx": {"hosts": entries}}))
}

#[actix::test]
async fn discovery_that_is_empty_poisoned_oversized_garbled_or_silent_is_a_typed_error() {
    let poison = json!([
        {"protocol": "http", "domain": "127.0.0.1:1@evil.example"},
        {"protocol": "http", "domain": "127.0.0.1/../x"},
        {"protocol": "http", "domain": "127.0.0.1\r\nHost: evil.example"},
        {"protocol": "http", "domain": "10.1.2.3", "port": 80},
        {"protocol": "http", "domain": "127.0.0.1", "port": 700_000},
        {"protocol": "https", "domain": "127.0.0.1"},
        {"protocol": "file", "domain": "127.0.0.1"},
        {"domain": "127.0.0.1"}, null, 7, [[]],
    ]);
    for (what, reply) in [
        ("empty lists", named(&json!([]))),
        ("an empty object", Reply::json(200, &json!({}))),
        ("poison", named(&poison)),
        ("garbage", Reply::Answer(200, vec![], b"\x00\xff<html>".to_vec())),
        ("too much", Reply::Answer(200, vec![], vec![b'['; 3 << 20])),
        ("deep nesting", Reply::Answer(200, vec![], vec![b'['; 200_000])),
        ("silence", Reply::Stall(Vec::new())),
        ("a slow body", Reply::Stall(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{".to_vec())),
        ("a cut body", Reply::Raw(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{".to_vec())),
    ] {
        let bootstrap = Scripted::start([reply]).await;
        let error = refused_login(found_by(&[&bootstrap.base()]), alice()).await;
        assert_eq!(error.code().number(), 304, "{what}");
        let OpenError::Discovery { error, .. } = error else { panic!("{what}: {error:?}") };
        let fits = match error.kind() {
            RestErrorKind::DiscoveryEmpty(_) => matches!(what, "empty lists" | "an empty object" | "poison"),
            RestErrorKind::UnexpectedAnswer(_) => matches!(what, "garbage" | "too much" | "deep nesting"),
            RestErrorKind::Timeout(_) => matches!(what, "silence" | "a slow body"),
            RestErrorKind::Unreachable(_) => what == "a cut body",
            _ => false,
        };
        assert!(fits, "{what}: {error:?}");
    }
}

#[actix::test]
async fn a_bootstrap_host_that_fails_is_followed_by_the_next_one() {
    let server = server().await;
    let poisoned = Scripted::start([named(&json!([{"protocol": "http", "domain": "10.1.2.3"}]))]).await;
    let silent = Scripted::start([Reply::Stall(Vec::new())]).await;
    let config = found_by(&[&silent.base(), &poisoned.base(), &server.discovery_url()]);
    let (connection, _heard) = online(config, alice()).await;
    assert_eq!((silent.count(), poisoned.count()), (1, 1));
    connection.close().await;
}

#[actix::test]
async fn discovery_that_fails_on_the_way_back_leaves_the_addresses_known_before() {
    let server = server().await;
    let entry = json!([{"protocol": "http", "domain": "127.0.0.1", "port": server.port()}]);
    let bootstrap = Scripted::start([named(&entry), named(&json!([]))]).await;
    let (connection, mut heard) = online(found_by(&[&bootstrap.base()]), alice()).await;
    server.stop_listening().await.unwrap();
    server.drop_links("alice", Cut::Rst);
    // The addresses are asked for anew after five failed attempts in a row.
    while bootstrap.count() < 3 {
        let cause = heard.lost().await;
        assert!(matches!(cause, LossCause::Failed { step: ConnectStep::Connect, .. } | LossCause::Io(_)), "{cause:?}");
    }
    server.listen_again().await.unwrap();
    assert!(heard.connected().await);
    connection.close().await;
}
