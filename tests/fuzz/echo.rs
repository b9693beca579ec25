//! A WebSocket client that echoes, over this crate's own upgrade and framing: what a conformance suite talks to.

use std::{future::poll_fn, task::Poll};

use crate::net::websocket::{
    frame::{Incoming, MessageKind},
    link::{ReadOutcome, ReadRound, connect},
};
use crate::{
    config::Limits,
    model::error::LossCause,
    net::{ConnectProgress, Network},
};

/// Opens one link, sends every text and binary message back, and gives what ended it, and the messages.
pub(crate) async fn echo(url: &str, limits: &Limits) -> (LossCause, Vec<Vec<u8>>) {
    let mut link = match connect(url, &Network::default(), limits.sizes(), &ConnectProgress::new(), None).await {
        Ok(link) => link,
        Err(cause) => return (cause, Vec::new()),
    };
    let mut seen = Vec::new();
    let mut lost = None;
    let cause = poll_fn(|cx| {
        loop {
            if lost.is_none() {
                let mut echoes = Vec::new();
                let mut round = ReadRound::begin();
                let read = 'round: loop {
                    let mut input = match link.read(&mut round, cx) {
                        Ok(input) => input,
                        Err(outcome) => break outcome,
                    };
                    loop {
                        match link.next(&mut input) {
                            Ok(Some(Incoming::Text(payload))) => echoes.push((MessageKind::Text, payload.to_vec())),
                            Ok(Some(Incoming::Binary(payload))) => echoes.push((MessageKind::Binary, payload.to_vec())),
                            Ok(Some(Incoming::Close { code, reason })) => {
                                let cause = LossCause::ClosedByPeer { code, reason: reason.to_owned() };
                                break 'round ReadOutcome::Lost(cause);
                            }
                            Ok(Some(Incoming::Ping(_) | Incoming::Pong(_))) => {}
                            Ok(None) => break,
                            Err(cause) => break 'round ReadOutcome::Lost(cause),
                        }
                    }
                };
                drop(round);
                for (kind, payload) in echoes {
                    link.put(kind, &payload);
                    // A run's questions are answered in one short text.
                    seen.push(payload.into_iter().take(1024).collect());
                }
                match read {
                    ReadOutcome::Lost(cause) => lost = Some(cause),
                    ReadOutcome::More => {
                        link.flush(cx);
                        continue;
                    }
                    ReadOutcome::Blocked => {}
                }
            }
            link.flush(cx);
            return match &lost {
                // The last word goes out, and the server ends the stream first (RFC 6455 §7.1.1).
                Some(_) if link.waiting() > 0 => Poll::Pending,
                Some(cause) => link.ended(cx).map(|()| cause.clone()),
                None => Poll::Pending,
            };
        }
    });
    (cause.await, seen)
}
