//! Both directions against tungstenite in the server's role, and arbitrary bytes.

use std::io::{self, Cursor, Read, Write};

use bytes::BytesMut;
use proptest::collection::vec;
use proptest::prelude::*;
use tungstenite::protocol::frame::Frame;
use tungstenite::protocol::frame::coding::{Data, OpCode};
use tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tungstenite::{Message, WebSocket};

use super::*;

/// [`Incoming`], owned.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Item {
    Binary(Vec<u8>),
    Text(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<u16>, String),
}

impl From<Incoming<'_>> for Item {
    fn from(item: Incoming<'_>) -> Self {
        match item {
            Incoming::Binary(payload) => Item::Binary(payload.to_vec()),
            Incoming::Text(payload) => Item::Text(payload.to_vec()),
            Incoming::Ping(payload) => Item::Ping(payload.to_vec()),
            Incoming::Pong(payload) => Item::Pong(payload.to_vec()),
            Incoming::Close { code, reason } => Item::Close(code, reason.to_owned()),
        }
    }
}

impl From<Message> for Item {
    fn from(message: Message) -> Self {
        match message {
            Message::Binary(payload) => Item::Binary(payload.to_vec()),
            Message::Text(payload) => Item::Text(payload.as_bytes().to_vec()),
            Message::Ping(payload) => Item::Ping(payload.to_vec()),
            Message::Pong(payload) => Item::Pong(payload.to_vec()),
            Message::Close(None) => Item::Close(None, String::new()),
            Message::Close(Some(CloseFrame { code, reason })) => Item::Close(Some(code.into()), reason.to_string()),
            Message::Frame(frame) => panic!("a raw frame was read: {frame}"),
        }
    }
}

impl Decoder {
    /// Takes all of `input` and hands out what it completes, in order.
    pub(super) fn feed(&mut self, mut input: &[u8], mut sink: impl FnMut(Incoming<'_>)) -> Result<(), FrameError> {
        while let Some(incoming) = self.next(&mut input)? {
            sink(incoming);
        }
        assert!(input.is_empty(), "bytes are left over");
        Ok(())
    }
}

/// A socket whose peer has sent all it will.
#[derive(Default)]
struct Wire {
    incoming: Cursor<Vec<u8>>,
    outgoing: Vec<u8>,
}

impl Read for Wire {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.incoming.read(into)
    }
}

impl Write for Wire {
    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        self.outgoing.write(from)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn server(received: Vec<u8>) -> WebSocket<Wire> {
    let wire = Wire { incoming: Cursor::new(received), outgoing: Vec::new() };
    WebSocket::from_raw_socket(wire, Role::Server, Some(WebSocketConfig::default()))
}

/// One thing that a server sends: a message in pieces, each but the first after a ping or not, or a control frame.
#[derive(Clone, Debug)]
enum Sent {
    Message { text: bool, pieces: Vec<(Vec<u8>, Option<Vec<u8>>)> },
    Control(Item),
}

fn payload() -> impl Strategy<Value = Vec<u8>> {
    let len = prop_oneof![8 => 0..300usize, 2 => 120..=130usize, 1 => 65_530..=65_540usize];
    (len, any::<u8>()).prop_map(|(len, seed)| (0..len).map(|i| (i as u8).wrapping_mul(31) ^ seed).collect())
}

fn control_payload() -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 0..=MAX_CONTROL_PAYLOAD)
}

fn control() -> impl Strategy<Value = Item> {
    prop_oneof![control_payload().prop_map(Item::Ping), control_payload().prop_map(Item::Pong)]
}

fn sent() -> impl Strategy<Value = Sent> {
    let pieces = vec((payload(), proptest::option::of(control_payload())), 1..5);
    prop_oneof![
        3 => (any::<bool>(), pieces).prop_map(|(text, pieces)| Sent::Message { text, pieces }),
        1 => control().prop_map(Sent::Control),
    ]
}

fn close() -> impl Strategy<Value = Item> {
    let code = prop_oneof![1000..=1003u16, 1007..=1013u16, 3000..=4999u16];
    prop_oneof![
        1 => Just(Item::Close(None, String::new())),
        4 => (code, "\\PC{0,30}").prop_map(|(code, reason)| Item::Close(Some(code), reason)),
    ]
}

/// Frames sends with tungstenite, and records what a client should receive.
fn send(server: &mut WebSocket<Wire>, sent: Sent, seen: &mut Vec<Item>) {
    match sent {
        Sent::Control(item) => {
            seen.push(item.clone());
            server.write(item.into_message()).unwrap();
        }
        Sent::Message { text: false, pieces } if pieces.len() == 1 => {
            let (payload, _) = pieces.into_iter().next().unwrap();
            seen.push(Item::Binary(payload.clone()));
            server.write(Message::binary(payload)).unwrap();
        }
        Sent::Message { text, mut pieces } => {
            if text {
                // Cut as before, so within characters too.
                let all: Vec<u8> = pieces.iter().flat_map(|(piece, _)| piece.clone()).collect();
                let mut rest = String::from_utf8_lossy(&all).into_owned().into_bytes();
                let last = pieces.len() - 1;
                for (at, (piece, _)) in pieces.iter_mut().enumerate() {
                    let length = if at == last { rest.len() } else { piece.len().min(rest.len()) };
                    *piece = rest.drain(..length).collect();
                }
            }
            let count = pieces.len();
            let mut joined = Vec::new();
            for (i, (piece, ping)) in pieces.into_iter().enumerate() {
                if let Some(ping) = ping.filter(|_| i > 0) {
                    seen.push(Item::Ping(ping.clone()));
                    server.write(Message::Ping(ping.into())).unwrap();
                }
                joined.extend_from_slice(&piece);
                let opcode = match (i, text) {
                    (0, true) => Data::Text,
                    (0, false) => Data::Binary,
                    _ => Data::Continue,
                };
                let frame = Frame::message(piece, OpCode::Data(opcode), i + 1 == count);
                server.write(Message::Frame(frame)).unwrap();
            }
            seen.push(if text { Item::Text(joined) } else { Item::Binary(joined) });
        }
    }
}

impl Item {
    fn into_message(self) -> Message {
        match self {
            Item::Binary(payload) => Message::binary(payload),
            Item::Text(payload) => Message::text(String::from_utf8(payload).unwrap()),
            Item::Ping(payload) => Message::Ping(payload.into()),
            Item::Pong(payload) => Message::Pong(payload.into()),
            Item::Close(code, reason) => {
                Message::Close(code.map(|code| CloseFrame { code: code.into(), reason: reason.into() }))
            }
        }
    }

    fn encode(&self, key: [u8; 4], out: &mut BytesMut) {
        match self {
            Item::Binary(payload) => encode_message(MessageKind::Binary, payload, key, out),
            Item::Text(payload) => encode_message(MessageKind::Text, payload, key, out),
            Item::Ping(payload) => encode_control(ControlKind::Ping, payload, key, out).unwrap(),
            Item::Pong(payload) => encode_control(ControlKind::Pong, payload, key, out).unwrap(),
            Item::Close(Some(code), reason) => encode_close(*code, reason, key, out),
            Item::Close(None, _) => encode_control(ControlKind::Close, &[], key, out).unwrap(),
        }
    }
}

/// Feeds `stream` in pieces of the given sizes, over and over.
fn feed_in_pieces(
    decoder: &mut Decoder,
    mut stream: &[u8],
    sizes: &[usize],
    mut seen: impl FnMut(&Decoder),
) -> (Vec<Item>, Result<(), FrameError>) {
    let mut items = Vec::new();
    for size in sizes.iter().cycle() {
        let (piece, rest) = stream.split_at((*size).min(stream.len()));
        if let Err(error) = decoder.feed(piece, |item| items.push(Item::from(item))) {
            return (items, Err(error));
        }
        seen(decoder);
        stream = rest;
        if stream.is_empty() {
            break;
        }
    }
    (items, Ok(()))
}

fn sizes() -> impl Strategy<Value = Vec<usize>> {
    vec(prop_oneof![1..20usize, 1..5000usize, Just(1 << 20)], 1..20)
}

fn outgoing() -> impl Strategy<Value = Item> {
    prop_oneof![
        2 => payload().prop_map(Item::Binary),
        1 => "\\PC{0,200}".prop_map(|text| Item::Text(text.into_bytes())),
        1 => control(),
    ]
}

/// Bytes that are often almost frames: headers with likely bits, then anything.
fn almost_frames() -> impl Strategy<Value = Vec<u8>> {
    let first =
        prop_oneof![Just(0x82), Just(0x02), Just(0x00), Just(0x80), Just(0x89), Just(0x8a), Just(0x88), any::<u8>()];
    let frame = (first, vec(any::<u8>(), 0..200), -1..=1i16).prop_map(|(first, payload, wrong)| {
        let announced = (payload.len() as i16 + wrong.signum() * i16::from(payload.len() % 7 == 0)).max(0) as u16;
        let mut frame = vec![first];
        match u8::try_from(announced) {
            Ok(short @ 0..=125) => frame.push(short),
            _ => {
                frame.push(126);
                frame.extend(announced.to_be_bytes());
            }
        }
        frame.extend(payload);
        frame
    });
    prop_oneof![3 => vec(frame, 0..30).prop_map(|frames| frames.concat()), 1 => vec(any::<u8>(), 0..2000)]
}

proptest! {
    #[test]
    fn what_tungstenite_sends_is_decoded_however_it_is_cut(
        all in vec(sent(), 0..8),
        last in proptest::option::of(close()),
        sizes in sizes(),
    ) {
        let mut server = server(Vec::new());
        let mut expected = Vec::new();
        for sent in all {
            send(&mut server, sent, &mut expected);
        }
        server.flush().unwrap();
        if let Some(close) = last {
            expected.push(close.clone());
            server.write(close.into_message()).unwrap();
            server.flush().unwrap();
        }
        let stream = std::mem::take(&mut server.get_mut().outgoing);
        let mut decoder = Decoder::new(1 << 20);
        let (items, result) = feed_in_pieces(&mut decoder, &stream, &sizes, |_| ());
        prop_assert_eq!(result, Ok(()));
        prop_assert_eq!(items, expected);
        prop_assert_eq!(decoder.kept(), 0);
    }

    #[test]
    fn what_is_encoded_is_read_by_tungstenite(
        items in vec(outgoing(), 0..8),
        last in proptest::option::of(close()),
        keys in vec(any::<[u8; 4]>(), 9),
    ) {
        let expected: Vec<Item> = items.into_iter().chain(last).collect();
        let mut stream = BytesMut::new();
        for (item, key) in expected.iter().zip(keys) {
            item.encode(key, &mut stream);
        }
        let mut server = server(stream.to_vec());
        for item in expected {
            prop_assert_eq!(Item::from(server.read().unwrap()), item);
        }
        prop_assert!(server.read().is_err(), "nothing is left over");
    }

    #[test]
    fn arbitrary_bytes_never_panic_nor_make_the_decoder_keep_more_than_its_bound(
        stream in almost_frames(),
        sizes in sizes(),
        limit in prop_oneof![0..2000usize, Just(usize::MAX)],
    ) {
        let bound = limit.saturating_add(MAX_CONTROL_PAYLOAD);
        let most = bound.min(2 * stream.len() + 1024 + MAX_CONTROL_PAYLOAD);
        let mut kept = 0;
        let mut decoder = Decoder::new(limit);
        let (items, result) = feed_in_pieces(&mut decoder, &stream, &sizes, |decoder| kept = kept.max(decoder.kept()));
        prop_assert!(kept <= most, "{} kept, bound {}", kept, most);

        let mut whole = Vec::new();
        let at_once = Decoder::new(limit).feed(&stream, |item| whole.push(Item::from(item)));
        prop_assert_eq!((items, &result), (whole, &at_once));
        if result.is_err() {
            prop_assert_eq!(decoder.feed(b"\x82\x00", |_| panic!("handed out after an error")), result);
            prop_assert_eq!(decoder.kept(), 0);
        }
    }
}
