//! Share-secrets of files, and the texts of messages that could not be handled.

use std::sync::Arc;

use agora_chat::{
    Account, ConfigBuilder, Connection, Conversation, Credentials, DeadLetters, Delivery, Event, EventKind, LogConfig,
    LogHandle, LogLevel, MessageBody, MessageHandler, Outgoing,
    local_server::{FrameKind, LocalServer},
    logger::Terminal,
    messages::{Bundle, BundledMessage, Image},
    rest::{Fetch, HistoryQuery, Upload},
    store::FileCursors,
    wire::MSync,
};
use tokio::{sync::mpsc::unbounded_channel, time::timeout};

use crate::secrets::{
    LIMIT, PASSWORD, echo,
    evidence::{Captured, Evidence},
    quick,
};

const TEXT: &str = "CANARY-text \"für\"/+9?& dead";

struct Online {
    server: LocalServer,
    captured: Captured,
    log: LogHandle,
}

impl Online {
    async fn start() -> Self {
        let server = LocalServer::start().await.unwrap();
        for user in ["alice", "bob"] {
            server.create_user(user, PASSWORD).unwrap();
        }
        let captured = Captured::default();
        let log = LogConfig::new().terminal(Terminal::Off).level(LogLevel::Trace).writer(captured.clone());
        let log = LogHandle::start(log).unwrap();
        Online { server, captured, log }
    }

    fn config(&self) -> ConfigBuilder {
        quick(self.server.config().logger(self.log.slog()))
    }

    async fn user(&self, config: ConfigBuilder, user: &str) -> Connection {
        let connection = Connection::start(config.build().unwrap()).unwrap();
        connection.open(Credentials::password(user, PASSWORD).unwrap()).await.unwrap();
        connection
    }

    /// The token that a user logged in with.
    fn token(&self, user: &str) -> String {
        let frames = self.server.sent_by(user);
        let provision = frames.into_iter().find(|frame| frame.kind == FrameKind::Provision).unwrap();
        let token = MSync::decode_frame(provision.bytes, 1 << 20).unwrap().auth.unwrap();
        token.strip_prefix("$t$").unwrap().to_owned()
    }
}

#[actix::test]
async fn a_file_sent_received_looked_up_and_downloaded_tells_no_secret() {
    let online = Online::start().await;
    let (bob, alice) = (
        Connection::start(online.config().build().unwrap()).unwrap(),
        Connection::start(online.config().build().unwrap()).unwrap(),
    );
    let (tell, mut heard) = unbounded_channel();
    let teller = agora_chat::EventHandler::new().on_event(move |event| tell.send(event.clone()).unwrap());
    alice.add_event_handler("evidence", teller).unwrap();
    for (connection, user) in [(&bob, "bob"), (&alice, "alice")] {
        connection.open(Credentials::password(user, PASSWORD).unwrap()).await.unwrap();
    }
    let (bobs, alices) = (online.token("bob"), online.token("alice"));
    let mut evidence = Evidence::of(&[PASSWORD, &bobs, &alices]);
    let upload = || Upload::bytes("cat.png", &b"not much of a cat"[..]).to("alice");
    evidence.debug("an upload", &upload());
    for (status, error) in [(401, "unauthorized"), (413, "too_large"), (500, "internal")] {
        online.server.fail_rest(echo("/chatfiles", status, error, &bobs)).unwrap();
        evidence.shown("a failed upload", &bob.upload(upload()).await.unwrap_err());
    }
    evidence.shown("no file", &bob.upload(Upload::file("/nowhere/at/all")).await.unwrap_err());

    let file = bob.upload(upload()).await.unwrap();
    evidence.secrets.push(file.secret.as_ref().unwrap().expose().to_owned());
    evidence.debug("an attachment", &file);
    let image = Image::new(file.clone(), 1.0, 1.0);
    let message = Outgoing::image("alice", image.clone()).unwrap();
    evidence.debug("a message to send", &message);
    evidence.debug("what was sent", &bob.send(message).await.unwrap());

    let received = loop {
        let event: Event = timeout(LIMIT, heard.recv()).await.expect("the picture").unwrap();
        evidence.debug("an event", &event);
        if let EventKind::Message(message) = event.kind() {
            break message.clone();
        }
    };
    let MessageBody::Image(picture) = &received.body else { panic!("{received:?}") };
    assert_eq!(picture.file.secret, file.secret, "the secret is in there");
    let bundled = BundledMessage::new("bob", Conversation::user("alice"), received.body.clone());
    evidence.debug("to be bundled", &bundled);
    evidence.debug("a bundle", &Bundle::new(&online.server.app_key().parse().unwrap(), &[bundled]).unwrap());
    evidence.debug("the history", &alice.history("bob", HistoryQuery::new()).await.unwrap());
    evidence.debug("the conversations", &alice.conversations(10, None).await.unwrap());

    let fetch = Fetch::new(&picture.file);
    evidence.debug("a file to fetch", &fetch);
    let secret = file.secret.as_ref().unwrap().expose();
    for (status, error) in [(401, "unauthorized"), (403, "forbidden"), (404, "file_expired"), (500, "internal")] {
        online.server.fail_rest(echo("/chatfiles", status, error, &format!("{secret} of {alices}"))).unwrap();
        evidence.shown("a failed download", &alice.download(&picture.file).await.unwrap_err());
    }
    let download = alice.download(fetch.clone()).await.unwrap();
    evidence.debug("a download", &download);
    evidence.shown("too large", &download.bytes(1).await.unwrap_err());
    let dir = tempfile::tempdir().unwrap();
    let download = alice.download(fetch.clone()).await.unwrap();
    evidence.shown("no such folder", &download.to_file(dir.path().join("no/folder")).await.unwrap_err());
    let whole = alice.download(fetch).await.unwrap().bytes(1 << 20).await.unwrap();
    assert_eq!(&whole[..], b"not much of a cat");
    let mut elsewhere = picture.file.clone();
    elsewhere.url = "http://127.0.0.1:1/elsewhere".to_owned();
    evidence.shown("a foreign address", &alice.download(&elsewhere).await.unwrap_err());
    let uuid = file.url.rsplit('/').next().unwrap();
    evidence.debug("the stored file", &online.server.file(uuid).unwrap());
    assert!(online.server.expire_file(uuid));
    evidence.shown("an expired file", &alice.download(&picture.file).await.unwrap_err());

    bob.close().await;
    alice.close().await;
    let log = online.captured.text(&online.log);
    for expected in ["REST call failed", "REST call answered", "message in", "upload", "download"] {
        assert!(log.contains(expected), "`{expected}` is missing in:\n{log}");
    }
    evidence.text("the log", &log);
    assert!(evidence.pieces > 40, "{}", evidence.pieces);
}

#[actix::test]
async fn a_message_that_cannot_be_handled_tells_its_text_to_nobody_but_who_takes_it_out() {
    let online = Online::start().await;
    let dir = tempfile::tempdir().unwrap();
    let (tell, mut letters_told) = unbounded_channel();
    let letters = DeadLetters::new().on_dead_letter(move |letter| tell.send(letter.clone()).unwrap());
    let (show, mut deliveries) = unbounded_channel();
    let handler = MessageHandler::new(move |delivery: Delivery| {
        show.send(delivery).unwrap();
        async { Err("the disk is full") }
    });
    let handler = handler.attempts(2).unwrap().pause(std::time::Duration::ZERO, std::time::Duration::ZERO).unwrap();
    let handler = handler.dead_letters(letters.clone());
    let config = online.config().build().unwrap();
    let cursors = |store: FileCursors| {
        Account::new(Credentials::password("alice", PASSWORD).unwrap()).cursor_store(Arc::new(store))
    };
    let account = cursors(FileCursors::open(dir.path()).unwrap());
    let mut evidence = Evidence::of(&[PASSWORD, TEXT]);
    evidence.debug("the configuration", &config);
    evidence.debug("the account", &account);
    evidence.debug("the handler", &handler);
    let alice = Connection::start(config.clone()).unwrap();
    alice.set_message_handler(handler.clone());
    alice.open(account).await.unwrap();
    let bob = online.user(online.config(), "bob").await;
    evidence.secrets.extend([online.token("bob"), online.token("alice")]);
    bob.send_text("alice", TEXT).await.unwrap();

    let letter = timeout(LIMIT, letters_told.recv()).await.expect("a dead letter").unwrap();
    evidence.debug("a dead letter", &letter);
    evidence.shown("its error", &letter.error);
    evidence.debug("the dead letters", &letters);
    for _ in 0..2 {
        evidence.debug("a delivery", &deliveries.recv().await.unwrap());
    }
    evidence.debug("a replay", &letters.replay(&handler).await);
    let EventKind::Message(message) = letter.event.kind() else { panic!("{letter:?}") };
    assert_eq!(message.text(), Some(TEXT), "the text is in there");

    // A page is acknowledged after its key was saved.
    let acknowledged = |server: &LocalServer| {
        let frames = server.sent_by("alice");
        frames.iter().any(|frame| matches!(&frame.kind, FrameKind::Pull { key: Some(_), .. }))
    };
    online.server.wait_until(LIMIT, acknowledged).await.unwrap();
    let account = dir.path().join(online.server.app_key().replace('#', "%23")).join("alice");
    let kept = std::fs::read_to_string(account.join("cursors.json")).unwrap();
    assert!(kept.contains("bob"), "{kept}");
    evidence.text("the cursors", &kept);
    std::fs::write(account.join("cursors.json"), format!("{{\"cursors\":{TEXT:?}")).unwrap();
    alice.close().await;
    let again = FileCursors::open(dir.path()).unwrap();
    evidence.debug("the store", &again);
    let account = cursors(again);
    let again = Connection::start(config).unwrap();
    again.open(account).await.unwrap();
    again.close().await;
    bob.close().await;

    let log = online.captured.text(&online.log);
    for expected in ["a message could not be handled", "the disk is full", "the keys of the queues cannot be read"] {
        assert!(log.contains(expected), "`{expected}` is missing in:\n{log}");
    }
    evidence.text("the log", &log);
}
