//! The one door for texts that a server writes on the socket: cut, and without secrets, before anything looks at them.

use super::life::Session;
use crate::{
    Token,
    wire::{Downward, Status},
};

/// The longest text kept, in characters; the rest gives way to a mark.
pub(super) const LONGEST: usize = 512;

/// The longest extension of the login that kicked this device, in characters: no login may send a longer one.
pub(super) const LONGEST_EXT: usize = 1024;

/// Stands in the place of what was cut off.
const MARK: char = '…';

/// A text of at most so many characters, without the secrets, and a mark where more was cut off.
///
/// The work goes by what is kept, however long the text is.
pub(super) fn taken_in(mut text: String, longest: usize, secrets: &[&str]) -> String {
    // No more is looked at than could be kept, and a secret that begins there.
    let secret = secrets.iter().map(|secret| secret.len()).max().unwrap_or(0);
    let window = longest.saturating_mul(4).saturating_add(secret);
    let whole = text.len() <= window;
    if !whole {
        text.truncate(boundary(&text, window));
        let begun = secrets.iter().map(|secret| begun(&text, secret)).max().unwrap_or(0);
        text.truncate(boundary(&text, text.len() - begun));
        text.shrink_to_fit();
    }
    for secret in secrets.iter().filter(|secret| !secret.is_empty()) {
        if text.contains(secret) {
            text = text.replace(secret, "<redacted>");
        }
    }
    let end = text.char_indices().nth(longest).map(|(at, _)| at);
    if end.is_some() || !whole {
        text.truncate(end.unwrap_or(text.len()));
        text.push(MARK);
    }
    text
}

/// How many bytes at the end of a text are the beginning of a secret.
fn begun(text: &str, secret: &str) -> usize {
    let begins = |length: &usize| secret.get(..*length).is_some_and(|begun| text.ends_with(begun));
    (1..secret.len()).rev().find(begins).unwrap_or(0)
}

/// The last place for a cut at or before this one.
fn boundary(text: &str, at: usize) -> usize {
    (0..=at).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

impl Session {
    /// A text that the server wrote, as it is taken in.
    pub(super) fn taken_in(&self, text: String, longest: usize) -> String {
        let tokens = [&self.token, &self.former_token].into_iter().flatten().map(Token::expose);
        taken_in(text, longest, &tokens.collect::<Vec<_>>())
    }

    /// Takes the texts of a frame in, before anything is decided by them.
    pub(super) fn take_texts_in(&self, frame: &mut Downward) {
        let status: Option<&mut Status> = match frame {
            Downward::Sync(sync) => sync.status.as_mut(),
            Downward::Unread(unread) => unread.status.as_mut(),
            Downward::Provision(answer) => answer.status.as_mut(),
            Downward::Logout(answer) => answer.status.as_mut(),
            _ => None,
        };
        if let Some(reason) = status.and_then(|status| status.reason.as_mut()) {
            *reason = self.taken_in(std::mem::take(reason), LONGEST);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{LONGEST, taken_in};

    #[test]
    fn a_text_that_fits_is_taken_as_it_is() {
        for text in ["", "blocked", &"x".repeat(LONGEST), &"ü".repeat(LONGEST), &"\u{1f600}".repeat(LONGEST)] {
            assert_eq!(taken_in(text.to_owned(), LONGEST, &["secret"]), text);
        }
    }

    #[test]
    fn a_longer_one_is_cut_by_characters_and_has_a_mark() {
        for each in ["x", "ü", "\u{200b}", "\u{1f600}"] {
            for more in [1, 3, 1 << 20] {
                let text = taken_in(each.repeat(LONGEST + more), LONGEST, &["secret"]);
                assert_eq!(text, each.repeat(LONGEST) + "…");
                assert!(text.capacity() < 8 * LONGEST, "{}", text.capacity());
            }
        }
    }

    #[test]
    fn no_secret_and_no_part_of_one_is_left_wherever_it_stands() {
        let secret = "YWMt-CANARY-0123456789";
        for around in ["", "x", "ü\u{1f600}"] {
            for before in (0..4 * LONGEST + 40).step_by(7).chain(0..3) {
                let text = format!("{}{secret}{}", "y".repeat(before), format!("{around}{secret}").repeat(300));
                let taken = taken_in(text, LONGEST, &[secret, "YWMt-CANARY-former"]);
                assert!(!taken.contains("CANARY") && !taken.contains("YWMt"), "{before}: {taken}");
                assert!(taken.chars().count() <= LONGEST + 1);
            }
        }
    }

    #[test]
    fn many_mebibytes_take_no_time() {
        let text = "\u{200b}".repeat(4 << 20);
        let copies: Vec<String> = (0..5).map(|_| text.clone()).collect();
        let begun = std::time::Instant::now();
        copies.into_iter().for_each(|text| drop(taken_in(text, LONGEST, &["secret"])));
        assert!(begun.elapsed() < std::time::Duration::from_millis(500), "{:?}", begun.elapsed());
    }
}
