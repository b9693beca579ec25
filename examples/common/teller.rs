//! Tells what an account hears on standard output, and acknowledges only what is written there.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use actix::{Actor, Context, Handler};
use agora_chat::{
    Connection, ConnectionError, Delivery, DisconnectReason, Event, EventKind, EventMask, MessageHandler, Subscription,
    errors::ConfigError,
};
use tokio::sync::{Notify, mpsc};

use super::out::Out;

/// How long a reader may stand still before a message is offered anew.
const PATIENCE: Duration = Duration::from_secs(24 * 60 * 60);

/// Tells of the connection itself: what comes out of the account's queues goes to the message handler.
struct Teller {
    out: Out,
    line: fn(&Event) -> String,
    ended: mpsc::Sender<DisconnectReason>,
}

impl Actor for Teller {
    type Context = Context<Self>;
}

impl Handler<Event> for Teller {
    type Result = ();

    fn handle(&mut self, event: Event, _: &mut Context<Self>) {
        // It shares its bit with `RoomLost`.
        if matches!(event.kind(), EventKind::Room(_)) {
            return;
        }
        self.out.tell((self.line)(&event));
        if let EventKind::Disconnected { reason } = event.kind() {
            let _nobody_waits = self.ended.try_send(reason.clone());
        }
    }
}

/// What is being written, and so not yet acknowledged.
#[derive(Clone, Default)]
pub(crate) struct InHand(Arc<(AtomicUsize, Notify)>);

impl InHand {
    fn one(&self) -> OneInHand {
        self.0.0.fetch_add(1, Ordering::Relaxed);
        OneInHand(self.clone())
    }

    /// Returns once nothing is.
    pub(crate) async fn none(&self) {
        while self.0.0.load(Ordering::Relaxed) > 0 {
            self.0.1.notified().await;
        }
    }
}

struct OneInHand(InHand);

impl Drop for OneInHand {
    fn drop(&mut self) {
        self.0.0.0.fetch_sub(1, Ordering::Relaxed);
        self.0.0.1.notify_one();
    }
}

/// Has everything told as lines; returns what is in hand, and where the ends of sessions are heard of.
pub(crate) fn tell_all(
    connection: &Connection,
    out: &Out,
    line: fn(&Event) -> String,
) -> Result<(InHand, mpsc::Receiver<DisconnectReason>), ConnectionError> {
    let (ended, ends) = mpsc::channel(4);
    let (told, mailbox) = (out.clone(), 1024);
    let teller = Teller::create(move |context| {
        context.set_mailbox_capacity(mailbox);
        Teller { out: told, line, ended }
    });
    let of_its_own = EventMask::from_bits(EventMask::ALL.bits() & !EventMask::INBOUND.bits()) | EventMask::ROOM;
    connection.subscribe(Subscription::new("teller", teller.recipient()).events(of_its_own))?;
    let in_hand = InHand::default();
    connection.set_message_handler(handler(out, line, &in_hand)?);
    Ok((in_hand, ends))
}

fn handler(out: &Out, line: fn(&Event) -> String, in_hand: &InHand) -> Result<MessageHandler, ConfigError> {
    let (out, in_hand) = (out.clone(), in_hand.clone());
    let handler = MessageHandler::new(move |delivery: Delivery| {
        let (out, one) = (out.clone(), in_hand.one());
        let line = line(delivery.event());
        async move {
            let written = out.written(line).await;
            drop(one);
            written
        }
    });
    handler.events(EventMask::INBOUND).timeout(PATIENCE)?.attempts(1000)
}
