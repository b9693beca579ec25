//! What the official clients were recorded sending gets sensible answers.

use agora_chat::wire::Downward;
use serde_json::Value;

use crate::peer::{End, Peer, code, server};

const FRAMES: &str = include_str!("../vectors/client-frames.json");

/// The token of the recorded PROVISION frames.
const TOKEN: &str = "YWMtexampleTokenForVectors0123456789abcdefghijklmnopqrstuvwxyz";

fn recorded(name: &str) -> Vec<u8> {
    let all: Vec<Value> = serde_json::from_str(FRAMES).unwrap();
    let entry = all.iter().find(|entry| entry["name"] == name).expect(name);
    hex::decode(entry["hex"].as_str().unwrap()).unwrap()
}

#[actix_web::test]
async fn every_recorded_login_is_accepted() {
    let server = server().await;
    let all: Vec<Value> = serde_json::from_str(FRAMES).unwrap();
    let logins: Vec<_> = all.iter().filter(|entry| entry["decoded"]["command"] == "PROVISION").collect();
    assert!(logins.len() >= 8);
    for login in logins {
        let sender = &login["decoded"]["msync"];
        let token = sender["auth"].as_str().unwrap().trim_start_matches("$t$");
        server.adopt_token(sender["guid"]["name"].as_str().unwrap(), token, None).unwrap();
        let mut peer = Peer::connect(&server, "alice", "unused");
        peer.send_raw(hex::decode(login["hex"].as_str().unwrap()).unwrap());
        let Downward::Provision(answer) = peer.receive() else { panic!("{}", login["name"]) };
        assert_eq!(code(answer.status.as_ref()), 0, "{}", login["name"]);
        assert_eq!(login["decoded"]["payload"]["resource"], answer.resource.unwrap());
    }
}

#[actix_web::test]
async fn a_recorded_session_runs_from_login_to_logout() {
    let server = server().await;
    server.adopt_token("alice", TOKEN, None).unwrap();
    let mut bob = Peer::login(&server, "bob", "b1");
    for client in ["", "easemob/"] {
        let mut alice = Peer::connect(&server, "alice", "unused");
        alice.send_raw(recorded(&format!("{client}provision")));
        assert!(matches!(alice.receive(), Downward::Provision(_)));
        alice.send_raw(recorded(&format!("{client}unread")));
        assert!(matches!(alice.receive(), Downward::Unread(_)));
        alice.send_raw(recorded(&format!("{client}statistics")));
        let answer = alice.batch();
        assert_eq!((code(answer.status.as_ref()), answer.server_id), (0, None));
        assert!(answer.meta_id() > 0);
        alice.send_raw(recorded(&format!("{client}send-text")));
        let answer = alice.batch();
        assert_eq!(code(answer.status.as_ref()), 0);
        assert!(answer.server_id() > 1 << 53);

        assert_eq!(bob.notice(), "alice");
        bob.send_raw(recorded(&format!("{client}pull")));
        let batch = bob.batch();
        assert_eq!((batch.metas.len(), batch.is_last), (1, Some(false)));
        let end = bob.pull("alice", batch.next_key);
        assert_eq!((end.metas.len(), end.is_last), (0, Some(true)));
        // Whatever its key covers, nothing is left to read.
        bob.send_raw(recorded(&format!("{client}pull-with-key")));
        assert!(bob.batch().is_last());
    }
    let mut alice = Peer::connect(&server, "alice", "unused");
    alice.send_raw(recorded("easemob/provision"));
    assert!(matches!(alice.receive(), Downward::Provision(_)));
    alice.send_raw(recorded("easemob/logout"));
    let Downward::Logout(answer) = alice.receive() else { panic!("no answer") };
    assert_eq!(code(answer.status.as_ref()), 0);
    assert_eq!(alice.end(), End::Close);
}
