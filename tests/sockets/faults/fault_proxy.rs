//! The fault proxy itself, against a peer that says back what it hears.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use agora_chat::local_server::{Cut, Direction, Door, Drip, FaultProxy, Faults, LocalServerError};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    time::timeout,
};

use crate::faults::{
    SHORT,
    raw::ClosedPort,
    support::{LIMIT, within},
};

/// Says back what it hears, and ends when the client does.
async fn echo() -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    actix_rt::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            actix_rt::spawn(async move {
                let (mut from, mut to) = stream.split();
                let _ = tokio::io::copy(&mut from, &mut to).await;
            });
        }
    });
    address
}

async fn proxy(seed: u64) -> FaultProxy {
    FaultProxy::seeded(echo().await, seed).await.unwrap()
}

async fn client(proxy: &FaultProxy) -> TcpStream {
    within("a connection", TcpStream::connect(proxy.address())).await.unwrap()
}

/// How a connection ends that is to end at once: with nothing, or by an error, which may reach its client early.
async fn ends(proxy: &FaultProxy) -> std::io::Result<usize> {
    let ending = async { TcpStream::connect(proxy.address()).await?.read(&mut [0]).await };
    within("the end", ending).await
}

/// Sends everything, and answers what came back before the end and how that came about.
async fn exchange(proxy: &FaultProxy, bytes: &[u8]) -> (Vec<u8>, std::io::Result<usize>) {
    let mut stream = client(proxy).await;
    let (mut from, mut to) = stream.split();
    let sending = async {
        // A cut may come first.
        let _ = to.write_all(bytes).await;
        let _ = to.shutdown().await;
    };
    let mut back = Vec::new();
    let (_, end) = within("the exchange", async { tokio::join!(sending, from.read_to_end(&mut back)) }).await;
    (back, end)
}

#[actix::test]
async fn without_faults_everything_passes_and_is_counted() {
    let proxy = proxy(1).await;
    let bytes: Vec<u8> = (0..300_000_u32).map(|n| n as u8).collect();
    let (back, end) = exchange(&proxy, &bytes).await;
    assert!(back == bytes && end.is_ok());
    let counts = proxy.counts();
    assert_eq!((counts.connections, counts.to_server, counts.to_client), (1, 300_000, 300_000));
    assert_eq!((counts.cuts, counts.corrupted, counts.unreachable), (0, 0, 0));
}

#[actix::test]
async fn a_connection_is_cut_to_the_byte_by_fin_or_rst() {
    let proxy = proxy(1).await;
    let mut faults = Faults::default();
    faults.cut_after = Some(1_500);
    for cut in [Cut::Fin, Cut::Rst] {
        faults.cut = Some(cut);
        proxy.set(faults.clone());
        let (_, end) = exchange(&proxy, &[7; 1_000]).await;
        assert_eq!(end.is_ok(), cut == Cut::Fin, "{end:?}");
    }
    let counts = proxy.counts();
    assert_eq!((counts.cuts, counts.to_server + counts.to_client), (2, 3_000));
}

#[actix::test]
async fn every_open_connection_can_be_cut_at_once() {
    let proxy = proxy(1).await;
    let mut streams = Vec::new();
    for _ in 0..5 {
        let mut stream = client(&proxy).await;
        stream.write_all(b"x").await.unwrap();
        within("the echo", stream.read_u8()).await.unwrap();
        streams.push(stream);
    }
    assert_eq!(proxy.cut_all(Cut::Rst), 5);
    for mut stream in streams {
        assert!(within("the reset", stream.read_u8()).await.is_err());
    }
    let (back, _) = exchange(&proxy, b"later ones are not").await;
    assert_eq!(back, b"later ones are not");
}

#[actix::test]
async fn a_connection_that_only_just_came_is_cut_with_the_others() {
    let proxy = proxy(1).await;
    for _ in 0..50 {
        let mut stream = client(&proxy).await;
        proxy.wait_until(LIMIT, |counts| counts.open == 1).await.unwrap();
        proxy.cut_all(Cut::Rst);
        assert!(within("the end", stream.read_u8()).await.is_err());
        proxy.wait_until(LIMIT, |counts| counts.open == 0).await.unwrap();
    }
}

/// Which of so many connections are cut.
async fn cut_of(seed: u64, connections: usize, chance: f64) -> Vec<bool> {
    let proxy = proxy(seed).await;
    proxy.change(|faults| {
        faults.cut = Some(Cut::Rst);
        faults.cut_chance = chance;
        faults.cut_within = 200;
    });
    let mut cut = Vec::new();
    for _ in 0..connections {
        cut.push(exchange(&proxy, &[1; 1_000]).await.1.is_err());
    }
    cut
}

#[actix::test]
async fn chance_follows_the_seed_and_is_as_likely_as_asked() {
    let (first, again, other) = (cut_of(11, 200, 0.5).await, cut_of(11, 200, 0.5).await, cut_of(12, 200, 0.5).await);
    assert_eq!(first, again);
    assert_ne!(first, other);
    let cut = first.iter().filter(|cut| **cut).count();
    assert!((70..130).contains(&cut), "{cut} of 200");
    let cut = cut_of(13, 200, 0.01).await.iter().filter(|cut| **cut).count();
    assert!(cut < 12, "{cut} of 200");
}

#[actix::test]
async fn corruption_flips_single_bits_as_the_seed_has_it() {
    let flipped = async |seed| {
        let proxy = proxy(seed).await;
        proxy.change(|faults| faults.to_client.corrupt_chance = 0.01);
        let (back, _) = exchange(&proxy, &[0; 20_000]).await;
        assert_eq!(back.len(), 20_000);
        assert!(back.iter().all(|byte| byte.count_ones() <= 1));
        let count = back.iter().filter(|byte| **byte != 0).count();
        assert_eq!(proxy.counts().corrupted, count as u64);
        assert!((100..400).contains(&count), "{count}");
        back
    };
    let first = flipped(5).await;
    assert!(first == flipped(5).await && first != flipped(6).await);
}

#[actix::test]
async fn each_direction_stalls_by_itself_and_gives_back_what_it_held() {
    for to_server in [true, false] {
        let proxy = proxy(1).await;
        let mut stream = client(&proxy).await;
        stream.write_all(b"a").await.unwrap();
        assert_eq!(within("the echo", stream.read_u8()).await.unwrap(), b'a');
        let stall = |faults: &mut Faults, stalled| {
            let side = if to_server { &mut faults.to_server } else { &mut faults.to_client };
            side.stalled = stalled;
        };
        proxy.change(|faults| stall(faults, true));
        stream.write_all(b"b").await.unwrap();
        assert!(timeout(SHORT, stream.read_u8()).await.is_err(), "nothing comes");
        assert_eq!(proxy.counts().to_server, if to_server { 1 } else { 2 });
        proxy.change(|faults| stall(faults, false));
        assert_eq!(within("what was held", stream.read_u8()).await.unwrap(), b'b');
    }
}

#[actix::test]
async fn a_stalled_direction_gets_its_sender_stuck_soon() {
    let proxy = proxy(1).await;
    proxy.set(Faults::stalled());
    let mut stream = client(&proxy).await;
    // What the system buffers for the sender is its own affair; here it is a few megabytes at the most.
    let sent = timeout(SHORT, stream.write_all(&vec![0; 64 << 20])).await;
    assert!(sent.is_err(), "the sender is stuck");
    assert_eq!(proxy.counts().to_server, 0);
}

#[actix::test]
async fn delays_and_drips_take_their_time_and_keep_the_order() {
    let proxy = proxy(1).await;
    let bytes: Vec<u8> = (0..200).collect();
    let mut delayed = Direction::default();
    delayed.delay = Duration::from_millis(30);
    delayed.jitter = Duration::from_millis(10);
    let mut dripping = Direction::default();
    dripping.drip = Some(Drip { bytes: 20, every: Duration::from_millis(5) });
    for (direction, least) in [(delayed, 60), (dripping, 2 * 9 * 5)] {
        proxy.set(Faults::both(direction));
        let began = Instant::now();
        let (back, _) = exchange(&proxy, &bytes).await;
        assert_eq!(back, bytes);
        // Both directions drip at the same time.
        let least = if direction.drip.is_some() { least / 2 } else { least };
        assert!(began.elapsed() >= Duration::from_millis(least), "{:?}", began.elapsed());
    }
}

#[actix::test]
async fn a_door_meets_new_connections_and_leaves_old_ones_alone() {
    let proxy = proxy(1).await;
    let mut old = client(&proxy).await;
    old.write_all(b"x").await.unwrap();
    within("the echo", old.read_u8()).await.unwrap();

    for _ in 0..2 {
        proxy.door(Door::Refused).await.unwrap();
        let refused = TcpStream::connect(proxy.address()).await.unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
    }
    proxy.door(Door::Dropped(Cut::Fin)).await.unwrap();
    assert_eq!(ends(&proxy).await.unwrap(), 0);
    proxy.door(Door::Dropped(Cut::Rst)).await.unwrap();
    assert!(ends(&proxy).await.is_err());
    proxy.door(Door::Silent).await.unwrap();
    let mut silent = client(&proxy).await;
    silent.write_all(b"x").await.unwrap();
    assert!(timeout(SHORT, silent.read_u8()).await.is_err());
    if cfg!(target_os = "linux") {
        proxy.door(Door::Blackhole).await.unwrap();
        assert!(timeout(SHORT, TcpStream::connect(proxy.address())).await.is_err());
    }
    proxy.door(Door::Open).await.unwrap();
    let (back, _) = exchange(&proxy, b"again").await;
    assert_eq!(back, b"again");

    old.write_all(b"y").await.unwrap();
    assert_eq!(within("the echo", old.read_u8()).await.unwrap(), b'y');
}

#[actix::test]
async fn a_server_that_is_down_is_a_reset_and_a_count() {
    let dead = ClosedPort::new();
    let proxy = FaultProxy::start(dead.address()).await.unwrap();
    assert!(ends(&proxy).await.is_err());
    assert_eq!(proxy.counts().unreachable, 1);
}

#[actix::test]
async fn it_stands_in_front_of_addresses_and_urls_and_of_nothing_else() {
    let address = echo().await;
    for upstream in [address.to_string(), format!("ws://{address}/websocket"), format!("http://{address}")] {
        let proxy = FaultProxy::start(&upstream).await.unwrap();
        assert_eq!(exchange(&proxy, b"hello").await.0, b"hello");
        let at = proxy.address();
        assert_eq!(proxy.through("wss://a.example/websocket?x=1").unwrap(), format!("wss://{at}/websocket?x=1"));
        assert_eq!(proxy.through("http://a.example:81").unwrap(), format!("http://{at}"));
    }
    for bad in ["", "host", ":80", "host:port", "ftp://host:1"] {
        assert!(matches!(FaultProxy::start(bad).await, Err(LocalServerError::Upstream(_))), "{bad}");
    }
}

#[actix::test]
async fn it_ends_with_its_last_handle_or_when_it_is_stopped() {
    let stopped = proxy(1).await;
    let mut stream = client(&stopped).await;
    stopped.stop().await;
    assert!(matches!(within("the end", stream.read(&mut [0])).await, Ok(0) | Err(_)));
    assert!(TcpStream::connect(stopped.address()).await.is_err());
    assert!(matches!(stopped.door(Door::Open).await, Err(LocalServerError::Stopped)));
    stopped.stop().await;

    let dropped = proxy(1).await;
    let (mut stream, address) = (client(&dropped).await, dropped.address());
    let other_handle = dropped.clone();
    drop(dropped);
    stream.write_all(b"x").await.unwrap();
    within("the echo", stream.read_u8()).await.unwrap();
    drop(other_handle);
    assert!(matches!(within("the end", stream.read(&mut [0])).await, Ok(0) | Err(_)));
    let gone = async { while TcpStream::connect(address).await.is_ok() {} };
    within("the end of the port", gone).await;
}
