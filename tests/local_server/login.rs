//! PROVISION: accepted, refused, redirected, one device too many.

use std::time::Duration;

use agora_chat::{
    local_server::DevicePolicy,
    wire::{MSync, Provision, StatisticsBody},
};
use prost::Message as _;

use crate::peer::{APP, End, LIMIT, Peer, code, server};

#[actix_web::test]
async fn a_good_provision_is_answered_by_ok_the_resource_the_session_and_the_expiry() {
    let server = server().await;
    let mut peer = Peer::connect(&server, "Alice", "d1");
    let answer = peer.provision();
    assert_eq!(code(answer.status.as_ref()), 0);
    assert_eq!(answer.resource.as_deref(), Some("d1"));
    assert_eq!(answer.session_id.as_deref(), Some("1795381857340:"));
    let json: serde_json::Value = serde_json::from_str(&answer.auth_token.unwrap()).unwrap();
    let expires = json["expires_in"].as_u64().unwrap();
    let now = peer.unread().timestamp.unwrap();
    assert!((now + 3_590_000..=now + 3_600_000).contains(&expires), "{expires} at {now}");

    let sessions = server.sessions("alice");
    assert_eq!(sessions.len(), 1);
    assert_eq!((sessions[0].resource.as_str(), sessions[0].os_type), ("d1", Some(16)));
    assert_eq!(sessions[0].device_name.as_deref(), Some("webim"));
    assert_eq!((server.online(), server.provision_count()), (1, 1));
}

#[actix_web::test]
async fn a_token_without_end_is_accepted_without_an_expiry() {
    let server = server().await;
    let token = server.issue_token("alice", None).unwrap();
    let answer = Peer::connect(&server, "alice", "d1").with_token(&token).provision();
    assert_eq!((code(answer.status.as_ref()), answer.auth_token), (0, None));
}

#[actix_web::test]
async fn the_token_may_stand_in_either_place_with_or_without_its_prefix() {
    let server = server().await;
    let token = server.issue_token("alice", None).unwrap();
    let bare = Some(format!(r#"{{"token":"{token}"}}"#));
    for (auth, auth_token) in [(None, bare), (Some(format!("$t${token}")), None), (Some(token.clone()), None)] {
        let mut peer = Peer::connect(&server, "alice", "d1");
        let provision = Provision { resource: Some("d1".to_owned()), auth_token, ..Provision::default() };
        let own = agora_chat::wire::Jid::user(APP, "ALICE");
        peer.send(&MSync { auth, ..MSync::client_provision(own, "", &provision) });
        let agora_chat::wire::Downward::Provision(answer) = peer.receive() else { panic!("no answer") };
        assert_eq!(code(answer.status.as_ref()), 0);
    }
}

#[actix_web::test]
async fn a_bad_login_is_refused_with_the_services_reason_and_then_closed() {
    let server = server().await;
    let expired = server.issue_token("alice", Some(Duration::ZERO)).unwrap();
    let revoked = server.issue_token("alice", None).unwrap();
    assert!(server.revoke_token(&revoked));
    let bobs = server.issue_token("bob", None).unwrap();
    let good = server.issue_token("alice", None).unwrap();
    let mismatch = "Sorry, token or password does not match login info";
    let rows = [
        ("alice", APP, "no-such-token", mismatch),
        ("alice", APP, bobs.as_str(), mismatch),
        ("alice", APP, revoked.as_str(), mismatch),
        ("alice", "other#app", good.as_str(), mismatch),
        ("alice", APP, expired.as_str(), "Sorry, token expired"),
        ("nobody", APP, good.as_str(), "Sorry, user not found"),
    ];
    for (user, app_key, token, reason) in rows {
        let mut peer = Peer::connect(&server, user, "d1").with_token(token);
        let status = peer.provision_as(app_key, Provision::default()).status.unwrap();
        assert_eq!((status.error_code, status.reason.as_deref()), (Some(1), Some(reason)), "{user} {app_key}");
        assert_eq!(peer.end(), End::Close);
    }
    assert_eq!((server.online(), server.stats().refusals), (0, 6));
}

#[actix_web::test]
async fn provisions_are_refused_as_told_and_accepted_again() {
    let server = server().await;
    for status in [2, 4, 7, 12, 20, 99] {
        server.refuse_provisions(status, Some("r"));
        let mut peer = Peer::connect(&server, "alice", "d1");
        let answer = peer.provision().status.unwrap();
        assert_eq!((answer.error_code, answer.reason.as_deref()), (Some(status), Some("r")));
        assert_eq!(peer.end(), End::Close);
    }
    server.redirect_provisions("127.0.0.1", 4242);
    let answer = Peer::connect(&server, "alice", "d1").provision().status.unwrap();
    assert_eq!(answer.error_code, Some(5));
    assert_eq!((answer.redirect_info[0].host(), answer.redirect_info[0].port()), ("127.0.0.1", 4242));

    server.refuse_next_provisions(2, 1, None);
    let codes = [(); 3].map(|()| code(Peer::connect(&server, "alice", "d1").provision().status.as_ref()));
    assert_eq!(codes, [1, 1, 0]);
    server.refuse_provisions(1, None);
    server.accept_provisions();
    Peer::login(&server, "alice", "d1");
}

#[actix_web::test]
async fn nothing_but_provision_may_come_first_and_it_may_come_once() {
    let server = server().await;
    let mut early = Peer::connect(&server, "alice", "d1");
    early.send(&MSync::client_unread());
    assert_eq!(early.end(), End::Close);

    let mut twice = Peer::login(&server, "alice", "d1");
    assert_eq!(code(twice.provision().status.as_ref()), 4);
    assert_eq!(twice.end(), End::Close);
}

#[actix_web::test]
async fn the_same_device_replaces_itself_without_a_kick() {
    let server = server().await;
    let mut first = Peer::login(&server, "alice", "d1");
    let mut second = Peer::login(&server, "alice", "d1");
    assert_eq!(first.end(), End::Close);
    assert_eq!(server.sessions("alice").len(), 1);
    second.unread();
}

#[actix_web::test]
async fn one_device_too_many_has_the_oldest_kicked_with_the_newcomers_text() {
    let server = server().await;
    server.max_devices(Some(2), DevicePolicy::KickOldest);
    let mut first = Peer::login(&server, "alice", "d1");
    let mut second = Peer::login(&server, "alice", "d2");
    let mut third = Peer::connect(&server, "alice", "d3");
    let fields = Provision { reason: Some("my-phone".to_owned()), ..Provision::default() };
    assert_eq!(code(third.provision_as(APP, fields).status.as_ref()), 0);

    let kick = first.batch();
    let body = StatisticsBody::decode(kick.metas[0].payload.clone().unwrap()).unwrap();
    assert_eq!((body.operation, body.reason.as_deref()), (Some(2), Some("my-phone")));
    assert_eq!(first.end(), End::Close);
    second.unread();
    let online: Vec<_> = server.sessions("alice").into_iter().map(|device| device.resource).collect();
    assert_eq!(online, ["d2", "d3"]);
}

#[actix_web::test]
async fn one_device_too_many_is_refused_when_the_server_is_told_so() {
    let server = server().await;
    server.max_devices(Some(1), DevicePolicy::RefuseNew);
    let mut first = Peer::login(&server, "alice", "d1");
    let mut second = Peer::connect(&server, "alice", "d2");
    assert_eq!(code(second.provision().status.as_ref()), 13);
    first.unread();
    server.max_devices(None, DevicePolicy::RefuseNew);
    let _all: Vec<_> = (2..12).map(|n| Peer::login(&server, "alice", &format!("d{n}"))).collect();
    assert_eq!(server.online(), 11);
}

#[actix_web::test]
async fn logout_is_answered_and_then_closed() {
    let server = server().await;
    let mut peer = Peer::login(&server, "alice", "d1");
    let own = agora_chat::wire::Jid::user(APP, "alice").with_resource("d1");
    peer.send(&MSync::client_logout(own, "t", &agora_chat::wire::Logout::default()));
    let agora_chat::wire::Downward::Logout(answer) = peer.receive() else { panic!("no answer") };
    assert_eq!(code(answer.status.as_ref()), 0);
    assert_eq!(peer.end(), End::Close);
    server.wait_until(LIMIT, |server| server.online() == 0).await.unwrap();
}
