//! The session log, users who are online twice, and the rules for a second login with one resource.

use agora_chat::{
    errors::Kick,
    local_server::{Cut, DevicePolicy, DuplicatePolicy, LocalServer, SessionEnd},
    wire::{MSync, Provision, StatisticsBody},
};
use prost::Message as _;

use crate::peer::{APP, End, LIMIT, Peer, code, server};

/// User, resource and end of every session in the log.
fn ends(server: &LocalServer) -> Vec<(String, String, Option<SessionEnd>)> {
    let log = server.session_log();
    log.into_iter().map(|session| (session.user, session.resource, session.end)).collect()
}

fn entry(user: &str, resource: &str, end: Option<SessionEnd>) -> (String, String, Option<SessionEnd>) {
    (user.to_owned(), resource.to_owned(), end)
}

#[actix_web::test]
async fn every_session_is_logged_with_how_it_ended() {
    let server = server().await;
    let mut leaves = Peer::login(&server, "Alice", "a1");
    let own = agora_chat::wire::Jid::user(APP, "alice").with_resource("a1");
    leaves.send(&MSync::client_logout(own, "t", &agora_chat::wire::Logout::default()));
    server.wait_until(LIMIT, |server| server.online() == 0).await.unwrap();
    let _cut = Peer::login(&server, "alice", "a2");
    server.drop_links("alice", Cut::Rst);
    let hangs_up = Peer::login(&server, "alice", "a3");
    drop(hangs_up);
    server.wait_until(LIMIT, |server| server.online() == 0).await.unwrap();
    let _kicked = Peer::login(&server, "alice", "a4");
    server.kick("alice", Kick::ByOtherDevice);
    let _replaced = Peer::login(&server, "alice", "a5");
    let _stays = Peer::login(&server, "alice", "a5");
    let mut refused = Peer::connect(&server, "bob", "b1").with_token("none");
    assert_eq!(code(refused.provision().status.as_ref()), 1);

    assert_eq!(
        ends(&server),
        [
            entry("alice", "a1", Some(SessionEnd::Logout)),
            entry("alice", "a2", Some(SessionEnd::Link)),
            entry("alice", "a3", Some(SessionEnd::Link)),
            entry("alice", "a4", Some(SessionEnd::Kicked)),
            entry("alice", "a5", Some(SessionEnd::Replaced)),
            entry("alice", "a5", None),
        ]
    );
    let log = server.session_log();
    assert!(log.windows(2).all(|two| two[0].to_ms.unwrap() <= two[1].from_ms && two[0].session < two[1].session));
    let codes: Vec<_> = log.iter().filter_map(|session| session.code).map(|code| code.number()).collect();
    assert_eq!((codes, log[5].to_ms), (vec![217], None));
    assert_eq!(server.online_twice(), []);
    assert_eq!((server.stats().logins, server.stats().online_twice, server.stats().dropped_sessions), (6, 0, 0));

    server.stop().await;
    assert_eq!(ends(&server).last(), Some(&entry("alice", "a5", Some(SessionEnd::Link))));
}

#[actix_web::test]
async fn two_sessions_of_one_user_that_overlap_are_a_pair() {
    let server = server().await;
    let _one = Peer::login(&server, "alice", "a1");
    let _bob = Peer::login(&server, "bob", "a1");
    assert_eq!(server.online_twice(), []);
    let _two = Peer::login(&server, "alice", "a2");
    let pairs = server.online_twice();
    let [pair] = pairs.as_slice() else { panic!("{pairs:?}") };
    assert_eq!((pair.earlier.resource.as_str(), pair.later.resource.as_str()), ("a1", "a2"));
    assert_eq!(pair.window_ms(), (pair.later.from_ms, None));

    assert!(server.kick_device("alice", "a1", Kick::ByOtherDevice));
    let pair = server.online_twice().remove(0);
    assert_eq!((pair.earlier.end, pair.later.end), (Some(SessionEnd::Kicked), None));
    assert_eq!(pair.window_ms(), (pair.later.from_ms, pair.earlier.to_ms));
    let _three = Peer::login(&server, "alice", "a3");
    assert_eq!(server.stats().online_twice, 2, "the session that is gone is in no further pair");
}

#[actix_web::test]
async fn a_limit_of_devices_that_kicks_the_oldest_leaves_nobody_online_twice() {
    let server = server().await;
    server.max_devices(Some(1), DevicePolicy::KickOldest);
    let _peers: Vec<_> = (0..5).map(|n| Peer::login(&server, "alice", &format!("a{n}"))).collect();
    assert_eq!(server.online_twice(), []);
    let kicked = server.session_log().iter().filter(|session| session.end == Some(SessionEnd::Kicked)).count();
    assert_eq!(kicked, 4);
}

#[actix_web::test]
async fn a_second_login_of_one_resource_replaces_the_older_without_a_word_unless_told_otherwise() {
    let server = LocalServer::builder().app_key(APP).duplicates(DuplicatePolicy::ReplaceWith206).start().await.unwrap();
    server.create_user("alice", "pw").unwrap();
    let mut older = Peer::login(&server, "alice", "a1");
    let mut newer = Peer::connect(&server, "alice", "a1");
    let fields = Provision { reason: Some("node-b".to_owned()), ..Provision::default() };
    assert_eq!(code(newer.provision_as(APP, fields).status.as_ref()), 0);
    let kick = StatisticsBody::decode(older.batch().metas[0].payload.clone().unwrap()).unwrap();
    assert_eq!((kick.operation, kick.reason.as_deref()), (Some(2), Some("node-b")));
    assert_eq!(older.end(), End::Close);
    newer.unread();
    let log = server.session_log();
    assert_eq!(log[0].end, Some(SessionEnd::Replaced));
    assert_eq!(log[0].code.map(|code| code.number()), Some(206));

    server.set_duplicates(DuplicatePolicy::Replace);
    let mut third = Peer::login(&server, "alice", "a1");
    assert_eq!(newer.end(), End::Close);
    third.unread();
    assert_eq!((server.session_log()[1].end, server.session_log()[1].code), (Some(SessionEnd::Replaced), None));

    server.set_duplicates(DuplicatePolicy::RefuseNew);
    let mut fourth = Peer::connect(&server, "alice", "a1");
    assert_eq!(code(fourth.provision().status.as_ref()), 13);
    assert_eq!(fourth.end(), End::Close);
    third.unread();
    assert_eq!((server.online(), server.online_twice()), (1, vec![]));
}

#[actix_web::test]
async fn a_server_that_keeps_both_ends_nobody_and_says_who_is_online_twice() {
    let server = server().await;
    server.set_duplicates(DuplicatePolicy::KeepBoth);
    server.max_devices(Some(1), DevicePolicy::KickOldest);
    let mut one = Peer::login(&server, "alice", "a1");
    let mut two = Peer::login(&server, "alice", "a1");
    let mut three = Peer::login(&server, "alice", "a2");
    assert_eq!(server.online(), 3);
    for peer in [&mut one, &mut two, &mut three] {
        peer.unread();
    }
    assert_eq!(server.online_twice().len(), 3);

    // A message is in the device's queue once, and both of its sessions are told.
    server.send_text("bob", "alice", "hi").unwrap();
    for peer in [&mut one, &mut two] {
        assert_eq!(peer.notice(), "bob");
    }
    assert_eq!(one.pull("bob", None).metas.len(), 1);

    // Under a limit that refuses, a device that is there twice is one device.
    server.max_devices(Some(2), DevicePolicy::RefuseNew);
    let _again = Peer::login(&server, "alice", "a2");
    let mut other = Peer::connect(&server, "alice", "a3");
    assert_eq!(code(other.provision().status.as_ref()), 13);
}
