//! `examples/echo_bot.rs` as a program, against the local server: what it answers, once, and how it ends.
//!
//! A whole `cargo test` builds the program; with `--test` or `--tests`, build it first: `cargo build --example echo_bot`.

use std::{
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use agora_chat::{
    ConfigBuilder, Connection, Conversation, Credentials, EventHandler, Message, Outgoing,
    account::AccountKey,
    delivery::FileDeadLetters,
    errors::Kick,
    local_server::{Cut, LocalServer},
};
use tokio::{
    sync::mpsc::{UnboundedReceiver, unbounded_channel},
    time::timeout,
};

use crate::support::own_process::example;

const LIMIT: Duration = Duration::from_secs(20);

/// The program; it ends with the test.
struct Bot(Child);

impl Drop for Bot {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Bot {
    /// Starts it, and returns once it is online.
    async fn online(server: &LocalServer, arguments: &[&str]) -> Self {
        let mut command = Command::new(example("echo_bot"));
        command.args(["--app-key", server.app_key(), "--user", "bot"]).args(arguments);
        command.args(["--rest-url", &server.rest_url(), "--socket-url", &server.socket_url()]);
        let child = command.env("AGORA_CHAT_PASSWORD", "secret").stdout(Stdio::null()).spawn().unwrap();
        let bot = Bot(child);
        server.wait_until(LIMIT, |server| !server.sessions("bot").is_empty()).await.unwrap();
        bot
    }

    async fn ended(mut self) -> ExitStatus {
        let ended = actix_rt::task::spawn_blocking(move || self.0.wait().unwrap());
        timeout(LIMIT, ended).await.expect("an end").unwrap()
    }

    #[cfg(unix)]
    fn interrupt(&self) {
        use nix::{
            sys::signal::{Signal, kill},
            unistd::Pid,
        };
        kill(Pid::from_raw(self.0.id().try_into().unwrap()), Signal::SIGINT).unwrap();
    }
}

/// Somebody who is online and hears messages.
struct Person {
    connection: Connection,
    heard: UnboundedReceiver<Message>,
}

impl Person {
    async fn online(config: ConfigBuilder, user: &str) -> Self {
        let connection = Connection::start(config.build().unwrap()).unwrap();
        let (tell, heard) = unbounded_channel();
        let handler = EventHandler::new().on_message(move |_, message| tell.send(message.clone()).unwrap());
        connection.add_event_handler("test", handler).unwrap();
        connection.open(Credentials::password(user, "secret").unwrap()).await.unwrap();
        Person { connection, heard }
    }

    async fn says(&self, to: impl Into<Conversation>, text: &str) {
        self.connection.send(Outgoing::text(to, text).unwrap()).await.unwrap();
    }

    /// The bot's next message: where it is, and its text.
    async fn answer(&mut self) -> (Conversation, String) {
        loop {
            let message = timeout(LIMIT, self.heard.recv()).await.expect("an answer").unwrap();
            if &*message.from == "bot" {
                return (message.conversation(), message.text().unwrap().to_owned());
            }
        }
    }
}

async fn server() -> LocalServer {
    let server = LocalServer::start().await.unwrap();
    for user in ["bot", "alice"] {
        server.create_user(user, "secret").unwrap();
    }
    server
}

/// How many messages of each of the two there are between them.
fn said(server: &LocalServer) -> (usize, usize) {
    let all = server.messages_between("alice", "bot");
    let of = |user: &str| all.iter().filter(|message| message.from == user).count();
    (of("alice"), of("bot"))
}

#[actix::test]
async fn it_answers_where_it_was_asked_and_never_itself() {
    let server = server().await;
    let _bot = Bot::online(&server, &[]).await;
    let mut alice = Person::online(server.config(), "alice").await;
    let phone = Person::online(server.config(), "bot").await;

    // What the bot's own device says to alice is before what she says next, in the same queue.
    phone.says("alice", "said by hand").await;
    assert_eq!(alice.answer().await, (Conversation::user("bot"), "said by hand".to_owned()));
    alice.says("bot", "héllo 👋").await;
    assert_eq!(alice.answer().await, (Conversation::user("bot"), "héllo 👋".to_owned()));
    alice.connection.send_command("bot", "no text").await.unwrap();
    alice.says("bot", "").await;
    assert_eq!(alice.answer().await, (Conversation::user("bot"), String::new()));
    assert_eq!(said(&server), (3, 3), "one by hand and two answers");

    let group = server.create_group("alice", &["bot"]).unwrap();
    let first =
        alice.connection.send(Outgoing::text(Conversation::group(&*group), "in a group").unwrap()).await.unwrap();
    assert_eq!(alice.answer().await, (Conversation::group(&*group), "in a group".to_owned()));
    phone.says(Conversation::group(&*group), "by hand").await;
    assert_eq!(alice.answer().await, (Conversation::group(&*group), "by hand".to_owned()));

    let thread = server.create_thread(&group, first.server_id, "aside").unwrap();
    alice.says(Conversation::thread(&*thread), "in a thread").await;
    assert_eq!(alice.answer().await, (Conversation::thread(&*thread), "in a thread".to_owned()));

    alice.says(Conversation::group(&*group), "the last").await;
    assert_eq!(alice.answer().await, (Conversation::group(&*group), "the last".to_owned()));
    assert_eq!(server.messages_in(&group).len(), 5, "three by hand and two answers");
    assert_eq!(server.messages_in(&thread).len(), 2);
}

#[actix::test]
async fn what_came_while_the_link_was_cut_is_answered_once_and_in_order() {
    let server = server().await;
    let _bot = Bot::online(&server, &[]).await;
    let before = server.provision_count();
    assert_eq!(server.drop_links("bot", Cut::Rst), 1);
    for number in 0..25 {
        server.send_text("alice", "bot", &number.to_string()).unwrap();
    }
    let mut alice = Person::online(server.config(), "alice").await;
    for number in 0..25 {
        assert_eq!(alice.answer().await.1, number.to_string());
    }
    assert!(server.provision_count() > before + 1, "it came back over a new link");
    alice.says("bot", "the last").await;
    assert_eq!(alice.answer().await.1, "the last");
    assert_eq!(said(&server), (26, 26));
}

#[actix::test]
async fn an_answer_cut_on_its_way_or_refused_is_given_once_all_the_same() {
    let server = server().await;
    let _bot = Bot::online(&server, &[]).await;
    let mut alice = Person::online(server.config(), "alice").await;

    // Taken by the server, but the bot never hears of it.
    server.leave_next_sends_unanswered("bot", 1).unwrap();
    alice.says("bot", "cut").await;
    server.wait_until(LIMIT, |server| said(server) == (1, 1)).await.unwrap();
    server.drop_links("bot", Cut::Rst);
    assert_eq!(alice.answer().await.1, "cut");

    // Refused as too fast, then taken.
    server.refuse_next_sends("bot", 1, 1, Some("exceed limit")).unwrap();
    alice.says("bot", "refused").await;
    assert_eq!(alice.answer().await.1, "refused");
    alice.says("bot", "the last").await;
    assert_eq!(alice.answer().await.1, "the last");
    assert_eq!(said(&server), (3, 3));
}

#[actix::test]
async fn what_it_cannot_answer_is_kept_in_its_folder_and_the_next_is_answered() {
    let (server, dir) = (server().await, tempfile::tempdir().unwrap());
    let _bot = Bot::online(&server, &["--state-dir", dir.path().to_str().unwrap()]).await;
    let mut alice = Person::online(server.config(), "alice").await;
    server.refuse_next_sends("bot", 3, 19, Some("blocked")).unwrap();
    alice.says("bot", "one").await;
    alice.says("bot", "two").await;
    assert_eq!(alice.answer().await.1, "two");
    let account = AccountKey::new(server.app_key().parse().unwrap(), "bot".parse().unwrap());
    let letters = FileDeadLetters::open(dir.path()).unwrap();
    let kept = letters.list(&account).await.unwrap();
    let letter = letters.read(&account, &kept[0].id).await.unwrap().unwrap();
    assert_eq!((kept.len(), letter.message().unwrap().text(), letter.attempts), (1, Some("one"), 3));
}

#[cfg(unix)]
#[actix::test]
async fn an_interrupt_ends_it_in_peace_and_the_next_one_goes_on_where_it_was() {
    let server = server().await;
    let dir = tempfile::tempdir().unwrap();
    let state = ["--state-dir", dir.path().to_str().unwrap()];
    let bot = Bot::online(&server, &state).await;
    let mut alice = Person::online(server.config(), "alice").await;
    alice.says("bot", "one").await;
    assert_eq!(alice.answer().await.1, "one");
    bot.interrupt();
    assert!(bot.ended().await.success());
    server.wait_until(LIMIT, |server| server.sessions("bot").is_empty()).await.unwrap();

    alice.says("bot", "two").await;
    let bot = Bot::online(&server, &state).await;
    assert_eq!(alice.answer().await.1, "two");
    assert_eq!(said(&server), (2, 2));
    server.kick("bot", Kick::PasswordChanged);
    assert!(!bot.ended().await.success(), "a supervisor has to see that nobody asked for it");
}
