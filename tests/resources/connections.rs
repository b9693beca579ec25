//! What connections leave behind: descriptors, memory, actors, processor time. A process of its own, since these are
//! counted per process, and one test at a time.

use std::{fs, sync::Arc, time::Duration};

use agora_chat::{
    ConfigBuilder, Connection, ConnectionState, Credentials, EventHandler, EventKind, Reconnect,
    local_server::{Cut, LocalServer},
};
use tokio::{
    net::TcpListener,
    sync::mpsc::{UnboundedReceiver, unbounded_channel},
    time::{Instant, sleep, timeout},
};

use crate::support::own_process::done_alone;

const LIMIT: Duration = Duration::from_secs(20);

/// Runs a test when nothing else runs, system and server of the others included.
fn run(test: impl AsyncFnOnce(&LocalServer)) {
    if done_alone() {
        return;
    }
    actix::System::new().block_on(async {
        let server = LocalServer::start().await.unwrap();
        server.create_user("alice", "pw-a").unwrap();
        test(&server).await;
        server.stop().await;
    });
}

fn descriptors() -> usize {
    // Reading the directory takes one itself.
    fs::read_dir("/proc/self/fd").unwrap().count() - 1
}

fn resident_kib() -> usize {
    let statm = fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4
}

/// Processor time of the whole process so far.
fn worked() -> Duration {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    Duration::from_millis(ticks * 10)
}

/// Waits until there are so many descriptors; their end has no event to wait for.
async fn descriptors_come_to(wanted: usize) {
    let deadline = Instant::now() + LIMIT;
    while descriptors() != wanted {
        assert!(Instant::now() < deadline, "{} descriptors, not {wanted}", descriptors());
        sleep(Duration::from_millis(5)).await;
    }
}

fn alice(server: &LocalServer) -> Credentials {
    Credentials::token("alice", server.issue_token("alice", None).unwrap()).unwrap()
}

fn quick(config: ConfigBuilder) -> ConfigBuilder {
    let mut policy = Reconnect::default();
    policy.base = Duration::from_millis(1);
    policy.cap = Duration::from_millis(1);
    policy.flapping = None;
    config.reconnect(policy)
}

fn start(config: ConfigBuilder) -> (Connection, UnboundedReceiver<EventKind>) {
    let connection = Connection::start(config.build().unwrap()).unwrap();
    let (tell, heard) = unbounded_channel();
    let handler = EventHandler::new().on_event(move |event| {
        let _ = tell.send(event.kind().clone());
    });
    connection.add_event_handler("test", handler).unwrap();
    (connection, heard)
}

async fn connected(heard: &mut UnboundedReceiver<EventKind>) {
    let connected = async { while !matches!(heard.recv().await, Some(EventKind::Connected { .. })) {} };
    timeout(LIMIT, connected).await.expect("Connected");
}

#[test]
fn two_thousand_reconnects_leave_nothing_behind() {
    run(async |server| {
        let (connection, mut heard) = start(quick(server.config()));
        connection.open(alice(server)).await.unwrap();
        connected(&mut heard).await;

        let reconnect = async |times: usize, heard: &mut UnboundedReceiver<EventKind>| {
            for turn in 0..times {
                let cut = if turn % 2 == 0 { Cut::Rst } else { Cut::Fin };
                assert_eq!(server.drop_links("alice", cut), 1);
                connected(heard).await;
            }
        };
        // What the server remembers of a user and what allocators keep is filled first.
        reconnect(1000, &mut heard).await;
        server.wait_until(LIMIT, |server| server.stats().links == 1).await.unwrap();
        let (fds, before) = (descriptors(), resident_kib());

        reconnect(2000, &mut heard).await;
        server.wait_until(LIMIT, |server| server.stats().links == 1).await.unwrap();
        descriptors_come_to(fds).await;
        // Allocators settle slowly; a leaked socket's buffers alone would come to many times as much.
        let grown = resident_kib().saturating_sub(before);
        assert!(grown < 4096, "{grown} KiB for 2000 reconnects");
        assert_eq!(connection.state(), ConnectionState::Online);
        connection.close().await;
        descriptors_come_to(fds - 2).await;
    });
}

#[test]
fn hundreds_of_logins_and_logouts_leave_nothing_behind() {
    run(async |server| {
        let (connection, mut heard) = start(server.config());
        let cycle = async |times: usize, heard: &mut UnboundedReceiver<EventKind>| {
            for _ in 0..times {
                connection.open(Credentials::password("alice", "pw-a").unwrap()).await.unwrap();
                connected(heard).await;
                connection.close().await;
            }
        };
        cycle(300, &mut heard).await;
        server.wait_until(LIMIT, |server| server.stats().links == 0).await.unwrap();
        let (fds, before) = (descriptors(), resident_kib());
        cycle(200, &mut heard).await;
        server.wait_until(LIMIT, |server| server.stats().links == 0).await.unwrap();
        descriptors_come_to(fds).await;
        let grown = resident_kib().saturating_sub(before);
        assert!(grown < 1024, "{grown} KiB for 200 logins");
    });
}

#[test]
fn connections_that_are_dropped_take_actor_registry_and_subscribers_with_them() {
    run(async |server| {
        server.max_devices(None, agora_chat::local_server::DevicePolicy::RefuseNew);
        let probe = Arc::new(());
        let fds = descriptors();
        let cycle = async |times: usize| {
            for turn in 0..times {
                let connection = Connection::start(quick(server.config()).build().unwrap()).unwrap();
                let held = Arc::clone(&probe);
                let handler = EventHandler::new().on_event(move |_| assert!(Arc::strong_count(&held) > 1));
                connection.add_event_handler("probe", handler).unwrap();
                connection.open(alice(server)).await.unwrap();
                match turn % 3 {
                    0 => drop(connection.close().await),
                    1 => assert_eq!(server.drop_links("alice", Cut::Rst), 1),
                    _ => {}
                }
                drop(connection);
                let gone = server.wait_until(LIMIT, |server| server.stats().links == 0);
                gone.await.unwrap();
                while Arc::strong_count(&probe) > 1 {
                    sleep(Duration::from_millis(1)).await;
                }
            }
        };
        timeout(LIMIT, cycle(200)).await.expect("every connection goes");
        descriptors_come_to(fds).await;
    });
}

#[test]
fn connections_with_nothing_to_do_cost_no_processor_time() {
    run(async |server| {
        server.max_devices(None, agora_chat::local_server::DevicePolicy::RefuseNew);
        let mut day_long = Reconnect::default();
        (day_long.base, day_long.cap) = (Duration::from_secs(86_400), Duration::from_secs(86_400));
        let mute = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = mute.local_addr().unwrap();
        let to_mute = server.config().addresses(format!("http://{address}"), format!("ws://{address}/websocket"));

        let mut kept = Vec::new();
        for _ in 0..20 {
            let (in_a_pause, mut heard) = start(server.config().reconnect(day_long.clone()));
            in_a_pause.open(alice(server)).await.unwrap();
            connected(&mut heard).await;
            assert_eq!(server.drop_links("alice", Cut::Fin), 1);
            while !matches!(heard.recv().await, Some(EventKind::Reconnecting { .. })) {}
            kept.push((in_a_pause, heard, None));

            let (connecting, heard) = start(to_mute.clone());
            let (opening, credentials) = (connecting.clone(), alice(server));
            actix_rt::spawn(async move {
                let _ = opening.open(credentials).await;
            });
            let (link, _) = timeout(LIMIT, mute.accept()).await.unwrap().unwrap();
            kept.push((connecting, heard, Some(link)));

            let (logged_out, heard) = start(server.config());
            kept.push((logged_out, heard, None));
        }
        for _ in 0..20 {
            let (online, mut heard) = start(server.config());
            online.open(alice(server)).await.unwrap();
            connected(&mut heard).await;
            kept.push((online, heard, None));
        }
        // Idleness has no event to wait for. A single one that spins would work all the time.
        let before = worked();
        sleep(Duration::from_millis(600)).await;
        let worked = worked() - before;
        assert!(worked <= Duration::from_millis(60), "{worked:?} in 600 ms");
        drop(kept);
    });
}
