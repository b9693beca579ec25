//! A bot that is killed at every step of two pages and started again.
//!
//! The bot is this program again: it runs the same test, and is told by its environment that it is the bot.

use std::{
    collections::{BTreeMap, HashSet},
    env,
    fs::{self, File, OpenOptions},
    future::pending,
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    path::{Path, PathBuf},
    process::{self, Child, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use agora_chat::{
    Config, Connection, Conversation, Credentials, Delivery, MessageHandler,
    account::AccountKey,
    delivery::{DeadLetter, DeadLetterFuture, DeadLetterStore, FileDeadLetters},
    local_server::LocalServer,
    store::{Cursor, CursorFuture, CursorStore, FileCursors},
};

use crate::messages::support::{LIMIT, PAGE, Recipient, acknowledged, phone, place, quick, server};
use crate::support::own_process;

/// Says in the environment that this process is the bot, and how it is to be.
const BOT: &str = "AGORA_CHAT_TEST_BOT";

/// Where the bot stops and waits to be killed, each counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    Never,
    /// Called for a message, which it has not handled.
    Called(usize),
    /// It has handled a message and not said so.
    Handled(usize),
    /// A page is handled, its key not kept.
    Page(usize),
    /// The key is kept, the page not acknowledged.
    Kept(usize),
    /// A dead letter is to be kept, and is not.
    Dead(usize),
    /// A dead letter is kept, its page not acknowledged.
    Buried(usize),
}

impl Stop {
    fn parse(text: &str) -> Self {
        let (name, at) = text.split_once(' ').unwrap_or((text, "0"));
        let at = at.parse().unwrap();
        match name {
            "called" => Stop::Called(at),
            "handled" => Stop::Handled(at),
            "page" => Stop::Page(at),
            "kept" => Stop::Kept(at),
            "dead" => Stop::Dead(at),
            "buried" => Stop::Buried(at),
            _ => Stop::Never,
        }
    }

    fn to_text(self) -> String {
        match self {
            Stop::Never => "never".to_owned(),
            Stop::Called(at) => format!("called {at}"),
            Stop::Handled(at) => format!("handled {at}"),
            Stop::Page(at) => format!("page {at}"),
            Stop::Kept(at) => format!("kept {at}"),
            Stop::Dead(at) => format!("dead {at}"),
            Stop::Buried(at) => format!("buried {at}"),
        }
    }
}

// The bot.

/// Says that the bot is where it was to stop, at which queue, and stops.
async fn stopped(queue: &str) -> ! {
    // Past what captures the output of tests, which has begun a line.
    io::stdout().write_all(format!("\nstopped at {queue}\n").as_bytes()).unwrap();
    io::stdout().flush().unwrap();
    pending().await
}

/// Files that stop.
struct Stopping {
    files: FileCursors,
    stop: Stop,
    saves: AtomicUsize,
}

impl CursorStore for Stopping {
    fn load(&self, account: &AccountKey) -> CursorFuture<Vec<Cursor>> {
        self.files.load(account)
    }

    fn save(&self, account: &AccountKey, cursor: &Cursor) -> CursorFuture<()> {
        let (nth, stop) = (self.saves.fetch_add(1, Ordering::Relaxed), self.stop);
        let queue = cursor.queue.rsplit('/').next().unwrap().to_owned();
        let (files, account, cursor) = (self.files.clone(), account.clone(), cursor.clone());
        Box::pin(async move {
            if stop == Stop::Page(nth) {
                stopped(&queue).await;
            }
            files.save(&account, &cursor).await?;
            if stop == Stop::Kept(nth) {
                stopped(&queue).await;
            }
            Ok(())
        })
    }
}

/// Dead letters in files, that stop.
struct StoppingLetters {
    files: FileDeadLetters,
    stop: Stop,
    letters: AtomicUsize,
}

impl DeadLetterStore for StoppingLetters {
    fn keep(&self, account: &AccountKey, letter: &DeadLetter) -> DeadLetterFuture<()> {
        let (nth, stop) = (self.letters.fetch_add(1, Ordering::Relaxed), self.stop);
        let queue = letter.message().unwrap().conversation().id().to_owned();
        let (files, account, letter) = (self.files.clone(), account.clone(), letter.clone());
        Box::pin(async move {
            if stop == Stop::Dead(nth) {
                stopped(&queue).await;
            }
            files.keep(&account, &letter).await?;
            if stop == Stop::Buried(nth) {
                stopped(&queue).await;
            }
            Ok(())
        })
    }
}

fn append(file: &Mutex<File>, queue: &str, id: u64) {
    let mut file = file.lock().unwrap();
    // One write, so that a kill leaves whole lines.
    file.write_all(format!("{queue} {id}\n").as_bytes()).unwrap();
    file.sync_data().unwrap();
}

/// Handles messages until it is killed.
fn be_the_bot(told: &str) {
    let lines: Vec<&str> = told.lines().collect();
    let [app_key, rest, socket, user, token, log, cursors, letters, stop] = lines[..] else {
        panic!("{} lines", lines.len())
    };
    // It does not outlive whoever started it.
    thread::spawn(|| {
        let _ = io::stdin().read_to_end(&mut Vec::new());
        process::exit(1);
    });
    let stop = Stop::parse(stop);
    let file = Arc::new(Mutex::new(OpenOptions::new().create(true).append(true).open(log).unwrap()));
    let calls = Arc::new(AtomicUsize::new(0));
    let fails = !letters.is_empty();
    let mut handler = MessageHandler::new(move |delivery: Delivery| {
        let (file, nth) = (Arc::clone(&file), calls.fetch_add(1, Ordering::Relaxed));
        async move {
            let (queue, id) = place(&delivery);
            if stop == Stop::Called(nth) {
                stopped(&queue).await;
            }
            if fails && id % 2 == 0 {
                return Err("on purpose".to_owned());
            }
            append(&file, &queue, id);
            if stop == Stop::Handled(nth) {
                stopped(&queue).await;
            }
            Ok::<(), String>(())
        }
    });
    if fails {
        let files = FileDeadLetters::open(letters).unwrap();
        let letters = StoppingLetters { files, stop, letters: AtomicUsize::new(0) };
        handler = handler.attempts(2).unwrap().pause(Duration::from_millis(1), Duration::from_millis(1)).unwrap();
        handler = handler.dead_letter_store(letters);
    }
    actix::System::new().block_on(async move {
        let config = quick(Config::builder(app_key).addresses(rest, socket));
        let mut account = phone(Credentials::token(user, token).unwrap());
        if !cursors.is_empty() {
            let files = FileCursors::open(cursors).unwrap();
            account = account.cursor_store(Arc::new(Stopping { files, stop, saves: AtomicUsize::new(0) }));
        }
        let connection = Connection::start(config.build().unwrap()).unwrap();
        connection.set_message_handler(handler);
        connection.open(account).await.unwrap();
        pending::<()>().await;
    });
}

// Who starts and kills it.

/// A running bot; killed when it is let go.
struct Bot(Child);

impl Bot {
    fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Bot {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A user, and the folder of the user's bot.
struct Scene {
    test: &'static str,
    recipient: Recipient,
    folder: tempfile::TempDir,
    cursors: bool,
    /// Every other message cannot be handled, and goes to dead letters.
    letters: bool,
}

impl Scene {
    /// Two pages wait in each of two queues.
    fn new(test: &'static str, server: &LocalServer, nth: usize, cursors: bool) -> Self {
        let user = format!("user-{nth}");
        server.create_user(&user, "pw").unwrap();
        let mut recipient = Recipient { server: server.clone(), user, waiting: BTreeMap::new() };
        for _ in 0..2 * PAGE {
            recipient.say("bob", Conversation::user(recipient.user.as_str()));
            recipient.say("carol", Conversation::user(recipient.user.as_str()));
        }
        Scene { test, recipient, folder: tempfile::tempdir().unwrap(), cursors, letters: false }
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("handled")
    }

    fn start(&self, stop: Stop) -> Bot {
        let (server, user) = (&self.recipient.server, &self.recipient.user);
        let path = |path: &Path| path.to_str().unwrap().to_owned();
        let told = [
            server.app_key().to_owned(),
            server.rest_url(),
            server.socket_url(),
            user.clone(),
            server.issue_token(user, None).unwrap(),
            path(&self.log()),
            if self.cursors { path(&self.folder.path().join("cursors")) } else { String::new() },
            if self.letters { path(&self.folder.path().join("letters")) } else { String::new() },
            stop.to_text(),
        ];
        let mut command = own_process::command(&own_process::full_name(module_path!(), self.test));
        command.env(BOT, told.join("\n")).stdin(Stdio::piped()).stdout(Stdio::piped());
        Bot(command.spawn().unwrap())
    }

    /// What was handled so far, by queue.
    fn handled(&self) -> BTreeMap<String, Vec<u64>> {
        let mut handled = BTreeMap::<String, Vec<u64>>::new();
        for line in fs::read_to_string(self.log()).unwrap_or_default().lines() {
            let (queue, id) = line.split_once(' ').unwrap();
            handled.entry(queue.to_owned()).or_default().push(id.parse().unwrap());
        }
        handled
    }

    /// Starts the bot, kills it where it stops, and starts it again; how many messages that repeated.
    async fn play(&mut self, stop: Stop) -> usize {
        let when = format!("{stop:?}, cursors {}", self.cursors);
        let server = self.recipient.server.clone();
        let mut bot = self.start(stop);
        let mut at = None;
        if stop == Stop::Never {
            self.recipient.all_acknowledged().await;
        } else {
            let lines = BufReader::new(bot.0.stdout.take().unwrap()).lines();
            at = lines.map_while(Result::ok).find_map(|line| line.strip_prefix("stopped at ").map(str::to_owned));
            assert!(at.is_some(), "{when}: it has ended by itself");
        }
        bot.kill();
        server.wait_until(LIMIT, |server| server.sessions(&self.recipient.user).is_empty()).await.unwrap();

        // Nothing was acknowledged unhandled.
        let before = self.handled();
        let acknowledged = |queue: &str| acknowledged(&server, &self.recipient.user, queue);
        for (queue, ids) in &self.recipient.waiting {
            let known = ids.iter().filter(|id| **id <= acknowledged(queue)).count();
            let handled = before.get(queue).map_or(&[][..], |ids| ids);
            assert!(ids[..known].iter().all(|id| handled.contains(id)), "{when}: {queue} {known} {handled:?}");
        }
        // What may come again: what is not acknowledged; where keys are kept, only of the page in hand.
        let may_repeat: HashSet<u64> = before
            .iter()
            .flat_map(|(queue, ids)| {
                let begun = (ids.len() - 1) / PAGE * PAGE;
                let kept = matches!(stop, Stop::Kept(_)) && at.as_deref() == Some(queue);
                let from = if kept {
                    ids.len()
                } else if self.cursors {
                    begun
                } else {
                    0
                };
                ids[from..].iter().copied().filter(|id| *id > acknowledged(queue))
            })
            .collect();

        for from in ["bob", "carol"] {
            self.recipient.say(from, Conversation::user(self.recipient.user.as_str()));
        }
        let mut bot = self.start(Stop::Never);
        self.recipient.all_acknowledged().await;
        bot.kill();
        let (after, mut repeats) = (self.handled(), 0);
        for (queue, waiting) in &self.recipient.waiting {
            let begun = before.get(queue).map_or(0, Vec::len);
            let (first, second) = after[queue].split_at(begun);
            assert_eq!(first, &waiting[..begun], "{when}: in order before the kill");
            assert!(second.is_sorted_by(|one, next| one < next), "{when}: in order behind it: {second:?}");
            let again = waiting.len() - begun;
            let (repeated, new) = second.split_at(second.len() - again);
            assert_eq!(new, &waiting[begun..], "{when}: nothing is lost");
            assert!(repeated.iter().all(|id| may_repeat.contains(id)), "{when}: {repeated:?} of {may_repeat:?}");
            repeats += repeated.len();
        }
        repeats
    }
}

impl Scene {
    /// What was handled or is a dead letter, by queue.
    async fn safe(&self) -> BTreeMap<String, HashSet<u64>> {
        let mut safe = BTreeMap::<String, HashSet<u64>>::new();
        for (queue, ids) in self.handled() {
            safe.entry(queue).or_default().extend(ids);
        }
        let files = FileDeadLetters::open(self.folder.path().join("letters")).unwrap();
        let server = &self.recipient.server;
        let account = AccountKey::new(server.app_key().parse().unwrap(), self.recipient.user.parse().unwrap());
        for stored in files.list(&account).await.unwrap() {
            let letter = files.read(&account, &stored.id).await.unwrap().expect("it is whole");
            let message = letter.message().unwrap();
            assert!(safe.entry(message.conversation().id().to_owned()).or_default().insert(message.id), "kept twice");
        }
        safe
    }

    /// Starts the bot, kills it where it stops, and starts it again: nothing is acknowledged that was neither handled nor
    /// kept, and in the end everything is one of them.
    async fn play_with_letters(&mut self, stop: Stop) {
        let server = self.recipient.server.clone();
        let mut bot = self.start(stop);
        let lines = BufReader::new(bot.0.stdout.take().unwrap()).lines();
        let stopped = lines.map_while(Result::ok).any(|line| line.starts_with("stopped at "));
        assert!(stopped, "{stop:?}: it has ended by itself");
        bot.kill();
        server.wait_until(LIMIT, |server| server.sessions(&self.recipient.user).is_empty()).await.unwrap();
        let safe = self.safe().await;
        for (queue, ids) in &self.recipient.waiting {
            let known = acknowledged(&server, &self.recipient.user, queue);
            let lost = ids.iter().find(|id| **id <= known && !safe.get(queue).is_some_and(|safe| safe.contains(id)));
            assert_eq!(lost, None, "{stop:?}: acknowledged");
        }
        let mut bot = self.start(Stop::Never);
        self.recipient.all_acknowledged().await;
        bot.kill();
        let safe = self.safe().await;
        for (queue, ids) in &self.recipient.waiting {
            assert!(ids.iter().all(|id| safe[queue].contains(id)), "{stop:?}: {queue}");
        }
    }
}

/// Every step of handling two pages of two queues.
fn steps() -> impl Iterator<Item = Stop> {
    let all = 4 * PAGE;
    (0..all).flat_map(|at| [Stop::Called(at), Stop::Handled(at)]).chain([Stop::Never])
}

/// Plays the test of this name, or the bot in it.
fn at_every_step(test: &'static str, cursors: bool, steps: impl Iterator<Item = Stop>) {
    if let Ok(told) = env::var(BOT) {
        return be_the_bot(&told);
    }
    actix::System::new().block_on(async {
        let server = server().await;
        let mut repeats = 0;
        for (nth, stop) in steps.enumerate() {
            repeats += Scene::new(test, &server, nth, cursors).play(stop).await;
        }
        assert!(repeats > 0, "what was handled and not acknowledged has come again");
    });
}

#[test]
fn killed_anywhere_a_bot_loses_nothing_and_repeats_only_what_was_not_acknowledged() {
    at_every_step("killed_anywhere_a_bot_loses_nothing_and_repeats_only_what_was_not_acknowledged", false, steps());
}

#[test]
fn killed_anywhere_a_bot_that_keeps_keys_loses_nothing_and_repeats_only_the_page_in_hand() {
    let saves = (0..4).flat_map(|at| [Stop::Page(at), Stop::Kept(at)]);
    at_every_step(
        "killed_anywhere_a_bot_that_keeps_keys_loses_nothing_and_repeats_only_the_page_in_hand",
        true,
        steps().chain(saves),
    );
}

#[test]
fn killed_anywhere_a_bot_that_keeps_dead_letters_has_handled_or_kept_whatever_is_acknowledged() {
    if let Ok(told) = env::var(BOT) {
        return be_the_bot(&told);
    }
    let test = "killed_anywhere_a_bot_that_keeps_dead_letters_has_handled_or_kept_whatever_is_acknowledged";
    actix::System::new().block_on(async {
        let server = server().await;
        let letters = (0..4).flat_map(|at| [Stop::Dead(at), Stop::Buried(at)]);
        let others = [Stop::Page(0), Stop::Kept(0), Stop::Kept(1), Stop::Called(3)];
        for (nth, stop) in letters.chain(others).enumerate() {
            let mut scene = Scene::new(test, &server, nth, true);
            scene.letters = true;
            scene.play_with_letters(stop).await;
        }
    });
}
