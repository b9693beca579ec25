//! What a server writes on the socket may repeat any secret of the session, in any place and spelling, and nothing shows it.

use agora_chat::{
    DisconnectReason, EventKind, EventMask, LossCause, MessageBody, OpenError, SendError,
    account::{Token, TokenGrant},
    errors::{CertificateProblem, ConnectStep, Kick, ProviderError, RefusalKind, TokenError},
    messages::RoomRequest,
    session::{Action, Diagnostic, Input},
    wire::{CommSyncDl, Jid},
};
use base64::{Engine as _, prelude::BASE64_STANDARD};

use crate::{
    peer::{self, user},
    sim::{Did, Sim, T0, config, granted, hello, not_granted},
};

const PASSWORD: &str = "CANARY-pass \"wörd\"/+1?&";
const FORMER: &str = "YWMtCANARY-former/+=%\"1~";
const KEPT: &str = "YWMtCANARY-kept/+=?3~";
const TOKEN: &str = "YWMtCANARY-renewed/+=&2~";

/// One place of the server's, filled with a text.
type Place = (&'static str, fn(&mut Sim, &str) -> Vec<Did>);

/// Logged in by the password, on the second token.
fn online() -> Sim {
    online_with(config())
}

fn online_with(config: agora_chat::ConfigBuilder) -> Sim {
    let mut sim = Sim::new(config);
    fetched(&mut sim);
    sim.accept();
    sim.frame(&peer::unread(&[]));
    sim
}

/// Before the connect of a login that knows both tokens.
fn fetched(sim: &mut Sim) {
    let credentials = agora_chat::Credentials::password("alice", PASSWORD).unwrap();
    sim.step(Input::Open(credentials.into()));
    sim.step(Input::Recalled { device: None, kept: TokenGrant::new(KEPT).ok() });
    let token = Token::new(FORMER).unwrap();
    sim.step(granted(TokenGrant::of(token, None)));
    sim.renew(Token::new(TOKEN).unwrap(), T0 + 1_000_000_000);
}

/// Ways back that are refused for each number there is.
fn refused(sim: &mut Sim, echo: &str) -> Vec<Did> {
    let mut all = Vec::new();
    for code in (1..=20).chain([-1, 4242]).filter(|code| *code != 5) {
        let mut sim = online();
        all.push(sim.redial());
        all.push(sim.step(Input::Connected));
        all.push(sim.frame(&peer::refused(code, Some(echo))));
        all.extend(sim.engine.deadline().map(|_| sim.due()));
        let shown = format!("{:?}", sim.engine);
        assert!(!shown.contains("CANARY"), "{shown}");
    }
    all.push(sim.lose());
    all
}

fn lost(cause: fn(String) -> LossCause) -> impl Fn(&mut Sim, &str) -> Vec<Did> {
    move |sim, echo| vec![sim.step(Input::Lost(cause(echo.to_owned())))]
}

/// A way back that is redirected to each of these hosts in turn.
fn redirected(sim: &mut Sim, hosts: &[&str]) -> Vec<Did> {
    let mut all = vec![sim.redial()];
    for host in hosts {
        all.push(sim.step(Input::Connected));
        all.push(sim.frame(&peer::redirect(&[(host, 80)])));
    }
    all.push(sim.run(std::time::Duration::from_secs(100)));
    all
}

fn places() -> Vec<Place> {
    vec![
        ("a refused way back", refused),
        ("a first login that is refused", |_, echo| {
            let mut sim = Sim::new(config());
            fetched(&mut sim);
            vec![sim.step(Input::Connected), sim.frame(&peer::refused(4, Some(echo)))]
        }),
        ("a close reason", |sim, echo| lost(|reason| LossCause::ClosedByPeer { code: Some(1011), reason })(sim, echo)),
        ("words of an io error", |sim, echo| lost(LossCause::Io)(sim, echo)),
        ("words of the framing", |sim, echo| lost(LossCause::Protocol)(sim, echo)),
        ("words of a step", |sim, echo| {
            lost(|detail| LossCause::Failed { step: ConnectStep::Proxy, detail })(sim, echo)
        }),
        ("words of a certificate", |sim, echo| {
            lost(|text| LossCause::Certificate(CertificateProblem::Other(text)))(sim, echo)
        }),
        ("a kick's ext", |sim, echo| vec![sim.frame(&peer::batch(vec![peer::statistics(Some(9), 2, Some(echo))]))]),
        ("a kick that is come back from", |_, echo| {
            let policy = agora_chat::KickPolicy::TakeOver { times: 3, window: std::time::Duration::from_secs(600) };
            let mut sim = online_with(config().kick_policy(policy));
            vec![sim.frame(&peer::batch(vec![peer::statistics(Some(9), 2, Some(echo))]))]
        }),
        ("a refused send", |sim, echo| {
            [1, 2, 3, 7, 15, 19, 42]
                .map(|code| {
                    sim.step(hello(code as u64));
                    sim.frame(&peer::answer(code as u64, code, Some(echo)))
                })
                .into()
        }),
        ("a room's join", |sim, echo| {
            let join = |id| Input::Room { client_id: id, request: RoomRequest::join("r").unwrap() };
            sim.step(join(1));
            let mut all = vec![sim.frame(&peer::answer(1, 1, Some(echo)))];
            sim.step(join(2));
            sim.frame(&peer::answer(2, 0, None));
            all.push(sim.redial());
            let back = sim.accept();
            let again = back.sent().into_iter().find_map(|frame| match frame {
                agora_chat::wire::Upward::Sync(sync) => sync.meta.and_then(|meta| meta.id),
                _ => None,
            });
            all.push(sim.frame(&peer::answer(again.expect("joined again"), 1, Some(echo))));
            all
        }),
        ("a redirect's reason", |sim, echo| {
            let mut all = vec![sim.redial(), sim.step(Input::Connected)];
            all.push(sim.frame(&peer::refused(5, Some(echo))));
            all
        }),
        ("a redirect's host", |sim, echo| redirected(sim, &[echo])),
        ("a host that redirects to itself", |sim, echo| redirected(sim, &[echo, echo])),
        ("hosts that redirect for ever", |sim, echo| {
            redirected(sim, &["a.test", "b.test", "c.test", "d.test", "e.test", echo, "f.test"])
        }),
        ("the name of a queue that breaks links", |sim, echo| {
            let queue = user(echo);
            let mut all = vec![sim.frame(&peer::unread(&[queue]))];
            all.push(sim.step(Input::TooLarge));
            all.push(sim.lose());
            all
        }),
        ("a jid", |sim, echo| {
            sim.engine.set_handled(EventMask::ALL);
            let from = Jid { name: Some(echo.to_owned()), ..user("x") };
            let meta = agora_chat::wire::Meta { from: Some(from.clone()), ..peer::text(1, "hello") };
            sim.frame(&peer::unread(std::slice::from_ref(&from)));
            vec![sim.frame(&peer::page(&from, vec![meta], 7))]
        }),
        ("a provider that repeats it", |_, echo| {
            let provider = |_: agora_chat::account::TokenRequest| std::future::pending();
            let mut sim = Sim::new(config());
            sim.step(Input::Open(agora_chat::Credentials::provider("alice", provider).unwrap().into()));
            let tokens = [FORMER, TOKEN].map(|token| Token::new(token).unwrap());
            for token in tokens {
                sim.renew(token, T0 + 1_000_000_000);
            }
            if !echo.contains(FORMER) && !echo.contains(TOKEN) {
                return Vec::new();
            }
            vec![sim.lose(), sim.step(not_granted(TokenError::Provider(ProviderError::new(echo))))]
        }),
    ]
}

fn spellings(secret: &str) -> Vec<String> {
    let percent = |all: bool| -> String {
        let plain = |byte: u8| !all && byte.is_ascii_alphanumeric();
        let one = |byte: u8| if plain(byte) { char::from(byte).into() } else { format!("%{byte:02x}") };
        secret.bytes().map(one).collect()
    };
    let json = serde_json::to_string(secret).unwrap();
    vec![
        secret.to_owned(),
        secret.to_lowercase(),
        percent(false),
        percent(true),
        json[1..json.len() - 1].to_owned(),
        BASE64_STANDARD.encode(format!("alice:{secret}")),
        format!("what is {secret} supposed to mean"),
        format!("{}{secret}", "\u{200b}".repeat(500)),
        format!("{}{secret}", "x".repeat(505)),
        format!("{}{secret}", "x".repeat(1020)),
    ]
}

/// That a text tells no secret, and nothing that begins like one.
fn is_clean(place: &str, echo: &str, shown: &str) {
    let lower = shown.to_lowercase();
    for part in ["canary", "%43%41%4e", "q0foqvj", "ywmtca"] {
        assert!(!lower.contains(part), "{place} tells {echo}:\n{shown}");
    }
    assert!(echo.len() < 6 || !shown.contains(echo), "{place} tells {echo}:\n{shown}");
}

#[test]
fn no_place_on_the_socket_shows_a_secret_in_any_spelling() {
    for (place, fill) in places() {
        for secret in [PASSWORD, KEPT, FORMER, TOKEN] {
            for echo in spellings(secret) {
                let mut sim = online();
                for did in fill(&mut sim, &echo) {
                    is_clean(place, &echo, &format!("{did:?} {did:#?}"));
                    for action in &did.0 {
                        is_clean(place, &echo, &words(action));
                    }
                }
                is_clean(place, &echo, &format!("{:?} {:#?}", sim.engine, sim.engine));
            }
        }
    }
}

/// Everything of an action that has a `Display`.
fn words(action: &Action) -> String {
    match action {
        Action::Connect { url } => url.to_string(),
        Action::Emit(EventKind::Reconnecting { cause, .. }) => format!("{cause}"),
        Action::Emit(EventKind::Disconnected { reason }) => format!("{reason}"),
        Action::Opened(Err(error)) | Action::Rejected(error) => format!("{error}"),
        Action::Sent { outcome: Err(error), .. } => format!("{error}"),
        Action::Note(Diagnostic::Redirected { url, .. }) => url.to_string(),
        Action::Note(Diagnostic::RoomNotRejoined { error, .. }) => format!("{error}"),
        Action::Note(Diagnostic::LoginRetry { cause, .. }) => format!("{cause}"),
        _ => String::new(),
    }
}

#[test]
fn a_kicks_ext_is_whole_for_the_application_and_hidden_where_it_is_shown() {
    let said = format!("my phone {TOKEN} {PASSWORD}");
    let did = online().frame(&peer::batch(vec![peer::statistics(Some(9), 2, Some(&said))]));
    let Some(DisconnectReason::Kicked(kick @ Kick::LoggedInElsewhere { ext: Some(ext) })) = did.reason() else {
        panic!("{did:?}")
    };
    assert_eq!(ext.as_str(), said);
    assert_eq!(ext, &said);
    assert_eq!(ext.to_string(), "my phone <redacted> <redacted>");
    for shown in [format!("{ext:?}"), kick.to_string(), format!("{kick:?}"), format!("{:?}", did.reason())] {
        assert!(shown.contains("my phone <redacted> <redacted>"), "{shown}");
    }
}

#[test]
fn a_redirect_to_a_host_with_a_secret_in_its_name_is_followed_as_it_is() {
    let mut sim = Sim::new(config());
    sim.step(crate::sim::by_token());
    sim.step(Input::Connected);
    let host = format!("{}.test", crate::sim::TOKEN);
    let did = sim.frame(&peer::redirect(&[(&host, 8080)]));
    assert_eq!(did.dialed(), [format!("ws://{host}:8080/websocket")]);
    assert!(!format!("{did:?}").contains(crate::sim::TOKEN), "{did:?}");
    assert!(format!("{did:?}").contains("ws://<redacted>.test:8080/websocket"), "{did:?}");
}

#[test]
fn what_users_say_is_never_changed_whatever_it_holds() {
    let said = format!("{PASSWORD} {TOKEN} {FORMER}");
    let did = online().frame(&peer::page(&user("bob"), vec![peer::text(1, &said)], 7));
    let EventKind::Message(message) = did.event() else { panic!("{did:?}") };
    assert_eq!(message.body, MessageBody::Text(said));
}

#[test]
fn what_a_refusal_means_is_decided_by_the_text_as_it_came_also_where_that_is_a_secret() {
    let mut sim = Sim::new(config());
    sim.step(Input::Open(agora_chat::Credentials::password("alice", "token expired").unwrap().into()));
    let token = Token::new("group").unwrap();
    sim.step(granted(TokenGrant::of(token, None)));
    sim.step(Input::Connected);
    let did = sim.frame(&peer::refused(1, Some("Sorry, token expired")));
    let refusal = match did.open_error() {
        OpenError::Refused { refusal, .. } => refusal,
        other => panic!("{other:?}"),
    };
    assert_eq!((refusal.kind(), refusal.reason()), (RefusalKind::TokenExpired, Some("Sorry, <redacted>")));

    let mut sim = Sim::online();
    sim.renew(Token::new("nonroster").unwrap(), T0 + 1_000_000);
    sim.step(hello(1));
    let did = sim.frame(&peer::sync(CommSyncDl {
        status: Some(peer::status(1, Some("nonroster"))),
        meta_id: Some(1),
        ..CommSyncDl::default()
    }));
    let (1, Err(SendError::Refused { code, reason, .. })) = did.outcomes()[0] else { panic!("{did:?}") };
    assert_eq!((*code, reason.as_str()), (agora_chat::Code::USER_NOT_FRIEND, "<redacted>"));
}
