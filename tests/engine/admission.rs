//! A permit before every attempt.

use std::{future::pending, sync::Arc};

use agora_chat::{
    Account, Config, ConfigBuilder, ConnectionState, Credentials, DisconnectReason, LossCause, OpenError,
    account::{Token, TokenGrant, TokenReason},
    admission::{Admission, Attempt, AttemptFailure, AttemptKind, AttemptOutcome, Ticket},
    config::{Addresses, Endpoints},
    errors::{ActorEnd, ConnectStep, RefusalKind, TokenError},
    session::{Action, Input, TokenFetch},
};

use crate::{
    ledger::Place,
    peer,
    renewal::{by_provider_account, not_provided},
    rest_errors,
    sim::{APP, Did, Sim, T0, alice, config, device, granted, millis, not_granted, seconds},
};

/// An admission that the engine never calls: it asks by an action.
struct Uncalled;

impl Admission for Uncalled {
    fn ask(&self, _: Attempt) -> Ticket {
        Box::pin(pending())
    }
}

fn admitted_by(account: Account) -> Input<'static> {
    Input::Open(account.admission(Arc::new(Uncalled)))
}

/// Alice by token, with an admission.
pub(crate) fn paced() -> Input<'static> {
    admitted_by(alice())
}

fn by_password() -> Input<'static> {
    admitted_by(Account::new(Credentials::password("alice", "a-password").unwrap()).device(device()))
}

fn discovering() -> ConfigBuilder {
    let hosts = vec!["http://boot.test".to_owned()];
    Config::builder(APP).allow_plaintext().endpoints(Endpoints::Discovery(hosts))
}

fn found() -> Input<'static> {
    let socket = vec!["ws://one.test:8443/websocket".to_owned(), "ws://two.test/websocket".to_owned()];
    Input::Discovered(Ok(Addresses { rest: vec!["http://rest.test".to_owned()], socket }))
}

fn token() -> Input<'static> {
    granted(TokenGrant::of(Token::new("YWMt").unwrap(), None))
}

impl Did {
    fn asked(&self) -> Option<&Attempt> {
        self.0.iter().find_map(|action| if let Action::Admit(attempt) = action { Some(attempt) } else { None })
    }

    fn over(&self) -> Option<&AttemptOutcome> {
        let mut ends =
            self.0.iter().filter_map(|action| if let Action::AttemptOver(end) = action { Some(end) } else { None });
        let end = ends.next();
        assert!(ends.next().is_none(), "one attempt ends: {:?}", self.0);
        end
    }

    fn failure(&self) -> &AttemptFailure {
        let Some(AttemptOutcome::Failed(failure)) = self.over() else { panic!("no failure in {:?}", self.0) };
        failure
    }

    /// Whether anything goes over the network.
    fn calls(&self) -> bool {
        let calls = |action: &Action| {
            matches!(
                action,
                Action::Discover | Action::FetchToken { .. } | Action::Connect { .. } | Action::Transmit(_)
            )
        };
        self.0.iter().any(calls)
    }
}

/// Online with a permit asked for and given.
fn online() -> Sim {
    let mut sim = Sim::new(config());
    sim.step(paced());
    sim.step(Input::Admitted);
    assert_eq!(sim.accept().over(), Some(&AttemptOutcome::Online));
    sim.frame(&peer::unread(&[]));
    sim
}

/// The steps of a login with discovery and a password, each from the one before.
fn login_at(place: Place) -> Sim {
    let mut sim = Sim::new(discovering());
    let steps: [fn(&mut Sim) -> Did; 5] = [
        |sim| sim.step(by_password()),
        |sim| sim.step(Input::Admitted),
        |sim| sim.step(found()),
        |sim| sim.step(token()),
        |sim| sim.step(Input::Connected),
    ];
    for step in steps {
        step(&mut sim);
        if sim.place() == place {
            return sim;
        }
    }
    panic!("no {place:?}")
}

#[test]
fn a_login_asks_first_and_nothing_goes_out_nor_runs_out_until_it_is_admitted() {
    let mut sim = Sim::new(discovering());
    let did = sim.step(by_password());
    assert_eq!(did.asked(), Some(&Attempt::new("alice".parse().unwrap(), AttemptKind::First, 1)));
    assert!(!did.calls());
    assert_eq!(sim.engine.state(), ConnectionState::LoggingIn { step: ConnectStep::Admission });
    assert_eq!(sim.engine.deadline(), None, "no time limit runs");
    sim.pass(seconds(86_400));
    assert!(sim.step(Input::Tick).0.is_empty());
    assert!(sim.step(Input::Admitted).0.iter().any(|action| matches!(action, Action::Discover)));
    // The whole deadline of the login is left.
    assert!(sim.left() > seconds(1));
    sim.step(found());
    sim.step(token());
    assert_eq!(sim.accept().over(), Some(&AttemptOutcome::Online));
}

#[test]
fn the_login_s_deadline_stands_still_while_it_waits_and_runs_on_after() {
    let mut sim = Sim::new(config().login_deadline(seconds(8)));
    sim.step(paced());
    sim.pass(seconds(1_000));
    sim.step(Input::Admitted);
    sim.pass(seconds(7));
    assert!(sim.step(Input::Tick).0.is_empty());
    sim.pass(seconds(1));
    let did = sim.step(Input::Tick);
    assert!(matches!(did.open_error(), OpenError::Deadline { step: ConnectStep::Connect, .. }));
    assert_eq!(did.failure().cause, LossCause::Timeout(ConnectStep::Connect));
}

#[test]
fn each_attempt_of_a_login_asks_anew_once_its_pause_is_over() {
    let mut sim = Sim::new(config());
    sim.step(paced());
    for number in 2..=3 {
        sim.step(Input::Admitted);
        let did = sim.lose();
        assert_eq!(did.failure().cause, LossCause::Ended);
        assert!(did.asked().is_none(), "the pause comes first");
        assert_eq!(sim.place(), Place::Pause);
        let did = sim.due();
        assert_eq!(did.asked().map(|attempt| (attempt.kind, attempt.number)), Some((AttemptKind::First, number)));
        assert!(!did.calls());
    }
    sim.step(Input::Admitted);
    let did = sim.lose();
    assert!(matches!(did.open_error(), OpenError::Unreachable { attempts: 3, .. }));
    assert_eq!(did.failure().cause, LossCause::Ended);
}

#[test]
fn each_reconnect_asks_with_the_host_once_its_pause_is_over() {
    let mut sim = online();
    for number in 1..=4 {
        assert!(sim.lose().asked().is_none());
        let did = sim.due();
        let asked = did.asked().unwrap();
        assert_eq!((asked.kind, asked.number), (AttemptKind::Reconnect, number));
        assert_eq!(asked.host.as_deref(), Some("one.test"));
        assert_eq!(sim.engine.state(), ConnectionState::Reconnecting { attempt: number });
        assert_eq!(sim.engine.deadline(), None);
        let did = sim.step(Input::Admitted);
        assert_eq!(did.dialed().len(), 1);
    }
    assert_eq!(sim.accept().over(), Some(&AttemptOutcome::Online));
    assert!(sim.lose().over().is_none(), "the loss of a link that was up is no failed attempt");
}

#[test]
fn wherever_it_is_close_and_the_actor_s_end_give_the_attempt_up() {
    for place in [Place::Discovery, Place::Token, Place::Connect, Place::Provision, Place::Admission, Place::Pause] {
        for end in [|| Input::Close, || Input::Abort(ActorEnd::Stopped)] {
            let mut sim = match place {
                Place::Pause => {
                    let mut sim = login_at(Place::Connect);
                    sim.lose();
                    sim
                }
                place => login_at(place),
            };
            let held = !matches!(place, Place::Admission | Place::Pause);
            let did = sim.step(end());
            assert_eq!(did.over(), held.then_some(&AttemptOutcome::Cancelled), "at {place:?}");
            assert!(did.0.iter().any(|action| matches!(action, Action::Hangup)), "which takes the request back");
            assert!(did.closed() && matches!(did.open_error(), OpenError::Ended { .. }));
            // A ticket that comes all the same is nobody's.
            assert!(sim.step(Input::Admitted).0.is_empty());
        }
    }
    let mut sim = online();
    sim.redial();
    assert_eq!(sim.place(), Place::Admission);
    let did = sim.step(Input::Close);
    assert_eq!((did.reason(), did.over()), (Some(&DisconnectReason::Closed), None));
}

#[test]
fn a_failure_names_its_step_its_host_and_its_cause() {
    type Fail = fn(&mut Sim) -> Did;
    let refusal = |refused: &AttemptFailure| match &refused.cause {
        LossCause::Refused(refusal) => Some(refusal.kind()),
        _ => None,
    };
    let cases: [(Place, Fail, ConnectStep, Option<&str>); 8] = [
        (
            Place::Discovery,
            |sim| sim.step(Input::Discovered(Err(rest_errors::nowhere()))),
            ConnectStep::Discovery,
            None,
        ),
        (Place::Discovery, Sim::due, ConnectStep::Discovery, None),
        (
            Place::Token,
            |sim| sim.step(not_granted(rest_errors::overloaded())),
            ConnectStep::Token,
            Some("one.test:8443"),
        ),
        (
            Place::Token,
            |sim| sim.step(not_granted(rest_errors::wrong_password())),
            ConnectStep::Token,
            Some("one.test:8443"),
        ),
        (
            Place::Connect,
            |sim| {
                sim.step(Input::At(ConnectStep::Tls));
                sim.due()
            },
            ConnectStep::Tls,
            Some("one.test:8443"),
        ),
        (
            Place::Connect,
            |sim| sim.step(Input::Lost(LossCause::UpgradeRefused { status: 429, retry_after: Some(seconds(2)) })),
            ConnectStep::Upgrade,
            Some("one.test:8443"),
        ),
        (Place::Provision, Sim::due, ConnectStep::Provision, Some("one.test:8443")),
        (Place::Provision, |sim| sim.frame(&peer::refused(12, None)), ConnectStep::Provision, Some("one.test:8443")),
    ];
    for (place, fail, step, host) in cases {
        let did = fail(&mut login_at(place));
        let failure = did.failure();
        assert_eq!((failure.step, failure.host.as_deref()), (step, host), "at {place:?}: {failure:?}");
    }
    let did = login_at(Place::Provision).frame(&peer::refused(12, None));
    assert_eq!(refusal(did.failure()), Some(RefusalKind::ServingDisabled));
    let did = login_at(Place::Token).step(not_granted(rest_errors::wrong_password()));
    assert!(matches!(&did.failure().cause, LossCause::Rest { error, .. } if error.is_final()), "{did:?}");
    let did = login_at(Place::Token).step(not_granted(rest_errors::overloaded()));
    assert!(did.failure().http_status().is_some(), "{did:?}");
    let busy = LossCause::UpgradeRefused { status: 429, retry_after: Some(seconds(2)) };
    let did = login_at(Place::Connect).step(Input::Lost(busy));
    assert_eq!((did.failure().http_status(), did.failure().retry_after()), (Some(429), Some(seconds(2))));
}

#[test]
fn one_permit_covers_an_attempt_with_its_redirects_and_a_new_token() {
    let mut sim = login_at(Place::Provision);
    let did = sim.frame(&peer::redirect(&[("hop.test", 9000)]));
    assert_eq!((did.asked(), did.over(), did.dialed()), (None, None, vec!["ws://hop.test:9000/websocket"]));
    sim.step(Input::Connected);
    let did = sim.frame(&peer::refused(7, None));
    assert_eq!(did.failure().host.as_deref(), Some("hop.test:9000"), "the one that it was redirected to");

    let mut sim = online_by_password();
    sim.redial();
    sim.step(Input::Admitted);
    sim.step(Input::Connected);
    let did = sim.frame(&peer::refused(1, Some("Sorry, token expired")));
    assert!(did.asked().is_none() && did.over().is_none() && sim.place() == Place::Token);
    sim.step(granted(TokenGrant::of(Token::new("YWMt-next").unwrap(), None)));
    assert_eq!(sim.accept().over(), Some(&AttemptOutcome::Online));
}

fn online_by_password() -> Sim {
    let mut sim = login_at(Place::Provision);
    sim.frame(&peer::accepted());
    sim.frame(&peer::unread(&[]));
    sim
}

#[test]
fn a_hint_of_the_network_keeps_the_place_of_one_that_waits_and_gives_an_attempt_up() {
    for mut sim in [login_at(Place::Admission), {
        let mut sim = online();
        sim.redial();
        sim
    }] {
        assert!(sim.step(Input::NetworkChanged).0.is_empty());
        assert_eq!(sim.place(), Place::Admission);
    }
    for mut sim in [login_at(Place::Connect), {
        let mut sim = online();
        sim.redial();
        sim.step(Input::Admitted);
        sim
    }] {
        let did = sim.step(Input::NetworkChanged);
        assert_eq!(did.over(), Some(&AttemptOutcome::Cancelled));
        assert!(did.asked().is_some() && !did.calls());
    }
    let mut sim = online();
    sim.lose();
    let did = sim.step(Input::NetworkChanged);
    assert!(did.asked().is_some() && !did.calls(), "the pause is cut short, and it asks all the same");
}

#[test]
fn an_admission_that_panics_costs_the_attempt_and_is_asked_again() {
    let mut sim = Sim::new(config());
    sim.step(paced());
    let did = sim.step(Input::NotAdmitted);
    assert!(did.over().is_none(), "there is no permit to tell");
    assert_eq!(sim.place(), Place::Pause);
    assert!(sim.due().asked().is_some());
    let mut sim = online();
    sim.redial();
    let did = sim.step(Input::NotAdmitted);
    let (_, _, cause) = did.reconnecting();
    assert!(matches!(cause, LossCause::Failed { step: ConnectStep::Admission, .. }), "{cause}");
    assert!(sim.due().asked().is_some());
}

#[test]
fn a_renewal_asks_nobody_online_and_waits_for_the_permit_offline() {
    let mut sim = Sim::new(config());
    sim.step(admitted_by(by_provider_account()));
    sim.step(Input::Admitted);
    sim.step(granted(TokenGrant::of(Token::new("YWMt-first").unwrap(), None)));
    sim.step(Input::Connected);
    sim.frame(&peer::accepted_until(T0 + 1_000_000));
    sim.frame(&peer::unread_at(sim.now.wall));
    let fetches = |did: &Did| {
        let reason = |action: &Action| match action {
            Action::FetchToken { fetch: TokenFetch::Session, request, .. } => Some(request.reason),
            _ => None,
        };
        did.0.iter().find_map(reason)
    };
    // Lost before the warning, and not admitted until it has passed.
    sim.redial();
    sim.pass(seconds(850));
    let did = sim.step(Input::Tick);
    assert!(!did.events().is_empty() && !did.calls(), "it warns, and fetches nothing: {did:?}");
    let mut did = sim.step(Input::Admitted);
    did.0.extend(sim.step(Input::Tick).0);
    assert_eq!(fetches(&did), Some(TokenReason::Expiring), "{did:?}");
    sim.step(not_provided());
    sim.accept();
    sim.frame(&peer::unread_at(sim.now.wall));
    let did = sim.due();
    assert!(did.asked().is_none(), "online none is needed");
}

#[test]
fn a_reconnect_that_may_not_fetch_a_token_yet_asks_after_that_pause() {
    let mut sim = Sim::new(config());
    sim.step(admitted_by(by_provider_account()));
    sim.step(Input::Admitted);
    sim.step(granted(TokenGrant::of(Token::new("YWMt-first").unwrap(), None)));
    sim.step(Input::Connected);
    sim.frame(&peer::accepted_until(T0 + 100_000));
    // The service asks for a pause of 7 s, each time until the token has ended.
    while sim.now.wall < T0 + 120_000 || !sim.is_asking() {
        if sim.is_asking() {
            sim.step(not_granted(rest_errors::overloaded()));
        }
        sim.frame(&peer::unread_at(sim.now.wall));
        sim.due();
    }
    sim.step(not_granted(rest_errors::overloaded()));
    let failed = sim.now.mono;
    sim.lose();
    while sim.place() == Place::Pause {
        assert!(!sim.due().calls());
    }
    assert_eq!(sim.place(), Place::Admission);
    assert!(sim.now.mono - failed >= seconds(7), "{:?}", sim.now.mono - failed);
    assert!(sim.step(Input::Admitted).calls(), "and the permit is used at once");
}

#[test]
fn the_account_s_own_causes_are_told_as_they_end_the_session() {
    // A token that ends during an attempt, with nobody to give another.
    let mut sim = Sim::online_paced_for(seconds(100));
    sim.redial();
    sim.step(Input::Admitted);
    sim.step(Input::Connected);
    let did = sim.frame(&peer::refused(1, Some("Sorry, token expired")));
    assert!(matches!(&did.failure().cause, LossCause::Refused(refusal) if refusal.kind() == RefusalKind::TokenExpired));
    assert_eq!(did.reason(), Some(&DisconnectReason::TokenExpired));
    let mut sim = Sim::online_paced_for(seconds(100));
    sim.redial();
    sim.step(Input::Admitted);
    sim.pass(millis(200_000));
    let did = sim.step(Input::Tick);
    let expected = [LossCause::Token(TokenError::Stale), LossCause::Timeout(ConnectStep::Connect)];
    assert!(expected.contains(&did.failure().cause), "{did:?}");
}

impl Sim {
    /// Online with an admission, and the token ends `life` from now.
    fn online_paced_for(life: std::time::Duration) -> Self {
        let mut sim = Self::new(config());
        sim.step(paced());
        sim.step(Input::Admitted);
        sim.step(Input::Connected);
        sim.frame(&peer::accepted_until(T0 + u64::try_from(life.as_millis()).unwrap()));
        sim.frame(&peer::unread_at(sim.now.wall));
        sim
    }
}
