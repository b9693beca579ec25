//! The closures of an [`EventHandler`], one for each kind of notice.

use std::{collections::BTreeSet, time::Duration};

use agora_chat::{Event, EventHandler, EventKind, EventMask, HandlerRegistry};
use prost::Message as _;
use serde_json::Value;
use tokio::sync::mpsc::unbounded_channel;

use crate::receive::receiver::Receiver;

/// One recorded event of every kind that comes out of a queue.
fn one_of_each() -> Vec<EventKind> {
    let entries: Vec<Value> = serde_json::from_str(include_str!("../../vectors/receive.json")).unwrap();
    let (mut seen, mut events) = (BTreeSet::new(), Vec::new());
    for entry in entries {
        let bytes = hex::decode(entry["hex"].as_str().unwrap()).unwrap();
        for event in Receiver::online().page(vec![agora_chat::wire::Meta::decode(&bytes[..]).unwrap()]) {
            if EventMask::INBOUND.contains(event.mask()) && seen.insert(event.mask().bits()) {
                events.push(event);
            }
        }
    }
    events
}

#[actix::test]
async fn every_kind_of_notice_reaches_the_closure_for_it_and_no_other() {
    let (told, mut heard) = unbounded_channel();
    let tell = |name: &'static str| {
        let told = told.clone();
        move || told.send(name).unwrap()
    };
    macro_rules! on {
        ($($set:ident),*) => { EventHandler::new()$(.$set({ let tell = tell(stringify!($set)); move |_, _| tell() }))* };
    }
    let handler = on!(
        on_message,
        on_receipt,
        on_recalled,
        on_edited,
        on_group,
        on_room,
        on_thread,
        on_contact,
        on_presence,
        on_reaction,
        on_pinned,
        on_device,
        on_unknown
    );
    assert_eq!(handler.mask(), EventMask::INBOUND);
    let (started, finished) = (tell("on_offline_sync_started"), tell("on_offline_sync_finished"));
    let lost = tell("on_room_lost");
    let handler = handler
        .on_room_lost(move |_, room, error| {
            assert_eq!((room, error), ("r", None));
            lost();
        })
        .on_offline_sync_started(move |_, queues, messages| {
            assert_eq!((queues, messages), (1, 2));
            started();
        })
        .on_offline_sync_finished(move |_, queues, messages, complete| {
            assert_eq!((queues, messages, complete), (3, 4, true));
            finished();
        });
    assert_eq!(handler.mask(), EventMask::INBOUND | EventMask::OFFLINE_SYNC);

    let handlers = HandlerRegistry::start_here(&slog::Logger::root(slog::Discard, slog::o!())).unwrap();
    handlers.add_event_handler("all", handler).unwrap();
    let mut events = one_of_each();
    assert_eq!(events.len() as u32, EventMask::INBOUND.bits().count_ones(), "one of each kind is recorded");
    events.push(EventKind::RoomLost { room: "r".into(), error: None });
    events.push(EventKind::OfflineSyncStarted { queues: 1, messages: 2 });
    events.push(EventKind::OfflineSyncFinished { queues: 3, messages: 4, complete: true });
    for kind in events {
        let expected = match &kind {
            EventKind::Message(_) => "on_message",
            EventKind::Receipt(_) => "on_receipt",
            EventKind::Recalled(_) => "on_recalled",
            EventKind::Edited(_) => "on_edited",
            EventKind::Group(_) => "on_group",
            EventKind::Room(_) => "on_room",
            EventKind::RoomLost { .. } => "on_room_lost",
            EventKind::Thread(_) => "on_thread",
            EventKind::Contact(_) => "on_contact",
            EventKind::Presence(_) => "on_presence",
            EventKind::Reaction(_) => "on_reaction",
            EventKind::Pinned(_) => "on_pinned",
            EventKind::Device(_) => "on_device",
            EventKind::Unknown(_) => "on_unknown",
            EventKind::OfflineSyncStarted { .. } => "on_offline_sync_started",
            EventKind::OfflineSyncFinished { .. } => "on_offline_sync_finished",
            other => panic!("{other:?}"),
        };
        handlers.publish(Event::new("alice".parse().unwrap(), kind));
        let called = tokio::time::timeout(Duration::from_secs(10), heard.recv()).await.unwrap();
        assert_eq!(called, Some(expected));
    }
    assert!(heard.try_recv().is_err());
}
