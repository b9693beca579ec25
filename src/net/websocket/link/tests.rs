//! The link against a socket that the test plays.

use std::{
    future::poll_fn,
    io,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker},
};

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{GRACE, Incoming, Link, LinkLimits, OUTBOX_KEEP, OUTBOX_ROOM, ReadOutcome, ReadRound, WriteQueue};
use crate::{model::error::LossCause, wire::Frame};

/// Takes everything at once like TLS, and passes it on when it is flushed and may.
#[derive(Clone, Default)]
struct Holding(Arc<Mutex<Held>>);

#[derive(Default)]
struct Held {
    open: bool,
    full: bool,
    broken: bool,
    taken: usize,
    passed_on: usize,
}

impl AsyncRead for Holding {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Poll::Pending
    }
}

impl AsyncWrite for Holding {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut held = self.0.lock().unwrap();
        if held.broken {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        if held.full {
            return Poll::Pending;
        }
        held.taken += bytes.len();
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut held = self.0.lock().unwrap();
        if !held.open {
            return Poll::Pending;
        }
        held.passed_on = held.taken;
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

const SIZES: LinkLimits = LinkLimits { frame: 4 << 20, connection: 8 << 20, outbox: 8 << 20 };

fn frames(sizes: &[usize]) -> WriteQueue {
    let mut frames = WriteQueue::default();
    for size in sizes {
        frames.push(Frame::new("test", vec![0; *size].into()));
    }
    frames
}

fn link() -> (Link<Holding>, Holding) {
    let io = Holding::default();
    (Link::new(io.clone(), BytesMut::new(), SIZES), io)
}

/// Reads one round and hands out what is whole.
fn read(link: &mut Link<Holding>, cx: &mut Context<'_>, mut sink: impl FnMut(Incoming<'_>)) -> ReadOutcome {
    let mut round = ReadRound::begin();
    loop {
        let mut input = match link.read(&mut round, cx) {
            Ok(input) => input,
            Err(outcome) => return outcome,
        };
        while let Some(incoming) = link.next(&mut input).unwrap() {
            sink(incoming);
        }
    }
}

#[test]
fn what_the_io_holds_back_is_flushed_later_though_nothing_new_is_written() {
    let (mut link, io) = link();
    let mut cx = Context::from_waker(Waker::noop());
    link.write(&mut frames(&[5]), &mut cx);
    assert_eq!(io.0.lock().unwrap().passed_on, 0);
    io.0.lock().unwrap().open = true;
    link.write(&mut WriteQueue::default(), &mut cx);
    assert_eq!(io.0.lock().unwrap().passed_on, 2 + 4 + 5);
}

#[test]
fn a_large_message_leaves_no_large_buffer_behind() {
    let (mut link, _io) = link();
    let mut cx = Context::from_waker(Waker::noop());
    for size in [1, 100, 5_000, 1 << 20] {
        link.write(&mut frames(&[size]), &mut cx);
        assert!(!link.outbox.try_reclaim(OUTBOX_KEEP + 1), "after {size} bytes");
    }
}

#[test]
fn what_the_socket_does_not_take_waits_as_it_is_and_goes_out_later_in_order() {
    let (mut link, io) = link();
    let mut cx = Context::from_waker(Waker::noop());
    io.0.lock().unwrap().full = true;
    let mut waiting = frames(&[OUTBOX_ROOM, 1, 2, 3]);
    link.write(&mut waiting, &mut cx);
    assert_eq!(waiting.bytes(), 1 + 2 + 3, "one frame fills the room");
    io.0.lock().unwrap().full = false;
    link.write(&mut waiting, &mut cx);
    assert!(waiting.is_empty());
    assert_eq!(io.0.lock().unwrap().taken, (2 + 8 + 4 + OUTBOX_ROOM) + 3 * (2 + 4) + 1 + 2 + 3);
}

#[actix::test]
async fn a_link_that_cannot_be_written_is_still_read_for_a_moment() {
    tokio::time::pause();
    let (mut link, io) = link();
    io.0.lock().unwrap().broken = true;
    let began = tokio::time::Instant::now();
    let lost = poll_fn(|cx| {
        link.write(&mut frames(&[5]), cx);
        match read(&mut link, cx, |_| ()) {
            ReadOutcome::Lost(cause) => Poll::Ready(cause),
            _ => Poll::Pending,
        }
    });
    assert!(matches!(lost.await, LossCause::Io(_)));
    assert!(began.elapsed() >= GRACE);
}

#[test]
fn a_connection_that_would_hold_more_than_it_may_is_given_up() {
    let limits = LinkLimits { connection: 2048, ..SIZES };
    let unfinished = [&[0x82, 126][..], &10_000_u16.to_be_bytes(), &[0; 5_000]].concat();
    let mut link = Link::new(Holding::default(), BytesMut::from(&unfinished[..]), limits);
    let outcome = read(&mut link, &mut Context::from_waker(Waker::noop()), |_| ());
    assert!(
        matches!(&outcome, ReadOutcome::Lost(LossCause::Protocol(detail)) if detail.contains("2048")),
        "not given up"
    );
    let mut link = Link::new(Holding::default(), BytesMut::from(&unfinished[..]), SIZES);
    assert!(matches!(read(&mut link, &mut Context::from_waker(Waker::noop()), |_| ()), ReadOutcome::Blocked));
}

/// The pings of a server with these payloads.
fn pings(payloads: &[Vec<u8>]) -> Vec<u8> {
    payloads.iter().flat_map(|payload| [&[0x89, payload.len() as u8][..], payload].concat()).collect()
}

/// The payloads of the pongs among masked frames.
fn pongs(mut bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut pongs = Vec::new();
    while let [first, second, rest @ ..] = bytes {
        assert_eq!((*first, second & 0x80), (0x8a, 0x80), "a masked pong");
        let (key, rest) = rest.split_at(4);
        let (payload, rest) = rest.split_at(usize::from(second & 0x7f));
        pongs.push(payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key).collect());
        bytes = rest;
    }
    pongs
}

#[test]
fn every_ping_of_several_in_one_read_is_answered_in_order() {
    let payloads: Vec<Vec<u8>> = (0..50_u8).map(|n| vec![n; usize::from(n) * 5 / 2]).collect();
    let mut link = Link::new(Holding::default(), BytesMut::from(&pings(&payloads)[..]), SIZES);
    assert!(matches!(read(&mut link, &mut Context::from_waker(Waker::noop()), |_| ()), ReadOutcome::Blocked));
    assert_eq!(pongs(&link.outbox), payloads);
}

#[test]
fn the_pongs_of_a_flood_stay_within_the_outbox_and_the_last_ping_is_answered_once_there_is_room() {
    let limits = LinkLimits { outbox: 1024, ..SIZES };
    let payloads: Vec<Vec<u8>> = (0..100_u8).map(|n| vec![n; 100]).collect();
    let io = Holding::default();
    io.0.lock().unwrap().full = true;
    let mut link = Link::new(io.clone(), BytesMut::from(&pings(&payloads)[..]), limits);
    let mut cx = Context::from_waker(Waker::noop());
    assert!(matches!(read(&mut link, &mut cx, |_| ()), ReadOutcome::Blocked));
    assert!(link.waiting() <= 1024 + 6 + 125, "{} bytes wait", link.waiting());
    let answered = pongs(&link.outbox);
    assert_eq!(answered[..], payloads[..answered.len()]);
    link.write(&mut WriteQueue::default(), &mut cx);
    io.0.lock().unwrap().full = false;
    link.write(&mut WriteQueue::default(), &mut cx);
    assert_eq!((link.waiting(), io.0.lock().unwrap().taken), (0, (answered.len() + 1) * 106), "and the last one");
    link.write(&mut WriteQueue::default(), &mut cx);
    assert_eq!(io.0.lock().unwrap().taken, (answered.len() + 1) * 106, "once");
}

#[test]
fn a_message_of_the_largest_size_is_taken_beside_what_waits_to_be_written() {
    const FRAME: usize = 64 * 1024;
    let limits = LinkLimits { frame: FRAME, connection: FRAME, ..SIZES };
    let message = [&[0x82, 127][..], &(FRAME as u64).to_be_bytes(), &[7; FRAME]].concat();
    let (begun, rest) = message.split_at(FRAME);
    let io = Holding::default();
    io.0.lock().unwrap().full = true;
    let mut link = Link::new(io.clone(), BytesMut::from(begun), limits);
    let mut cx = Context::from_waker(Waker::noop());
    assert!(matches!(read(&mut link, &mut cx, |_| ()), ReadOutcome::Blocked));
    let mut waiting = frames(&[FRAME, FRAME, 5]);
    link.write(&mut waiting, &mut cx);
    assert_eq!(waiting.bytes(), FRAME + 5, "one goes in any case");
    link.early = BytesMut::from(rest);
    let mut whole = 0;
    let outcome = read(&mut link, &mut cx, |incoming| {
        whole += usize::from(matches!(incoming, Incoming::Binary(bytes) if bytes.len() == FRAME));
    });
    assert!(matches!(outcome, ReadOutcome::Blocked) && whole == 1);
}
