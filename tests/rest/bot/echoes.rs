//! Whatever a REST host, a storage host or a proxy repeats, in whichever call and place: no log, error or `Debug` has it.

use std::{
    fmt::{Debug, Display},
    sync::{Arc, Mutex},
};

use agora_chat::{
    Config, LogConfig, LogHandle, LogLevel, RestClient,
    account::{Password, Token},
    errors::RestError,
    logger::Terminal,
    messages::Attachment,
    network::Proxy,
    rest::{Fetch, HistoryQuery, Upload},
};
use serde_json::json;

use crate::bot::{
    scripted::{Reply, Scripted},
    support::{alice, config, secret, token},
};

const PASSWORD: &str = "CANARY-pass/1";
const FORMER: &str = "YWMt-CANARY-former";
const APP: &str = "YWMt-CANARY-app";
const SHARE: &str = "CANARY-share-/+=1";

#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn log() -> (LogHandle, Captured) {
    let captured = Captured::default();
    let log = LogConfig::new().terminal(Terminal::Off).level(LogLevel::Trace).writer(captured.clone());
    (LogHandle::start(log).unwrap(), captured)
}

async fn logged(log: &LogHandle, captured: &Captured) -> String {
    log.flush().await;
    String::from_utf8(captured.0.lock().unwrap().clone()).unwrap()
}

fn clean(what: &str, text: &str) {
    let lower = text.to_lowercase();
    for part in ["canary", "ywmt-own", "q0foqvj", "%43%41%4e"] {
        assert!(!lower.contains(part), "{what} tells a secret:\n{text}");
    }
}

fn shown(what: &str, error: &(impl Debug + Display)) {
    clean(what, &format!("{error} {error:?} {error:#?}"));
}

fn file(base: &str) -> Attachment {
    let mut file = Attachment::at(format!("{base}/org/app/chatfiles/u-1"));
    file.secret = secret(SHARE);
    file
}

/// Makes the client know all there is: a password that was asked with, two users' tokens, an app token, a share-secret.
async fn taught(rest: &RestClient) {
    let granted = rest.password_token(&alice(), &Password::new(PASSWORD).unwrap()).await.unwrap();
    assert_eq!(granted.token.expose(), FORMER);
    let _ = rest.kick_all(&Token::new(APP).unwrap(), &alice()).await;
    let _ = rest.download(&token(), &alice(), file("http://h")).await;
}

fn lessons() -> [Reply; 3] {
    let grant = json!({"access_token": FORMER, "expires_in": 3600, "user": {"username": "alice"}});
    [Reply::json(200, &grant), Reply::json(200, &json!({"data": {"result": true}})), Reply::failure(404, "x", "y")]
}

#[actix::test]
async fn what_another_call_was_told_is_hidden_in_the_answers_to_all_calls() {
    for secret in [PASSWORD, FORMER, APP, SHARE, "YWMt-own", "canary-PASS/1", "CANARY-pass%2f1", "CANARY-pass\\/1"] {
        let (log, captured) = log();
        let echo = || Reply::failure(400, secret, &format!("what is {secret} supposed to mean"));
        let host = secret.replace(['/', '=', '+', '%', '\\'], "-");
        let to = |location: String| Reply::Answer(302, vec![("location", location)], Vec::new());
        let mut replies = lessons().to_vec();
        replies.extend((0..5).map(|_| echo()));
        replies.push(to(format!("http://{host}@127.0.0.1:1/?share-secret={secret}")));
        // The very name of a host: what of it is a name at all.
        replies.push(to(format!("http://{host}.invalid/x")));
        replies.push(to(format!("http://{host}.invalid/x")));
        replies.push(Reply::Raw(format!("HTTP/1.1 200 {secret}\r\n{secret}: {secret}\r\nx").into_bytes()));
        replies.push(Reply::Answer(200, vec![("content-encoding", secret.to_owned())], Vec::new()));
        replies.push(Reply::Answer(429, vec![("retry-after", secret.to_owned())], secret.into()));
        let server = Scripted::start(replies).await;
        let rest = RestClient::new(&config(&[server.base()]).logger(log.slog()).build().unwrap()).unwrap();
        taught(&rest).await;
        let (token, alice, bob) = (token(), alice(), agora_chat::Conversation::user("bob"));
        let mut errors: Vec<RestError> = vec![
            rest.token_expiry(&alice, &token).await.unwrap_err(),
            rest.history(&token, &alice, &bob, &HistoryQuery::new()).await.unwrap_err(),
            rest.conversations(&token, &alice, 9, None).await.unwrap_err(),
            rest.upload(&token, &alice, Upload::bytes("n", "x")).await.unwrap_err(),
            rest.download(&token, &alice, &file("http://h")).await.unwrap_err(),
            rest.download(&token, &alice, &file("http://h")).await.unwrap_err(),
        ];
        let led_away = rest.download(&token, &alice, &file("http://h")).await.unwrap_err();
        let named = led_away.host().unwrap().to_lowercase();
        assert!(named.contains("<redacted>") || !host.eq_ignore_ascii_case(secret), "{led_away:?}");
        errors.push(led_away);
        errors.push(rest.token_expiry(&alice, &token).await.unwrap_err());
        for _ in 0..3 {
            errors.extend(rest.token_expiry(&alice, &token).await.err());
        }
        for error in &errors {
            // Where a name cannot hold the secret as it is, what stands there is no spelling of it.
            if host.eq_ignore_ascii_case(secret) || !format!("{error:?}").contains(".invalid") {
                shown("an error", error);
            }
        }
        let text = logged(&log, &captured).await;
        if host.eq_ignore_ascii_case(secret) {
            clean("the log", &text);
        }
        clean("the client", &format!("{rest:?} {:?}", Fetch::new(&file("http://h"))));
    }
}

#[actix::test]
async fn a_redirect_whose_host_is_a_secret_is_followed_and_named_without_it() {
    let (log, captured) = log();
    // The share-secret is the address of the storage host itself.
    let storage = Scripted::start([Reply::Answer(200, Vec::new(), b"hello".to_vec())]).await;
    let place = format!("127.0.0.1:{}", storage.port);
    let location = format!("http://{place}/x");
    let server = Scripted::start([
        Reply::Answer(302, vec![("location", location.clone())], Vec::new()),
        Reply::Answer(302, vec![("location", location)], Vec::new()),
    ])
    .await;
    let rest = RestClient::new(&config(&[server.base()]).logger(log.slog()).build().unwrap()).unwrap();
    let mut stored = file("http://h");
    stored.secret = secret(&place);
    let bytes = rest.download(&token(), &alice(), &stored).await.unwrap().bytes(99).await.unwrap();
    assert_eq!(bytes, "hello");
    let failed = rest.download(&token(), &alice(), &stored).await.unwrap().bytes(2).await.unwrap_err();
    assert_eq!(failed.host(), Some("<redacted>"), "{failed:?}");
    let text = logged(&log, &captured).await;
    assert!(!text.contains(&place) && text.contains("<redacted>"), "{text}");
}

#[actix::test]
async fn a_proxys_credentials_are_hidden_whatever_the_host_behind_it_says() {
    let (log, captured) = log();
    // `user:CANARY-proxy`, as it is sent.
    let sent = "dXNlcjpDQU5BUlktcHJveHk=";
    let said = format!("CANARY-proxy {sent} user:CANARY-proxy");
    let server = Scripted::start([Reply::failure(400, &said, &said)]).await;
    let proxy = Proxy::http("http://user:CANARY-proxy@127.0.0.1:1").unwrap().except("*");
    let rest = RestClient::new(&config(&[server.base()]).proxy(proxy).logger(log.slog()).build().unwrap()).unwrap();
    let error = rest.token_expiry(&alice(), &token()).await.unwrap_err();
    shown("an error", &error);
    assert!(!format!("{error:?}").contains(sent), "{error:?}");
    clean("the log", &logged(&log, &captured).await);
}

#[actix::test]
async fn a_text_of_a_mebibyte_is_cut_with_a_mark_before_anything_looks_at_it() {
    let long = "\u{200b}".repeat(300_000);
    let server = Scripted::start([Reply::failure(400, "x", &long)]).await;
    let rest = RestClient::new(&config(&[server.base()]).build().unwrap()).unwrap();
    let error = rest.token_expiry(&alice(), &token()).await.unwrap_err();
    assert_eq!(error.description().unwrap(), "\u{200b}".repeat(512) + "…");
}

#[test]
fn addresses_show_neither_userinfo_nor_what_opens_them() {
    for address in [
        "https://user:CANARY@h.test/x",
        "https://h.test/x;share-secret=CANARY",
        "https://h.test/x?share-secret=CANARY",
        "https://h.test/x#CANARY",
    ] {
        let endpoints = agora_chat::config::Endpoints::Fixed(agora_chat::config::Addresses {
            rest: vec![address.to_owned()],
            socket: vec![address.to_owned()],
        });
        let discovery = agora_chat::config::Endpoints::Discovery(vec![address.to_owned()]);
        let attachment = Attachment::at(address);
        clean("an address", &format!("{endpoints:?} {discovery:?} {attachment:?} {:?}", Fetch::new(&attachment)));
        if let Err(error) = Config::builder("org#app").addresses(address, address).build() {
            shown("a configuration's error", &error);
        }
    }
}
