//! What any token may be taken for.
//!
//! Input: a form (8 bits), and the rest is what follows the prefix of that form: text, or the content of a `007…` one.

use super::{
    ChatTokenBuilder, TokenInfo, TokenKind,
    content::{Content, MAX_USER, PREFIX, is_hex_32},
    easemob,
};
use crate::model::account::{Token, UserId};

pub(crate) fn run(data: &[u8]) {
    let Some((form, rest)) = data.split_first() else { return };
    match form % 5 {
        0 => said_by(PREFIX, rest),
        1 => said_by(easemob::PREFIX, rest),
        2 => said_by("dt-", rest),
        3 => said_by("", rest),
        _ => {
            // Packing it first would cost more than all the reading.
            if let Some(content) = Content::read(rest) {
                keeps_to_its_bounds(&TokenInfo::of_content(content));
            }
        }
    }
}

fn said_by(prefix: &str, rest: &[u8]) {
    let graphic = rest.iter().copied().filter(u8::is_ascii_graphic).map(char::from);
    let Ok(token) = Token::new(prefix.chars().chain(graphic).collect::<String>()) else { return };
    let info = token.inspect();
    keeps_to_its_bounds(&info);
    assert_eq!(token.inspect(), info);
    let key = "0".repeat(32);
    let builder = ChatTokenBuilder::new(&key, key.as_str()).expect("a builder");
    // Whoever finds an input that is signed has broken HMAC-SHA256.
    assert!(!builder.signed(&token));
}

fn keeps_to_its_bounds(info: &TokenInfo) {
    assert_eq!(info.kind == TokenKind::AccessToken2, info.app_id.is_some());
    assert!(info.app_id.as_deref().is_none_or(is_hex_32));
    assert!(info.user.as_ref().is_none_or(|user| (1..=MAX_USER).contains(&user.len())));
    assert!(info.expires_at.is_none_or(|end| info.issued_at.is_some_and(|issued_at| issued_at <= end)));
    assert!(info.user.is_none() || info.services.contains(&TokenInfo::CHAT));
    let user: UserId = "alice".parse().expect("a user");
    let app_id = "0".repeat(32);
    for now in [0, info.expires_at.unwrap_or(1), u64::MAX] {
        let problems = info.problems(now, Some(&user), Some(&app_id));
        assert!(problems.len() <= 3);
        for problem in problems {
            let shown = problem.to_string();
            assert!(shown.len() <= 4096 && !shown.contains(char::is_control), "{shown:?}");
        }
    }
}
