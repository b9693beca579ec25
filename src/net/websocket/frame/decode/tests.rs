use super::*;
use crate::net::websocket::frame::tests::Item;

const LIMIT: usize = 4 << 20;

/// Returns the output of a fresh decoder for `input` fed at once.
fn decode(input: &[u8]) -> (Vec<Item>, Result<(), FrameError>) {
    decode_pieces([input])
}

fn decode_pieces<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<Item>, Result<(), FrameError>) {
    let mut decoder = Decoder::new(LIMIT);
    let mut items = Vec::new();
    for piece in pieces {
        if let Err(error) = decoder.feed(piece, |item| items.push(Item::from(item))) {
            return (items, Err(error));
        }
    }
    (items, Ok(()))
}

fn refusal(input: &[u8]) -> FrameError {
    let (items, result) = decode(input);
    assert_eq!(items, []);
    let error = result.unwrap_err();
    assert_eq!(decode_pieces(input.chunks(1)).1, Err(error.clone()), "the same error byte by byte");
    error
}

fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        len @ 0..=125 => frame.push(u8::try_from(len).unwrap()),
        len @ 126..=65_535 => {
            frame.push(126);
            frame.extend(u16::try_from(len).unwrap().to_be_bytes());
        }
        len => {
            frame.push(127);
            frame.extend((len as u64).to_be_bytes());
        }
    }
    frame.extend_from_slice(payload);
    frame
}

fn close(code: Option<u16>, reason: &str) -> Item {
    Item::Close(code, reason.to_owned())
}

#[test]
fn the_unmasked_examples_of_rfc_6455_5_7_are_decoded() {
    let cases = [
        (vec![0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f], Item::Text(b"Hello".to_vec())),
        (vec![0x01, 0x03, 0x48, 0x65, 0x6c, 0x80, 0x02, 0x6c, 0x6f], Item::Text(b"Hello".to_vec())),
        (vec![0x89, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f], Item::Ping(b"Hello".to_vec())),
        ([&[0x82, 0x7e, 0x01, 0x00][..], &[7; 256]].concat(), Item::Binary(vec![7; 256])),
        ([&[0x82, 0x7f, 0, 0, 0, 0, 0, 1, 0, 0][..], &[7; 65_536]].concat(), Item::Binary(vec![7; 65_536])),
    ];
    for (input, item) in cases {
        assert_eq!(decode(&input), (vec![item], Ok(())));
    }
}

#[test]
fn every_cut_of_a_stream_gives_the_same_items() {
    let stream = [
        frame(0x82, b"whole"),
        frame(0x82, b""),
        frame(0x02, b"one "),
        frame(0x89, b"between"),
        frame(0x00, b""),
        frame(0x8a, b""),
        frame(0x00, b"two "),
        frame(0x80, b"three"),
        frame(0x81, &[b't'; 130]),
        frame(0x01, b""),
        frame(0x80, b""),
        frame(0x88, b"\x03\xe8bye"),
    ]
    .concat();
    let items = vec![
        Item::Binary(b"whole".to_vec()),
        Item::Binary(vec![]),
        Item::Ping(b"between".to_vec()),
        Item::Pong(vec![]),
        Item::Binary(b"one two three".to_vec()),
        Item::Text(vec![b't'; 130]),
        Item::Text(vec![]),
        close(Some(1000), "bye"),
    ];
    assert_eq!(decode_pieces(stream.chunks(1)), (items.clone(), Ok(())));
    for first in 0..=stream.len() {
        for second in first..=stream.len() {
            let pieces = [&stream[..first], &stream[first..second], &stream[second..]];
            assert_eq!(decode_pieces(pieces), (items.clone(), Ok(())), "cut at {first} and {second}");
        }
    }
}

#[test]
fn a_frame_whole_in_the_input_is_handed_out_where_it_lies() {
    let input = [frame(0x82, b"first"), frame(0x89, b"ping"), frame(0x82, b"second")].concat();
    let range = input.as_ptr_range();
    let mut decoder = Decoder::new(LIMIT);
    let mut seen = 0;
    decoder
        .feed(&input, |item| {
            let (Incoming::Binary(payload) | Incoming::Ping(payload)) = item else { panic!("{item:?}") };
            assert!(range.contains(&payload.as_ptr()));
            seen += 1;
        })
        .unwrap();
    assert_eq!((seen, decoder.kept()), (3, 0));
}

#[test]
fn nothing_is_kept_once_a_message_is_complete() {
    let mut decoder = Decoder::new(LIMIT);
    let mut items = 0;
    for byte in [frame(0x02, &[1; 3000]), frame(0x89, &[2; 100]), frame(0x80, &[3; 3000])].concat() {
        decoder.feed(&[byte], |_| items += 1).unwrap();
    }
    assert_eq!((items, decoder.kept()), (2, 0));
}

#[test]
fn a_joined_message_lives_until_the_next_call_and_what_is_behind_it_stays_in_the_input() {
    let input = [frame(0x02, b"one "), frame(0x80, b"two"), frame(0x82, b"next")].concat();
    let mut decoder = Decoder::new(LIMIT);
    let mut left = &input[..];
    assert_eq!(decoder.next(&mut left), Ok(Some(Incoming::Binary(b"one two"))));
    assert_eq!(left, frame(0x82, b"next"));
    assert!(decoder.kept() >= 7 && !decoder.is_within_a_message());
    assert_eq!(decoder.next(&mut left), Ok(Some(Incoming::Binary(b"next"))));
    assert_eq!((decoder.kept(), left), (0, &[][..]));
    assert_eq!(decoder.next(&mut left), Ok(None));
}

#[test]
fn an_idle_decoder_is_under_a_hundred_bytes() {
    assert!(size_of::<Decoder>() <= 96, "{}", size_of::<Decoder>());
}

#[test]
fn an_announcement_alone_reserves_nothing_and_the_buffer_grows_with_what_comes() {
    let input = frame(0x82, &vec![0; LIMIT]);
    let mut decoder = Decoder::new(LIMIT);
    decoder.feed(&input[..10], |_| ()).unwrap();
    assert_eq!(decoder.kept(), 0);
    let mut received = 0;
    for piece in input[10..input.len() - 1].chunks(16_000) {
        decoder.feed(piece, |_| ()).unwrap();
        received += piece.len();
        assert!(decoder.kept() <= (2 * received).min(LIMIT), "{} kept of {received}", decoder.kept());
    }
    let mut len = 0;
    decoder
        .feed(&input[input.len() - 1..], |item| {
            let Incoming::Binary(payload) = item else { panic!("{item:?}") };
            len = payload.len();
        })
        .unwrap();
    assert_eq!((len, decoder.kept()), (LIMIT, 0));
}

#[test]
fn a_short_unfinished_message_is_kept_in_exactly_its_length() {
    let mut decoder = Decoder::new(LIMIT);
    decoder.feed(&frame(0x82, &[0; 700])[..13], |_| ()).unwrap();
    assert_eq!(decoder.kept(), 700);
}

#[test]
fn one_byte_fragments_do_not_move_the_message_every_time() {
    let mut decoder = Decoder::new(LIMIT);
    let mut capacities = std::collections::BTreeSet::new();
    decoder.feed(&frame(0x02, b"x"), |_| ()).unwrap();
    for _ in 0..10_000 {
        decoder.feed(&frame(0x00, b"x"), |_| ()).unwrap();
        capacities.insert(decoder.kept());
    }
    assert_eq!(capacities, [1024, 2048, 4096, 8192, 16_384].into());
}

#[test]
fn a_frame_over_the_limit_is_refused_by_its_header_while_nothing_is_kept() {
    let mut decoder = Decoder::new(LIMIT);
    let mut header = vec![0x82, 127];
    header.extend((64u64 << 20).to_be_bytes());
    let refused = Err(FrameError::TooLarge { announced: 64 << 20, limit: LIMIT });
    assert_eq!(decoder.feed(&header, |_| ()), refused);
    assert_eq!(decoder.kept(), 0);
    assert_eq!(decoder.feed(&[0; 4096], |_| ()), refused);
    assert_eq!(decoder.kept(), 0);
}

#[test]
fn the_limit_counts_the_fragments_joined_so_far() {
    let mut decoder = Decoder::new(10);
    let mut items = Vec::new();
    let fits = [frame(0x02, &[1; 6]), frame(0x80, &[1; 4])].concat();
    decoder.feed(&fits, |item| items.push(Item::from(item))).unwrap();
    assert_eq!(items, [Item::Binary(vec![1; 10])]);

    decoder.feed(&frame(0x02, &[1; 6]), |_| ()).unwrap();
    assert_eq!(decoder.kept(), 10);
    assert_eq!(decoder.feed(&[0x80, 5], |_| ()), Err(FrameError::TooLarge { announced: 11, limit: 10 }));
    assert_eq!(decoder.kept(), 0);
}

#[test]
fn the_longest_length_is_added_to_what_is_joined_and_refused() {
    let announced = u64::MAX >> 1;
    let input = [&[0x02, 1, 0, 0x80, 127][..], &announced.to_be_bytes()].concat();
    assert_eq!(refusal(&input), FrameError::TooLarge { announced: announced + 1, limit: LIMIT });
}

#[test]
fn framing_errors_are_told_apart_and_closed_with_their_code() {
    let cases: [(&[u8], FrameError, u16); 19] = [
        (&[0xc2, 0], FrameError::ReservedBits, 1002),
        (&[0xa2, 0], FrameError::ReservedBits, 1002),
        (&[0x92, 0], FrameError::ReservedBits, 1002),
        (&[0x83, 0], FrameError::UnknownOpcode(0x3), 1002),
        (&[0x87, 0], FrameError::UnknownOpcode(0x7), 1002),
        (&[0x8b, 0], FrameError::UnknownOpcode(0xb), 1002),
        (&[0x8f, 0], FrameError::UnknownOpcode(0xf), 1002),
        (&[0x82, 0x80, 0, 0, 0, 0], FrameError::Masked, 1002),
        (&[0x09, 0], FrameError::ControlFragmented, 1002),
        (&[0x89, 126, 0, 126], FrameError::ControlTooLong, 1002),
        (&[0x88, 127, 0, 0, 0, 0, 0, 0, 0, 1], FrameError::ControlTooLong, 1002),
        (&[0x82, 127, 0x80, 0, 0, 0, 0, 0, 0, 0], FrameError::LengthTopBit, 1002),
        (&[0x80, 0], FrameError::StrayContinuation, 1002),
        (&[0x00, 1, 0], FrameError::StrayContinuation, 1002),
        (&[0x02, 1, 0, 0x82, 0], FrameError::UnfinishedMessage, 1002),
        (&[0x02, 0, 0x01, 0], FrameError::UnfinishedMessage, 1002),
        (&[0x88, 1, 3], FrameError::CloseTruncated, 1002),
        (&[0x88, 3, 3, 0xe8, 0xff], FrameError::CloseReason, 1007),
        (&[0x82, 127, 0, 0, 0, 0, 1, 0, 0, 0], FrameError::TooLarge { announced: 1 << 24, limit: LIMIT }, 1009),
    ];
    for (input, error, code) in cases {
        assert_eq!(refusal(input), error, "{input:x?}");
        assert_eq!(error.close_code(), code, "{error}");
    }
}

#[test]
fn what_came_before_an_error_is_handed_out_and_the_error_stays() {
    let mut decoder = Decoder::new(LIMIT);
    let mut items = Vec::new();
    let input = [frame(0x82, b"good"), frame(0x02, b"begun"), frame(0xff, b"bad"), frame(0x82, b"lost")].concat();
    for _ in 0..3 {
        assert_eq!(decoder.feed(&input, |item| items.push(Item::from(item))), Err(FrameError::ReservedBits));
    }
    assert_eq!(decoder.feed(&[], |_| ()), Err(FrameError::ReservedBits));
    assert_eq!((items, decoder.kept()), (vec![Item::Binary(b"good".to_vec())], 0));
}

#[test]
fn a_message_takes_1024_empty_fragments_but_not_one_more() {
    let begun = [frame(0x02, b""), frame(0x00, b"").repeat(1023)].concat();
    let ended = [&begun[..], &frame(0x80, b"")].concat();
    assert_eq!(decode(&ended.repeat(2)), (vec![Item::Binary(vec![]), Item::Binary(vec![])], Ok(())));

    let error = refusal(&[&begun[..], &frame(0x00, b"")].concat());
    assert_eq!(error, FrameError::TooManyEmptyFragments { limit: 1024 });
    assert_eq!(error.close_code(), 1008);
}

#[test]
fn close_codes_are_those_an_endpoint_may_send() {
    let allowed = |code: u16| matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999);
    for code in 0..=u16::MAX {
        let input = frame(0x88, &code.to_be_bytes());
        let expected = if allowed(code) {
            (vec![close(Some(code), "")], Ok(()))
        } else {
            (vec![], Err(FrameError::CloseCode(code)))
        };
        assert_eq!(decode(&input), expected);
    }
    assert_eq!(FrameError::CloseCode(1005).close_code(), 1002);
    assert_eq!(decode(&[0x88, 0]), (vec![close(None, "")], Ok(())));
}

#[test]
fn everything_after_a_close_frame_is_ignored_and_an_unfinished_message_dropped() {
    let mut decoder = Decoder::new(LIMIT);
    let mut items = Vec::new();
    let input = [frame(0x02, b"begun"), frame(0x88, b"\x0f\xa1kicked"), vec![0xff; 50]].concat();
    decoder.feed(&input, |item| items.push(Item::from(item))).unwrap();
    decoder.feed(&frame(0x82, b"late"), |item| items.push(Item::from(item))).unwrap();
    assert_eq!((items, decoder.kept()), (vec![close(Some(4001), "kicked")], 0));
}

#[test]
fn a_length_in_more_bytes_than_needed_is_accepted() {
    assert_eq!(decode(&[0x82, 126, 0, 1, 9]), (vec![Item::Binary(vec![9])], Ok(())));
    assert_eq!(decode(&[0x82, 127, 0, 0, 0, 0, 0, 0, 0, 1, 9]), (vec![Item::Binary(vec![9])], Ok(())));
}

#[test]
fn debug_shows_no_payload() {
    let mut decoder = Decoder::new(LIMIT);
    decoder.feed(&frame(0x02, b"secret"), |_| ()).unwrap();
    assert_eq!(format!("{decoder:?}"), "Decoder { limit: 4194304, .. }");
    assert_eq!(format!("{:?}", Incoming::Binary(b"secret")), "Binary(6 bytes)");
    let close = Incoming::Close { code: Some(1001), reason: "bye" };
    assert_eq!(format!("{close:?}"), "Close(1001, 3 bytes of reason)");
}

/// The frames of a text in these fragments.
fn text(fragments: &[&[u8]]) -> Vec<u8> {
    let last = fragments.len() - 1;
    let frames = fragments
        .iter()
        .enumerate()
        .map(|(at, fragment)| frame(if at == last { 0x80 } else { 0 } | u8::from(at == 0), fragment));
    frames.collect::<Vec<_>>().concat()
}

#[test]
fn a_text_message_that_is_not_utf_8_is_refused_with_1007() {
    for bad in [&b"\xff"[..], b"abc\xed\xa0\xbd", b"\xf4\x90\x80\x80", b"\xc0\x80", b"\xe2\x82", b"\xce\xba\xe1\xbd"] {
        assert_eq!(refusal(&frame(0x81, bad)), FrameError::TextNotUtf8, "{bad:x?}");
        for cut in 0..=bad.len() {
            let (one, two) = bad.split_at(cut);
            assert_eq!(refusal(&text(&[one, two])), FrameError::TextNotUtf8, "{bad:x?} cut at {cut}");
        }
    }
    assert_eq!(FrameError::TextNotUtf8.close_code(), 1007);
    assert_eq!(
        decode(&frame(0x82, b"\xff")),
        (vec![Item::Binary(b"\xff".to_vec())], Ok(())),
        "a binary one is not looked at"
    );
}

#[test]
fn characters_may_be_cut_anywhere_by_fragments_pings_and_reads() {
    let whole = "κόσμε \u{10ffff} \u{1f600}".as_bytes();
    for cut in 0..whole.len() {
        for second in cut..whole.len() {
            let fragments = [&whole[..cut], &whole[cut..second], &whole[second..]];
            let bytes = text(&fragments);
            assert_eq!(decode(&bytes), (vec![Item::Text(whole.to_vec())], Ok(())));
            assert_eq!(decode_pieces(bytes.chunks(1)), (vec![Item::Text(whole.to_vec())], Ok(())));
        }
    }
}

#[test]
fn a_text_fails_at_its_first_bad_byte_not_at_its_end() {
    // Of 100 announced bytes five come, of which the last one cannot follow.
    let mut decoder = Decoder::new(LIMIT);
    assert_eq!(decoder.feed(&[0x81, 100, b'a', 0xf4], |_| panic!("nothing is whole")), Ok(()));
    assert_eq!(decoder.feed(&[0x90], |_| panic!("nothing is whole")), Err(FrameError::TextNotUtf8));
    assert_eq!(decoder.kept(), 0);
    // Nor is the next fragment waited for.
    let mut decoder = Decoder::new(LIMIT);
    assert_eq!(decoder.feed(&frame(0x01, b"a\xed"), |_| panic!("nothing is whole")), Ok(()));
    assert_eq!(decoder.feed(&frame(0x00, b"\xa0"), |_| panic!("nothing is whole")), Err(FrameError::TextNotUtf8));
}

#[test]
fn a_binary_message_is_within_from_its_header_to_its_last_byte_and_a_text_never() {
    let within = |pieces: &[&[u8]]| {
        let mut decoder = Decoder::new(LIMIT);
        for piece in pieces {
            decoder.feed(piece, |_| {}).unwrap();
        }
        decoder.is_within_a_message()
    };
    assert!(!within(&[]), "nothing came");
    assert!(!within(&[&[0x82]]), "half a header says nothing yet");
    assert!(within(&[&[0x82, 2]]), "a header");
    assert!(within(&[&[0x82, 2, 7]]), "half a payload");
    assert!(!within(&[&[0x82, 2, 7], &[7]]), "all of it");
    assert!(within(&[&[0x02, 1, 7]]), "a fragment");
    assert!(within(&[&[0x02, 1, 7], &[0x89, 0]]), "a ping between two fragments");
    assert!(!within(&[&[0x02, 1, 7], &[0x80, 0]]), "the last fragment");
    assert!(!within(&[&[0x81, 2, b'a']]), "half a text");
    assert!(!within(&[&[0x01, 1, b'a']]), "a fragment of a text");
}
