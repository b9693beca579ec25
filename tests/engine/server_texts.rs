//! Texts that a server writes on the socket: cut where they come in.

use agora_chat::{
    DisconnectReason, EventKind, LossCause, OpenError, SendError,
    errors::{Kick, RefusalKind},
    session::Input,
    wire::CommSyncDl,
};

use crate::{
    peer::{self, user},
    sim::{Sim, TOKEN, by_token, config, hello},
};

/// 3 MiB of characters that logs have to escape.
fn long(begin: &str) -> String {
    format!("{begin}{}", "\u{200b}".repeat(1 << 20))
}

fn is_cut(text: &str, begin: &str, length: usize) {
    assert!(text.starts_with(begin) && text.ends_with('…'), "{} bytes", text.len());
    assert_eq!(text.chars().count(), length + 1);
}

#[test]
fn a_refusal_of_3_mib_is_cut_and_keeps_what_it_means() {
    let mut sim = Sim::new(config());
    sim.step(by_token());
    sim.step(Input::Connected);
    let did = sim.frame(&peer::refused(1, Some(&long("token expired "))));
    let OpenError::Refused { refusal, .. } = did.open_error() else { panic!("{did:?}") };
    assert_eq!(refusal.kind(), RefusalKind::TokenExpired);
    is_cut(refusal.reason().unwrap(), "token expired ", 512);
    assert!(format!("{did:?}").len() < 50_000);
}

#[test]
fn a_refused_way_back_is_cut_in_each_attempt() {
    let mut sim = Sim::online();
    sim.lose();
    for _ in 0..3 {
        sim.due();
        sim.step(Input::Connected);
        let did = sim.frame(&peer::refused(1, Some(&long("try later "))));
        let (_, _, LossCause::Refused(refusal)) = did.reconnecting() else { panic!("{did:?}") };
        is_cut(refusal.reason().unwrap(), "try later ", 512);
    }
}

#[test]
fn the_refusal_of_a_send_and_a_close_reason_are_cut_and_hold_no_token() {
    let mut sim = Sim::online();
    sim.step(hello(1));
    let did = sim.frame(&peer::answer(1, 1, Some(&long(&format!("no {TOKEN} ")))));
    let (1, Err(SendError::Refused { reason, .. })) = did.outcomes()[0] else { panic!("{did:?}") };
    is_cut(reason, "no <redacted> ", 512);
    let reason = format!("{}{TOKEN}", "x".repeat(3_000));
    let did = sim.step(Input::Lost(LossCause::ClosedByPeer { code: Some(1011), reason }));
    let (_, _, LossCause::ClosedByPeer { reason, .. }) = did.reconnecting() else { panic!("{did:?}") };
    is_cut(reason, "xxx", 512);
}

#[test]
fn what_a_kick_says_is_whole_as_far_as_a_login_may_say_it() {
    for (length, cut) in [(1, false), (1024, false), (1025, true), (1 << 20, true)] {
        let mut sim = Sim::online();
        let said = "ü".repeat(length);
        let metas = vec![peer::statistics(Some(1), 2, Some(&said))];
        let did = sim.frame(&peer::sync(CommSyncDl { metas, queue: Some(user("alice")), ..CommSyncDl::default() }));
        let Some(DisconnectReason::Kicked(Kick::LoggedInElsewhere { ext: Some(ext) })) = did.reason() else {
            panic!("{did:?}")
        };
        if cut { is_cut(ext, "ü", 1024) } else { assert_eq!(*ext, said) }
    }
}

#[test]
fn a_redirect_to_a_host_no_host_can_be_called_is_refused_without_it() {
    let mut sim = Sim::new(config());
    sim.step(by_token());
    sim.step(Input::Connected);
    let did = sim.frame(&peer::redirect(&[(&"x".repeat(1 << 20), 80)]));
    let OpenError::Refused { refusal, .. } = did.open_error() else { panic!("{did:?}") };
    assert_eq!(refusal.kind(), RefusalKind::RedirectWithoutAddress);
    assert!(format!("{did:?}").len() < 5_000);
}

#[test]
fn texts_of_users_are_never_cut() {
    let said = long("hello ");
    let did = Sim::online().frame(&peer::page(&user("bob"), vec![peer::text(1, &said)], 7));
    let EventKind::Message(message) = did.event() else { panic!("{did:?}") };
    assert_eq!(message.text(), Some(&*said));
}
