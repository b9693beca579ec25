//! What the fuzz targets check, in a bounded run: on every input kept under `fuzz/corpus`, on any bytes, and on
//! recorded traffic with damage. And what any of it costs in memory.

use std::{fs, path::PathBuf};

use agora_chat::{
    fuzzing,
    wire::{CommSyncDl, MAX_FIELDS, MSync, MessageBody, Meta, encode, meta::NameSpace, msync::Command},
};
use bytes::Bytes;
use proptest::{collection::vec, prelude::*, sample::Index};
use prost::Message;
use serde_json::Value;

type Target = (&'static str, fn(&[u8]));

const FRAME_DECODER: Target = ("frame_decoder", fuzzing::frame_decoder);
const PAGE_VIEW: Target = ("page_view", fuzzing::page_view);
const ENGINE: Target = ("engine", fuzzing::engine);
const REST_ERRORS: Target = ("rest_errors", fuzzing::rest_errors);
const LENIENT: Target = ("lenient", fuzzing::lenient);
const REDACTOR: Target = ("redactor", fuzzing::redactor);
const TOKENS: Target = ("tokens", fuzzing::tokens);
const WEIGHTS: Target = ("weights", weights);

/// The target, and what is really allocated for the event against what it counts for.
fn weights(input: &[u8]) {
    fuzzing::weights(input);
    let [namespace, payload @ ..] = input else { return };
    let payload = Some(Bytes::copy_from_slice(payload));
    let meta = encode(&Meta { ns: Some(i32::from(namespace % 8)), payload, ..Meta::default() });
    let mut event = None;
    let counted = allocation_counter::measure(|| event = fuzzing::event(&meta));
    // The name of the account is shared by all its events.
    let weight = event.as_ref().map_or(0, |event| event.weight() as i64 + 24);
    assert!(counted.bytes_current <= weight, "{} bytes for a weight of {weight}", counted.bytes_current);
}

/// Runs one input and checks its price: so much for any, and so much for each of its bytes.
fn run((name, target): Target, input: &[u8]) {
    const ANY: u64 = 128 << 10;
    const EACH: u64 = 1 << 10;
    let cost = allocation_counter::measure(|| target(input)).bytes_max;
    let most = ANY + EACH * input.len() as u64;
    assert!(cost <= most, "{name}: {cost} bytes of memory for {} of input", input.len());
}

/// The inputs kept, in a stable order.
fn corpus(name: &str) -> Vec<Vec<u8>> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(name);
    let mut files: Vec<_> = fs::read_dir(&folder).expect("a corpus").map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.iter().map(|file| fs::read(file).unwrap()).collect()
}

fn vectors(json: &str) -> Vec<Value> {
    serde_json::from_str(json).unwrap()
}

fn bytes_of(entry: &Value) -> Bytes {
    hex::decode(entry["hex"].as_str().unwrap()).unwrap().into()
}

/// Every recorded frame, meta and body, as a whole frame of a server.
fn frames() -> Vec<Bytes> {
    let batch = |metas| MSync::from_server(Command::Sync, &CommSyncDl { metas, ..CommSyncDl::default() }).to_bytes();
    let files = [
        include_str!("../vectors/server-frames.json"),
        include_str!("../vectors/client-frames.json"),
        include_str!("../vectors/messages.json"),
        include_str!("../vectors/receive.json"),
    ];
    let entries = files.into_iter().flat_map(vectors);
    let frames = entries.map(|entry| match entry["type"].as_str() {
        Some("easemob.pb.Meta") => batch(vec![Meta::decode(bytes_of(&entry)).unwrap()]),
        Some("easemob.pb.MessageBody") => {
            let body = MessageBody::decode(bytes_of(&entry)).unwrap();
            batch(vec![Meta { ns: Some(NameSpace::Chat as i32), payload: Some(encode(&body)), ..Meta::default() }])
        }
        _ => bytes_of(&entry),
    });
    frames.collect()
}

/// As a link brings them: the limit, three cuts, the frames around it.
fn links() -> Vec<Vec<u8>> {
    let link = |message: Bytes| {
        let length = u16::try_from(message.len()).unwrap().to_be_bytes();
        let (ping, close) = ([0x89, 2, b'h', b'i'], [0x88, 2, 0x03, 0xe8]);
        [&[0, 16, 3, 1, 7, 40, 0x82, 126][..], &length, &message, &ping, &close].concat()
    };
    frames().into_iter().map(link).collect()
}

/// As a session meets them: one that is on its way in, and one that is online.
fn sessions() -> Vec<Vec<u8>> {
    const OPEN: u8 = 0;
    const DUE: u8 = 13;
    const FRAME: u8 = 17;
    const HELP: u8 = 63;
    let session = |(at, message): (usize, Bytes)| {
        let length = u16::try_from(message.len()).unwrap().to_le_bytes();
        let way_in = if at % 2 == 0 { &[HELP][..] } else { &[HELP, HELP] };
        let flags = u8::try_from(at % 256).unwrap();
        [&[flags, 7, 0, OPEN], way_in, &[FRAME], &length, &message, &[HELP, DUE, HELP, HELP, HELP]].concat()
    };
    frames().into_iter().enumerate().map(session).collect()
}

/// Every recorded frame of a server, and its payload by itself.
fn pages() -> Vec<Vec<u8>> {
    let payload = |frame: &Bytes| MSync::decode(frame.clone()).ok()?.payload;
    frames().iter().flat_map(|frame| [Some(frame.clone()), payload(frame)]).flatten().map(Vec::from).collect()
}

/// Every recorded meta of a server, as its name space and payload.
fn payloads() -> Vec<Vec<u8>> {
    let metas = frames().into_iter().filter_map(|frame| MSync::decode(frame).ok()?.sync_dl().ok());
    let payload = |meta: Meta| {
        let namespace = u8::try_from(meta.ns.unwrap_or(0)).unwrap_or(7);
        [&[namespace][..], meta.payload.as_deref().unwrap_or_default()].concat()
    };
    metas.flat_map(|sync| sync.metas).map(payload).collect()
}

/// The recorded answers, each with a pause asked for.
fn answers() -> Vec<Vec<u8>> {
    let answer = |entry: Value| {
        let status = u16::try_from(entry["response"]["status"].as_u64().unwrap()).unwrap().to_le_bytes();
        let body = entry["response"]["body"].to_string();
        [&status, &[3, 2, b'3', b'0', 0, 0, 0, 0][..], body.as_bytes()].concat()
    };
    vectors(include_str!("../vectors/rest.json")).into_iter().map(answer).collect()
}

/// One of the inputs, overwritten, cut, doubled or run together with another one in a few places.
fn damaged(inputs: Vec<Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let edit = (any::<Index>(), any::<Index>(), 0..5_u8, any::<u8>());
    let input = prop::sample::select(inputs);
    (input.clone(), input, vec(edit, 0..6)).prop_map(|(mut input, other, edits)| {
        for (from, to, kind, byte) in edits {
            let (from, to) = (from.index(input.len() + 1), to.index(input.len() + 1));
            let (from, to) = (from.min(to), from.max(to).min(from.min(to) + 64));
            match kind {
                0 => input[from..to].fill(byte),
                1 => drop(input.drain(from..to)),
                2 => drop(input.splice(to..to, input[from..to].to_vec())),
                3 => drop(input.splice(from..to, other.iter().copied().skip(from).take(64))),
                _ => input.truncate(to),
            }
        }
        input
    })
}

fn recorded(kept: &str, made: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    [corpus(kept), made].concat()
}

#[test]
fn every_kept_input_keeps_every_promise() {
    for target in [FRAME_DECODER, PAGE_VIEW, ENGINE, REST_ERRORS, LENIENT, REDACTOR, TOKENS, WEIGHTS] {
        let inputs = corpus(target.0);
        assert!(inputs.len() >= 10, "{} has a corpus", target.0);
        inputs.iter().for_each(|input| run(target, input));
    }
}

#[test]
fn recorded_traffic_keeps_every_promise() {
    let recorded = [
        (FRAME_DECODER, links()),
        (PAGE_VIEW, pages()),
        (ENGINE, sessions()),
        (REST_ERRORS, answers()),
        (WEIGHTS, payloads()),
    ];
    for (target, inputs) in recorded {
        inputs.iter().for_each(|input| run(target, input));
    }
}

/// The most memory that decoding one frame, or one body in it, may take.
const MOST: u64 = 64 << 20;

/// Payloads of one field over and over, behind some others: nearly as many as a message may have, counted twice or
/// once, and far more.
fn full_of(field: &[u8], before: &[u8]) -> [Bytes; 3] {
    [MAX_FIELDS / 2 - 8, MAX_FIELDS - 8, 4 * MAX_FIELDS].map(|count| [before, &field.repeat(count)].concat().into())
}

#[test]
fn the_costliest_frame_takes_less_than_64_mib() {
    const EMPTY_META: &[u8] = &[0x22, 0];
    const META_WITH_EMPTY_EXT: &[u8] = &[0x22, 2, 0x42, 0];
    const BROKEN_META: &[u8] = &[0x22, 1, 0xff];
    let batches = [EMPTY_META, META_WITH_EMPTY_EXT, BROKEN_META, &[0x12, 0]]
        .into_iter()
        .flat_map(|field| [full_of(field, &[]), full_of(field, BROKEN_META)].concat());
    for payload in batches {
        for command in 0..5 {
            let frame = MSync { command: Some(command), payload: Some(payload.clone()), ..MSync::default() }.to_bytes();
            let cost = allocation_counter::measure(|| {
                let frame = MSync::decode_frame(frame, 4 << 20).unwrap();
                drop(frame.downward());
                drop(frame.sync_dl_lossy());
            });
            let start = &payload[..4];
            assert!(cost.bytes_max < MOST, "{} bytes for {start:?} as command {command}", cost.bytes_max);
        }
    }
}

#[test]
fn the_costliest_body_takes_less_than_64_mib() {
    for tag in 1..21_u16 {
        let key = tag << 3 | 2;
        let field = if key < 0x80 { vec![key as u8, 0] } else { vec![key as u8 | 0x80, (key >> 7) as u8, 0] };
        for payload in full_of(&field, &[]) {
            for ns in 0..5 {
                let meta = Meta { ns: Some(ns), payload: Some(payload.clone()), ..Meta::default() };
                let cost = allocation_counter::measure(|| drop(meta.body()));
                assert!(cost.bytes_max < MOST, "{} bytes for field {tag} in name space {ns}", cost.bytes_max);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_keep_every_promise(bytes in vec(any::<u8>(), 0..600)) {
        [FRAME_DECODER, PAGE_VIEW, ENGINE, REST_ERRORS, LENIENT, REDACTOR, TOKENS, WEIGHTS].into_iter().for_each(|target| run(target, &bytes));
    }

    #[test]
    fn a_damaged_link_keeps_every_promise(bytes in damaged(recorded("frame_decoder", links()))) {
        run(FRAME_DECODER, &bytes);
    }

    #[test]
    fn a_damaged_page_keeps_every_promise(bytes in damaged(recorded("page_view", pages()))) {
        run(PAGE_VIEW, &bytes);
    }

    #[test]
    fn a_damaged_payload_keeps_every_promise(bytes in damaged(recorded("weights", payloads()))) {
        run(WEIGHTS, &bytes);
    }

    #[test]
    fn a_damaged_session_keeps_every_promise(bytes in damaged(recorded("engine", sessions()))) {
        run(ENGINE, &bytes);
    }

    #[test]
    fn a_damaged_token_keeps_every_promise(bytes in damaged(corpus("tokens"))) {
        run(TOKENS, &bytes);
    }

    #[test]
    fn damaged_json_keeps_every_promise(bytes in damaged(corpus("lenient"))) {
        run(LENIENT, &bytes);
    }

    #[test]
    fn a_damaged_secret_keeps_every_promise(bytes in damaged(corpus("redactor"))) {
        run(REDACTOR, &bytes);
    }

    #[test]
    fn a_damaged_answer_keeps_every_promise(bytes in damaged(recorded("rest_errors", answers()))) {
        run(REST_ERRORS, &bytes);
    }
}
