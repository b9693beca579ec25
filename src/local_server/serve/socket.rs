//! The WebSocket side: the upgrade, then frames between one client and the shared state.

use std::{convert::Infallible, future::poll_fn, io, pin::Pin, sync::Arc};

use actix_codec::Framed;
use actix_http::{
    Request, Response, StatusCode,
    body::BodySize,
    h1, header,
    ws::{self, CloseCode, Frame, Item, Message},
};
use bytes::{Bytes, BytesMut};
use tokio::{io::DuplexStream, select, sync::mpsc, time::timeout};

use crate::local_server::{limits, net::Outgoing, observed::SessionEnd, rates::Activity, serve::shared::SharedState};

type Socket = Framed<DuplexStream, ws::Codec>;

/// Answers an upgrade and, when it is accepted, serves the socket until it ends.
pub(crate) async fn upgraded(
    shared: Arc<SharedState>,
    request: Request,
    mut framed: Framed<DuplexStream, h1::Codec>,
) -> Result<(), Infallible> {
    if shared.is_silent() {
        shared.silence_over().await;
        return Ok(());
    }
    let response = match shared.change(|state| {
        state.stats.upgrades += 1;
        state.rates.count(Activity::Dials);
        let refusal = state.faults.next_upgrade();
        if refusal.is_some() {
            state.rates.count(Activity::Probes);
        }
        refusal
    }) {
        Some(refusal) => {
            let mut response = Response::with_body(refusal.status, ());
            if let Some(after) = refusal.retry_after {
                response.headers_mut().insert(header::RETRY_AFTER, after);
            }
            Err(response)
        }
        None if request.path() != "/websocket" => Err(Response::with_body(StatusCode::NOT_FOUND, ())),
        None => match ws::handshake(request.head()) {
            Ok(mut accepted) => accepted.message_body(()).map_err(|_| Response::with_body(StatusCode::BAD_REQUEST, ())),
            Err(error) => Err(Response::from(error).drop_body()),
        },
    };
    match response {
        Err(mut refused) => {
            refused.head_mut().set_connection_type(actix_http::ConnectionType::Close);
            // Failing means the client has gone.
            let _ = write_http(&mut framed, refused, BodySize::Sized(0)).await;
        }
        Ok(accepted) => {
            if write_http(&mut framed, accepted, BodySize::None).await.is_err() {
                return Ok(());
            }
            let (outbox, outgoing) = mpsc::channel(limits::OUTBOX);
            let Some(peer) = request.peer_addr() else {
                return Ok(());
            };
            let session = shared.change(|state| state.links.open_session(peer, outbox));
            let socket = framed.replace_codec(ws::Codec::new().max_size(limits::FRAME));
            serve(&shared, session, socket, outgoing).await;
            shared.change(|state| state.session_closed(session, SessionEnd::Link));
        }
    }
    Ok(())
}

async fn write_http(
    framed: &mut Framed<DuplexStream, h1::Codec>,
    response: Response<()>,
    size: BodySize,
) -> io::Result<()> {
    let message = h1::Message::Item((response, size));
    Pin::new(&mut *framed).write(message)?;
    poll_fn(|cx| Pin::new(&mut *framed).flush::<h1::Message<(Response<()>, BodySize)>>(cx)).await
}

async fn serve(shared: &SharedState, session: u64, mut socket: Socket, mut outgoing: mpsc::Receiver<Outgoing>) {
    let mut reassembly = Reassembly::default();
    loop {
        select! {
            biased;
            out = outgoing.recv() => {
                let Some(out) = out else {
                    // The session has ended, and everything queued for it is written.
                    if timeout(limits::LINGER, closed(&mut socket)).await.is_err() {
                        let _ = timeout(limits::CLOSE_TIMEOUT, close_handshake(&mut socket, CloseCode::Normal)).await;
                    }
                    return;
                };
                let mut next = Some(out);
                while let Some(out) = next.take() {
                    if write(&mut socket, out).is_err() {
                        return;
                    }
                    next = if socket.is_write_buf_full() { None } else { outgoing.try_recv().ok() };
                }
                if flush(&mut socket).await.is_err() {
                    return;
                }
            }
            frame = next(&mut socket) => match frame {
                Some(Ok(Frame::Binary(bytes))) => shared.change(|state| state.received(session, &bytes)),
                Some(Ok(Frame::Text(_))) => shared.change(|state| state.received_text(session)),
                Some(Ok(Frame::Continuation(item))) => match reassembly.push(item) {
                    Ok(Some(Whole::Binary(bytes))) => shared.change(|state| state.received(session, &bytes)),
                    Ok(Some(Whole::Text)) => shared.change(|state| state.received_text(session)),
                    Ok(None) => {}
                    Err(TooLarge) => {
                        let _ = timeout(limits::CLOSE_TIMEOUT, close_handshake(&mut socket, CloseCode::Size)).await;
                        return;
                    }
                },
                Some(Ok(Frame::Ping(bytes))) => {
                    if !shared.is_silent()
                        && (Pin::new(&mut socket).write(Message::Pong(bytes)).is_err() || flush(&mut socket).await.is_err())
                    {
                        return;
                    }
                }
                Some(Ok(Frame::Pong(_))) => {}
                Some(Ok(Frame::Close(reason))) => {
                    if Pin::new(&mut socket).write(Message::Close(reason)).is_ok() {
                        let _ = timeout(limits::CLOSE_TIMEOUT, flush(&mut socket)).await;
                    }
                    return;
                }
                Some(Err(_)) | None => return,
            },
        }
    }
}

async fn next(socket: &mut Socket) -> Option<Result<Frame, ws::ProtocolError>> {
    poll_fn(|cx| Pin::new(&mut *socket).next_item(cx)).await
}

async fn flush(socket: &mut Socket) -> Result<(), ws::ProtocolError> {
    poll_fn(|cx| Pin::new(&mut *socket).flush::<Message>(cx)).await
}

fn write(socket: &mut Socket, out: Outgoing) -> Result<(), ws::ProtocolError> {
    let mut write = |message| Pin::new(&mut *socket).write(message);
    match out {
        Outgoing::Binary(bytes) => write(Message::Binary(bytes)),
        Outgoing::Text(text) => write(Message::Text(text.into())),
        Outgoing::Close(code, text) => write(Message::Close(Some(ws::CloseReason::from((code.into(), text))))),
        Outgoing::Fragments(mut bytes, size) => {
            let size = size.max(1);
            if bytes.len() <= size {
                return write(Message::Binary(bytes));
            }
            write(Message::Continuation(Item::FirstBinary(bytes.split_to(size))))?;
            while bytes.len() > size {
                write(Message::Continuation(Item::Continue(bytes.split_to(size))))?;
            }
            write(Message::Continuation(Item::Last(bytes)))
        }
    }
}

/// Waits until the client ends the link by itself, and answers its Close.
async fn closed(socket: &mut Socket) {
    while let Some(Ok(frame)) = next(socket).await {
        if let Frame::Close(reason) = frame {
            if Pin::new(&mut *socket).write(Message::Close(reason)).is_ok() {
                let _ = flush(socket).await;
            }
            return;
        }
    }
}

/// Sends Close and waits for the client's, so that nothing written before it is lost.
async fn close_handshake(socket: &mut Socket, code: CloseCode) {
    if Pin::new(&mut *socket).write(Message::Close(Some(code.into()))).is_err() || flush(socket).await.is_err() {
        return;
    }
    while let Some(Ok(frame)) = next(socket).await {
        if matches!(frame, Frame::Close(_)) {
            return;
        }
    }
}

/// The fragments of a message received so far.
#[derive(Default)]
struct Reassembly {
    text: bool,
    bytes: BytesMut,
}

enum Whole {
    Binary(Bytes),
    Text,
}

struct TooLarge;

impl Reassembly {
    fn push(&mut self, item: Item) -> Result<Option<Whole>, TooLarge> {
        let (part, last) = match item {
            Item::FirstText(part) => {
                self.text = true;
                self.bytes.clear();
                (part, false)
            }
            Item::FirstBinary(part) => {
                self.text = false;
                self.bytes.clear();
                (part, false)
            }
            Item::Continue(part) => (part, false),
            Item::Last(part) => (part, true),
        };
        if self.bytes.len() + part.len() > limits::FRAME {
            return Err(TooLarge);
        }
        self.bytes.extend_from_slice(&part);
        if !last {
            return Ok(None);
        }
        let whole = std::mem::take(&mut self.bytes).freeze();
        Ok(Some(if self.text { Whole::Text } else { Whole::Binary(whole) }))
    }
}
