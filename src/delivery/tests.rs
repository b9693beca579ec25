use crate::{
    model::account::AccountKey,
    store::{Cursor, CursorError, CursorFuture, CursorStore, FileCursors, load},
    wire::queue_name,
};
use std::{
    future::pending,
    pin::pin,
    rc::Rc,
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker},
    time::Duration,
};

use actix_rt::time::Instant;

use super::*;
use crate::{
    model::{
        Event, EventKind, EventMask,
        message::{ChatType, Ext, Message, MessageBody},
        notice::UnknownNotice,
    },
    session::{Page, PageEvent, PageId},
    util::weight::Weigh,
};

fn event(id: u64) -> Event {
    event_of(id, "secret words".into())
}

fn event_of(id: u64, text: String) -> Event {
    let message = Message {
        id,
        from: "bob".into(),
        to: "alice".into(),
        chat: ChatType::Single,
        timestamp: 0,
        own: false,
        ext: Ext::new(),
        extras: None,
        body: MessageBody::Text(text),
    };
    Event::new("alice".parse().unwrap(), EventKind::Message(message))
}

fn page(ids: &[u64], key: Option<u64>) -> Page {
    let events = ids.iter().map(|id| PageEvent::new(event(*id), 12, *id)).collect();
    Page::new(PageId::default(), "easemob.com/o#a/bob", key, 100, events)
}

fn account() -> AccountKey {
    AccountKey::new("o#a".parse().unwrap(), "alice".parse().unwrap())
}

fn task(handler: Option<MessageHandler>, store: Option<Arc<dyn CursorStore>>) -> PageTask {
    let slot = Arc::new(Slot::default());
    slot.set(handler);
    let log = slog::Logger::root(slog::Discard, slog::o!());
    let (progress, retries) = (PageProgress::default(), Rc::default());
    PageTask { slot, store, account: account(), resource: "phone".into(), log, totals: None, progress, retries }
}

impl PageTask {
    /// Plays the engine: retries what is postponed after its pause; returns whether all was handled.
    async fn play(&self, mut page: Page) -> bool {
        loop {
            let Page { id, queue, key, bytes, events, .. } = &page;
            match self.run(Page::new(*id, queue, *key, *bytes, events.clone())).await {
                PageOutcome::Handled => return true,
                PageOutcome::Stopped => return false,
                PageOutcome::Postponed { handled, pause, turn } => {
                    page.events.drain(..handled);
                    let _changed = actix_rt::time::timeout(pause, self.slot.changed(turn)).await;
                }
            }
        }
    }
}

/// Ids offered, with attempt and seconds since the beginning.
type Offered = Arc<Mutex<Vec<(u64, u32, u64)>>>;

/// Returns a handler that fails as asked for each message.
fn failing(fails: impl Fn(u64, u32) -> bool + Send + Sync + 'static) -> (MessageHandler, Offered) {
    let (offered, begun) = (Offered::default(), Instant::now());
    let noted = Arc::clone(&offered);
    let handler = MessageHandler::new(move |delivery: Delivery| {
        let (id, attempt) = (delivery.message().unwrap().id, delivery.attempt());
        noted.lock().unwrap().push((id, attempt, begun.elapsed().as_secs()));
        let failed = fails(id, attempt);
        async move { if failed { Err(format!("no {id}")) } else { Ok(()) } }
    });
    (handler, offered)
}

#[actix::test]
async fn a_failed_message_is_tried_again_after_growing_pauses_and_the_next_one_waits_for_it() {
    tokio::time::pause();
    let (handler, offered) = failing(|id, attempt| id == 1 && attempt < 4);
    let handler = handler.attempts(9).unwrap().pause(Duration::from_secs(1), Duration::from_secs(3)).unwrap();
    assert!(task(Some(handler), None).play(page(&[1, 2], None)).await);
    assert_eq!(*offered.lock().unwrap(), [(1, 1, 0), (1, 2, 1), (1, 3, 3), (1, 4, 6), (2, 1, 6)]);
}

#[actix::test]
async fn a_message_that_fails_every_attempt_goes_to_the_dead_letters_and_the_page_goes_on() {
    tokio::time::pause();
    let letters = DeadLetters::new();
    let (handler, offered) = failing(|id, _| id == 1);
    assert!(task(Some(handler.dead_letters(letters.clone())), None).play(page(&[1, 2], None)).await);
    assert_eq!(*offered.lock().unwrap(), [(1, 1, 0), (1, 2, 1), (1, 3, 3), (2, 1, 3)]);
    let letter = letters.take().unwrap();
    assert_eq!((letter.attempts, letter.error.to_string().as_str()), (3, "no 1"));
    assert!(letters.is_empty());
    assert!(!format!("{letter:?}").contains("secret"), "{letter:?}");
}

/// Returns an unknown notice, unreadable or not.
fn unknown(unreadable: bool) -> Event {
    let (payload, from) = (bytes::Bytes::from_static(b"\x0a\x7f"), "bob".into());
    let notice = UnknownNotice {
        id: 7,
        from,
        to: "alice".into(),
        timestamp: 0,
        namespace: 1,
        undecoded: false,
        unreadable,
        payload,
    };
    Event::new("alice".parse().unwrap(), EventKind::Unknown(notice))
}

#[actix::test]
async fn what_cannot_be_read_is_tried_as_often_as_a_message_and_is_a_dead_letter_as_it_came() {
    tokio::time::pause();
    let letters = DeadLetters::new();
    let offered = Arc::new(Mutex::new(0));
    let noted = Arc::clone(&offered);
    let handler = MessageHandler::new(move |delivery: Delivery| {
        *noted.lock().unwrap() += 1;
        let readable = delivery.message().is_some();
        async move { if readable { Ok(()) } else { Err("not readable") } }
    });
    let events = [unknown(true), unknown(false), event(1)].map(|event| PageEvent::new(event, 2, 0)).into();
    let page = Page::new(PageId::default(), "easemob.com/o#a/bob", None, 100, events);
    assert!(task(Some(handler.dead_letters(letters.clone())), None).play(page).await);
    assert_eq!(*offered.lock().unwrap(), 3 + 1, "what is merely not known is for who asks for it");
    let letter = letters.take().unwrap();
    let EventKind::Unknown(notice) = letter.event.kind() else { panic!("{letter:?}") };
    assert_eq!((&notice.payload[..], letter.attempts), (&b"\x0a\x7f"[..], 3));
    assert!(letters.is_empty());
}

/// An actor that ends before its first message, or panics over it, itself or in a future of its own.
#[derive(Clone, Copy, PartialEq)]
enum Odd {
    Ends,
    Panics,
    PanicsAside,
}

impl actix::Actor for Odd {
    type Context = actix::Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        if *self == Odd::Ends {
            actix::ActorContext::terminate(ctx);
        }
    }
}

impl actix::Handler<Delivery> for Odd {
    type Result = actix::ResponseFuture<Result<(), HandlerError>>;

    fn handle(&mut self, _: Delivery, _: &mut Self::Context) -> Self::Result {
        match self {
            Odd::Ends => Box::pin(pending()),
            Odd::Panics => panic!("on purpose"),
            Odd::PanicsAside => Box::pin(async { panic!("on purpose") }),
        }
    }
}

/// A future that panics when it is dropped, after its answer or without one.
struct Thorny(Poll<Result<(), HandlerError>>);

impl Future for Thorny {
    type Output = Result<(), HandlerError>;

    fn poll(self: std::pin::Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.clone()
    }
}

impl Drop for Thorny {
    fn drop(&mut self) {
        panic!("on purpose");
    }
}

#[actix::test]
async fn an_attempt_that_takes_too_long_and_a_panic_are_failures() {
    tokio::time::pause();
    let letters = DeadLetters::new();
    let panics = |_: Delivery| -> std::future::Ready<Result<(), HandlerError>> { panic!("on purpose") };
    let silent = MessageHandler::new(|_| pending::<Result<(), HandlerError>>());
    let aside = actix::Actor::start(Odd::PanicsAside);
    for (handler, seconds, words) in [
        (silent, 90, "no answer within 90s"),
        (MessageHandler::new(panics), 0, "panicked"),
        (MessageHandler::new(|_| async { panic!("on purpose") as Result<(), String> }), 0, "panicked"),
        (MessageHandler::actor(aside.recipient()), 0, "unanswered"),
        (MessageHandler::new(|_| Thorny(Poll::Ready(Ok(())))), 0, "panicked"),
        (MessageHandler::new(|_| Thorny(Poll::Pending)), 90, "no answer within 90s"),
    ] {
        let begun = Instant::now();
        let handler = handler.attempts(1).unwrap().dead_letters(letters.clone());
        assert!(task(Some(handler), None).play(page(&[1], None)).await);
        assert_eq!(begun.elapsed().as_secs(), seconds);
        assert!(letters.take().unwrap().error.to_string().contains(words), "{words}");
    }
}

#[actix::test]
async fn what_an_ended_actor_leaves_waits_for_another_handler_and_is_no_dead_letter() {
    tokio::time::pause();
    for odd in [Odd::Ends, Odd::Panics] {
        let letters = DeadLetters::new();
        let ended = MessageHandler::actor(actix::Actor::start(odd).recipient()).attempts(1).unwrap();
        let work = task(Some(ended.dead_letters(letters.clone())), None);
        let (slot, begun) = (Arc::clone(&work.slot), Instant::now());
        let mut running = pin!(work.play(page(&[1, 2], Some(7))));
        let day = Duration::from_secs(86_400);
        assert!(actix_rt::time::timeout(day, running.as_mut()).await.is_err(), "it is not acknowledged");
        assert!(letters.is_empty());
        assert!(!work.slot.is_news(1), "it was said");
        // Ended as well, so the next one is waited for.
        let also_ended = slot.get();
        slot.set(also_ended);
        assert!(actix_rt::time::timeout(day, running.as_mut()).await.is_err());
        let (next, offered) = failing(|_, _| false);
        slot.set(Some(next));
        assert!(running.await);
        assert_eq!(begun.elapsed().as_secs(), 2 * day.as_secs(), "at once");
        let to_next: Vec<_> = offered.lock().unwrap().iter().map(|(id, attempt, _)| (*id, *attempt)).collect();
        assert_eq!(to_next, [(1, 1), (2, 1)]);
    }
}

#[actix::test]
async fn a_replay_to_an_ended_actor_leaves_the_letters_as_they_were() {
    let letters = DeadLetters::new();
    letters.push(letter(1, 10)).unwrap();
    let actor = actix::Actor::start(Odd::Ends).recipient();
    let replayed = letters.replay(&MessageHandler::actor(actor)).await;
    assert_eq!((replayed.handled, replayed.failed), (0, 1));
    let back = letters.take().unwrap();
    assert_eq!((back.attempts, back.error.to_string().as_str()), (3, "why"));
}

#[test]
fn an_attempt_may_take_longer_than_a_send_in_it_by_default() {
    let config = crate::config::Config::builder("o#a").build().unwrap();
    let handler = MessageHandler::new(|_| pending::<Result<(), HandlerError>>());
    assert!(handler.limit_of_time() > config.buffer_sends_for + config.send_timeout);
}

#[actix::test]
async fn what_no_place_was_given_for_is_tried_for_ever_after_pauses_that_grow_to_their_bound() {
    tokio::time::pause();
    let (handler, offered) = failing(|id, attempt| id == 1 && attempt < 14);
    let work = task(Some(handler), None);
    assert!(work.play(page(&[1, 2], None)).await);
    assert!(work.slot.get().unwrap().letters().is_none());
    let offered = offered.lock().unwrap();
    let at: Vec<u64> = offered.iter().map(|(_, _, seconds)| *seconds).collect();
    assert_eq!(at, [0, 1, 3, 7, 15, 31, 63, 127, 255, 511, 811, 1111, 1411, 1711, 1711]);
    assert_eq!(offered[13..].iter().map(|(id, attempt, _)| (*id, *attempt)).collect::<Vec<_>>(), [(1, 14), (2, 1)]);
}

#[actix::test]
async fn a_page_of_no_queue_cannot_come_again_and_is_kept_until_it_is_handled() {
    tokio::time::pause();
    let (handler, offered) = failing(|id, attempt| id == 1 && attempt < 5);
    let work = task(Some(handler), None);
    let page = Page { comes_again: false, ..page(&[1, 2], None) };
    assert_eq!(work.run(page).await, PageOutcome::Handled);
    assert_eq!(*offered.lock().unwrap(), [(1, 1, 0), (1, 2, 1), (1, 3, 3), (1, 4, 7), (1, 5, 15), (2, 1, 15)]);
}

#[actix::test]
async fn what_is_postponed_is_counted_on_by_the_same_handler_and_anew_by_another() {
    tokio::time::pause();
    let (handler, offered) = failing(|id, _| id == 2);
    let work = task(Some(handler.clone()), None);
    let second = Duration::from_secs(1);
    let postponed = |handled, pause, turn| PageOutcome::Postponed { handled, pause, turn };
    assert_eq!(work.run(page(&[1, 2], None)).await, postponed(1, second, 1));
    assert_eq!(work.run(page(&[2], None)).await, postponed(0, 2 * second, 1));
    work.slot.set(Some(handler));
    assert_eq!(work.run(page(&[2], None)).await, postponed(0, second, 2));
    let attempts: Vec<_> = offered.lock().unwrap().iter().map(|(id, attempt, _)| (*id, *attempt)).collect();
    assert_eq!(attempts, [(1, 1), (2, 1), (2, 2), (2, 1)]);
}

/// Attempts of each letter given to a sink, with seconds since the beginning.
type Given = Arc<Mutex<Vec<(u32, u64)>>>;

/// Returns a sink that gives these answers, then `Ok`.
fn sink(handler: MessageHandler, answers: Vec<Does>) -> (MessageHandler, Given) {
    let (given, begun) = (Arc::new(Mutex::new(Vec::new())), Instant::now());
    let (noted, answers) = (Arc::clone(&given), Mutex::new(answers.into_iter()));
    let handler = handler.dead_letter_sink(move |letter: DeadLetter| {
        noted.lock().unwrap().push((letter.attempts, begun.elapsed().as_secs()));
        let does = answers.lock().unwrap().next().unwrap_or(Does::Save);
        async move {
            match does {
                Does::Save => Ok(()),
                Does::Fail => Err("full"),
                Does::Hang => pending().await,
                Does::Panic => panic!("on purpose"),
            }
        }
    });
    (handler, given)
}

#[actix::test]
async fn a_sink_is_waited_for_and_asked_after_the_handler_until_it_keeps_the_letter() {
    tokio::time::pause();
    let (handler, offered) = failing(|id, _| id == 1);
    let handler = handler.attempts(1).unwrap().pause(Duration::ZERO, Duration::ZERO).unwrap();
    let (handler, given) = sink(handler, vec![Does::Fail, Does::Hang, Does::Panic]);
    assert!(task(Some(handler.clone()), None).play(page(&[1, 2], None)).await);
    assert_eq!(*given.lock().unwrap(), [(1, 0), (2, 1), (3, 92), (4, 93)]);
    let expected = [(1, 1, 0), (1, 2, 1), (1, 3, 92), (1, 4, 93), (2, 1, 93)];
    assert_eq!(*offered.lock().unwrap(), expected, "the handler has its chance as well, and the next one waits for it");
    assert!(handler.letters().is_none());
}

#[actix::test]
async fn a_letter_that_is_not_kept_is_a_message_for_the_next_handler_and_ends_with_the_session() {
    tokio::time::pause();
    let (handler, _) = failing(|_, _| true);
    let (handler, given) = sink(handler.attempts(1).unwrap(), vec![Does::Fail; 1000]);
    let work = task(Some(handler), None);
    let mut running = pin!(work.play(page(&[1], None)));
    assert!(actix_rt::time::timeout(Duration::from_secs(100), running.as_mut()).await.is_err());
    assert!((5..10).contains(&given.lock().unwrap().len()));
    let (next, offered) = failing(|_, _| false);
    work.slot.set(Some(next));
    assert!(running.await);
    assert_eq!(offered.lock().unwrap().len(), 1);

    let (handler, _) = failing(|_, _| true);
    let (handler, given) = sink(handler.attempts(1).unwrap(), vec![Does::Hang]);
    let work = task(Some(handler), None);
    let mut running = pin!(work.play(page(&[1], None)));
    assert!(running.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    assert!(work.progress.stop(), "it is being kept");
    assert!(!running.await, "not kept, not acknowledged");
    assert_eq!(given.lock().unwrap().len(), 1);
}

#[actix::test]
async fn an_actor_that_answers_has_handled_it() {
    struct Takes(Vec<u64>);
    impl actix::Actor for Takes {
        type Context = actix::Context<Self>;
    }
    impl actix::Handler<Delivery> for Takes {
        type Result = Result<(), HandlerError>;
        fn handle(&mut self, delivery: Delivery, _: &mut Self::Context) -> Self::Result {
            self.0.push(delivery.message().unwrap().id);
            if self.0.len() == 1 { Err("busy".into()) } else { Ok(()) }
        }
    }
    tokio::time::pause();
    let letters = DeadLetters::new();
    let handler = MessageHandler::actor(actix::Actor::start(Takes(Vec::new())).recipient());
    assert!(task(Some(handler.dead_letters(letters.clone())), None).play(page(&[1, 2], None)).await);
    assert!(letters.is_empty());
}

#[actix::test]
async fn a_new_handler_gets_what_the_former_one_could_not_handle_and_the_next_message() {
    tokio::time::pause();
    let (new, to_new) = failing(|_, _| false);
    let work = task(None, None);
    let (slot, next) = (Arc::clone(&work.slot), Mutex::new(Some(new)));
    let (former, to_former) = failing(move |_, attempt| {
        if let Some(new) = next.lock().unwrap().take() {
            slot.set(Some(new));
        }
        attempt < 3
    });
    work.slot.set(Some(former));
    assert!(work.play(page(&[1, 2], None)).await);
    assert_eq!(*to_former.lock().unwrap(), [(1, 1, 0)]);
    assert_eq!(
        *to_new.lock().unwrap(),
        [(1, 1, 0), (2, 1, 0)],
        "what it could not handle is asked of the new one at once"
    );
}

#[actix::test]
async fn pages_of_two_queues_are_handled_side_by_side() {
    tokio::time::pause();
    let (handler, offered) = failing(|id, attempt| id < 10 && attempt == 1);
    let work = task(Some(handler), None);
    let mut slow = pin!(work.play(page(&[1, 2], None)));
    assert!(slow.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    assert!(work.play(Page { queue: "easemob.com/o#a/carol".into(), ..page(&[10, 11], None) }).await);
    assert!(slow.await);
    assert_eq!(*offered.lock().unwrap(), [(1, 1, 0), (10, 1, 0), (11, 1, 0), (1, 2, 1), (2, 1, 1), (2, 2, 2)]);
}

#[actix::test]
async fn without_a_handler_or_for_a_kind_it_does_not_want_everything_counts_as_handled() {
    assert!(task(None, None).play(page(&[1, 2], None)).await);
    let (handler, offered) = failing(|_, _| true);
    assert!(task(Some(handler.events(EventMask::CONNECTED)), None).play(page(&[1], None)).await);
    assert!(offered.lock().unwrap().is_empty());
}

#[actix::test]
async fn what_is_stopped_lets_its_call_end_and_begins_nothing_more() {
    tokio::time::pause();
    let (go, gone) = tokio::sync::oneshot::channel::<()>();
    let (calls, gone) = (Arc::new(Mutex::new(0)), Mutex::new(Some(gone)));
    let counted = Arc::clone(&calls);
    let handler = MessageHandler::new(move |_| {
        *counted.lock().unwrap() += 1;
        let gone = gone.lock().unwrap().take().unwrap();
        async move { gone.await.map_err(|error| error.to_string()) }
    });
    let work = task(Some(handler), None);
    assert!(!work.progress.clone().stop(), "nothing is under way yet");
    assert!(!work.play(page(&[1], None)).await);
    assert_eq!(*calls.lock().unwrap(), 0);

    let work = PageTask { progress: PageProgress::default(), ..work };
    let mut running = pin!(work.play(page(&[1, 2], Some(7))));
    assert!(running.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    assert!(work.progress.stop(), "a call is under way");
    go.send(()).unwrap();
    assert!(!running.await);
    assert_eq!(*calls.lock().unwrap(), 1);
}

#[actix::test]
async fn a_page_that_ends_after_its_session_saves_no_key_over_a_newer_one() {
    let (go, gone) = tokio::sync::oneshot::channel::<()>();
    let gone = Mutex::new(Some(gone));
    let handler = MessageHandler::new(move |_| gone.lock().unwrap().take().unwrap());
    let store = Arc::new(Noting { saved: Mutex::default(), does: Does::Save, handled: Offered::default() });
    let work = task(Some(handler), Some(Arc::clone(&store) as Arc<dyn CursorStore>));
    let mut running = pin!(work.play(page(&[1], Some(7))));
    assert!(running.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    assert!(work.progress.stop());
    go.send(()).unwrap();
    assert!(!running.await);
    assert!(store.saved.lock().unwrap().is_empty());
}

/// A store that records its calls and gives set answers.
struct Noting {
    saved: Mutex<Vec<Cursor>>,
    does: Does,
    handled: Offered,
}

#[derive(Clone, Copy, PartialEq)]
enum Does {
    Save,
    Fail,
    Hang,
    Panic,
}

impl CursorStore for Noting {
    fn load(&self, _: &AccountKey) -> CursorFuture<Vec<Cursor>> {
        match self.does {
            Does::Hang => Box::pin(pending()),
            Does::Panic => panic!("on purpose"),
            Does::Save | Does::Fail => Box::pin(std::future::ready(Err(CursorError::new("no")))),
        }
    }

    fn save(&self, of: &AccountKey, cursor: &Cursor) -> CursorFuture<()> {
        assert_eq!((of, self.handled.lock().unwrap().len()), (&account(), 2), "saved after all was handled");
        self.saved.lock().unwrap().push(cursor.clone());
        match self.does {
            Does::Save => Box::pin(std::future::ready(Ok(()))),
            Does::Fail => Box::pin(std::future::ready(Err(CursorError::new("full")))),
            Does::Hang => Box::pin(pending()),
            Does::Panic => Box::pin(async { panic!("on purpose") }),
        }
    }
}

#[actix::test]
async fn a_key_is_saved_after_its_messages_and_a_store_that_fails_hangs_or_panics_stops_no_queue() {
    tokio::time::pause();
    for (does, seconds) in [(Does::Save, 0), (Does::Fail, 0), (Does::Hang, 30), (Does::Panic, 0)] {
        let (handler, handled) = failing(|_, _| false);
        let store = Arc::new(Noting { saved: Mutex::default(), does, handled });
        let begun = Instant::now();
        let work = task(Some(handler), Some(Arc::clone(&store) as Arc<dyn CursorStore>));
        assert!(work.play(page(&[1, 2], Some(7))).await);
        assert_eq!(*store.saved.lock().unwrap(), [Cursor::new("easemob.com/o#a/bob", 7)]);
        assert!(work.play(page(&[], None)).await, "nothing to keep");
        assert_eq!(store.saved.lock().unwrap().len(), 1);
        let log = work.log.clone();
        assert!(load(store, account(), log).await.is_empty(), "what cannot be read counts as none");
        assert_eq!(begun.elapsed().as_secs(), 2 * seconds);
    }
}

fn letter(id: u64, bytes: usize) -> DeadLetter {
    let event = event_of(id, "x".repeat(bytes));
    DeadLetter::new(event, "why".into(), 3)
}

fn ids(letters: &DeadLetters) -> Vec<u64> {
    let id = |letter: DeadLetter| Delivery::new(letter.event, 1).message().unwrap().id;
    letters.drain().into_iter().map(id).collect()
}

#[test]
fn past_a_number_or_a_size_no_more_dead_letters_are_taken() {
    let few = DeadLetters::bounded(3, 1 << 20).unwrap();
    let small = DeadLetters::bounded(1000, 3 * letter(1, 100).weight()).unwrap();
    for letters in [few, small] {
        (1..4).for_each(|id| assert!(letters.push(letter(id, 100)).unwrap().is_empty()));
        let full = letters.push(letter(4, 100)).unwrap_err();
        assert!(matches!(full, DeadLetterError::Full { letters: 3, .. }), "{full}");
        assert_eq!((ids(&letters), letters.dropped()), (vec![1, 2, 3], 0));
        letters.push(letter(5, 4 << 20)).unwrap();
        assert!(letters.push(letter(6, 1)).is_err() || letters.len() == 2);
        assert_eq!(ids(&letters)[0], 5, "a single one is taken whatever its size");
    }
    assert!(DeadLetters::bounded(0, 1).is_err() && DeadLetters::bounded(1, 0).is_err());
}

#[test]
fn the_oldest_dead_letters_are_dropped_and_counted_where_that_is_asked_for() {
    let few = DeadLetters::bounded(3, 1 << 20).unwrap().dropping_oldest();
    let small = DeadLetters::bounded(1000, 3 * letter(1, 100).weight()).unwrap().dropping_oldest();
    for letters in [few, small] {
        let dropped: usize = (1..6).map(|id| letters.push(letter(id, 100)).unwrap().len()).sum();
        assert_eq!((letters.len(), letters.dropped(), dropped), (3, 2, 2));
        letters.push(letter(6, 4 << 20)).unwrap();
        assert!(letters.len() <= 3 && letters.dropped() >= 3);
        assert_eq!(ids(&letters).last(), Some(&6), "the newest stays whatever its size");
        letters.push(letter(7, 100)).unwrap();
        assert_eq!(ids(&letters), [7], "what was drained takes no room");
    }
}

#[test]
fn dead_letters_take_no_more_memory_than_their_limit_whatever_they_hold() {
    let attribute = format!("[{}0]", r#"{"":0},"#.repeat((200 << 10) / 7));
    let attributes: Ext = (0..3_000).map(|n| (n.to_string(), n)).collect();
    for ext in [Ext::new().with("k", attribute.parse::<crate::model::message::Json>().unwrap()), attributes] {
        let letters = DeadLetters::new();
        let mut full = false;
        let counted = allocation_counter::measure(|| {
            for id in 0..200 {
                let EventKind::Message(message) = event(id).kind().clone() else { return };
                let event =
                    Event::new("alice".parse().unwrap(), EventKind::Message(Message { ext: ext.clone(), ..message }));
                full |= letters.push(DeadLetter::new(event, "why".into(), 3)).is_err();
            }
        });
        assert!(full && letters.len() >= 30, "{} letters", letters.len());
        assert!(counted.bytes_current <= DeadLetters::BYTES as i64 + (64 << 10), "{counted:?}");
    }
}

#[test]
fn somebody_can_be_told_of_every_dead_letter_and_may_panic() {
    let told = Arc::new(Mutex::new(0));
    let noted = Arc::clone(&told);
    let letters = DeadLetters::new().on_dead_letter(move |letter| {
        *noted.lock().unwrap() += letter.attempts;
        panic!("on purpose");
    });
    letters.push(letter(1, 1)).unwrap();
    assert_eq!((*told.lock().unwrap_or_else(std::sync::PoisonError::into_inner), letters.len()), (3, 1));
}

#[actix::test]
async fn a_replay_offers_each_letter_once_and_keeps_what_fails_again() {
    tokio::time::pause();
    let letters = DeadLetters::new();
    (1..5).for_each(|id| drop(letters.push(letter(id, 10)).unwrap()));
    let (handler, offered) = failing(|id, _| id % 2 == 0);
    let replayed = letters.replay(&handler).await;
    assert_eq!((replayed.handled, replayed.failed), (2, 2));
    assert_eq!(*offered.lock().unwrap(), [(1, 4, 0), (2, 4, 0), (3, 4, 0), (4, 4, 0)]);
    let back = letters.take().unwrap();
    assert_eq!((back.attempts, back.error.to_string().as_str()), (4, "no 2"));
    assert_eq!(ids(&letters), [4]);
}

#[actix::test]
async fn a_replay_that_is_given_up_puts_its_letter_back() {
    let letters = DeadLetters::new();
    (1..3).for_each(|id| drop(letters.push(letter(id, 10)).unwrap()));
    let silent = MessageHandler::new(|_| pending::<Result<(), HandlerError>>());
    {
        let mut replay = pin!(letters.replay(&silent));
        assert!(matches!(replay.as_mut().poll(&mut Context::from_waker(Waker::noop())), Poll::Pending));
        assert_eq!(letters.len(), 1);
    }
    assert_eq!(ids(&letters), [2, 1]);
}

#[test]
fn a_handler_has_bounds() {
    let handler = || MessageHandler::new(|_| async { Ok::<(), HandlerError>(()) });
    assert!(handler().attempts(0).is_err() && handler().attempts(1001).is_err());
    assert!(handler().timeout(Duration::ZERO).is_err() && handler().timeout(Duration::MAX).is_err());
    let (short, long) = (Duration::from_secs(1), Duration::from_secs(2));
    assert!(handler().pause(long, short).is_err() && handler().pause(short, Duration::MAX).is_err());
    let huge = handler().pause(short, long).unwrap();
    assert_eq!((huge.pause_after(1), huge.pause_after(2), huge.pause_after(u32::MAX)), (short, long, long));
    assert_eq!(HandlerError::new("é".repeat(600)).to_string().chars().count(), HandlerError::MAX_CHARS);
    assert!(!format!("{:?}", Delivery::new(event(1), 1)).contains("secret"));
}

async fn keys(store: &FileCursors) -> Vec<Cursor> {
    store.load(&account()).await.unwrap()
}

#[actix::test]
async fn keys_in_files_outlive_the_process_account_by_account() {
    let dir = tempfile::tempdir().unwrap();
    let store = FileCursors::open(dir.path()).unwrap();
    assert!(keys(&store).await.is_empty());
    let (one, two) = (Cursor::new("a/b/c", 1), Cursor::new("a/b/d", u64::MAX));
    let mut saves: Vec<_> = [&one, &two].map(|cursor| store.save(&account(), cursor)).into();
    saves.push(store.save(&account(), &Cursor::new("a/b/c", 3)));
    for save in saves {
        save.await.unwrap();
    }
    let other = AccountKey::new("o#a".parse().unwrap(), "bob".parse().unwrap());
    let restarted = FileCursors::open(dir.path()).unwrap();
    assert_eq!(keys(&restarted).await, [two, Cursor::new("a/b/c", 3)]);
    assert!(restarted.load(&other).await.unwrap().is_empty());
}

#[actix::test]
async fn saves_at_once_from_many_queues_are_all_in_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let store = FileCursors::open(dir.path()).unwrap();
    let saves = (0..64_u64).map(|n| store.save(&account(), &Cursor::new(n.to_string(), n)));
    let saves: Vec<_> = saves.map(actix_rt::spawn).collect();
    for save in saves {
        save.await.unwrap().unwrap();
    }
    assert_eq!(keys(&FileCursors::open(dir.path()).unwrap()).await.len(), 64);
}

#[actix::test]
async fn a_process_that_dies_over_a_file_leaves_the_former_one_and_a_damaged_one_is_told_and_set_aside() {
    let dir = tempfile::tempdir().unwrap();
    let cursor = Cursor::new("a/b/c", 7);
    FileCursors::open(dir.path()).unwrap().save(&account(), &cursor).await.unwrap();
    let folder = dir.path().join("o%23a").join("alice");
    let path = folder.join("cursors.json");
    // Killed between write and rename: half a temporary file lies beside the whole one.
    std::fs::write(folder.join("cursors.json.0123456789abcdef.tmp"), "{\"version\":1,\"curs").unwrap();
    let store = FileCursors::open(dir.path()).unwrap();
    assert_eq!(keys(&store).await, std::slice::from_ref(&cursor));
    store.save(&account(), &Cursor::new("a/b/d", 8)).await.unwrap();
    assert_eq!(keys(&FileCursors::open(dir.path()).unwrap()).await.len(), 2);

    std::fs::write(&path, "{\"version\":1,\"curs").unwrap();
    let store = FileCursors::open(dir.path()).unwrap();
    let error = store.load(&account()).await.unwrap_err();
    assert!(matches!(&error, CursorError::File(crate::model::error::StateError::Damaged { .. })), "{error}");
    assert!(folder.join("cursors.json.damaged").exists(), "nothing is thrown away");
    assert!(keys(&store).await.is_empty());
    store.save(&account(), &cursor).await.unwrap();
    assert_eq!(keys(&FileCursors::open(dir.path()).unwrap()).await, [cursor]);
}

#[actix::test]
async fn a_folder_that_cannot_be_written_fails_the_save_and_a_later_one_can_do_it() {
    let dir = tempfile::tempdir().unwrap();
    let store = FileCursors::open(dir.path()).unwrap();
    let app = dir.path().join("o%23a");
    std::fs::write(&app, "in the way").unwrap();
    assert!(store.save(&account(), &Cursor::new("a", 1)).await.is_err());
    std::fs::remove_file(&app).unwrap();
    store.save(&account(), &Cursor::new("b", 2)).await.unwrap();
    assert_eq!(keys(&FileCursors::open(dir.path()).unwrap()).await.last(), Some(&Cursor::new("b", 2)));
}

#[actix::test]
async fn a_file_that_cannot_be_read_for_a_while_keeps_its_keys() {
    let dir = tempfile::tempdir().unwrap();
    FileCursors::open(dir.path()).unwrap().save(&account(), &Cursor::new("a", 1)).await.unwrap();
    let path = dir.path().join("o%23a").join("alice").join("cursors.json");
    let away = path.with_extension("away");
    std::fs::rename(&path, &away).unwrap();
    std::fs::create_dir(&path).unwrap();
    let store = FileCursors::open(dir.path()).unwrap();
    let error = store.load(&account()).await.unwrap_err();
    assert!(matches!(&error, CursorError::File(crate::model::error::StateError::Kind { .. })), "{error}");
    assert!(store.save(&account(), &Cursor::new("b", 2)).await.is_err(), "nothing is written over it");
    std::fs::remove_dir(&path).unwrap();
    std::fs::rename(&away, &path).unwrap();
    store.save(&account(), &Cursor::new("b", 2)).await.unwrap();
    let both = [Cursor::new("a", 1), Cursor::new("b", 2)];
    assert_eq!(keys(&FileCursors::open(dir.path()).unwrap()).await, both);
}

#[test]
fn the_names_of_queues_differ_where_queues_do() {
    let jid = |app: &str, name: &str| crate::wire::Jid::user(app, name);
    assert_eq!(queue_name(&jid("o#a", "bob").with_resource("phone")), "easemob.com/o#a/bob");
    assert_ne!(queue_name(&jid("o", "a/b")), queue_name(&jid("o/a", "b")));
    assert_ne!(queue_name(&crate::wire::Jid::group("o#a", "x")), queue_name(&jid("o#a", "x")));
}
