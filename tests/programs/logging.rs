//! The logger from outside: levels, outputs, overflow, and the end.

use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use agora_chat::logger::{
    DisableAll, EnableAll, Flush, GetLevel, LogConfig, LogError, LogHandle, LogLevel, LoggerActor, Reopen, SetLevel,
    Shutdown, Terminal,
};
use slog::{crit, debug, error, info, o, trace, warn};

#[cfg(unix)]
use crate::support::{own_process::full_name, unprivileged};

/// More than anything here takes, unless it hangs.
const LIMIT: Duration = Duration::from_secs(10);

/// A writer that remembers each write.
#[derive(Clone, Default)]
struct Writes(Arc<Mutex<Vec<String>>>);

impl Writes {
    fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    /// The levels and messages, without times.
    fn messages(&self) -> Vec<String> {
        self.all().iter().map(|line| message(line)).collect()
    }
}

impl Write for Writes {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().push(String::from_utf8(bytes.to_vec()).unwrap());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn message(line: &str) -> String {
    line.trim_end().split_once(' ').unwrap().1.to_owned()
}

/// A writer that says when it is entered and goes on when it is let, once for each write.
struct Gate {
    entered: Sender<()>,
    go: Receiver<()>,
    writes: Writes,
}

struct Keeper {
    entered: Receiver<()>,
    go: Sender<()>,
    writes: Writes,
}

fn gate() -> (Gate, Keeper) {
    let (entered, was_entered) = mpsc::channel();
    let (go, may_go) = mpsc::channel();
    let writes = Writes::default();
    (Gate { entered, go: may_go, writes: writes.clone() }, Keeper { entered: was_entered, go, writes })
}

impl Write for Gate {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _ = self.entered.send(());
        // An error means that the test has dropped its end and lets everything pass.
        let _ = self.go.recv();
        self.writes.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn quiet() -> LogConfig {
    LogConfig::new().terminal(Terminal::Off)
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn each_level_writes_itself_and_all_above_it_also_in_a_release_build() {
    let writes = Writes::default();
    let log = LogHandle::start(quiet().writer(writes.clone())).unwrap();
    let logger = log.slog();
    assert_eq!(log.level(), LogLevel::Info);
    for (level, expected) in LogLevel::ALL.into_iter().zip([6, 5, 4, 3, 2, 0]) {
        log.set_level(level);
        let before = writes.all().len();
        trace!(logger, "t");
        debug!(logger, "d");
        info!(logger, "i");
        warn!(logger, "w");
        error!(logger, "e");
        crit!(logger, "c");
        log.flush_blocking(LIMIT).unwrap();
        let all = ["TRACE t", "DEBUG d", "INFO  i", "WARN  w", "ERROR e", "ERROR c"];
        assert_eq!(writes.messages()[before..], all[6 - expected..], "{level}");
    }
}

#[test]
fn enable_all_and_disable_all_switch_between_everything_and_nothing() {
    let writes = Writes::default();
    let log = LogHandle::start(quiet().writer(writes.clone())).unwrap();
    let logger = log.slog().new(o!("child" => true));
    log.enable_all();
    assert_eq!(log.level(), LogLevel::Trace);
    trace!(logger, "seen");
    log.disable_all();
    assert_eq!(log.level(), LogLevel::Silent);
    crit!(logger, "unseen");
    log.flush_blocking(LIMIT).unwrap();
    assert_eq!(writes.messages(), ["TRACE seen, child: true"]);
}

#[test]
fn a_change_of_level_is_seen_by_every_other_thread_with_its_next_record() {
    let writes = Writes::default();
    let log = LogHandle::start(quiet().writer(writes.clone())).unwrap();
    let threads: Vec<_> = (0..4)
        .map(|n| {
            let logger = log.slog();
            let (turn, turns) = mpsc::channel::<()>();
            let (done, dones) = mpsc::channel();
            let thread = thread::spawn(move || {
                for () in turns {
                    debug!(logger, "thread"; "n" => n);
                    done.send(()).unwrap();
                }
            });
            (turn, dones, thread)
        })
        .collect();
    for (round, level) in [LogLevel::Info, LogLevel::Debug, LogLevel::Silent, LogLevel::Trace].into_iter().enumerate() {
        log.set_level(level);
        for (turn, dones, _) in &threads {
            turn.send(()).unwrap();
            dones.recv_timeout(LIMIT).unwrap();
        }
        log.flush_blocking(LIMIT).unwrap();
        assert_eq!(writes.all().len(), [0, 4, 4, 8][round], "{level}");
    }
    for (turn, _, thread) in threads {
        drop(turn);
        thread.join().unwrap();
    }
}

#[test]
fn a_writer_and_the_file_get_the_same_lines_each_in_one_write() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("chat.log");
    let writes = Writes::default();
    let log = LogHandle::start(quiet().writer(writes.clone()).file(&path)).unwrap();
    info!(log.slog(), "logging in"; "user" => "alice", "token" => "<redacted>", "attempt" => 2);
    warn!(log.slog(), "{}", "x".repeat(20_000));
    log.flush_blocking(LIMIT).unwrap();
    assert_eq!(writes.all().len(), 2);
    assert_eq!(writes.all().concat(), fs::read_to_string(&path).unwrap());
    assert_eq!(writes.messages()[0], "INFO  logging in, user: alice, token: <redacted>, attempt: 2");
}

#[test]
fn rotation_keeps_the_stated_files_within_the_stated_size() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("chat.log");
    let log = LogHandle::start(quiet().file(&path).file_size(1000).file_count(3)).unwrap();
    for n in 0..200 {
        info!(log.slog(), "record"; "n" => n);
    }
    log.flush_blocking(LIMIT).unwrap();
    assert_eq!(names(dir.path()), ["chat.log", "chat.log.1", "chat.log.2"]);
    let read = |name: &str| fs::read_to_string(dir.path().join(name)).unwrap();
    let kept = [read("chat.log.2"), read("chat.log.1"), read("chat.log")];
    let line = kept[2].lines().next().unwrap().len() + 1;
    assert!(kept.iter().all(|text| text.len() <= 1000));
    assert!(kept[..2].iter().all(|text| text.len() + line > 1000), "a full file has no room for one more line");
    let numbers: Vec<u32> =
        kept.concat().lines().map(|line| line.rsplit_once("n: ").unwrap().1.parse().unwrap()).collect();
    assert_eq!(numbers, (200 - u32::try_from(numbers.len()).unwrap()..200).collect::<Vec<_>>());
    assert_eq!((log.dropped(), log.write_errors()), (0, 0));
}

#[test]
fn a_file_that_cannot_be_opened_is_an_error_that_names_it() {
    let dir = tempfile::tempdir().unwrap();
    for path in [dir.path().to_owned(), dir.path().join("missing/chat.log"), "".into()] {
        match LogHandle::start(quiet().file(&path)) {
            Err(LogError::File { path: named, .. }) => assert_eq!(named, path),
            other => panic!("{path:?}: {other:?}"),
        }
    }
    let error = LogHandle::start(quiet().file(dir.path())).unwrap_err();
    assert!(error.to_string().contains(&dir.path().display().to_string()), "{error}");
    assert!(matches!(LogHandle::start(quiet().queue(0)), Err(LogError::Range { .. })));
}

#[test]
fn overflow_is_counted_and_reported_where_the_records_are_missing() {
    let (gate, keeper) = gate();
    let log = LogHandle::start(quiet().writer(gate).queue(4)).unwrap();
    let logger = log.slog();
    info!(logger, "0");
    keeper.entered.recv_timeout(LIMIT).unwrap();
    // One is in the writer's hands: four fit into the queue, the caller is not held up by the rest.
    for n in 1..=7 {
        info!(logger, "{n}");
    }
    assert_eq!(log.dropped(), 3);
    // The first is written and the second taken up: one place is free again.
    keeper.go.send(()).unwrap();
    keeper.entered.recv_timeout(LIMIT).unwrap();
    info!(logger, "8");
    info!(logger, "9");
    assert_eq!(log.dropped(), 4);
    assert!(matches!(log.flush_blocking(Duration::from_millis(1)), Err(LogError::Stalled { .. })));
    drop(keeper.go);
    log.flush_blocking(LIMIT).unwrap();
    let report = |n| format!("WARN  {n} log records were dropped here, the queue was full, dropped: {n}, queue: 4");
    let [three, one] = [report(3), report(1)];
    let expected = ["INFO  0", "INFO  1", "INFO  2", "INFO  3", "INFO  4", &three, "INFO  8", &one];
    assert_eq!(keeper.writes.messages(), expected);
    assert_eq!(log.dropped(), 4);
}

#[test]
fn a_line_has_the_time_of_its_record_and_not_of_its_writing() {
    let (gate, keeper) = gate();
    let log = LogHandle::start(quiet().writer(gate)).unwrap();
    info!(log.slog(), "first");
    keeper.entered.recv_timeout(LIMIT).unwrap();
    info!(log.slog(), "second");
    let made = chrono::Utc::now();
    // The clock must have moved on before the second one is written.
    while chrono::Utc::now() < made + Duration::from_millis(5) {
        thread::yield_now();
    }
    drop(keeper.go);
    log.flush_blocking(LIMIT).unwrap();
    let line = keeper.writes.all().remove(1);
    let stated = chrono::DateTime::parse_from_rfc3339(line.split(' ').next().unwrap()).unwrap();
    assert!(stated <= made, "{line} {made}");
}

#[test]
fn shutdown_writes_all_that_is_queued_and_counts_what_comes_later() {
    let (gate, keeper) = gate();
    let log = LogHandle::start(quiet().writer(gate)).unwrap();
    for n in 0..1000 {
        info!(log.slog(), "{n}");
    }
    let closing = thread::spawn({
        let log = log.clone();
        move || log.shutdown_blocking(LIMIT)
    });
    drop(keeper.go);
    closing.join().unwrap().unwrap();
    assert_eq!(keeper.writes.messages(), (0..1000).map(|n| format!("INFO  {n}")).collect::<Vec<_>>());
    assert_eq!(log.dropped(), 0);
    info!(log.slog(), "too late");
    assert_eq!(log.dropped(), 1);
    log.shutdown_blocking(LIMIT).unwrap();
    log.flush_blocking(LIMIT).unwrap();
    assert_eq!(keeper.writes.all().len(), 1000);
}

#[test]
fn records_and_flushes_of_many_threads_all_come_through() {
    let writes = Writes::default();
    let log = LogHandle::start(quiet().writer(writes.clone()).queue(LogConfig::MAX_QUEUE)).unwrap();
    let threads: Vec<_> = (0..4)
        .map(|thread| {
            let (log, writes) = (log.clone(), writes.clone());
            thread::spawn(move || {
                for n in 0..200 {
                    info!(log.slog(), "{thread} {n}");
                    if n % 8 == thread {
                        log.flush_blocking(LIMIT).unwrap();
                        assert!(writes.messages().contains(&format!("INFO  {thread} {n}")));
                    }
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    log.flush_blocking(LIMIT).unwrap();
    assert_eq!((writes.all().len(), log.dropped()), (800, 0));
}

#[test]
fn dropping_the_last_handle_and_logger_writes_all_that_is_queued() {
    let writes = Writes::default();
    let log = LogHandle::start(quiet().writer(writes.clone())).unwrap();
    let logger = log.slog();
    drop(log);
    for n in 0..1000 {
        info!(logger, "{n}");
    }
    drop(logger);
    assert_eq!(writes.all().len(), 1000);
}

#[actix::test]
async fn shutdown_waits_without_holding_the_arbiter() {
    let (gate, keeper) = gate();
    let log = LoggerActor::start_with(quiet().writer(gate)).unwrap();
    info!(log.slog(), "held");
    let waiting = actix_rt::spawn({
        let log = log.clone();
        async move { log.shutdown().await }
    });
    // The writer is stuck, and the arbiter still runs this.
    assert_eq!(log.addr().unwrap().send(GetLevel).await.unwrap(), LogLevel::Info);
    assert!(!waiting.is_finished());
    keeper.go.send(()).unwrap();
    tokio::time::timeout(LIMIT, waiting).await.unwrap().unwrap();
    assert_eq!(keeper.writes.messages(), ["INFO  held"]);
}

#[actix::test]
async fn the_actor_does_by_message_what_the_handle_does() {
    let writes = Writes::default();
    let log = LoggerActor::start_with(quiet().writer(writes.clone())).unwrap();
    let addr = log.addr().unwrap().clone();
    addr.send(EnableAll).await.unwrap();
    assert_eq!(log.level(), LogLevel::Trace);
    trace!(log.slog(), "a");
    addr.send(DisableAll).await.unwrap();
    assert_eq!(log.level(), LogLevel::Silent);
    crit!(log.slog(), "b");
    addr.send(SetLevel(LogLevel::Warn)).await.unwrap();
    assert_eq!(addr.send(GetLevel).await.unwrap(), LogLevel::Warn);
    warn!(log.slog(), "c");
    addr.send(Flush).await.unwrap();
    assert_eq!(writes.messages(), ["TRACE a", "WARN  c"]);
    error!(log.slog(), "d");
    addr.send(Shutdown).await.unwrap();
    assert_eq!(writes.all().len(), 3);
    // The actor ends after its answer; then nobody answers any more.
    tokio::time::timeout(LIMIT, async {
        while addr.send(GetLevel).await.is_ok() {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
    log.set_level(LogLevel::Info);
    assert_eq!(log.level(), LogLevel::Info, "the handle works without the actor");
}

#[test]
fn without_a_system_the_actor_is_refused_and_the_handle_works() {
    let dir = tempfile::tempdir().unwrap();
    let config = quiet().file(dir.path().join("chat.log"));
    assert!(matches!(LoggerActor::start_with(config), Err(LogError::NoSystem)));
    assert!(names(dir.path()).is_empty());
    let log = LogHandle::start(quiet()).unwrap();
    assert!(log.addr().is_none());
    log.set_level(LogLevel::Error);
    assert_eq!(log.level(), LogLevel::Error);
}

#[test]
fn two_loggers_in_one_process_do_not_influence_each_other() {
    let (first, second) = (Writes::default(), Writes::default());
    let one = LogHandle::start(quiet().writer(first.clone())).unwrap();
    let two = LogHandle::start(quiet().writer(second.clone()).level(LogLevel::Trace)).unwrap();
    one.disable_all();
    for log in [&one, &two] {
        info!(log.slog(), "hello");
    }
    one.shutdown_blocking(LIMIT).unwrap();
    info!(two.slog(), "still here");
    two.flush_blocking(LIMIT).unwrap();
    assert!(first.all().is_empty());
    assert_eq!(second.messages(), ["INFO  hello", "INFO  still here"]);
    assert_eq!((one.level(), two.level()), (LogLevel::Silent, LogLevel::Trace));
}

#[test]
fn the_applications_own_logger_gets_the_records_the_level_allows_with_its_pairs() {
    use slog::Drain as _;
    let writes = Writes::default();
    let drain = slog_term::FullFormat::new(slog_term::PlainSyncDecorator::new(writes.clone())).build().ignore_res();
    let mine = slog::Logger::root(slog::LevelFilter::new(drain, slog::Level::Debug).ignore_res(), o!("app" => "bot"));
    let log = LogHandle::from_logger(mine, LogLevel::Warn);
    info!(log.slog(), "below ours");
    log.enable_all();
    trace!(log.slog(), "below its own");
    debug!(log.slog().new(o!("user" => "alice")), "seen");
    log.disable_all();
    crit!(log.slog(), "silent");
    let lines = writes.all();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(["DEBG seen", "app: bot", "user: alice"].iter().all(|part| lines[0].contains(part)), "{lines:?}");
    log.flush_blocking(LIMIT).unwrap();
    log.shutdown_blocking(LIMIT).unwrap();
    assert_eq!((log.dropped(), log.write_errors()), (0, 0));
}

/// A writer that keeps a handle of its own log, and says when it is dropped.
struct Owner {
    log: Arc<Mutex<Option<LogHandle>>>,
    _dropped: Sender<()>,
}

impl Write for Owner {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        assert!(self.log.lock().unwrap().is_some());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_writer_that_owns_the_last_handle_ends_with_the_log() {
    let slot = Arc::new(Mutex::new(None));
    let (dropped, was_dropped) = mpsc::channel();
    let log = LogHandle::start(quiet().writer(Owner { log: slot.clone(), _dropped: dropped })).unwrap();
    *slot.lock().unwrap() = Some(log.clone());
    drop(slot);
    info!(log.slog(), "hello");
    log.flush_blocking(LIMIT).unwrap();
    assert_eq!(log.write_errors(), 0);
    // Asked to end, and not waited for: the handle in the writer is the last one.
    let _ = log.shutdown_blocking(Duration::ZERO);
    drop(log);
    assert_eq!(was_dropped.recv_timeout(LIMIT), Err(mpsc::RecvTimeoutError::Disconnected));
}

/// A writer that fails while its lock says so, and panics at the word.
#[derive(Clone, Default)]
struct Faulty {
    failing: Arc<Mutex<bool>>,
    writes: Writes,
}

impl Write for Faulty {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        assert!(!bytes.ends_with(b"panic\n"), "as asked");
        if *self.failing.lock().unwrap() { Err(io::Error::other("disk full")) } else { self.writes.write(bytes) }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn an_output_that_fails_or_panics_is_counted_told_once_and_used_again_when_it_recovers() {
    let faulty = Faulty::default();
    let writes = Writes::default();
    let log = LogHandle::start(quiet().writer(faulty.clone()).writer(writes.clone())).unwrap();
    let say = |text: &str| {
        info!(log.slog(), "{text}");
        log.flush_blocking(LIMIT).unwrap();
    };
    *faulty.failing.lock().unwrap() = true;
    say("1");
    say("2");
    *faulty.failing.lock().unwrap() = false;
    say("3");
    say("panic");
    say("4");
    assert_eq!(log.write_errors(), 3);
    let lost = |n, why: &str| format!("WARN  {n} log records could not be written here, lost: {n}, error: {why}");
    let [two, one] = [lost(2, "disk full"), lost(1, "the writer panicked")];
    assert_eq!(faulty.writes.messages(), [&two, "INFO  3", &one, "INFO  4"]);
    let told = |why: &str| format!("ERROR the log cannot be written, to: the application's writer, error: {why}");
    let expected =
        ["INFO  1", &told("disk full"), "INFO  2", "INFO  3", "INFO  panic", &told("the writer panicked"), "INFO  4"];
    assert_eq!(writes.messages(), expected);
}

#[test]
fn the_handle_can_be_shared_between_threads() {
    static_assertions::assert_impl_all!(LogHandle: Clone, Send, Sync, std::fmt::Debug);
    static_assertions::assert_impl_all!(LogConfig: Send, Default, std::fmt::Debug);
    static_assertions::assert_impl_all!(LogError: std::error::Error, Send, Sync);
    let log = LogHandle::discard();
    assert_eq!(log.level(), LogLevel::Silent);
    assert!(format!("{log:?}").contains("Silent"));
}

/// A writer that takes a part of each line while its lock says so.
#[derive(Clone, Default)]
struct Cutting {
    cuts: Arc<Mutex<bool>>,
    text: Arc<Mutex<Vec<u8>>>,
    is_full: bool,
}

impl Write for Cutting {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = if *self.cuts.lock().unwrap() {
            if std::mem::replace(&mut self.is_full, true) {
                return Err(io::ErrorKind::StorageFull.into());
            }
            bytes.len() / 2
        } else {
            bytes.len()
        };
        self.text.lock().unwrap().extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_line_after_half_a_line_begins_on_its_own() {
    let cutting = Cutting::default();
    let log = LogHandle::start(quiet().writer(cutting.clone())).unwrap();
    let say = |text: &str| {
        info!(log.slog(), "{text}");
        log.flush_blocking(LIMIT).unwrap();
    };
    say("whole");
    *cutting.cuts.lock().unwrap() = true;
    say("cut in two");
    *cutting.cuts.lock().unwrap() = false;
    say("whole again");
    let text = String::from_utf8(cutting.text.lock().unwrap().clone()).unwrap();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 4, "{text}");
    assert!(
        lines[2].contains("1 log records could not be written here") && lines[3].ends_with("whole again"),
        "{text}"
    );
}

/// Runs in a process whose files may not pass a size; the signal for that is ignored, so that writes fail instead.
#[cfg(unix)]
#[test]
fn child_with_a_full_disk() {
    let Some(path) = std::env::var_os("AGORA_CHAT_FULL_DISK") else { return };
    let log = LogHandle::start(quiet().file(&path).file_size(1 << 30)).unwrap();
    let mut written = 0;
    while log.write_errors() < 3 {
        info!(log.slog(), "record"; "n" => written);
        log.flush_blocking(LIMIT).unwrap();
        written += 1;
    }
    let full = fs::read_to_string(&path).unwrap();
    assert!(full.ends_with('\n'), "half a record stays: {full:?}");
    // There is room again.
    fs::write(&path, "").unwrap();
    info!(log.slog(), "after");
    log.flush_blocking(LIMIT).unwrap();
    let after = fs::read_to_string(&path).unwrap();
    assert!(after.contains("WARN  3 log records could not be written here"), "{after}");
    assert!(after.ends_with("INFO  after\n"), "{after}");
    assert_eq!(log.write_errors(), 3);
}

#[cfg(unix)]
#[test]
fn half_a_record_on_a_full_disk_is_taken_back_and_what_was_lost_is_said_in_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("chat.log");
    let child = std::process::Command::new("sh")
        .args(["-c", r#"trap '' XFSZ; ulimit -f 8; exec "$0" --exact "$1" --nocapture"#])
        .arg(std::env::current_exe().unwrap())
        .arg(full_name(module_path!(), "child_with_a_full_disk"))
        .env("AGORA_CHAT_FULL_DISK", &path)
        .output()
        .unwrap();
    assert!(child.status.success(), "{child:?}");
    assert!(path.exists(), "the child did not run: {child:?}");
}

#[cfg(unix)]
fn fifo(path: &Path) {
    let made = std::process::Command::new("mkfifo").arg(path).status().unwrap();
    assert!(made.success());
}

#[cfg(unix)]
#[test]
fn a_pipe_without_a_reader_holds_neither_the_start_nor_a_caller_and_is_written_once_it_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pipe");
    fifo(&path);
    let log = LogHandle::start(quiet().file(&path).file_size(1)).unwrap();
    info!(log.slog(), "early");
    assert!(matches!(log.flush_blocking(Duration::from_millis(1)), Err(LogError::Stalled { .. })));
    let reader = thread::spawn({
        let path = path.clone();
        move || fs::read_to_string(path).unwrap()
    });
    log.flush_blocking(LIMIT).unwrap();
    info!(log.slog(), "late");
    log.shutdown_blocking(LIMIT).unwrap();
    let read = reader.join().unwrap();
    assert_eq!(read.lines().map(message).collect::<Vec<_>>(), ["INFO  early", "INFO  late"]);
    use std::os::unix::fs::FileTypeExt;
    assert!(fs::symlink_metadata(&path).unwrap().file_type().is_fifo());
    assert_eq!(names(dir.path()), ["pipe"]);
}

#[cfg(unix)]
#[actix::test]
async fn reopening_takes_up_a_link_that_leads_elsewhere_now() {
    let dir = tempfile::tempdir().unwrap();
    let link = dir.path().join("log");
    let point_to = |name: &str| {
        let _ = fs::remove_file(&link);
        std::os::unix::fs::symlink(dir.path().join(name), &link).unwrap();
    };
    point_to("monday");
    let log = LoggerActor::start_with(quiet().file(&link)).unwrap();
    let say = |text: &str| {
        info!(log.slog(), "{text}");
        log.flush_blocking(LIMIT).unwrap();
    };
    say("1");
    point_to("tuesday");
    say("2");
    log.reopen();
    say("3");
    point_to("wednesday");
    log.addr().unwrap().send(Reopen).await.unwrap();
    say("4");
    let read = |name: &str| {
        let text = fs::read_to_string(dir.path().join(name)).unwrap();
        text.lines().map(message).collect::<Vec<_>>().join(" ")
    };
    assert_eq!([read("monday"), read("tuesday"), read("wednesday")], ["INFO  1 INFO  2", "INFO  3", "INFO  4"]);
}

#[test]
fn a_log_that_cannot_rotate_says_so_in_itself_and_on_the_other_outputs() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("chat.log");
    fs::create_dir_all(dir.path().join("chat.log.1/in the way")).unwrap();
    let writes = Writes::default();
    let log = LogHandle::start(quiet().writer(writes.clone()).file(&path).file_size(100).file_count(2)).unwrap();
    for n in 0..10 {
        info!(log.slog(), "record"; "n" => n);
    }
    log.flush_blocking(LIMIT).unwrap();
    let file = fs::read_to_string(&path).unwrap();
    for text in [&file, &writes.all().concat()] {
        let told: Vec<_> = text.lines().filter(|line| line.contains("cannot be rotated")).collect();
        assert_eq!(told.len(), 1, "{text}");
        assert!(told[0].contains("WARN  the log file is not what it should be"), "{text}");
        assert_eq!(text.lines().filter(|line| line.contains("record, n: ")).count(), 10);
    }
    assert_eq!(log.write_errors(), 0);
}

#[cfg(unix)]
#[test]
fn a_log_in_a_folder_that_may_not_be_written_grows_and_keeps_its_older_files() {
    use std::os::unix::fs::PermissionsExt;
    if unprivileged::done_as_nobody(
        module_path!(),
        "a_log_in_a_folder_that_may_not_be_written_grows_and_keeps_its_older_files",
    ) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in [("x.log", ""), ("x.log.1", "older\n"), ("x.log.2", "oldest\n")] {
        fs::write(dir.path().join(name), text).unwrap();
    }
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o555)).unwrap();
    let path = dir.path().join("x.log");
    let log = LogHandle::start(quiet().file(&path).file_size(200).file_count(3)).unwrap();
    for n in 0..20 {
        info!(log.slog(), "record"; "n" => n);
    }
    log.flush_blocking(LIMIT).unwrap();
    assert_eq!(log.write_errors(), 0);
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let read = |name: &str| fs::read_to_string(dir.path().join(name)).unwrap();
    assert_eq!((read("x.log.1").as_str(), read("x.log.2").as_str()), ("older\n", "oldest\n"));
    let text = read("x.log");
    assert_eq!(text.lines().filter(|line| line.contains("record, n: ")).count(), 20, "{text}");
    assert_eq!(text.matches("cannot be rotated").count(), 1, "{text}");
}

#[test]
fn flushing_by_slog_waits_for_what_was_logged() {
    let writes = Writes::default();
    let log = LogHandle::start(quiet().writer(writes.clone())).unwrap();
    let logger = log.slog().new(o!("child" => true));
    for n in 0..500 {
        info!(logger, "{n}");
    }
    logger.flush().unwrap();
    assert_eq!(writes.all().len(), 500);
}

#[test]
fn records_that_take_too_much_memory_are_dropped_and_reported_as_past_the_number() {
    let (gate, keeper) = gate();
    let log = LogHandle::start(quiet().writer(gate).queue_bytes(100_000)).unwrap();
    let logger = log.slog();
    info!(logger, "first");
    keeper.entered.recv_timeout(LIMIT).unwrap();
    for _ in 0..10 {
        info!(logger, "large"; "text" => "x".repeat(40_000));
    }
    assert_eq!(log.dropped(), 8);
    info!(logger, "{}", "y".repeat(1_000_000));
    assert_eq!(log.dropped(), 9);
    drop(keeper.go);
    log.flush_blocking(LIMIT).unwrap();
    // Nothing waits: what is larger than the whole bound passes.
    info!(logger, "{}", "z".repeat(1_000_000));
    log.flush_blocking(LIMIT).unwrap();
    let messages = keeper.writes.messages();
    assert_eq!(messages.len(), 5, "{messages:?}");
    assert!(messages[3].starts_with("WARN  9 log records were dropped here"), "{}", messages[3]);
    assert_eq!(log.dropped(), 9);
}

/// A value that cannot be written.
struct Unwritable;

impl slog::Value for Unwritable {
    fn serialize(&self, _: &slog::Record<'_>, _: slog::Key, _: &mut dyn slog::Serializer) -> slog::Result {
        Err(slog::Error::Other)
    }
}

#[test]
fn a_value_that_cannot_be_written_costs_its_record_only() {
    let writes = Writes::default();
    let log = LogHandle::start(quiet().writer(writes.clone())).unwrap();
    info!(log.slog(), "broken"; "value" => Unwritable);
    info!(log.slog(), "whole");
    log.flush_blocking(LIMIT).unwrap();
    assert_eq!(writes.messages()[1..], ["INFO  whole"]);
    assert_eq!((log.dropped(), log.write_errors()), (1, 0));
}
