//! Passwords and tokens stay out of every log, `Debug`, `Display` and error, at every level and whatever the server
//! sends back.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use agora_chat::{
    Config, ConfigBuilder, Connection, Credentials, EventHandler, EventKind, LogConfig, LogHandle, LogLevel, Outgoing,
    Reconnect, RestClient, StateDir,
    account::{Expiry, Password, Token, TokenGrant, TokenRequest},
    connection::{Open, RegisterUser, RenewToken, SendMessage},
    errors::{Kick, ProviderError},
    local_server::{Cut, FrameKind, LocalServer, RestFault},
    logger::Terminal,
    rest::NewUser,
    session::{Action, Engine, Input, Now, TokenFetch},
    token::ChatTokenBuilder,
    wire::{MSync, Provision, Status, msync::Command},
};
use evidence::{Captured, Evidence, hear};
use tokio::{sync::mpsc::unbounded_channel, time::timeout};

mod echoes;
mod evidence;
mod messages;

const LIMIT: Duration = Duration::from_secs(10);

/// Odd characters, so that every encoding spells them otherwise.
const PASSWORD: &str = "CANARY-pass \"wörd\"/+1?&";
const TOKEN: &str = "YWMtCANARY-token/+=%\"1~";
const NEW_TOKEN: &str = "YWMtCANARY-renewed/+=&2~";

fn is_connected(event: &EventKind) -> bool {
    matches!(event, EventKind::Connected { .. })
}

fn is_disconnected(event: &EventKind) -> bool {
    matches!(event, EventKind::Disconnected { .. })
}

fn echo(path: &str, status: u16, error: &str, secret: &str) -> RestFault {
    RestFault::new(path, status).error(error, &format!("what is {secret} supposed to mean")).times(1)
}

fn quick(config: ConfigBuilder) -> ConfigBuilder {
    let mut policy = Reconnect::default();
    policy.base = Duration::from_millis(1);
    policy.cap = Duration::from_millis(1);
    policy.flapping = None;
    config.reconnect(policy)
}

#[actix::test]
async fn a_whole_life_logged_at_trace_tells_no_secret_and_everything_else() {
    let server = LocalServer::start().await.unwrap();
    let captured = Captured::default();
    let log = LogConfig::new().terminal(Terminal::Off).level(LogLevel::Trace).writer(captured.clone());
    let log = LogHandle::start(log).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let state = StateDir::open(dir.path()).unwrap();
    let config = quick(server.config().logger(log.slog()).state_dir(state.clone()));
    let mut evidence = Evidence::of(&[PASSWORD, TOKEN, NEW_TOKEN]);
    evidence.debug("the configuration", &config);
    let connection = Connection::start(config.clone().build().unwrap()).unwrap();
    let (tell, mut heard) = unbounded_channel();
    let handler = EventHandler::new().on_event(move |event| {
        let _ = tell.send(event.kind().clone());
    });
    connection.add_event_handler("test", handler).unwrap();

    // Registration, also with a server that repeats what it was told.
    server.fail_rest(echo("/users", 400, "illegal_argument", PASSWORD)).unwrap();
    evidence.shown("an echo", &connection.register_user("alice", PASSWORD, None).await.unwrap_err());
    evidence.debug("a user", &connection.register_user("alice", PASSWORD, None).await.unwrap());
    evidence.shown("taken", &connection.register_user("alice", PASSWORD, None).await.unwrap_err());

    // Login by password.
    for (status, error) in [(400, "invalid_grant"), (401, "unauthorized"), (500, "internal"), (503, "busy")] {
        // What may pass is tried three times.
        let times = if status < 500 { 1 } else { 3 };
        server.fail_rest(echo("/token", status, error, PASSWORD).times(times)).unwrap();
        let opened = connection.open(Credentials::password("alice", PASSWORD).unwrap()).await;
        evidence.shown("an echo", &opened.unwrap_err());
    }
    let wrong = format!("{PASSWORD}{PASSWORD}");
    evidence.shown("wrong", &connection.open(Credentials::password("alice", wrong).unwrap()).await.unwrap_err());
    connection.open(Credentials::password("alice", PASSWORD).unwrap()).await.unwrap();
    hear(&mut evidence, &mut heard, is_connected).await;
    evidence.debug("the handle", &connection);
    let provision = server.sent_by("alice").into_iter().find(|frame| frame.kind == FrameKind::Provision).unwrap();
    let granted = MSync::decode_frame(provision.bytes.clone(), 1 << 20).unwrap().auth.unwrap();
    evidence.secrets.push(granted.strip_prefix("$t$").unwrap().to_owned());
    connection.send_text("alice", "hello").await.unwrap();

    // Renewal.
    server.adopt_token("alice", TOKEN, Some(Duration::from_secs(3600))).unwrap();
    server.adopt_token("alice", NEW_TOKEN, Some(Duration::from_secs(3600))).unwrap();
    server.fail_rest(echo("/expires", 401, "unauthorized", NEW_TOKEN)).unwrap();
    evidence.shown("an echo", &connection.renew_token(NEW_TOKEN).await.unwrap_err());
    connection.renew_token(NEW_TOKEN).await.unwrap();

    // Drop and return, with odd frames and refusals on the way.
    server.push_frame("alice", format!("\u{1}{NEW_TOKEN}{TOKEN}").into_bytes());
    server.push_text("alice", NEW_TOKEN);
    server.send_text("bob", "alice", "ordered behind them").unwrap();
    hear(&mut evidence, &mut heard, |event| matches!(event, EventKind::Message(_))).await;
    server.push_close("alice", 4001, &format!("bad token {NEW_TOKEN}"));
    hear(&mut evidence, &mut heard, is_connected).await;
    server.refuse_next_upgrades(1, 503, None).unwrap();
    server.drop_links("alice", Cut::Rst);
    hear(&mut evidence, &mut heard, is_connected).await;
    server.kick("alice", Kick::LoggedInElsewhere { ext: Some(format!("my phone {NEW_TOKEN}").into()) });
    hear(&mut evidence, &mut heard, is_disconnected).await;

    // Login by token, refused and accepted, and the logout.
    let credentials = Credentials::token("alice", TOKEN).unwrap();
    let echo = format!("Sorry, token or password does not match login info: {TOKEN}");
    server.refuse_next_provisions(1, 1, Some(&echo));
    evidence.shown("a refusal", &connection.open(credentials.clone()).await.unwrap_err());
    hear(&mut evidence, &mut heard, is_disconnected).await;
    connection.open(credentials.clone()).await.unwrap();
    evidence.shown("open already", &connection.open(credentials).await.unwrap_err());
    hear(&mut evidence, &mut heard, is_connected).await;
    connection.close().await;
    hear(&mut evidence, &mut heard, is_disconnected).await;

    // The kept token, refused, and files that are not what they should be.
    server.refuse_next_provisions(1, 1, Some(&echo));
    connection.open(Credentials::password("alice", PASSWORD).unwrap()).await.unwrap();
    hear(&mut evidence, &mut heard, is_connected).await;
    connection.close().await;
    hear(&mut evidence, &mut heard, is_disconnected).await;
    let account = dir.path().join(server.app_key().replace('#', "%23")).join("alice");
    // The token that the password fetched is written beside the connection's work.
    let written = async {
        let kept = || std::fs::read_to_string(account.join("token.json"));
        while kept().is_ok_and(|kept| kept.contains("CANARY")) || kept().is_err() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    timeout(LIMIT, written).await.unwrap();
    let (app_key, alice) = (server.app_key().parse().unwrap(), "alice".parse().unwrap());
    let damage = format!(r#"{{"version":1,"resource":"{NEW_TOKEN}/","uuid":"u"}}"#);
    std::fs::write(account.join("device.json"), &damage).unwrap();
    evidence.shown("a damaged file", &state.device(&app_key, &alice).unwrap_err());
    for name in ["device.json", "token.json"] {
        std::fs::write(account.join(name), &damage).unwrap();
    }
    connection.open(Credentials::password("alice", PASSWORD).unwrap()).await.unwrap();
    hear(&mut evidence, &mut heard, is_connected).await;
    connection.close().await;
    hear(&mut evidence, &mut heard, is_disconnected).await;
    evidence.debug("the state folder", &state);
    evidence.debug("what the server saw", &server.sent_by("alice"));
    evidence.debug("the server", &server);
    evidence.debug("REST calls", &server.rest_calls());

    let log = captured.text(&log);
    for expected in [
        "REST call answered",
        "REST call failed",
        "connecting",
        "frame out",
        "PROVISION",
        "LOGOUT",
        "frame in",
        "dropped what does not decode",
        "the kept token is refused",
        "a damaged file is set aside",
        "the kept token cannot be used",
        "connected, user: alice, resumed: false",
        "connected, user: alice, resumed: true",
        "the link is lost, trying again",
        "message in",
        "disconnected",
    ] {
        assert!(log.contains(expected), "`{expected}` is missing in:\n{log}");
    }
    evidence.text("the log", &log);
    assert!(evidence.pieces > 40, "{}", evidence.pieces);
}

/// The user in an Agora token shows, the token and the certificate that made it never.
#[actix::test]
async fn an_agora_token_is_warned_of_by_what_is_wrong_with_it_alone() {
    const APP_ID: &str = "970CA35de60c44645bbae8a215061b33";
    const CERTIFICATE: &str = "5CFd2fd1755d40ecb72977518be15d3b";
    let builder = ChatTokenBuilder::new(APP_ID, CERTIFICATE).unwrap();
    let (bob, life) = ("bob".parse().unwrap(), Duration::from_secs(600));
    let bobs = builder.user(&bob, life).unwrap();
    let (old, fresh) = (bobs.build(1_111_111, 1), builder.app(life).unwrap().build_now());
    let mut evidence = Evidence::of(&[CERTIFICATE, old.expose(), fresh.expose()]);
    evidence.debug("the builder", &builder);
    evidence.debug("to be issued", &bobs);
    evidence.debug("tokens", &[&old, &fresh]);
    evidence.debug("what they say", &[old.inspect(), fresh.inspect()]);
    evidence.shown("no app id", &ChatTokenBuilder::new(CERTIFICATE.trim_end_matches('b'), CERTIFICATE).unwrap_err());
    let cut = format!("{CERTIFICATE}{CERTIFICATE}");
    evidence.shown("no certificate", &ChatTokenBuilder::new(APP_ID, cut).unwrap_err());

    let server = LocalServer::start().await.unwrap();
    server.create_user("alice", PASSWORD).unwrap();
    for token in [&old, &fresh] {
        server.adopt_token("alice", token.expose(), Some(Duration::from_secs(3600))).unwrap();
    }
    let captured = Captured::default();
    let log = LogConfig::new().terminal(Terminal::Off).level(LogLevel::Warn).writer(captured.clone());
    let log = LogHandle::start(log).unwrap();
    let connection = Connection::start(quick(server.config().logger(log.slog())).build().unwrap()).unwrap();
    connection.open(Credentials::token("alice", old.expose()).unwrap()).await.unwrap();
    connection.renew_token(fresh.expose()).await.unwrap();
    connection.close().await;
    let text = captured.text(&log);
    for problem in ["expired", "not for \"alice\"", "for the app and names no user"] {
        assert_eq!(text.matches(problem).count(), 1, "{problem}:\n{text}");
    }
    evidence.text("the log", &text);
}

#[actix::test]
async fn a_provider_and_what_it_gives_or_fails_with_tell_no_secret() {
    let server = LocalServer::start().await.unwrap();
    server.create_user("alice", PASSWORD).unwrap();
    for token in [TOKEN, NEW_TOKEN] {
        server.adopt_token("alice", token, Some(Duration::from_secs(3600))).unwrap();
    }
    let mut evidence = Evidence::of(&[TOKEN, NEW_TOKEN]);
    let captured = Captured::default();
    let log = LogConfig::new().terminal(Terminal::Off).level(LogLevel::Trace).writer(captured.clone());
    let log = LogHandle::start(log).unwrap();
    let connection = Connection::start(quick(server.config().logger(log.slog())).build().unwrap()).unwrap();
    let (tell, mut heard) = unbounded_channel();
    let teller = EventHandler::new().on_event(move |event| tell.send(event.kind().clone()).unwrap());
    connection.add_event_handler("evidence", teller).unwrap();

    let asks = AtomicUsize::new(0);
    let provider = move |_: TokenRequest| {
        let given = match asks.fetch_add(1, Ordering::SeqCst) {
            0 => Ok(TokenGrant::new(TOKEN).unwrap()),
            1 => Err(ProviderError::new(format!("cannot exchange {TOKEN}"))),
            3 => Err(ProviderError::permanent(format!("will not exchange {NEW_TOKEN}"))),
            _ => Ok(TokenGrant::new(NEW_TOKEN).unwrap()),
        };
        async move { given }
    };
    let credentials = Credentials::provider("alice", provider).unwrap();
    evidence.debug("credentials with a provider", &credentials);
    evidence.debug("a provided token", &TokenGrant::new(TOKEN).unwrap());
    connection.open(credentials.clone()).await.unwrap();
    hear(&mut evidence, &mut heard, is_connected).await;
    server.refuse_next_provisions(1, 1, Some(&format!("Sorry, token expired: {TOKEN}")));
    server.drop_links("alice", Cut::Rst);
    hear(&mut evidence, &mut heard, is_connected).await;
    evidence.debug("its health after a failed ask", &connection.health().await.unwrap());
    server.refuse_next_provisions(1, 1, Some(&format!("Sorry, token expired: {NEW_TOKEN}")));
    server.drop_links("alice", Cut::Rst);
    hear(&mut evidence, &mut heard, is_disconnected).await;
    connection.open(credentials).await.unwrap();
    hear(&mut evidence, &mut heard, is_connected).await;
    evidence.debug("the connection", &connection);
    evidence.debug("its health", &connection.health().await.unwrap());
    connection.close().await;
    hear(&mut evidence, &mut heard, is_disconnected).await;

    let log = captured.text(&log);
    assert!(log.contains("cannot exchange") && log.contains("will not exchange"), "{log}");
    evidence.text("the log", &log);
}

#[test]
fn messages_to_the_actor_and_credentials_show_no_secret() {
    let mut evidence = Evidence::of(&[PASSWORD, TOKEN, NEW_TOKEN]);
    let user = || "alice".parse().unwrap();
    let by_password = Credentials::password("alice", PASSWORD).unwrap();
    let by_token = Credentials::token("alice", TOKEN).unwrap();
    evidence.debug("credentials", &[&by_password, &by_token]);
    evidence.debug("open", &[Open(by_password.into()), Open(by_token.into())]);
    evidence.debug("renew", &RenewToken(Token::new(NEW_TOKEN).unwrap()));
    let password = || Password::new(PASSWORD).unwrap();
    evidence.debug("register", &RegisterUser { user: user(), password: password(), nickname: None });
    evidence.debug("a new user", &NewUser::new(user(), password()));
    evidence.debug("send", &SendMessage(Outgoing::text("bob", "hello").unwrap()));
    evidence.shown("no user", &Credentials::password("no user", PASSWORD).unwrap_err());
    evidence.shown("no token", &Credentials::token("alice", format!("{TOKEN} ")).unwrap_err());
    let config = Config::builder("local#test").addresses("http://127.0.0.1:1", "ws://127.0.0.1:1/websocket");
    let config = config.build().unwrap();
    evidence.debug("the REST client", &RestClient::new(&config).unwrap());
    evidence.shown("outside a runtime", &Connection::start(config).unwrap_err());
}

#[test]
fn the_engine_its_inputs_and_its_actions_show_no_secret() {
    let mut evidence = Evidence::of(&[PASSWORD, TOKEN, NEW_TOKEN]);
    let config = Config::builder("local#test").addresses("http://127.0.0.1:1", "ws://127.0.0.1:1/websocket");
    let mut engine = Engine::new(Arc::new(config.build().unwrap()), 7);
    let status = Some(Status { error_code: Some(0), ..Status::default() });
    let auth_token = Some(format!(r#"{{"token":"{TOKEN}","expires_in":1700000900000}}"#));
    let accepted = Provision { status, auth_token, ..Provision::default() };
    let accepted = MSync::from_server(Command::Provision, &accepted).to_bytes();
    let garbage = format!("\u{1}{TOKEN}").into_bytes();
    let token = |text: &str| Token::new(text).unwrap();
    let inputs = [
        Input::Open(Credentials::password("alice", PASSWORD).unwrap().into()),
        Input::TokenReady {
            fetch: TokenFetch::Session,
            result: Ok(TokenGrant::of(token(TOKEN), Some(Expiry::At(1_700_000_900_000)))),
        },
        Input::Connected,
        Input::Frame(&accepted),
        Input::Frame(&garbage),
        Input::RenewToken { renewal: 1, token: token(NEW_TOKEN) },
        Input::TokenReady {
            fetch: TokenFetch::Application,
            result: Ok(TokenGrant::of(token(NEW_TOKEN), Some(Expiry::At(1_700_001_000_000)))),
        },
        Input::Close,
    ];
    let mut kinds = Vec::new();
    for (at, input) in inputs.into_iter().enumerate() {
        evidence.debug("an input", &input);
        let mut actions = Vec::new();
        let now = Now { mono: Duration::from_secs(at as u64), wall: 1_700_000_000_000 + at as u64 * 1000 };
        engine.step(input, now, &mut actions);
        evidence.debug("actions", &actions);
        evidence.debug("the engine", &engine);
        for action in actions {
            if let Action::Transmit(frame) = action {
                kinds.push(frame.kind());
                let envelope = MSync::decode_frame(frame.bytes().clone(), 1 << 20).unwrap();
                evidence.debug("a frame", &envelope);
                evidence.debug("a frame's content", &envelope.upward().unwrap());
            }
        }
    }
    assert_eq!(kinds, ["PROVISION", "UNREAD", "LOGOUT"], "the secrets were in there");
    evidence.debug("the answer", &MSync::decode_frame(accepted, 1 << 20).unwrap().downward().unwrap());
}
