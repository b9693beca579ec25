use std::{
    fs,
    path::{Path, PathBuf},
    pin::pin,
    sync::{Arc, Mutex, mpsc},
    task::{Context, Waker},
};

use bytes::Bytes;

use super::*;
use crate::{
    delivery::HandlerError,
    model::{Event, EventKind, account::UserId},
    session::{PageEvent, decode},
    util::weight::Weigh,
    wire::{self, Jid, MessageBody, Meta, content::ContentType, message_body, meta::NameSpace},
};

const RESOURCE: &str = "phone";

fn account() -> AccountKey {
    AccountKey::new("o#a".parse().unwrap(), "alice".parse().unwrap())
}

fn meta(id: u64, text: &str) -> Bytes {
    let body = MessageBody {
        r#type: Some(message_body::Type::Chat as i32),
        from: Some(Jid::user("o#a", "bob")),
        to: Some(Jid::user("o#a", "alice")),
        contents: vec![wire::Content {
            r#type: Some(ContentType::Text as i32),
            text: Some(text.to_owned()),
            ..wire::Content::default()
        }],
        ..MessageBody::default()
    };
    wire::encode(&Meta {
        id: Some(id),
        from: Some(Jid::user("o#a", "bob")),
        to: Some(Jid::user("o#a", "alice")),
        timestamp: Some(1_700_000_000_000),
        ns: Some(NameSpace::Chat as i32),
        payload: Some(wire::encode(&body)),
        ..Meta::default()
    })
}

fn of_meta(id: u64, meta: Bytes) -> DeadLetter {
    let user: UserId = "alice".parse().unwrap();
    let own = decode::Receiver { user: &user, resource: RESOURCE, weighs: false };
    let event = Event::new(user.clone(), decode::read_again(&meta, &own));
    let event = PageEvent { event, bytes: meta.len(), key: id, encoded: Some(meta) };
    DeadLetter::of(&event, RESOURCE, "the disk is full".into(), 3)
}

fn letter(id: u64) -> DeadLetter {
    of_meta(id, meta(id, "secret words"))
}

fn folder(dir: &Path) -> PathBuf {
    dir.join("o%23a").join("alice").join("dead_letters")
}

async fn ids(store: &FileDeadLetters) -> Vec<u64> {
    store.list(&account()).await.unwrap().into_iter().map(|letter| letter.message).collect()
}

type Offered = Arc<Mutex<Vec<(u64, u32)>>>;

fn failing(fails: impl Fn(u64) -> bool + Send + Sync + 'static) -> (MessageHandler, Offered) {
    let offered = Offered::default();
    let noted = Arc::clone(&offered);
    let handler = MessageHandler::new(move |delivery: Delivery| {
        let id = delivery.message().unwrap().id;
        noted.lock().unwrap().push((id, delivery.attempt()));
        let failed = fails(id);
        async move { if failed { Err("still full") } else { Ok(()) } }
    });
    (handler, offered)
}

#[test]
fn a_letter_is_the_same_after_it_was_encoded() {
    let broken = of_meta(9, Bytes::from_static(b"\xff\xff no meta"));
    assert!(matches!(broken.event.kind(), EventKind::Unknown(unknown) if unknown.undecoded));
    for letter in [letter(7), broken] {
        let encoded = letter.encode().unwrap();
        let again = DeadLetter::decode(&encoded).unwrap();
        assert_eq!((again.event.kind(), again.event.user()), (letter.event.kind(), letter.event.user()));
        assert_eq!((&again.error, again.attempts, again.at), (&letter.error, 3, letter.at));
        assert_eq!((again.identity(), again.weight()), (letter.identity(), letter.weight()));
    }
    assert_eq!(letter(7).message().unwrap().text(), Some("secret words"));
}

#[test]
fn bytes_of_no_letter_and_of_a_damaged_one_are_refused_without_a_word_of_them() {
    let good = letter(7).encode().unwrap();
    let text = String::from_utf8(good.clone()).unwrap();
    let at = text.find("\"meta\":\"").unwrap() + 20;
    let mut flipped = good.clone();
    flipped[at] = if flipped[at] == b'A' { b'B' } else { b'A' };
    let cut = &good[..good.len() - 3];
    let version = text.replace("\"version\":1", "\"version\":2");
    for damaged in [b"".as_slice(), b"{}", b"secret", &flipped, cut, version.as_bytes()] {
        let error = DeadLetter::decode(damaged).unwrap_err();
        assert!(matches!(error, DeadLetterError::Undecodable(_)), "{error}");
        assert!(!format!("{error} {error:?}").contains("secret"));
    }
}

#[actix::test]
async fn letters_outlive_the_process_in_order_and_are_listed_read_and_removed() {
    let dir = tempfile::tempdir().unwrap();
    let store = FileDeadLetters::open(dir.path()).unwrap();
    assert!(ids(&store).await.is_empty());
    for id in [5, 3, 9] {
        store.keep(&account(), &letter(id)).await.unwrap();
    }
    let restarted = FileDeadLetters::open(dir.path()).unwrap();
    assert_eq!(ids(&restarted).await, [5, 3, 9], "the oldest first");
    let listed = restarted.list(&account()).await.unwrap();
    let read = restarted.read(&account(), &listed[1].id).await.unwrap().unwrap();
    assert_eq!((read.message().unwrap().id, read.error.to_string().as_str()), (3, "the disk is full"));
    assert!(!format!("{read:?} {restarted:?} {listed:?}").contains("secret"));
    assert!(restarted.remove(&account(), &listed[0].id).await.unwrap());
    assert!(!restarted.remove(&account(), &listed[0].id).await.unwrap());
    assert!(restarted.read(&account(), &listed[0].id).await.unwrap().is_none());
    assert_eq!(ids(&store).await, [3, 9], "what one store removes the other one has no more");
    store.keep(&account(), &letter(1)).await.unwrap();
    assert_eq!(ids(&restarted).await, [3, 9, 1]);
    let other = AccountKey::new("o#a".parse().unwrap(), "bob".parse().unwrap());
    assert!(store.list(&other).await.unwrap().is_empty());
}

#[actix::test]
async fn a_letter_that_comes_again_is_kept_once_and_one_of_the_same_id_beside_it() {
    let dir = tempfile::tempdir().unwrap();
    let store = FileDeadLetters::open(dir.path()).unwrap();
    for letter in [letter(5), letter(5), of_meta(5, meta(5, "something else")), letter(5)] {
        store.keep(&account(), &letter).await.unwrap();
    }
    assert_eq!(ids(&store).await, [5, 5]);
}

#[actix::test]
async fn a_full_store_takes_nothing_and_drops_nothing_until_there_is_room() {
    let dir = tempfile::tempdir().unwrap();
    let size = letter(1).encode().unwrap().len() as u64;
    let few = FileDeadLetters::open(dir.path().join("few")).unwrap().bounded(2, 1 << 20).unwrap();
    let small =
        FileDeadLetters::open(dir.path().join("small")).unwrap().bounded(1000, (2 * size + 20).max(1024)).unwrap();
    for store in [few, small] {
        store.keep(&account(), &letter(1)).await.unwrap();
        store.keep(&account(), &letter(2)).await.unwrap();
        let full = store.keep(&account(), &letter(3)).await.unwrap_err();
        assert!(matches!(full, DeadLetterError::Full { letters: 2, .. }), "{full}");
        store.keep(&account(), &letter(2)).await.expect("it is there already");
        assert_eq!(ids(&store).await, [1, 2]);
        let first = store.list(&account()).await.unwrap().remove(0);
        store.remove(&account(), &first.id).await.unwrap();
        store.keep(&account(), &letter(3)).await.unwrap();
        assert_eq!(ids(&store).await, [2, 3]);
    }
    let store = FileDeadLetters::open(dir.path()).unwrap();
    assert!(store.clone().bounded(0, 1 << 20).is_err() && store.bounded(1, 1023).is_err());
}

#[cfg(unix)]
#[actix::test]
async fn files_are_for_this_user_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    let store = FileDeadLetters::open(dir.path().join("state")).unwrap();
    store.keep(&account(), &letter(1)).await.unwrap();
    let folder = folder(&dir.path().join("state"));
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    for path in folder.ancestors().take(4) {
        assert_eq!(mode(path), 0o700, "{}", path.display());
    }
    for file in fs::read_dir(&folder).unwrap() {
        assert_eq!(mode(&file.unwrap().path()), 0o600);
    }
}

#[actix::test]
async fn half_a_file_of_a_process_that_died_is_no_letter_and_goes_away_with_the_next() {
    let dir = tempfile::tempdir().unwrap();
    let store = FileDeadLetters::open(dir.path()).unwrap();
    store.keep(&account(), &letter(1)).await.unwrap();
    let half =
        folder(dir.path()).join("0000000000000002-0000000000000002-0000000000000002.letter.0123456789abcdef.tmp");
    let minutes_ago = std::time::SystemTime::now() - std::time::Duration::from_secs(120);
    fs::File::create(&half).unwrap().set_modified(minutes_ago).unwrap();
    assert_eq!(ids(&store).await, [1]);
    store.keep(&account(), &letter(2)).await.unwrap();
    assert_eq!(ids(&store).await, [1, 2]);
    assert!(!half.exists());
}

#[actix::test]
async fn a_damaged_letter_is_set_aside_and_counted_and_the_others_are_replayed() {
    let dir = tempfile::tempdir().unwrap();
    let store = FileDeadLetters::open(dir.path()).unwrap().bounded(3, 1 << 20).unwrap();
    for id in 1..4 {
        store.keep(&account(), &letter(id)).await.unwrap();
    }
    let second = store.list(&account()).await.unwrap().remove(1).id;
    let path = folder(dir.path()).join(format!("{second}.letter"));
    fs::write(&path, "{\"version\":1,\"user\":\"alice\",\"meta\":\"secret").unwrap();
    let (handler, offered) = failing(|_| false);
    let replayed = store.replay(&account(), &handler).await.unwrap();
    assert_eq!((replayed.handled, replayed.failed, replayed.damaged), (2, 0, 1));
    assert_eq!(*offered.lock().unwrap(), [(1, 4), (3, 4)]);
    assert!(ids(&store).await.is_empty());
    assert!(path.with_extension("letter.damaged").exists(), "nothing is thrown away");
    store.keep(&account(), &letter(4)).await.unwrap();
    store.keep(&account(), &letter(5)).await.unwrap();
    assert!(store.keep(&account(), &letter(6)).await.is_err(), "it counts");
}

#[actix::test]
async fn a_replay_removes_what_is_handled_and_counts_the_attempts_of_the_rest() {
    let dir = tempfile::tempdir().unwrap();
    let store = FileDeadLetters::open(dir.path()).unwrap();
    for id in 1..5 {
        store.keep(&account(), &letter(id)).await.unwrap();
    }
    let (handler, offered) = failing(|id| id % 2 == 0);
    for attempt in [4, 5] {
        let replayed = store.replay(&account(), &handler).await.unwrap();
        assert_eq!((replayed.handled, replayed.failed), (if attempt == 4 { 2 } else { 0 }, 2));
        assert_eq!(ids(&store).await, [2, 4]);
        let first = store.list(&account()).await.unwrap().remove(0);
        let read = store.read(&account(), &first.id).await.unwrap().unwrap();
        assert_eq!((read.attempts, read.error.to_string().as_str()), (attempt, "still full"));
    }
    assert_eq!(offered.lock().unwrap().len(), 6);
}

#[actix::test]
async fn a_replay_that_is_given_up_leaves_its_letter() {
    let dir = tempfile::tempdir().unwrap();
    let store = FileDeadLetters::open(dir.path()).unwrap();
    store.keep(&account(), &letter(1)).await.unwrap();
    let (asked, mut is_asked) = tokio::sync::mpsc::unbounded_channel();
    let silent = MessageHandler::new(move |_| {
        asked.send(()).unwrap();
        std::future::pending::<Result<(), HandlerError>>()
    });
    {
        let account = account();
        let mut replay = pin!(store.replay(&account, &silent));
        tokio::select! {
            _ = replay.as_mut() => panic!("it has no end"),
            asked = is_asked.recv() => assert!(asked.is_some()),
        }
        let _pending = replay.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    }
    assert_eq!(ids(&store).await, [1]);
}

#[actix::test]
async fn a_folder_that_cannot_be_written_fails_and_a_later_try_can_do_it() {
    let dir = tempfile::tempdir().unwrap();
    let store = FileDeadLetters::open(dir.path()).unwrap();
    let in_the_way = dir.path().join("o%23a");
    fs::write(&in_the_way, "in the way").unwrap();
    assert!(matches!(store.keep(&account(), &letter(1)).await, Err(DeadLetterError::File(_))));
    fs::remove_file(&in_the_way).unwrap();
    store.keep(&account(), &letter(1)).await.unwrap();
    assert_eq!(ids(&store).await, [1]);
}

#[actix::test]
async fn a_stuck_disk_costs_its_account_only() {
    let dir = tempfile::tempdir().unwrap();
    let store = FileDeadLetters::open(dir.path()).unwrap();
    let (go, gone) = mpsc::channel::<()>();
    let stuck = store.folder(&account());
    let working = actix_rt::spawn(async move { stuck.run(move |_| Ok(gone.recv().is_ok())).await });
    tokio::task::yield_now().await;
    let letter = letter(1);
    let account = account();
    let mut kept = pin!(store.keep(&account, &letter));
    assert!(kept.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    let other = AccountKey::new("o#a".parse().unwrap(), "bob".parse().unwrap());
    store.keep(&other, &letter).await.unwrap();
    go.send(()).unwrap();
    assert!(working.await.unwrap().unwrap());
    kept.await.unwrap();
}
