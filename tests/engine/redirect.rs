//! A login redirected to another host (connection spec §6.4).

use agora_chat::{
    ConfigBuilder, LossCause, OpenError,
    config::{Addresses, Endpoints},
    errors::RefusalKind,
    session::{Diagnostic, Input},
};

use crate::{
    peer,
    sim::{Did, Sim, by_token, config},
};

fn two_hosts() -> ConfigBuilder {
    let socket = vec!["ws://one.test/websocket".to_owned(), "ws://two.test/websocket".to_owned()];
    config().endpoints(Endpoints::Fixed(Addresses { rest: vec!["http://rest.test".to_owned()], socket }))
}

/// Takes the connection and redirects it.
fn redirect(sim: &mut Sim, host: &str, port: u32) -> Did {
    sim.step(Input::Connected);
    sim.frame(&peer::redirect(&[(host, port)]))
}

fn opening() -> Sim {
    let mut sim = Sim::new(config());
    sim.step(by_token());
    sim
}

fn refusal(did: &Did) -> RefusalKind {
    match did.open_error() {
        OpenError::Refused { refusal, .. } => {
            assert_eq!(refusal.code().number(), 2);
            refusal.kind()
        }
        other => panic!("{other}"),
    }
}

#[test]
fn a_redirect_is_followed_with_the_same_path_and_scheme() {
    let mut sim = opening();
    let did = redirect(&mut sim, "next.test", 8080);
    assert_eq!(did.dialed(), ["ws://next.test:8080/websocket"]);
    assert!(
        matches!(did.notes()[..], [Diagnostic::Redirected { url, hop: 1 }] if &**url == "ws://next.test:8080/websocket")
    );
    assert_eq!(sim.accept().opened(), Some(&Ok(())));
}

#[test]
fn the_first_of_several_targets_is_taken() {
    let mut sim = opening();
    sim.step(Input::Connected);
    let did = sim.frame(&peer::redirect(&[("a.test", 1), ("b.test", 2)]));
    assert_eq!(did.dialed(), ["ws://a.test:1/websocket"]);
}

#[test]
fn five_hops_are_followed_and_the_sixth_is_refused() {
    let mut sim = opening();
    for port in 1..=5 {
        assert_eq!(redirect(&mut sim, "hop.test", port).dialed().len(), 1);
    }
    assert_eq!(refusal(&redirect(&mut sim, "hop.test", 6)), RefusalKind::TooManyRedirects);
    let mut sim = opening();
    for port in 1..=5 {
        redirect(&mut sim, "hop.test", port);
    }
    assert_eq!(sim.accept().opened(), Some(&Ok(())), "the fifth hop may accept");
}

#[test]
fn a_loop_is_refused_also_one_to_itself_or_back_to_the_first_host() {
    assert_eq!(refusal(&redirect(&mut opening(), "one.test", 0)), RefusalKind::RedirectLoop);
    let mut sim = opening();
    redirect(&mut sim, "a.test", 1);
    redirect(&mut sim, "b.test", 1);
    assert_eq!(refusal(&redirect(&mut sim, "a.test", 1)), RefusalKind::RedirectLoop);
    let mut sim = opening();
    redirect(&mut sim, "a.test", 1);
    assert_eq!(refusal(&redirect(&mut sim, "one.test", 0)), RefusalKind::RedirectLoop);
}

#[test]
fn a_redirect_to_nowhere_is_refused() {
    let mut sim = opening();
    sim.step(Input::Connected);
    assert_eq!(refusal(&sim.frame(&peer::redirect(&[]))), RefusalKind::RedirectWithoutAddress);
    for (host, port) in [("", 1), ("a b", 1), ("user@a.test", 1), ("a.test/x", 1), ("a.test", 65_536)] {
        assert_eq!(
            refusal(&redirect(&mut opening(), host, port)),
            RefusalKind::RedirectWithoutAddress,
            "{host}:{port}"
        );
    }
}

#[test]
fn on_the_way_back_redirects_are_followed_and_bad_ones_are_tried_again_later() {
    let mut sim = Sim::online();
    sim.redial();
    redirect(&mut sim, "a.test", 1);
    sim.accept();
    sim.redial();
    let did = redirect(&mut sim, "one.test", 0);
    let LossCause::Refused(refusal) = did.reconnecting().2 else { panic!("{did:?}") };
    assert_eq!(refusal.kind(), RefusalKind::RedirectLoop);
    assert_eq!(sim.due().dialed(), ["ws://one.test/websocket"]);
}

#[test]
fn after_a_redirect_the_next_attempt_goes_to_the_next_configured_host() {
    let mut sim = Sim::new(two_hosts());
    assert_eq!(sim.step(by_token()).dialed(), ["ws://one.test/websocket"]);
    redirect(&mut sim, "else.test", 1);
    sim.accept();
    sim.lose();
    assert_eq!(sim.due().dialed(), ["ws://two.test/websocket"]);
    redirect(&mut sim, "else.test", 1);
    sim.lose();
    assert_eq!(sim.due().dialed(), ["ws://one.test/websocket"], "hops do not count as turns");
}

#[test]
fn every_hop_has_its_own_time_limits() {
    let mut sim = opening();
    sim.pass(crate::sim::seconds(9));
    redirect(&mut sim, "a.test", 1);
    assert_eq!(sim.left(), crate::sim::seconds(10));
}
