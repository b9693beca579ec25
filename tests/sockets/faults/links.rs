//! Links that fail in the ways networks do: the client notices, says so, and comes back.

use std::time::Duration;

use agora_chat::{
    ConfigBuilder, Connection, ConnectionState, EventKind, LossCause, SendError,
    local_server::{Cut, Direction, FaultProxy, Faults, LocalServer},
};
use tokio::time::timeout;

use crate::faults::{
    SHORT,
    support::{Heard, LIMIT, online, quick, server, text, within},
    token, unreachable,
};

/// A server behind a proxy whose chances are known, and alice online through it.
async fn through(
    seed: u64,
    configure: impl FnOnce(ConfigBuilder) -> ConfigBuilder,
) -> (LocalServer, FaultProxy, Connection, Heard) {
    let server = server().await;
    let proxy = FaultProxy::seeded(server.address(), seed).await.unwrap();
    let config = configure(quick(proxy.config_through(&server).unwrap()));
    let (connection, heard) = online(config, token(&server)).await;
    (server, proxy, connection, heard)
}

fn heartbeat(config: ConfigBuilder) -> ConfigBuilder {
    config.heartbeat(Duration::from_millis(40), Duration::from_millis(60))
}

fn impatient(config: ConfigBuilder) -> ConfigBuilder {
    heartbeat(config).connect_timeouts(SHORT, SHORT).send_timeout(SHORT)
}

#[actix::test]
async fn a_half_open_link_is_noticed_by_the_heartbeat_and_left_behind() {
    let (_server, proxy, connection, mut heard) = through(1, impatient).await;
    proxy.set(Faults::stalled());
    assert!(matches!(heard.lost().await, LossCause::HeartbeatTimeout { .. }));
    // Every attempt until then ends by its own limit.
    assert!(matches!(heard.lost().await, LossCause::Timeout(_)));
    assert!(matches!(connection.state(), ConnectionState::Reconnecting { .. }));
    proxy.clear();
    assert!(heard.connected().await);
    connection.close().await;
    proxy.wait_until(LIMIT, |counts| counts.open == 0).await.unwrap();
}

#[actix::test]
async fn a_server_that_hears_nothing_though_it_talks_is_noticed_by_the_unanswered_send() {
    let (server, proxy, connection, mut heard) = through(1, impatient).await;
    proxy.change(|faults| faults.to_server.stalled = true);
    let sending = actix_rt::spawn({
        let connection = connection.clone();
        async move { connection.send_text("bob", "hm").await }
    });
    // Whatever the server says in the meantime keeps the heartbeat content.
    while !sending.is_finished() {
        server.send_text("bob", "alice", "still here").unwrap();
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(within("the send", sending).await.unwrap().is_err());
    let cause = heard.lost().await;
    assert!(matches!(cause, LossCause::SendUnanswered | LossCause::HeartbeatTimeout { .. }), "{cause:?}");
    proxy.clear();
    assert!(heard.connected().await);
    connection.close().await;
}

#[actix::test]
async fn a_stuck_write_side_costs_bounded_memory_and_then_the_link() {
    let limit = Duration::from_secs(1);
    let (server, proxy, connection, mut heard) = through(1, |config| config.send_timeout(limit)).await;
    proxy.change(|faults| faults.to_server.stalled = true);
    let large = "x".repeat(256 << 10);
    let mut sends = Vec::new();
    let cause = loop {
        let (connection, large) = (connection.clone(), large.clone());
        sends.push(actix_rt::spawn(async move { connection.send_text("bob", &large).await }));
        // The server keeps talking: reading is not what is broken.
        server.send_text("bob", "alice", "still here").unwrap();
        match timeout(Duration::from_millis(5), heard.lost()).await {
            Ok(cause) => break cause,
            Err(_) => continue,
        }
    };
    assert_eq!(cause, LossCause::SendUnanswered);
    proxy.clear();
    let mut refused = 0;
    for send in sends {
        match within("the send's end", send).await.unwrap() {
            Err(SendError::OutboxFull { limit }) => {
                assert_eq!(limit, 8 << 20);
                refused += 1;
            }
            // Those made after the loss are kept for the next link.
            Err(SendError::OutcomeUnknown { .. }) | Ok(_) => {}
            other => panic!("{other:?}"),
        }
    }
    assert!(refused > 0, "what may wait is bounded");
    assert!(heard.connected().await);
    connection.send_text("bob", "all is well").await.unwrap();
    connection.close().await;
}

#[actix::test]
async fn very_slow_bytes_are_fine_within_the_limits() {
    let (server, proxy, connection, mut heard) = through(1, |config| config).await;
    proxy.set(Faults::dripping(16, Duration::from_millis(1)));
    proxy.cut_all(Cut::Rst);
    assert!(heard.connected().await, "also the way in may be slow");
    let long = "slow ".repeat(200);
    server.send_text("bob", "alice", &long).unwrap();
    assert_eq!(text(&heard.message().await), long);
    within("a send", connection.send_text("bob", &long)).await.unwrap();
    connection.close().await;
}

#[actix::test]
async fn bytes_too_slow_for_a_steps_limit_end_the_attempt() {
    let server = server().await;
    let proxy = FaultProxy::start(server.address()).await.unwrap();
    proxy.set(Faults::dripping(1, Duration::from_millis(50)));
    let config = quick(proxy.config_through(&server).unwrap()).connect_timeouts(SHORT, SHORT);
    crate::faults::steps::took_too_long(&unreachable(config).await, agora_chat::errors::ConnectStep::Upgrade);
}

#[actix::test]
async fn a_slow_network_is_no_reason_to_let_go() {
    let config = |config: ConfigBuilder| config.heartbeat(Duration::from_millis(100), Duration::from_millis(900));
    let (server, proxy, connection, mut heard) = through(3, config).await;
    let mut slow = Direction::default();
    slow.delay = Duration::from_millis(60);
    slow.jitter = Duration::from_millis(40);
    proxy.set(Faults::both(slow));
    for nth in 0..5 {
        server.send_text("bob", "alice", &nth.to_string()).unwrap();
        let EventKind::Message(message) = heard.next().await else { panic!() };
        assert_eq!(text(&message), nth.to_string());
    }
    connection.close().await;
}

/// Talks through random faults until so many links were lost; then the faults end. Every loss was told, one attempt
/// makes one connection, and at the end the connection is online.
async fn survives(seed: u64, faults: Faults, losses: u32) {
    let (server, proxy, connection, mut heard) = through(seed, impatient).await;
    let whole_connections = faults.cut_chance > 0.0;
    proxy.set(faults);
    let (mut told, mut is_online, mut cleared) = (0, true, false);
    while !(cleared && is_online) {
        // Traffic for the faults to meet; nothing is expected of it.
        drop(connection.send_text("bob", "ping").await);
        let _ = server.send_text("bob", "alice", "pong");
        while let Ok(event) = timeout(Duration::from_millis(2), heard.next()).await {
            match event {
                EventKind::Reconnecting { .. } => {
                    told += 1;
                    is_online = false;
                }
                EventKind::Connected { resumed } => {
                    assert!(resumed && !is_online, "it comes back only after a loss that was told");
                    is_online = true;
                }
                EventKind::Message(_) => {}
                other => panic!("seed {seed}: {other:?}"),
            }
        }
        if told >= losses && !cleared {
            proxy.clear();
            cleared = true;
        } else if whole_connections && is_online && !cleared {
            // Those that chance spares would last.
            proxy.cut_all(Cut::Rst);
        }
    }
    within("a send", connection.send_text("bob", "all is well")).await.unwrap();
    assert_eq!(connection.state(), ConnectionState::Online);
    let counts = proxy.counts();
    assert!(counts.cuts > 0, "it was the cuts: {counts:?}");
    assert_eq!(counts.connections, u64::from(told) + 1, "seed {seed}: one connection for each attempt, and the first");
    connection.close().await;
}

fn cuts(chance: f64) -> Faults {
    let mut direction = Direction::default();
    direction.cut_chance = chance;
    Faults::both(direction)
}

#[actix::test]
async fn cuts_at_one_chunk_in_a_hundred_are_survived() {
    for seed in 1..=2 {
        survives(seed, cuts(0.01), 10).await;
    }
}

#[actix::test]
async fn cuts_at_every_other_chunk_are_survived() {
    for seed in 1..=3 {
        survives(seed, cuts(0.5), 60).await;
    }
}

#[actix::test]
async fn cuts_of_every_other_connection_at_any_byte_are_survived() {
    for seed in 1..=3 {
        let mut faults = Faults::default();
        faults.cut_chance = 0.5;
        faults.cut_within = 700;
        survives(seed, faults, 30).await;
    }
}

#[actix::test]
async fn corrupted_bytes_end_links_and_sessions_but_never_the_client() {
    for seed in 1..=4 {
        let (server, proxy, connection, mut heard) = through(seed, impatient).await;
        let mut direction = Direction::default();
        direction.corrupt_chance = 0.01;
        proxy.set(Faults::both(direction));
        let mut losses = 0;
        while losses < 15 {
            drop(connection.send_text("bob", "ping").await);
            let _ = server.send_text("bob", "alice", "pong");
            while let Ok(event) = timeout(Duration::from_millis(2), heard.next()).await {
                match event {
                    EventKind::Reconnecting { .. } => losses += 1,
                    // A token or a status of which a bit was flipped is refused for good, as it should be.
                    EventKind::Disconnected { .. } => {
                        losses += 1;
                        drop(within("open", connection.open(token(&server))).await);
                    }
                    _ => {}
                }
            }
            if connection.state() == ConnectionState::LoggedOut {
                drop(within("open", connection.open(token(&server))).await);
            }
        }
        proxy.clear();
        assert!(proxy.counts().corrupted > 0);
        within("the way back", async {
            loop {
                match connection.state() {
                    ConnectionState::Online if connection.send_text("bob", "all is well").await.is_ok() => break,
                    ConnectionState::LoggedOut => drop(connection.open(token(&server)).await),
                    _ => tokio::time::sleep(Duration::from_millis(2)).await,
                }
            }
        })
        .await;
        connection.close().await;
    }
}

#[actix::test]
async fn a_reset_at_every_byte_of_the_way_in_is_survived() {
    let server = server().await;
    let proxy = FaultProxy::start(server.address()).await.unwrap();
    let (connection, mut heard) = online(quick(proxy.config_through(&server).unwrap()), token(&server)).await;
    let way_in = proxy.counts().to_server + proxy.counts().to_client;
    for after in (1..way_in + 40).step_by(7) {
        proxy.change(|faults| faults.cut_after = Some(after));
        proxy.cut_all(Cut::Rst);
        // One for the cut here, one for the cut by count.
        for _ in 0..2 {
            while !matches!(timeout(SHORT, heard.next()).await, Ok(EventKind::Reconnecting { .. })) {
                server.send_text("bob", "alice", "a few bytes more").unwrap();
            }
        }
        proxy.clear();
        proxy.cut_all(Cut::Rst);
        assert!(heard.connected().await);
    }
    connection.close().await;
}
