//! A secret in a text, however the text spells it.

/// Shorter secrets, in characters, are found as a whole word only: neither a letter nor a digit stands beside them.
pub(super) const ANYWHERE: usize = 6;

/// Shorter ones, and short ones of letters alone, are found as the whole text only: `user` is no leaked password.
const AS_A_WORD: usize = 3;

/// The shortest beginning of a secret that counts as the secret, in bytes: it may have been cut.
pub(super) const BEGINNING: usize = 16;

/// Escaping of characters that a text cannot hold as they are. A text uses one way for all of a secret.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Spelling {
    Plain,
    /// `%2F`, and `+` for a space.
    Percent,
    /// `\"`, `\n`, `\u002f`, `\u{2f}`, `\x2f`.
    Backslash,
}

impl Spelling {
    pub(super) fn of(text: &str) -> Vec<Self> {
        let mut all = vec![Spelling::Plain];
        if text.contains(['%', '+']) {
            all.push(Spelling::Percent);
        }
        if text.contains('\\') {
            all.push(Spelling::Backslash);
        }
        all
    }

    pub(super) fn find(self, text: &str, secret: &str, cut: bool, places: &mut Vec<(usize, usize)>) {
        let Some(first) = secret.bytes().next() else { return };
        let characters = secret.chars().take(ANYWHERE).count();
        let is_distinct = characters >= AS_A_WORD && !secret.chars().all(char::is_alphabetic);
        let begins = |byte: u8| {
            byte.eq_ignore_ascii_case(&first)
                || match self {
                    Spelling::Plain => false,
                    Spelling::Percent => byte == b'%' || byte == b'+',
                    Spelling::Backslash => byte == b'\\',
                }
        };
        let bytes = text.as_bytes();
        let mut at = 0;
        while let Some(next) = bytes.get(at..).and_then(|rest| rest.iter().position(|byte| begins(*byte))) {
            let begin = at + next;
            at = begin + 1;
            let Matched { bytes: matched, end, ran_out } = self.follow(bytes, begin, secret.as_bytes());
            let end = (end..text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len());
            let is_found = (cut && ran_out && matched > 0)
                || match matched == secret.len() {
                    true if characters >= ANYWHERE => true,
                    true if is_distinct => is_a_word(text, begin, end),
                    true => begin == 0 && end == text.len(),
                    false => characters >= ANYWHERE && matched >= BEGINNING,
                };
            if is_found && text.is_char_boundary(begin) {
                places.push((begin, end));
                at = end;
            }
        }
    }

    /// Compares a text from a place on with a secret.
    pub(super) fn follow(self, text: &[u8], begin: usize, secret: &[u8]) -> Matched {
        let (mut at, mut matched) = (begin, 0);
        while let Some(rest) = secret.get(matched..).filter(|rest| !rest.is_empty()) {
            let Some(left) = text.get(at..).filter(|left| !left.is_empty()) else {
                return Matched { bytes: matched, end: at, ran_out: true };
            };
            let (written, length) = self.unit(left);
            let written = written.as_slice();
            let same = rest.get(..written.len()).is_some_and(|part| part.eq_ignore_ascii_case(written));
            if !same {
                // An escape that was cut off may go on as it should.
                let open = self != Spelling::Plain && left.len() < 6 && matches!(left, [b'%' | b'\\', ..]);
                return Matched { bytes: matched, end: if open { text.len() } else { at }, ran_out: open };
            }
            matched += written.len();
            at += length;
        }
        Matched { bytes: matched, end: at, ran_out: false }
    }

    /// Returns the text's first character, unescaped, and how many bytes it takes.
    fn unit(self, text: &[u8]) -> (Written, usize) {
        let plain = (Written::byte(text.first().copied().unwrap_or_default()), 1);
        match (self, text) {
            (Spelling::Percent, [b'+', ..]) => (Written::byte(b' '), 1),
            (Spelling::Percent, [b'%', ..]) => number(text, 1, 2).map_or(plain, |byte| (Written::low_byte(byte), 3)),
            (Spelling::Backslash, [b'\\', kind, ..]) => match kind {
                b'n' => (Written::byte(b'\n'), 2),
                b'r' => (Written::byte(b'\r'), 2),
                b't' => (Written::byte(b'\t'), 2),
                b'0' => (Written::byte(0), 2),
                b'x' => number(text, 2, 2).map_or(plain, |byte| (Written::low_byte(byte), 4)),
                b'u' => unicode(text).unwrap_or(plain),
                other if other.is_ascii_punctuation() => (Written::byte(*other), 2),
                _ => plain,
            },
            _ => plain,
        }
    }
}

/// Returns a text without its escapes, and where in it each byte comes from.
pub(super) fn unescaped(text: &str) -> (String, Vec<usize>) {
    let bytes = text.as_bytes();
    let (mut plain, mut places, mut at) = (Vec::with_capacity(bytes.len()), Vec::with_capacity(bytes.len()), 0);
    while let Some(left) = bytes.get(at..).filter(|left| !left.is_empty()) {
        let (written, length) = Spelling::Backslash.unit(left);
        plain.extend_from_slice(written.as_slice());
        places.resize(plain.len(), at);
        at += length;
    }
    match String::from_utf8(plain) {
        Ok(plain) => (plain, places),
        // Bytes that were escaped one by one may make no text; it is looked at as it is, and no further.
        Err(_) => (String::new(), Vec::new()),
    }
}

pub(super) struct Matched {
    pub(super) bytes: usize,
    end: usize,
    ran_out: bool,
}

struct Written([u8; 4], usize);

impl Written {
    fn byte(byte: u8) -> Self {
        Written([byte, 0, 0, 0], 1)
    }

    fn low_byte(number: u32) -> Self {
        Self::byte(number.to_le_bytes()[0])
    }

    fn as_slice(&self) -> &[u8] {
        self.0.get(..self.1).unwrap_or_default()
    }
}

impl From<char> for Written {
    fn from(character: char) -> Self {
        let mut bytes = [0; 4];
        let length = character.encode_utf8(&mut bytes).len();
        Written(bytes, length)
    }
}

fn number(text: &[u8], from: usize, digits: usize) -> Option<u32> {
    let digits = text.get(from..from + digits).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit))?;
    u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

/// Returns the character of `\u00e9`, of two of those, or of `\u{e9}`.
fn unicode(text: &[u8]) -> Option<(Written, usize)> {
    if let Some(b'{') = text.get(2) {
        let digits = text.get(3..)?.iter().take(7).position(|byte| *byte == b'}')?;
        return Some((char::from_u32(number(text, 3, digits)?)?.into(), digits + 4));
    }
    let high = number(text, 2, 4)?;
    if let Some(character) = char::from_u32(high) {
        return Some((character.into(), 6));
    }
    let low = number(text, 8, 4).filter(|_| text.get(6..8) == Some(b"\\u"))?;
    let pair = [u16::try_from(high).ok()?, u16::try_from(low).ok()?];
    Some((char::decode_utf16(pair).next()?.ok()?.into(), 12))
}

/// Returns whether neither a letter nor a digit stands beside a part of a text.
fn is_a_word(text: &str, begin: usize, end: usize) -> bool {
    let before = text.get(..begin).and_then(|before| before.chars().next_back());
    let after = text.get(end..).and_then(|after| after.chars().next());
    ![before, after].into_iter().flatten().any(char::is_alphanumeric)
}
