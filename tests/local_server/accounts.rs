//! Kicks, and what becomes of users and tokens.

use agora_chat::{
    errors::Kick,
    local_server::LocalServerError,
    wire::{StatisticsBody, USER_DOMAIN},
};
use prost::Message as _;

use crate::peer::{APP, End, Peer, post, server};

/// The operation of the kick that has to come next, in the safe form, and then the end.
fn kicked(peer: &mut Peer) -> i32 {
    let batch = peer.batch();
    assert_eq!((batch.meta_id, batch.is_last, batch.metas.len()), (None, Some(true), 1));
    let queue = batch.queue.unwrap();
    assert_eq!((queue.app_key(), queue.name(), queue.client_resource.as_ref()), (APP, "alice", None));
    let meta = &batch.metas[0];
    let (from, to) = (meta.from.clone().unwrap(), meta.to.clone().unwrap());
    assert_eq!((from.app_key(), from.domain(), from.name.as_ref()), (APP, USER_DOMAIN, None));
    assert_eq!((to.name(), to.client_resource()), ("alice", "d1"));
    assert!(meta.id() > 1 << 53 && meta.timestamp.is_some() && meta.ns == Some(0));
    assert_eq!(peer.end(), End::Close);
    StatisticsBody::decode(meta.payload.clone().unwrap()).unwrap().operation.unwrap()
}

#[actix_web::test]
async fn every_kick_comes_in_the_safe_form_and_ends_the_socket() {
    let server = server().await;
    let kicks = [
        (Kick::UserRemoved, 1),
        (Kick::LoggedInElsewhere { ext: None }, 2),
        (Kick::PasswordChanged, 3),
        (Kick::ByOtherDevice, 4),
    ];
    for (kick, operation) in kicks {
        let mut peer = Peer::login(&server, "alice", "d1");
        assert_eq!(server.kick("alice", kick), 1);
        assert_eq!(server.online(), 0, "a kicked device is gone at once");
        assert_eq!(kicked(&mut peer), operation);
    }
    assert_eq!(server.kick("alice", Kick::UserRemoved), 0);
}

#[actix_web::test]
async fn one_device_can_be_kicked_alone() {
    let server = server().await;
    let mut first = Peer::login(&server, "alice", "d1");
    let mut second = Peer::login(&server, "alice", "d2");
    assert!(server.kick_device("alice", "d1", Kick::ByOtherDevice));
    assert!(!server.kick_device("alice", "d1", Kick::ByOtherDevice));
    assert_eq!(kicked(&mut first), 4);
    second.unread();
}

#[actix_web::test]
async fn deleting_a_user_kicks_it_and_its_token_names_nobody() {
    let server = server().await;
    let token = server.issue_token("alice", None).unwrap();
    let mut peer = Peer::login(&server, "alice", "d1");
    server.delete_user("Alice").unwrap();
    assert_eq!(kicked(&mut peer), 1);
    let status = Peer::connect(&server, "alice", "d1").with_token(&token).provision().status.unwrap();
    assert_eq!(status.reason(), "Sorry, user not found");
    assert!(matches!(server.delete_user("alice"), Err(LocalServerError::NoSuchUser(_))));
}

#[actix_web::test]
async fn a_changed_password_kicks_revokes_and_is_the_new_one() {
    let server = server().await;
    let token = server.issue_token("alice", None).unwrap();
    let mut peer = Peer::login(&server, "alice", "d1");
    server.change_password("alice", "new").unwrap();
    assert_eq!(kicked(&mut peer), 3);
    let status = Peer::connect(&server, "alice", "d1").with_token(&token).provision().status.unwrap();
    assert_eq!(status.reason(), "Sorry, token or password does not match login info");
    let grant = |password| format!(r#"{{"grant_type":"password","username":"alice","password":"{password}"}}"#);
    assert_eq!(post(&server, "token", "", &grant("pw-a")).0, 400);
    assert_eq!(post(&server, "token", "", &grant("new")).0, 200);
}

#[actix_web::test]
async fn users_and_tokens_are_checked_before_they_are_made() {
    let server = server().await;
    assert!(matches!(server.create_user("ALICE", "x"), Err(LocalServerError::UserExists(_))));
    assert!(matches!(server.create_user("no spaces", "x"), Err(LocalServerError::Credential(_))));
    assert!(matches!(server.create_user("carol", ""), Err(LocalServerError::Credential(_))));
    assert!(matches!(server.issue_token("carol", None), Err(LocalServerError::NoSuchUser(_))));
    assert!(matches!(server.adopt_token("alice", "a b", None), Err(LocalServerError::Credential(_))));
}
