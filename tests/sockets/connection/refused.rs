//! Logins that the server refuses, sessions that it ends, and calls at the wrong time.

use agora_chat::{
    ConnectionState, Credentials, DisconnectReason, EventKind, LossCause, OpenError,
    errors::{Kick, RefusalKind},
    local_server::{Cut, DevicePolicy},
};

use crate::connection::{
    raw::{CLOSE, Port, kick},
    support::{LIMIT, alice, bob, online, quick, server, start, within},
};

fn token() -> Credentials {
    Credentials::token("alice", "YWMt-token").unwrap()
}

/// Connection spec §6.3, row by row: status, reason, code.
const REFUSALS: &[(i32, Option<&str>, RefusalKind, i32)] = &[
    (1, Some("Sorry, token expired"), RefusalKind::TokenExpired, 56),
    (1, Some("Sorry, token or password does not match login info"), RefusalKind::InvalidToken, 28),
    (1, Some("Sorry, user not found"), RefusalKind::UserNotFound, 204),
    (1, Some("Sorry, user register limit"), RefusalKind::RegistrationLimit, 50),
    (1, Some("Sorry, user register rate limit"), RefusalKind::RegistrationRateLimit, 50),
    (1, Some("something else"), RefusalKind::Failed, 2),
    (1, None, RefusalKind::Failed, 2),
    (2, None, RefusalKind::AuthFailed, 2),
    (4, Some("any"), RefusalKind::WrongParameter, -3),
    (5, Some("no address"), RefusalKind::RedirectWithoutAddress, 2),
    (6, None, RefusalKind::TokenExpired, 56),
    (7, Some("Sorry, the app month live count limit"), RefusalKind::MonthlyActiveLimit, 50),
    (7, Some("Sorry, the app day live count limit"), RefusalKind::DailyActiveLimit, 50),
    (7, Some("Sorry, the app online count limit"), RefusalKind::OnlineLimit, 50),
    (7, Some("anything else"), RefusalKind::AuthFailed, 2),
    (11, Some("any"), RefusalKind::BoundToAnotherDevice, 2),
    (12, None, RefusalKind::ServingDisabled, 57),
    (13, Some("any"), RefusalKind::TooManyDevices, 214),
    (20, Some("any"), RefusalKind::DeviceChanged, 220),
    (4242, Some("any"), RefusalKind::Other, 2),
];

#[actix::test]
async fn every_refusal_at_login_has_its_code_is_told_once_and_leaves_the_way_free() {
    let server = server().await;
    let (connection, mut heard) = start(quick(server.config()));
    for (status, reason, kind, code) in REFUSALS {
        let provisions = server.provision_count();
        server.refuse_provisions(*status, *reason);
        let error = within("open", connection.open(alice())).await.unwrap_err();
        assert_eq!(error.code().number(), *code, "{status} {reason:?}");
        let OpenError::Refused { refusal, .. } = error else { panic!("{status} {reason:?}: {error:?}") };
        assert_eq!((refusal.kind(), refusal.status()), (*kind, *status));
        if *status != 5 {
            assert_eq!(refusal.reason(), *reason);
        }
        assert_eq!(heard.next().await, EventKind::Disconnected { reason: DisconnectReason::Refused(refusal) });
        assert_eq!(connection.state(), ConnectionState::LoggedOut);
        assert_eq!(server.provision_count(), provisions + 1, "a refused login is not repeated");
    }
    server.accept_provisions();
    connection.open(alice()).await.unwrap();
    assert_eq!(heard.next().await, EventKind::Connected { resumed: false });
    connection.close().await;
    server.wait_until(LIMIT, |server| server.stats().links == 0).await.unwrap();
}

#[actix::test]
async fn a_token_that_is_wrong_or_anothers_is_refused_with_28() {
    let server = server().await;
    let of_bob = server.issue_token("bob", None).unwrap();
    let (connection, _heard) = start(server.config());
    for token in ["YWMt-nonsense", of_bob.as_str()] {
        let error = connection.open(Credentials::token("alice", token).unwrap()).await.unwrap_err();
        assert_eq!(error.code().number(), 28, "{error:?}");
    }
}

#[actix::test]
async fn one_device_too_many_is_refused_or_ends_the_oldest_with_the_newcomers_word() {
    let server = server().await;
    server.max_devices(Some(1), DevicePolicy::RefuseNew);
    let (first, mut first_hears) = online(quick(server.config()), alice()).await;
    let (second, _second_hears) = start(server.config());
    let new_phone = || agora_chat::Account::new(alice()).login_ext("the new phone");
    assert_eq!(second.open(new_phone()).await.unwrap_err().code().number(), 214);

    server.max_devices(Some(1), DevicePolicy::KickOldest);
    second.open(new_phone()).await.unwrap();
    let kicked = DisconnectReason::Kicked(Kick::LoggedInElsewhere { ext: Some("the new phone".into()) });
    assert_eq!(first_hears.next().await, EventKind::Disconnected { reason: kicked });
    assert_eq!(first.state(), ConnectionState::LoggedOut);
    second.close().await;
}

#[actix::test]
async fn every_kick_ends_the_session_with_its_code_and_the_user_can_log_in_again() {
    let server = server().await;
    let (connection, mut heard) = online(quick(server.config()), alice()).await;
    let kicks = [
        (Kick::LoggedInElsewhere { ext: Some("my phone".into()) }, 206),
        (Kick::LoggedInElsewhere { ext: None }, 206),
        (Kick::UserRemoved, 207),
        (Kick::PasswordChanged, 216),
        (Kick::ByOtherDevice, 217),
    ];
    for (kick, code) in kicks {
        let provisions = server.provision_count();
        assert_eq!(server.kick("alice", kick.clone()), 1);
        let reason = DisconnectReason::Kicked(kick);
        assert_eq!(reason.code().unwrap().number(), code);
        assert_eq!(heard.next().await, EventKind::Disconnected { reason });
        assert_eq!(connection.state(), ConnectionState::LoggedOut);
        server.wait_until(LIMIT, |server| server.stats().links == 0).await.unwrap();
        assert_eq!(server.provision_count(), provisions, "a kicked device does not come back by itself");
        connection.open(alice()).await.unwrap();
        assert_eq!(heard.next().await, EventKind::Connected { resumed: false });
    }
    connection.close().await;
}

#[actix::test]
async fn a_kick_counts_even_when_the_link_is_cut_in_the_same_moment() {
    let server = server().await;
    let (connection, mut heard) = online(quick(server.config()), alice()).await;
    let port = Port::open().await;
    let (other, mut other_hears) = start(port.config());
    let opening = actix_rt::spawn({
        let other = other.clone();
        async move { other.open(token()).await }
    });
    let mut peer = port.login().await;
    opening.await.unwrap().unwrap();
    peer.send(&kick(3)).await;
    drop(peer);
    assert_eq!(other_hears.disconnected().await, DisconnectReason::Kicked(Kick::PasswordChanged));

    server.change_password("alice", "new").unwrap();
    server.drop_links("alice", Cut::Fin);
    assert_eq!(heard.disconnected().await, DisconnectReason::Kicked(Kick::PasswordChanged));
    connection.close().await;
}

#[actix::test]
async fn a_kick_counts_even_when_the_link_is_reset_behind_it_and_something_was_about_to_be_sent() {
    let port = Port::open().await;
    let (connection, mut heard) = start(port.config());
    let opening = actix_rt::spawn({
        let connection = connection.clone();
        async move { connection.open(token()).await }
    });
    let mut peer = port.login().await;
    opening.await.unwrap().unwrap();
    // All of this is there before the connection has its turn.
    let sending = connection.send_text("bob", "too late");
    peer.send(&kick(3)).await;
    peer.reset();
    within("the send", sending).await.unwrap_err();
    assert_eq!(heard.disconnected().await, DisconnectReason::Kicked(Kick::PasswordChanged));
    assert_eq!(heard.rest(), []);
}

#[actix::test]
async fn after_a_kick_this_side_closes_the_socket_though_the_server_never_does() {
    for (operation, code) in [(1, 207), (2, 206), (3, 216), (4, 217)] {
        let port = Port::open().await;
        let (connection, mut heard) = start(port.config());
        let opening = actix_rt::spawn({
            let connection = connection.clone();
            async move { connection.open(token()).await }
        });
        let mut peer = port.login().await;
        opening.await.unwrap().unwrap();
        peer.send(&kick(operation)).await;
        assert_eq!(heard.disconnected().await.code().unwrap().number(), code);
        let frames = peer.end().await;
        assert_eq!(frames.last().unwrap().0, CLOSE, "a goodbye, then the end: {frames:?}");
        assert_eq!(connection.state(), ConnectionState::LoggedOut);
    }
}

#[actix::test]
async fn after_a_refusal_this_side_closes_the_socket_though_the_server_never_does() {
    use agora_chat::wire::{MSync, Provision, Status, msync::Command};

    let port = Port::open().await;
    let (connection, _heard) = start(port.config());
    let opening = actix_rt::spawn({
        let connection = connection.clone();
        async move { connection.open(token()).await }
    });
    let mut peer = port.upgraded().await;
    peer.upward().await;
    let status = Some(Status { error_code: Some(2), ..Status::default() });
    let refusal = MSync::from_server(Command::Provision, &Provision { status, ..Provision::default() });
    peer.send(&crate::connection::raw::binary(&refusal.to_bytes())).await;
    assert_eq!(opening.await.unwrap().unwrap_err().code().number(), 2);
    assert_eq!(peer.end().await.last().unwrap().0, CLOSE);
}

#[actix::test]
async fn information_and_unknown_statistics_do_not_end_a_session() {
    let port = Port::open().await;
    let (connection, mut heard) = start(port.config());
    let opening = actix_rt::spawn({
        let connection = connection.clone();
        async move { connection.open(token()).await }
    });
    let mut peer = port.login().await;
    opening.await.unwrap().unwrap();
    for operation in [0, 5, 99] {
        peer.send(&kick(operation)).await;
    }
    peer.send(&kick(4)).await;
    assert_eq!(heard.next().await, EventKind::Connected { resumed: false });
    assert!(matches!(heard.next().await, EventKind::Unknown(_)), "the first of those with the same id");
    assert_eq!(heard.next().await, EventKind::Disconnected { reason: DisconnectReason::Kicked(Kick::ByOtherDevice) });
}

#[actix::test]
async fn a_second_open_is_refused_and_disturbs_neither_a_login_under_way_nor_a_session() {
    let port = Port::open().await;
    let (connection, mut heard) = start(port.config());
    let opening = actix_rt::spawn({
        let connection = connection.clone();
        async move { connection.open(token()).await }
    });
    let mut peer = port.upgraded().await;
    peer.upward().await;
    for _ in 0..3 {
        let error = connection.open(bob()).await.unwrap_err();
        assert!(matches!(&error, OpenError::InProgress { user } if user.as_str() == "alice"), "{error:?}");
        assert_eq!(error.code().number(), 1);
    }
    peer.send(&crate::connection::raw::accepted()).await;
    opening.await.unwrap().unwrap();
    let error = connection.open(bob()).await.unwrap_err();
    assert!(matches!(&error, OpenError::AlreadyOpen { user } if user.as_str() == "alice"), "{error:?}");
    assert_eq!(error.code().number(), 208);
    assert_eq!(connection.state(), ConnectionState::Online);
    assert_eq!(heard.next().await, EventKind::Connected { resumed: false });

    // While the way back is under way, too; the name in events stays that of who is logged in.
    peer.reset();
    let mut peer = port.upgraded().await;
    peer.upward().await;
    assert!(matches!(connection.open(bob()).await, Err(OpenError::AlreadyOpen { .. })));
    assert!(matches!(connection.state(), ConnectionState::Reconnecting { .. }));
    peer.send(&crate::connection::raw::accepted()).await;
    assert!(matches!(heard.lost().await, LossCause::Io(_) | LossCause::Ended));
    let event = heard.event().await;
    assert_eq!((event.user().as_str(), event.kind()), ("alice", &EventKind::Connected { resumed: true }));
    connection.close().await;
}

#[actix::test]
async fn an_unreachable_server_fails_the_login_after_three_attempts_and_open_works_once_it_is_back() {
    let server = server().await;
    let (connection, mut heard) = start(quick(server.config()));
    let token = Credentials::token("alice", server.issue_token("alice", None).unwrap()).unwrap();
    server.stop_listening().await.unwrap();
    let error = within("open", connection.open(token.clone())).await.unwrap_err();
    assert_eq!(error.code().number(), 16);
    assert!(matches!(error, OpenError::Unreachable { attempts: 3, .. }), "{error:?}");
    assert_eq!(connection.state(), ConnectionState::LoggedOut);
    server.listen_again().await.unwrap();
    connection.open(token).await.unwrap();
    assert_eq!(heard.next().await, EventKind::Connected { resumed: false });
    connection.close().await;
}
