//! Faults that tests of many accounts need: of one user, of a share of the links, of new connections; and how often
//! clients came.

use std::{
    io::{ErrorKind, Read as _, Write as _},
    net::TcpStream,
    time::{Duration, Instant},
};

use agora_chat::local_server::{Activity, Cut, Door, LocalServer, LocalServerError, RestFault};

use crate::peer::{APP, LIMIT, Peer, code, http, post, server};

fn password(user: &str, password: &str) -> String {
    format!(r#"{{"grant_type":"password","username":"{user}","password":"{password}"}}"#)
}

#[actix_web::test]
async fn calls_for_a_token_fail_for_all_or_for_one_user() {
    let server = server().await;
    let busy = |status| RestFault::new("/token", status).header("retry-after", "7").unwrap();
    server.fail_rest(busy(429).of_user("Alice")).unwrap();
    let head = "POST /testorg/testapp/token HTTP/1.1";
    let (status, head_of, _) = http(&server, head, &password("alice", "pw-a"));
    assert_eq!((status, head_of.to_lowercase().contains("retry-after: 7")), (429, true));
    assert_eq!(post(&server, "token", "", &password("bob", "pw-b")).0, 200);
    // By its token, and by its name in the path.
    server.fail_rest(RestFault::new("/users/", 503).of_user("alice")).unwrap();
    let token = server.issue_token("alice", None).unwrap();
    assert_eq!(post(&server, "users/bob/presence/x", &token, "{}").0, 503);
    assert_eq!(post(&server, "users/alice/activate", "", "").0, 503);
    assert_ne!(post(&server, "users/bob/activate", "", "").0, 503);
    server.clear_rest_faults_of("alice");
    assert_eq!(post(&server, "token", "", &password("alice", "pw-a")).0, 200);

    server.fail_rest(busy(503).times(2)).unwrap();
    let statuses = [(); 3].map(|()| post(&server, "token", "", &password("bob", "pw-b")).0);
    assert_eq!(statuses, [503, 503, 200]);
    assert_eq!(server.rate(Activity::TokenCalls).total(), 6);
    assert_eq!(server.rate(Activity::Probes).total(), 3);
}

#[actix_web::test]
async fn one_user_is_refused_loses_its_tokens_and_its_password() {
    let server = server().await;
    server.refuse_provisions_of("Alice", Some(1), 12, Some("off")).unwrap();
    let login = |user: &str| code(Peer::connect(&server, user, "d").provision().status.as_ref());
    assert_eq!([login("bob"), login("alice"), login("alice")], [0, 12, 0]);
    server.refuse_provisions_of("alice", None, 7, None).unwrap();
    assert_eq!([login("alice"), login("alice"), login("bob")], [7, 7, 0]);
    server.accept_provisions_of("alice");

    let token = server.issue_token("alice", None).unwrap();
    let bobs = server.issue_token("bob", None).unwrap();
    assert!(server.expire_tokens("Alice") > 0);
    assert_eq!(server.expire_tokens("alice"), 0);
    let status = Peer::connect(&server, "alice", "d").with_token(&token).provision().status.unwrap();
    assert_eq!(status.reason.as_deref(), Some("Sorry, token expired"));
    let bob = Peer::connect(&server, "bob", "d").with_token(&bobs).provision();
    assert_eq!(code(bob.status.as_ref()), 0);

    server.reject_password("alice", true).unwrap();
    assert_eq!(post(&server, "token", "", &password("alice", "pw-a")).0, 400);
    assert_eq!(post(&server, "token", "", &password("bob", "pw-b")).0, 200);
    server.reject_password("alice", false).unwrap();
    assert_eq!(post(&server, "token", "", &password("alice", "pw-a")).0, 200);
    assert!(matches!(server.reject_password("nobody", true), Err(LocalServerError::NoSuchUser(_))));
}

#[actix_web::test]
async fn a_server_may_start_with_its_faults() {
    let server = LocalServer::builder()
        .app_key(APP)
        .refuse_provisions(7, Some("the app online count limit"))
        .fail_rest(RestFault::new("/token", 429).times(1))
        .start()
        .await
        .unwrap();
    server.create_user("alice", "pw").unwrap();
    let status = Peer::connect(&server, "alice", "d").provision().status.unwrap();
    assert_eq!((status.error_code, status.reason.as_deref()), (Some(7), Some("the app online count limit")));
    assert_eq!(post(&server, "token", "", "{}").0, 429);
    server.accept_provisions();
    Peer::login(&server, "alice", "d");
    let malformed = LocalServer::builder().fail_rest(RestFault::new("/token", 99)).start().await;
    assert!(matches!(malformed, Err(LocalServerError::Header(_))));
}

#[actix_web::test]
async fn a_share_of_the_links_is_cut_the_same_for_the_same_seed() {
    let survivors = async |seed, reverse| {
        let server = server().await;
        let mut resources: Vec<_> = (10..30).map(|n| format!("d{n}")).collect();
        server.max_devices(None, agora_chat::local_server::DevicePolicy::KickOldest);
        if reverse {
            resources.reverse();
        }
        let _peers: Vec<_> = resources.iter().map(|resource| Peer::login(&server, "alice", resource)).collect();
        assert_eq!(server.cut_some(0.0, seed, Cut::Rst), 0);
        assert_eq!(server.cut_some(0.25, seed, Cut::Rst), 5);
        let mut left: Vec<_> = server.sessions("alice").into_iter().map(|device| device.resource).collect();
        left.sort();
        assert_eq!(left.len(), 15);
        assert_eq!(server.cut_some(7.0, seed, Cut::Fin), 15);
        left
    };
    assert_eq!(survivors(7, false).await, survivors(7, true).await);
    assert_ne!(survivors(7, false).await, survivors(8, false).await);
}

#[actix_web::test]
async fn new_connections_are_dropped_left_silent_or_refused_for_a_while() {
    let server = server().await;
    let mut alice = Peer::login(&server, "alice", "d1");
    server.reset_rates();
    server.door(Door::Dropped(Cut::Rst)).await.unwrap();
    for _ in 0..3 {
        let mut stream = TcpStream::connect(server.address()).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        assert_eq!(stream.read(&mut [0]).unwrap_err().kind(), ErrorKind::ConnectionReset);
    }
    server.door(Door::Silent).await.unwrap();
    let mut silent = TcpStream::connect(server.address()).unwrap();
    silent.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    silent.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    assert!(matches!(silent.read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut));
    server.wait_until(LIMIT, |server| server.stats().links == 2).await.unwrap();
    let (links, probes) = (server.rate(Activity::Links), server.rate(Activity::Probes));
    assert_eq!((links.total(), probes.total(), server.rate(Activity::Dials).total()), (4, 4, 0));

    let closed = Instant::now();
    server.door_for(Door::Refused, Duration::from_millis(300)).await.unwrap();
    assert_eq!(TcpStream::connect(server.address()).unwrap_err().kind(), ErrorKind::ConnectionRefused);
    alice.unread();
    while TcpStream::connect(server.address()).is_err() {
        assert!(closed.elapsed() < LIMIT);
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(closed.elapsed() >= Duration::from_millis(300));
    Peer::login(&server, "bob", "d1");
    drop(silent);
    server.wait_until(LIMIT, |server| server.stats().links == 1).await.unwrap();
}

#[actix_web::test]
async fn logins_and_dials_are_counted_by_the_second() {
    let server = server().await;
    for n in 0..5 {
        Peer::login(&server, "alice", &format!("d{n}"));
    }
    let mut refused = Peer::connect(&server, "alice", "d9").with_token("none");
    refused.provision();
    server.refuse_next_upgrades(1, 503, None).unwrap();
    let upgrade = "GET /websocket HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket";
    assert_eq!(http(&server, upgrade, "").0, 503);
    let of = |what| server.rate(what);
    assert_eq!((of(Activity::Logins).total(), of(Activity::Dials).total(), of(Activity::Probes).total()), (5, 7, 1));
    let logins = of(Activity::Logins);
    assert!(logins.peak_per_second() <= 5 && logins.most_within(LIMIT) == 5);
    assert_eq!(logins.per_second().iter().sum::<u32>(), 5);
    server.reset_rates();
    assert_eq!((of(Activity::Logins).total(), of(Activity::Logins).peak_per_second()), (0, 0));
}
