//! Register, log in, send and receive, log out.

use std::time::Duration;

use agora_chat::{ConnectionState, DisconnectReason};
use agora_chat::{
    Credentials, EventKind, OpenError, RequestError, SendError,
    errors::{CredentialError, RestErrorKind},
    local_server::FrameKind,
};

use crate::connection::support::{LIMIT, alice, bob, online, quick, server, start, text, within};

#[actix::test]
async fn a_user_registers_logs_in_and_out_and_the_state_says_where_it_stands() {
    let server = server().await;
    let (connection, mut heard) = start(server.config());
    assert_eq!(connection.state(), ConnectionState::LoggedOut);

    let carol = within("registration", connection.register_user("Carol", "pw-c", Some("Carol C."))).await.unwrap();
    assert_eq!(carol.user.as_str(), "carol");
    assert_eq!(connection.state(), ConnectionState::LoggedOut, "registering logs nobody in");

    connection.open(Credentials::password("CAROL", "pw-c").unwrap()).await.unwrap();
    assert_eq!(connection.state(), ConnectionState::Online);
    let event = heard.event().await;
    assert_eq!((event.user().as_str(), event.kind()), ("carol", &EventKind::Connected { resumed: false }));
    assert_eq!(server.sessions("carol").len(), 1);
    assert!(server.sessions("carol")[0].resource.starts_with("rust_"), "a device was made up");

    connection.close().await;
    assert_eq!(connection.state(), ConnectionState::LoggedOut);
    assert_eq!(heard.next().await, EventKind::Disconnected { reason: DisconnectReason::Closed });
    assert_eq!(server.online(), 0);
    let frames = server.sent_by("carol");
    assert_eq!(frames.first().unwrap().kind, FrameKind::Provision);
    assert_eq!(frames.last().unwrap().kind, FrameKind::Logout);
}

#[actix::test]
async fn a_taken_user_id_is_refused_by_the_service_with_its_own_kind() {
    let server = server().await;
    let (connection, _heard) = start(server.config());
    let taken = connection.register_user("alice", "x", None).await.unwrap_err();
    let RequestError::Rest(rest) = &taken else { panic!("{taken:?}") };
    assert_eq!(rest.kind(), &RestErrorKind::UsernameTaken);
    assert_eq!(taken.code().number(), 17);
}

#[actix::test]
async fn illegal_values_are_refused_before_a_byte_is_sent() {
    let server = server().await;
    let (connection, _heard) = start(server.config());
    let long = "n".repeat(101);
    let refused = [
        (connection.register_user("no spaces", "x", None).await, "the character ' ' is not"),
        (connection.register_user("", "x", None).await, "empty"),
        (connection.register_user(&"u".repeat(65), "x", None).await, "65 bytes"),
        (connection.register_user("dave", "", None).await, "the password is empty"),
        (connection.register_user("dave", "x", Some(&long)).await, "101 characters"),
    ];
    for (result, words) in refused {
        let error = result.unwrap_err();
        assert!(matches!(error, RequestError::Credentials(_)), "{error:?}");
        assert!(error.to_string().contains(words), "{error}");
        assert_eq!(error.code().number(), -3);
    }
    assert_eq!(Credentials::token("alice", "").unwrap_err(), CredentialError::EmptyToken);
    assert_eq!(server.connects(), 0, "nothing was sent");
}

#[actix::test]
async fn closed_registration_is_told_as_such() {
    let server = server().await;
    server.set_open_registration(false);
    let (connection, _heard) = start(server.config());
    let error = connection.register_user("dave", "x", None).await.unwrap_err();
    assert!(
        matches!(&error, RequestError::Rest(rest) if rest.kind() == &RestErrorKind::RegistrationClosed),
        "{error:?}"
    );
}

#[actix::test]
async fn a_login_by_token_makes_no_rest_call() {
    let server = server().await;
    let token = server.issue_token("alice", Some(Duration::from_secs(3600))).unwrap();
    let (connection, _heard) = online(server.config(), Credentials::token("alice", token).unwrap()).await;
    assert!(server.rest_calls().is_empty());
    connection.close().await;
}

#[actix::test]
async fn addresses_are_found_by_discovery() {
    let server = server().await;
    let (connection, _heard) = online(server.discovery_config(), alice()).await;
    let paths: Vec<_> = server.rest_calls().into_iter().map(|call| call.path).collect();
    assert_eq!(paths, ["/easemob/server.json", "/local/test/token"]);
    connection.close().await;
}

#[actix::test]
async fn a_wrong_password_is_code_1_with_the_rest_error_inside_and_no_socket_is_opened() {
    let server = server().await;
    let (connection, mut heard) = start(server.config());
    for (credentials, kind) in [
        (Credentials::password("alice", "wrong").unwrap(), RestErrorKind::InvalidPassword),
        (Credentials::password("nobody", "pw").unwrap(), RestErrorKind::UserNotFound),
    ] {
        let error = connection.open(credentials).await.unwrap_err();
        assert_eq!(error.code().number(), 1);
        let OpenError::Token { error, .. } = error else { panic!("{error:?}") };
        assert_eq!(error.kind(), &kind);
        assert_eq!(connection.state(), ConnectionState::LoggedOut);
    }
    assert_eq!(server.stats().upgrades, 0);
    connection.open(alice()).await.unwrap();
    assert_eq!(
        heard.next().await,
        EventKind::Connected { resumed: false },
        "the failures were told to the caller only"
    );
    connection.close().await;
}

#[actix::test]
async fn texts_and_commands_go_both_ways_between_two_users() {
    let server = server().await;
    let (alice, mut alice_hears) = online(server.config(), alice()).await;
    let (bob, mut bob_hears) = online(server.config(), bob()).await;

    let sent = within("the answer", alice.send_text("bob", "Hello, Bob! ✓")).await.unwrap();
    let message = bob_hears.message().await;
    assert_eq!(text(&message), "Hello, Bob! ✓");
    assert_eq!((&*message.from, &*message.to, message.id), ("alice", "bob", sent.server_id));

    within("the answer", bob.send_command("alice", "wave")).await.unwrap();
    let message = alice_hears.message().await;
    assert!(matches!(&message.body, agora_chat::MessageBody::Command { action } if action == "wave"), "{message:?}");

    let error = alice.send_text("nobody", "?").await.unwrap_err();
    assert!(matches!(error, SendError::Refused { .. }), "{error:?}");
    assert_eq!(error.code().number(), 204);
    alice.close().await;
    bob.close().await;
    assert!(matches!(alice.send_text("bob", "late").await, Err(SendError::NotLoggedIn)));
}

#[actix::test]
async fn what_one_device_sends_its_users_other_device_hears_too() {
    let server = server().await;
    let (phone, mut phone_hears) = online(server.config(), alice()).await;
    let (desk, mut desk_hears) = online(server.config(), alice()).await;
    assert_eq!(server.sessions("alice").len(), 2);
    phone.send_text("bob", "from my phone").await.unwrap();
    let message = desk_hears.message().await;
    assert_eq!((&*message.from, &*message.to, text(&message)), ("alice", "bob", "from my phone"));

    server.send_text("bob", "alice", "to both").unwrap();
    assert_eq!(text(&phone_hears.message().await), "to both");
    assert_eq!(text(&desk_hears.message().await), "to both");
    phone.close().await;
    desk.close().await;
}

#[actix::test]
async fn five_hundred_messages_arrive_once_each_and_in_order() {
    let server = server().await;
    let (bob, mut hears) = online(server.config(), bob()).await;
    for n in 0..500 {
        server.send_text("alice", "bob", &n.to_string()).unwrap();
    }
    for n in 0..500 {
        assert_eq!(text(&hears.message().await), n.to_string());
    }
    bob.close().await;
}

#[actix::test]
async fn what_was_sent_while_the_user_was_away_is_heard_after_the_login() {
    let server = server().await;
    server.send_text("bob", "alice", "while you were out").unwrap();
    let (connection, mut heard) = online(quick(server.config()), alice()).await;
    assert_eq!(text(&heard.message().await), "while you were out");
    // Acknowledged, so that the next login does not hear it again.
    server
        .wait_until(LIMIT, |server| {
            server.sent_by("alice").iter().any(|frame| matches!(frame.kind, FrameKind::Pull { key: Some(_), .. }))
        })
        .await
        .unwrap();
    connection.close().await;
}
