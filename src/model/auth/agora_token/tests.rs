use std::time::Duration;

use proptest::prelude::*;

use super::{ChatTokenBuilder, MAX_CONTENT, TokenBuildError, TokenInfo, TokenKind, TokenProblem, content::Signed};
use crate::model::account::{Token, UserId};

const APP_ID: &str = "970CA35de60c44645bbae8a215061b33";
const CERTIFICATE: &str = "5CFd2fd1755d40ecb72977518be15d3b";
const USER: &str = "2882341273";
const ISSUED_AT: u32 = 1_111_111;
const SALT: u32 = 1;
const LIFE: Duration = Duration::from_secs(600);

/// Published by the vendor for these values, in the tests of its builders that use the usual zlib.
const USER_TOKEN: &str = "007eJxTYNAIsnbS3v/A5t2TC6feR15r+6cq8bqAvfaW+tk/Vzz+p6xTYLA0N3B2NDZNSTUzSDYxMTMxTUpKTLVINDI0NTAzTDI2dv8iwBDBxMDAyADCrEDMCOZzMRhZWBgZmxgamRsDAB+lHrg=";
const APP_TOKEN: &str = "007eJxTYNDNaz3snC8huEfHWdz6s98qltq4zqy9fl99Uh0FDvy6F6DAYGlu4OxobJqSamaQbGJiZmKalJSYapFoZGhqYGaYZGzs/kWAIYKJgYGRAYRZgZgJzGdgAACt8hhr";
/// The same from its builder for Node, whose zlib finds other repetitions.
const USER_TOKEN_OF_NODE: &str = "007eJxTYNAIsnbS3v/A5t2TC6feR15r+6cq8bqAvfaW+tk/Vzz+p6xTYLA0N3B2NDZNSTUzSDYxMTMxTUpKTLVINDI0NTAzTDI2dv8iwBDBxMDAyADCrAyMDIxgPheDkYWFkbGJoZG5MQAfpR64";
const APP_TOKEN_OF_NODE: &str = "007eJxTYNDNaz3snC8huEfHWdz6s98qltq4zqy9fl99Uh0FDvy6F6DAYGlu4OxobJqSamaQbGJiZmKalJSYapFoZGhqYGaYZGzs/kWAIYKJgYGRAYRZGRgZmMB8BgYArfIYaw==";
/// For channels, messages and chat, in this order; then for messages alone, flushed in the middle as Go does.
const THREE_SERVICES: &str = "007eJxNjD0KwkAUhJ8xFlqJbZpYauNm3/4WFmKRK9hJ1l3B1sQip1AEz2Bt5QmEXMFjCMEiWBgjiMV8MMPwhVCdnqUspvf8cQkOk9trUOWj45jtr3ExPMfBJgQtyXyG3DpBVowJxo1JnEpoxImIDGJc9mHhAbQAoF3Tr/PpXsN2Q79hCNJKioI7oxUyxVFLhw7X2jJBjLVJD6hSFFlEJXq152vqQubSbLlL3bbzG/+vb8OnLf0=";
const MESSAGES_ONLY: &str = "007eJxSYOCdJftjyTM2zxW6Xhm/5T0j5LdcUt/xYVt48fb5Mp3PX9coMFiaGzg7GpumpJoZJJuYmJmYJiUlplokGhmaGpgZJhkbu38RYIhgYmBgZABhJgZGBkYwn5OhJLW4JL60OLUIEAAA//9ZVh6A";

/// From the vendor's REST documentation, the answer of which says what they live; and an older one.
const EASEMOB: &str = "YWMte3bGuOukEeiTkNP4grL7iwAAAAAAAAAAAAAAAAAAAAGL4CTw6XgR6LaXXVmNX4QCAgMAAAFnKdc-ZgBPGgBFTrLhhyK8woMEI005emtrLJFJV6aoxsZSioSIZkr5kw";
const OLD_EASEMOB: &str = "YWMtNda4DFzyEeOrOy_LuVzHjAAAAULiG1IrN8opggpytUDFmJkiocawbINICYk";

fn builder() -> ChatTokenBuilder {
    ChatTokenBuilder::new(APP_ID, CERTIFICATE).unwrap()
}

fn user(id: &str) -> UserId {
    id.parse().unwrap()
}

fn token(text: &str) -> Token {
    Token::new(text).unwrap()
}

/// Returns a token with any content, rightly packed and wrongly signed.
fn packed(content: &[u8]) -> Token {
    token(&Signed::pack(&[0; 32], content))
}

#[test]
fn the_published_tokens_are_built_byte_for_byte() {
    let of_user = builder().user(&user(USER), LIFE).unwrap().build(ISSUED_AT, SALT);
    assert_eq!(of_user.expose(), USER_TOKEN);
    assert_eq!(builder().app(LIFE).unwrap().build(ISSUED_AT, SALT).expose(), APP_TOKEN);
}

#[test]
fn a_token_published_for_another_compressor_has_the_same_inside() {
    for (ours, theirs) in [(USER_TOKEN, USER_TOKEN_OF_NODE), (APP_TOKEN, APP_TOKEN_OF_NODE)] {
        let (ours, theirs) = (Signed::unpack(ours).unwrap(), Signed::unpack(theirs).unwrap());
        assert_eq!((ours.signature(), ours.content()), (theirs.signature(), theirs.content()));
    }
}

#[test]
fn a_published_token_says_who_it_is_for_and_when_it_ends() {
    let expected = TokenInfo {
        kind: TokenKind::AccessToken2,
        app_id: Some(APP_ID.to_owned()),
        user: Some(USER.to_owned()),
        issued_at: Some(1_111_111_000),
        expires_at: Some(1_111_711_000),
        services: vec![5],
    };
    assert_eq!(token(USER_TOKEN).inspect(), expected);
    assert_eq!(token(APP_TOKEN).inspect(), TokenInfo { user: None, ..expected.clone() });
    assert_eq!(token(THREE_SERVICES).inspect(), TokenInfo { services: vec![1, 2, 5], ..expected.clone() });
    assert_eq!(token(MESSAGES_ONLY).inspect(), TokenInfo { user: None, services: vec![2], ..expected.clone() });
    assert_eq!(token(USER_TOKEN.trim_end_matches('=')).inspect(), expected, "without padding");
}

#[test]
fn only_the_certificate_that_signed_a_token_verifies_it() {
    let other = ChatTokenBuilder::new(APP_ID, CERTIFICATE.replace('5', "6")).unwrap();
    let other_app = ChatTokenBuilder::new(&APP_ID.replace('3', "4"), CERTIFICATE).unwrap();
    for published in [USER_TOKEN, APP_TOKEN, THREE_SERVICES, MESSAGES_ONLY].map(token) {
        assert!(builder().signed(&published));
        assert!(!other.signed(&published) && !other_app.signed(&published));
    }
    let unpacked = Signed::unpack(USER_TOKEN).unwrap();
    let mut content = unpacked.content().to_vec();
    *content.last_mut().unwrap() = b'4';
    assert!(!builder().signed(&token(&Signed::pack(unpacked.signature(), &content))), "another user");
    assert!(!builder().signed(&packed(unpacked.content())), "another signature");
    assert!(!builder().signed(&token(EASEMOB)));
}

#[test]
fn an_easemob_token_gives_its_times_as_a_hint() {
    let info = token(EASEMOB).inspect();
    assert_eq!((info.kind, info.issued_at), (TokenKind::Easemob, Some(1_542_595_231_334)));
    assert_eq!(info.expires_at, Some(1_542_595_231_334 + 5_184_000_000));
    let info = token(OLD_EASEMOB).inspect();
    assert_eq!((info.issued_at, info.expires_at), (Some(1_386_168_110_635), Some(1_386_168_110_635 + 604_800_000)));
    // Neither opaque ones nor those of a layout that does not fit together give any.
    for opaque in ["YWMt", "YWMtopaque", &EASEMOB[..EASEMOB.len() - 4], &EASEMOB.replace("AAAFnKd", "AAAFnKe")] {
        let info = token(opaque).inspect();
        assert_eq!((info.kind, info.issued_at, info.expires_at), (TokenKind::Easemob, None, None), "{opaque}");
        assert!(info.problems(u64::MAX, Some(&user(USER)), Some(APP_ID)).is_empty());
    }
}

#[test]
fn other_forms_are_told_apart_and_say_nothing() {
    for (text, kind) in [("dt-7a0e", TokenKind::Temporary), ("006abc", TokenKind::Unknown), ("x", TokenKind::Unknown)] {
        let info = token(text).inspect();
        assert_eq!(info.kind, kind);
        assert_eq!(info.problems(u64::MAX, Some(&user(USER)), Some(APP_ID)), []);
    }
}

#[test]
fn every_token_cut_short_is_called_damaged() {
    for length in 3..USER_TOKEN.len() - 4 {
        let info = token(&USER_TOKEN[..length]).inspect();
        assert_eq!(info.problems(0, None, None), [TokenProblem::Damaged], "{length} bytes");
    }
    let content = Signed::unpack(USER_TOKEN).unwrap().content().to_vec();
    for length in 0..content.len() {
        assert_eq!(packed(&content[..length]).inspect().kind, TokenKind::Damaged, "content of {length} bytes");
    }
}

#[test]
fn a_token_that_unpacks_to_more_than_64_kib_is_damaged_and_costs_little() {
    let content = Signed::unpack(USER_TOKEN).unwrap().content().to_vec();
    // What follows a token's fields is not looked at.
    let padded = |length| packed(&[content.as_slice(), &vec![0; length - content.len() - 34]].concat());
    assert_eq!(padded(MAX_CONTENT).inspect().kind, TokenKind::AccessToken2);
    assert_eq!(padded(MAX_CONTENT + 1).inspect().kind, TokenKind::Damaged);
    let bomb = padded(64 * MAX_CONTENT);
    assert!(bomb.expose().len() < MAX_CONTENT);
    let cost = allocation_counter::measure(|| drop(bomb.inspect()));
    assert!(cost.bytes_max < 4 * MAX_CONTENT as u64, "{} bytes", cost.bytes_max);
}

#[test]
fn a_token_is_held_against_another_user_another_app_and_the_clock() {
    let info = token(USER_TOKEN).inspect();
    let (before, after) = (1_111_710_999, 1_111_713_000);
    assert_eq!(info.problems(before, Some(&user(USER)), Some(&APP_ID.to_lowercase())), []);
    assert_eq!(info.problems(after, None, None), [TokenProblem::Expired(2)]);
    let (bob, app) = (user("bob"), "0".repeat(32));
    let other_user = TokenProblem::OtherUser { found: USER.to_owned(), expected: "bob".to_owned() };
    let other_app = TokenProblem::OtherApp { found: APP_ID.to_owned(), expected: app.clone() };
    let problems = info.problems(after, Some(&bob), Some(&app));
    assert_eq!(problems, [TokenProblem::Expired(2), other_app, other_user]);
    assert_eq!(token(APP_TOKEN).inspect().problems(before, Some(&bob), None), [TokenProblem::ForApp]);
    assert_eq!(token(APP_TOKEN).inspect().problems(before, None, None), []);
    assert_eq!(token(MESSAGES_ONLY).inspect().problems(before, None, None), [TokenProblem::NotForChat]);
    // Which user has a UUID cannot be told from here.
    let uuid = user("8be024f0-e978-11e8-b697-5d598d5f8402");
    let named = builder().user(&uuid, LIFE).unwrap().build(ISSUED_AT, SALT);
    assert_eq!(named.inspect().problems(before, Some(&bob), None), []);
}

#[test]
fn a_service_not_known_here_ends_the_list_and_is_held_against_nobody() {
    let mut content = Signed::unpack(USER_TOKEN).unwrap().content().to_vec();
    let service = 2 + 32 + 12 + 2;
    content[service..service + 2].copy_from_slice(&8_u16.to_le_bytes());
    let info = packed(&content).inspect();
    assert_eq!((info.services.as_slice(), info.user.as_deref()), (&[8][..], None));
    assert_eq!(info.problems(0, Some(&user(USER)), None), []);
}

#[test]
fn the_shortest_life_counts_and_none_is_no_end() {
    let content = Signed::unpack(USER_TOKEN).unwrap().content().to_vec();
    let (token_life, chat_life) = (2 + 32 + 4, 2 + 32 + 12 + 2 + 6);
    let end = |of_token: u32, of_chat: u32| {
        let mut content = content.clone();
        content[token_life..token_life + 4].copy_from_slice(&of_token.to_le_bytes());
        content[chat_life..chat_life + 4].copy_from_slice(&of_chat.to_le_bytes());
        packed(&content).inspect().expires_at.map(|end| end / 1000 - u64::from(ISSUED_AT))
    };
    assert_eq!([end(600, 60), end(60, 600), end(600, 0), end(0, 0)], [Some(60), Some(60), Some(600), None]);
    assert_eq!(end(u32::MAX, u32::MAX), Some(u64::from(u32::MAX)));
}

#[test]
fn what_no_token_can_be_built_from_is_refused_by_name_and_never_shown() {
    let refused = |app_id: &str, certificate: &str| ChatTokenBuilder::new(app_id, certificate).unwrap_err();
    for bad in ["", "org#app", &APP_ID[1..], "970CA35de60c44645bbae8a215061b3g", &format!("{APP_ID}0")] {
        assert_eq!(refused(bad, CERTIFICATE), TokenBuildError::AppId, "{bad}");
        assert_eq!(refused(APP_ID, bad), TokenBuildError::Certificate, "{bad}");
    }
    let too_long = Duration::from_secs(1 << 32);
    for life in [Duration::ZERO, Duration::from_millis(999), too_long] {
        assert_eq!(builder().app(life).unwrap_err(), TokenBuildError::Life(life));
        assert_eq!(builder().user(&user(USER), life).unwrap_err(), TokenBuildError::Life(life));
    }
    let shown = format!("{:?} {:?} {:?}", builder(), builder().app(LIFE), builder().app(LIFE).unwrap().build_now());
    assert!(!shown.contains(CERTIFICATE) && shown.contains("<redacted>"), "{shown}");
    let canary = "CANARY".to_owned() + &CERTIFICATE[6..];
    let error = refused(APP_ID, &canary);
    assert!(!format!("{error} {error:?}").contains("CANARY"));
}

#[test]
fn a_token_built_now_is_good_now() {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as u64;
    let token = builder().user(&user(USER), LIFE).unwrap().build_now();
    let info = token.inspect();
    assert_eq!(info.problems(now, Some(&user(USER)), Some(APP_ID)), []);
    assert!(info.issued_at.unwrap().abs_diff(now) < 60_000);
    assert!(builder().signed(&token));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_built_is_read_back(
        app_id in "[0-9a-fA-F]{32}", certificate in "[0-9a-fA-F]{32}", id in "[a-z0-9_-][a-z0-9_.-]{0,63}",
        life in 1..=u32::MAX, issued_at: u32, salt: u32,
    ) {
        let (builder, user) = (ChatTokenBuilder::new(&app_id, certificate).unwrap(), user(&id));
        let life = Duration::from_secs(life.into());
        let token = builder.user(&user, life).unwrap().build(issued_at, salt);
        prop_assert!(builder.signed(&token));
        let issued_at = u64::from(issued_at) * 1000;
        prop_assert_eq!(token.inspect(), TokenInfo {
            kind: TokenKind::AccessToken2,
            app_id: Some(app_id),
            user: Some(id),
            issued_at: Some(issued_at),
            expires_at: Some(issued_at + life.as_millis() as u64),
            services: vec![TokenInfo::CHAT],
        });
    }

    #[test]
    fn any_text_is_read(prefix in "(007|YWMt|dt-|)", text in "[!-~]{1,200}", now: u64) {
        let info = token(&(prefix + &text)).inspect();
        let _ = info.problems(now, Some(&user(USER)), Some(APP_ID));
    }

    #[test]
    fn any_content_is_read(content in prop::collection::vec(any::<u8>(), 0..300), now: u64) {
        let _ = packed(&content).inspect().problems(now, Some(&user(USER)), None);
    }

    #[test]
    fn a_damaged_token_is_read_and_not_verified(at: prop::sample::Index, byte: u8, which in 0..3_usize) {
        let published = [USER_TOKEN, APP_TOKEN, THREE_SERVICES][which];
        let unpacked = Signed::unpack(published).unwrap();
        let mut content = unpacked.content().to_vec();
        let at = at.index(content.len());
        prop_assume!(content[at] != byte);
        content[at] = byte;
        let damaged = token(&Signed::pack(unpacked.signature(), &content));
        prop_assert!(!builder().signed(&damaged));
        let _ = damaged.inspect().problems(0, None, None);
    }
}
