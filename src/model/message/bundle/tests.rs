use proptest::prelude::*;

use super::{Bundle, BundleError, BundledMessage, check_byte};
use crate::model::message::{
    Attachment, Combined, Conversation, Ext, FileSecret, MessageBody, StreamPiece, StreamStatus,
};

fn text(text: &str) -> BundledMessage {
    BundledMessage::new("bob", "alice", MessageBody::Text(text.to_owned()))
}

fn combined(level: u32) -> BundledMessage {
    let combined = Combined { level, file: Attachment::at("https://files.test/1"), ..Combined::default() };
    BundledMessage::new("bob", "alice", MessageBody::Combined(Box::new(combined)))
}

fn bundle(messages: &[BundledMessage]) -> Result<Bundle, BundleError> {
    Bundle::new(&"org#app".parse().unwrap(), messages)
}

/// Returns a file with this between the magic and the check byte.
fn file(held: &[u8]) -> Vec<u8> {
    let mut file = [b"cm", held].concat();
    file.push(check_byte(&file));
    file
}

#[test]
fn what_is_put_into_a_file_is_read_from_it_in_order() {
    let group = Conversation::group("182736");
    let said = [
        text("one").id(7).timestamp(8),
        BundledMessage::new("carol", group, MessageBody::Command { action: "wave".to_owned() }),
        text(""),
    ];
    let read = Bundle::read(bundle(&said).unwrap().file()).unwrap();
    assert_eq!((read[0].id, read[0].timestamp, &*read[0].from, &*read[0].to), (7, 8, "bob", "alice"));
    assert_eq!(read[0].text(), Some("one"));
    assert_eq!(read[1].conversation(), Conversation::group("182736"));
    assert_eq!(read[1].body, MessageBody::Command { action: "wave".to_owned() });
    assert_eq!(read[2].text(), Some(""));
    let again: Vec<_> = read.iter().map(BundledMessage::from).collect();
    assert_eq!(again, said, "a received message is bundled as it was said");
}

#[test]
fn the_level_is_one_above_the_deepest_inside() {
    assert_eq!(bundle(&[text("one")]).unwrap().level(), 1);
    assert_eq!(bundle(&[combined(0)]).unwrap().level(), 2);
    let bundled = bundle(&[combined(2), text("one"), combined(9), combined(1)]).unwrap();
    assert_eq!(bundled.level(), 10);
    let message = bundled.combined(Attachment::at("https://files.test/2"), "title", "summary", "text");
    assert_eq!(message.level, 10);
    for level in [10, 11, u32::MAX] {
        let refused = bundle(&[combined(level)]).unwrap_err();
        assert_eq!((&refused, refused.code().number()), (&BundleError::TooDeep { level: level.saturating_add(1) }, 50));
    }
}

#[test]
fn from_one_to_three_hundred_messages_make_a_bundle() {
    let full = bundle(&vec![text("one"); 300]).unwrap();
    assert_eq!(Bundle::read(full.file()).unwrap().len(), 300);
    for messages in [0, 301] {
        let refused = bundle(&vec![text("one"); messages]).unwrap_err();
        assert_eq!((&refused, refused.code().number()), (&BundleError::Messages { messages }, 50));
    }
    let one = bundle(&[text("one")]).unwrap();
    let one = &one.file()[2..one.file().len() - 1];
    assert_eq!(Bundle::read(&file(&one.repeat(300))).unwrap().len(), 300);
    assert_eq!(Bundle::read(&file(&one.repeat(301))), Err(BundleError::Messages { messages: 301 }));
    assert_eq!(Bundle::read(&file(&[])), Err(BundleError::Messages { messages: 0 }));
}

#[test]
fn a_file_beyond_the_bound_is_neither_made_nor_read() {
    let large = text(&"x".repeat(Bundle::MAX_BYTES / 2));
    assert!(bundle(std::slice::from_ref(&large)).is_ok());
    assert!(matches!(bundle(&[large.clone(), large]), Err(BundleError::TooLarge { .. })));
    let bytes = Bundle::MAX_BYTES + 1;
    let refused = Bundle::read(&vec![0; bytes]).unwrap_err();
    assert_eq!((&refused, refused.code().number()), (&BundleError::TooLarge { bytes }, 50));
}

#[test]
fn a_content_that_cannot_be_sent_is_named_by_its_place() {
    let piece = StreamPiece {
        text: "a".to_owned(),
        sequence: 0,
        status: StreamStatus::Start,
        kind: String::new(),
        error: 0,
        finish_reason: 0,
    };
    let piece = BundledMessage::new("bob", "alice", MessageBody::Stream(Box::new(piece)));
    let refused = bundle(&[text("one"), piece]).unwrap_err();
    assert!(matches!(refused, BundleError::Message { index: 1, .. }), "{refused:?}");
    assert_eq!(refused.code().number(), 205);
}

#[test]
fn a_damaged_file_is_told_by_its_number() {
    let whole = bundle(&[text("one"), text("two")]).unwrap().file().to_vec();
    let statistics = [0, 0, 0, 2, 40, 0];
    let mut damaged = vec![Vec::new(), b"cx".to_vec(), file(&statistics), file(&[0, 0, 0, 1, 0xff]), file(&[0, 0])];
    damaged.extend((0..whole.len()).map(|end| whole[..end].to_vec()).filter(|cut| Bundle::read(cut).is_err()));
    // The magic and every byte that the check byte covers, changed.
    damaged.extend([0, 1, 3, whole.len() - 1].map(|at| {
        let mut changed = whole.clone();
        changed[at] ^= 0x40;
        changed
    }));
    for bytes in damaged {
        match Bundle::read(&bytes) {
            Err(error @ BundleError::Damaged(_)) => assert_eq!(error.code().number(), 203),
            Err(BundleError::Messages { messages: 0 }) => {}
            other => panic!("{bytes:?}: {other:?}"),
        }
    }
}

#[test]
fn a_bundle_shows_no_file_secret() {
    let secret = Attachment { secret: Some(FileSecret::new("canary-7f3a")), ..Attachment::at("https://files.test/1") };
    let sent = BundledMessage::new("bob", "alice", MessageBody::File(Box::new(secret))).ext(Ext::new().with("a", 1));
    let bundled = bundle(std::slice::from_ref(&sent)).unwrap();
    assert!(bundled.file().windows(11).any(|part| part == b"canary-7f3a"));
    let shown = format!("{sent:?} {bundled:?}");
    assert!(!shown.contains("canary") && !shown.contains("99, 97, 110"), "{shown}");
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
        framed in any::<bool>(),
    ) {
        // Behind a right magic and check byte the messages themselves are reached.
        let read = Bundle::read(&if framed { file(&bytes) } else { bytes });
        prop_assert!(read.is_err() || read.is_ok_and(|messages| messages.len() <= Bundle::MAX_MESSAGES));
    }

    #[test]
    fn any_bytes_as_one_message_are_read_or_refused(meta in proptest::collection::vec(any::<u8>(), 0..200)) {
        let mut held = u32::try_from(meta.len()).unwrap().to_be_bytes().to_vec();
        held.extend(meta);
        match Bundle::read(&file(&held)) {
            Ok(messages) => prop_assert_eq!(messages.len(), 1),
            Err(error) => prop_assert_eq!(error.code().number(), 203),
        }
    }

    #[test]
    fn any_texts_come_back(texts in proptest::collection::vec(any::<String>(), 1..20)) {
        let said: Vec<_> = texts.iter().map(|said| text(said)).collect();
        let read = Bundle::read(bundle(&said).unwrap().file()).unwrap();
        let read: Vec<_> = read.iter().filter_map(|message| message.text()).collect();
        prop_assert_eq!(read, texts);
    }
}
