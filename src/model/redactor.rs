//! What of a session must not be shown, and how it is found in what others write.

use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use base64::{
    Engine as _,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use secrecy::{ExposeSecret, SecretString};
use slog::{BorrowedKV, Drain, FlushError, Key, Level, Logger, Never, OwnedKVList, Record, RecordStatic, Serializer};

use crate::{
    model::{
        account::{Password, Token},
        message::FileSecret,
    },
    util::lent,
};

/// Stands in the place of a secret; the next one is taken where a secret is part of the one before.
const MARKS: [&str; 3] = ["<redacted>", "***", "…"];

/// Stands in the place of what was cut off.
const CUT: char = '…';

/// Shorter secrets, in characters, are found as a whole word only: neither a letter nor a digit stands beside them.
const ANYWHERE: usize = 6;

/// Still shorter ones are found where they are the whole text, and so are short ones of letters alone: a server that says
/// `user` or `token` does not repeat a password.
const AS_A_WORD: usize = 3;

/// The beginning of a secret is as good as all of it from so many bytes on: whoever repeats it may have cut it off.
const BEGINNING: usize = 16;

/// How far behind the part that is kept a text is looked at, in bytes: a secret that begins in it ends there, spelled at
/// length. Of longer ones [`BEGINNING`] is found.
const BEHIND: usize = 16 * 1024;

/// The shortest run of letters that is looked at as base64.
const RUN: usize = 8;

/// The secrets of a session, or of a REST client, and what hides them in texts that others write.
///
/// It knows the password, the tokens held now and before (the newest [`TOKENS`](Self::TOKENS)), the credentials of the
/// configured proxy, what calls under way carry (also share-secrets of files, passwords of registrations and app tokens) and
/// the newest [`OTHERS`](Self::OTHERS) of what calls carried before. Clones share all of it.
///
/// A secret is found in upper and lower case, percent-encoded (with `+` for a space or not), with the escapes of JSON,
/// Rust and C (`\"`, `\u00e9`, `\u{e9}`, `\x2f`, `\/`), and, from 6 characters on, within anything that is base64 in either
/// alphabet. From 6 characters on it is found anywhere, and so is its beginning from 16 bytes on; one of 3 to 5 characters
/// with a digit or a sign in it only as a whole word; a shorter one, or one of 5 letters or fewer, only where it is the
/// whole text.
///
/// The work goes by the length of the text and the number of secrets, whatever both hold.
#[derive(Clone, Default)]
pub(crate) struct Redactor(Arc<RwLock<Secrets>>);

#[derive(Default)]
struct Secrets {
    /// The passwords of the account, the newest last.
    account: VecDeque<Secret>,
    tokens: VecDeque<Secret>,
    others: VecDeque<Secret>,
    proxies: VecDeque<Secret>,
    /// What calls under way carry.
    leased: Vec<(u64, Secret)>,
    last_lease: u64,
}

/// One secret, shared with whoever uses it.
#[derive(Clone)]
pub(crate) enum Secret {
    Password(Password),
    Token(Token),
    File(FileSecret),
    Text(Arc<SecretString>),
}

impl Secret {
    fn expose(&self) -> &str {
        match self {
            Secret::Password(password) => password.expose(),
            Secret::Token(token) => token.expose(),
            Secret::File(secret) => secret.expose(),
            Secret::Text(text) => text.expose_secret(),
        }
    }
}

impl From<&Password> for Secret {
    fn from(password: &Password) -> Self {
        Secret::Password(password.clone())
    }
}

impl From<&Token> for Secret {
    fn from(token: &Token) -> Self {
        Secret::Token(token.clone())
    }
}

impl From<&FileSecret> for Secret {
    fn from(secret: &FileSecret) -> Self {
        Secret::File(secret.clone())
    }
}

impl From<SecretString> for Secret {
    fn from(text: SecretString) -> Self {
        Secret::Text(Arc::new(text))
    }
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Redactor({} secrets)", self.read().all().count())
    }
}

impl Redactor {
    /// How many tokens are remembered.
    pub(crate) const TOKENS: usize = 16;

    /// How many secrets of earlier calls are remembered.
    pub(crate) const OTHERS: usize = 32;

    /// How many passwords of the account are remembered.
    const PASSWORDS: usize = 4;

    /// How many texts of a proxy's credentials are remembered.
    const PROXIES: usize = 16;

    /// Remembers the account's password.
    pub(crate) fn learn_password(&self, password: &Password) {
        remember(&mut self.write().account, password.into(), Self::PASSWORDS);
    }

    /// Remembers a token of the account.
    pub(crate) fn learn_token(&self, token: &Token) {
        remember(&mut self.write().tokens, token.into(), Self::TOKENS);
    }

    /// Remembers what opens a proxy.
    pub(crate) fn learn_proxy(&self, secrets: impl IntoIterator<Item = SecretString>) {
        let mut held = self.write();
        for secret in secrets {
            remember(&mut held.proxies, secret.into(), Self::PROXIES);
        }
    }

    /// Remembers any other secret.
    pub(crate) fn learn(&self, secret: impl Into<Secret>) {
        remember(&mut self.write().others, secret.into(), Self::OTHERS);
    }

    /// What a call carries: never forgotten before it is over.
    pub(crate) fn lease<'a>(&self, secrets: impl IntoIterator<Item = &'a Token>) -> Leased {
        let mut leased = Leased { redactor: self.clone(), ids: Vec::new() };
        secrets.into_iter().for_each(|secret| leased.add(secret));
        leased
    }

    /// A text without the secrets.
    pub(crate) fn shown(&self, text: String) -> String {
        self.found_in(&text, false).unwrap_or(text)
    }

    /// The same; `None` where there is none in it.
    pub(crate) fn changed(&self, text: &str) -> Option<String> {
        self.found_in(text, false)
    }

    /// Shows something without the secrets.
    pub(crate) fn show(&self, thing: &dyn fmt::Debug, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = if f.alternate() { format!("{thing:#?}") } else { format!("{thing:?}") };
        f.write_str(&self.shown(text))
    }

    /// A text of at most so many characters, without the secrets and without a part of one at its end, and a mark where more
    /// was cut off.
    ///
    /// The work goes by what is kept, however long the text is.
    pub(crate) fn taken_in(&self, text: impl Into<String>, longest: usize) -> String {
        let mut text: String = text.into();
        let whole = bounded(&mut text, longest);
        if let Some(shown) = self.found_in(&text, !whole) {
            text = shown;
        }
        let end = text.char_indices().nth(longest).map(|(at, _)| at);
        if end.is_some() || !whole {
            text.truncate(end.unwrap_or(text.len()));
            text.push(CUT);
        }
        text
    }

    /// A text of at most so many characters with whatever it holds, and a mark where more was cut off; no secret is cut
    /// in two.
    pub(crate) fn whole(&self, mut text: String, longest: usize) -> String {
        let whole = bounded(&mut text, longest);
        let end = text.char_indices().nth(longest).map(|(at, _)| at);
        let Some(mut end) = end.or((!whole).then_some(text.len())) else { return text };
        let held = self.read();
        for (begin, to) in held.places(&text, !whole) {
            if begin < end && end < to {
                end = begin;
            }
        }
        drop(held);
        text.truncate(end);
        text.shrink_to_fit();
        text.push(CUT);
        text
    }

    /// A logger whose records are without the secrets: the last net, behind everything that hides them before.
    pub(crate) fn logger(&self, inner: &Logger) -> Logger {
        Logger::root(RedactingDrain { inner: inner.clone(), redactor: self.clone() }, slog::o!())
    }

    fn found_in(&self, text: &str, cut: bool) -> Option<String> {
        let held = self.read();
        let mut shown = held.replaced(text, MARKS.first()?, cut)?;
        let is_clean = |text: &str| held.places(text, false).is_empty();
        // A mark may hold a secret, or make one together with what is around it.
        for mark in MARKS {
            if is_clean(&shown) {
                return Some(shown);
            }
            shown = held.replaced(text, mark, cut)?;
        }
        let mark = MARKS.into_iter().find(|mark| is_clean(mark)).unwrap_or_default();
        Some(if is_clean(&shown) { shown } else { mark.to_owned() })
    }

    fn read(&self) -> RwLockReadGuard<'_, Secrets> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Secrets> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Puts a secret in the newest place; the oldest goes where there are too many.
fn remember(held: &mut VecDeque<Secret>, secret: Secret, most: usize) {
    if secret.expose().is_empty() || held.back().is_some_and(|newest| newest.expose() == secret.expose()) {
        return;
    }
    held.retain(|known| known.expose() != secret.expose());
    held.push_back(secret);
    while held.len() > most {
        held.pop_front();
    }
}

/// Takes a text down to what can be kept and what a secret in it may reach beyond that; whether that is all of it.
pub(crate) fn bounded(text: &mut String, longest: usize) -> bool {
    let most = longest.saturating_mul(4).saturating_add(BEHIND);
    if text.len() <= most {
        return true;
    }
    text.truncate(boundary(text, most));
    text.shrink_to_fit();
    false
}

/// The last place for a cut at or before this one.
fn boundary(text: &str, at: usize) -> usize {
    (0..=at).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

/// The secrets that a call under way carries. They are remembered after it, as long as there is room.
pub(crate) struct Leased {
    redactor: Redactor,
    ids: Vec<u64>,
}

impl Leased {
    /// One more of them.
    pub(crate) fn add(&mut self, secret: impl Into<Secret>) {
        let mut held = self.redactor.write();
        held.last_lease += 1;
        let id = held.last_lease;
        held.leased.push((id, secret.into()));
        self.ids.push(id);
    }

    pub(crate) fn redactor(&self) -> &Redactor {
        &self.redactor
    }
}

impl Drop for Leased {
    fn drop(&mut self) {
        let mut held = self.redactor.write();
        for id in std::mem::take(&mut self.ids) {
            let Some(at) = held.leased.iter().position(|(leased, _)| *leased == id) else { continue };
            let (_, secret) = held.leased.swap_remove(at);
            let (known, most) = match secret {
                Secret::Token(_) => (&mut held.tokens, Redactor::TOKENS),
                _ => (&mut held.others, Redactor::OTHERS),
            };
            remember(known, secret, most);
        }
        if held.leased.is_empty() {
            held.leased = Vec::new();
        }
    }
}

impl Secrets {
    fn all(&self) -> impl Iterator<Item = &str> {
        let kept = [&self.account, &self.tokens, &self.others, &self.proxies].into_iter().flatten();
        kept.chain(self.leased.iter().map(|(_, secret)| secret)).map(Secret::expose)
    }

    fn replaced(&self, text: &str, mark: &str, cut: bool) -> Option<String> {
        let places = self.places(text, cut);
        if places.is_empty() {
            return None;
        }
        let (mut shown, mut from) = (String::with_capacity(text.len()), 0);
        for (begin, end) in places {
            shown.push_str(text.get(from..begin)?);
            shown.push_str(mark);
            from = end;
        }
        shown.push_str(text.get(from..)?);
        Some(shown)
    }

    /// Where secrets stand in a text, in order and apart from each other. A text that was cut may end with the beginning of
    /// one.
    fn places(&self, text: &str, cut: bool) -> Vec<(usize, usize)> {
        let mut places = Vec::new();
        if self.all().next().is_none() {
            return places;
        }
        let spellings = Spelling::of(text);
        for secret in self.all() {
            for spelling in &spellings {
                spelling.find(text, secret, cut, &mut places);
            }
        }
        // A text that was escaped and then quoted, as `Debug` does it, is escaped twice.
        if text.contains("\\\\") {
            let (plain, places_of) = unescaped(text);
            let mut found = Vec::new();
            self.all().for_each(|secret| Spelling::Backslash.find(&plain, secret, cut, &mut found));
            let place = |at: usize| places_of.get(at).copied().unwrap_or(text.len());
            places.extend(found.into_iter().map(|(begin, end)| (place(begin), place(end))));
        }
        for (begin, end) in runs(text) {
            let run = text.get(begin..end).unwrap_or_default();
            if self.is_base64(run) {
                let padding = text.bytes().skip(end).take(2).take_while(|byte| *byte == b'=').count();
                places.push((begin, end + padding));
            }
        }
        places.sort_unstable();
        places.dedup_by(|next, last| {
            let overlaps = next.0 < last.1;
            if overlaps {
                last.1 = last.1.max(next.1);
            }
            overlaps
        });
        places
    }
}

impl Secrets {
    /// Whether what a run of letters is the base64 of has a secret in it, wherever in the run that begins.
    fn is_base64(&self, run: &str) -> bool {
        let run: Vec<u8> = run
            .bytes()
            .map(|byte| match byte {
                b'-' => b'+',
                b'_' => b'/',
                other => other,
            })
            .collect();
        (0..4).any(|from| {
            let Some(rest) = run.get(from..) else { return false };
            // One letter alone is less than a byte.
            let rest = if rest.len() % 4 == 1 { rest.get(..rest.len() - 1).unwrap_or_default() } else { rest };
            let plain = LENIENT.decode(rest).unwrap_or_default();
            let long = |secret: &&str| secret.chars().nth(ANYWHERE - 1).is_some();
            self.all().filter(long).map(str::as_bytes).any(|secret| {
                let begins = |at: &usize| plain.get(*at) == secret.first();
                (0..plain.len()).filter(begins).any(|at| {
                    let matched = Spelling::Plain.follow(&plain, at, secret).bytes;
                    matched == secret.len() || matched >= BEGINNING
                })
            })
        })
    }
}

/// How a text writes what it cannot write as it is. A text uses one way for all of a secret.
#[derive(Clone, Copy, PartialEq)]
enum Spelling {
    Plain,
    /// `%2F`, and `+` for a space.
    Percent,
    /// `\"`, `\n`, `\u002f`, `\u{2f}`, `\x2f`.
    Backslash,
}

impl Spelling {
    /// Those that a text may use.
    fn of(text: &str) -> Vec<Self> {
        let mut all = vec![Spelling::Plain];
        if text.contains(['%', '+']) {
            all.push(Spelling::Percent);
        }
        if text.contains('\\') {
            all.push(Spelling::Backslash);
        }
        all
    }

    /// Adds where a secret stands.
    fn find(self, text: &str, secret: &str, cut: bool, places: &mut Vec<(usize, usize)>) {
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
    fn follow(self, text: &[u8], begin: usize, secret: &[u8]) -> Matched {
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

    /// What the text says first, and how many bytes it takes for it.
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

/// A text without its escapes, and where in it each byte comes from.
fn unescaped(text: &str) -> (String, Vec<usize>) {
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

/// How far a text goes on like a secret.
struct Matched {
    /// How many bytes of the secret.
    bytes: usize,
    end: usize,
    /// Whether the text ends before the secret does.
    ran_out: bool,
}

/// A character, in bytes.
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

/// A hexadecimal number of so many digits.
fn number(text: &[u8], from: usize, digits: usize) -> Option<u32> {
    let digits = text.get(from..from + digits).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit))?;
    u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

/// The character of `\u00e9`, of two of those, or of `\u{e9}`.
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

/// Whether no letter and no digit is beside a part of a text.
fn is_a_word(text: &str, begin: usize, end: usize) -> bool {
    let before = text.get(..begin).and_then(|before| before.chars().next_back());
    let after = text.get(end..).and_then(|after| after.chars().next());
    ![before, after].into_iter().flatten().any(char::is_alphanumeric)
}

/// Where a text may be base64.
fn runs(text: &str) -> impl Iterator<Item = (usize, usize)> {
    let mut begin = 0;
    let pieces = text.split_inclusive(|c: char| !c.is_ascii_alphanumeric() && !"+/-_".contains(c));
    pieces.filter_map(move |piece| {
        let from = begin;
        begin += piece.len();
        let run = piece.trim_end_matches(|c: char| !c.is_ascii_alphanumeric() && !"+/-_".contains(c)).len();
        (run >= RUN).then_some((from, from + run))
    })
}

const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// Hides the secrets in what is logged.
struct RedactingDrain {
    inner: Logger,
    redactor: Redactor,
}

impl Drain for RedactingDrain {
    type Ok = ();
    type Err = Never;

    fn log(&self, record: &Record<'_>, values: &OwnedKVList) -> Result<(), Never> {
        // Asked first: to look into a record that nobody writes would cost more than all the rest of it.
        if !self.inner.is_enabled(record.level()) {
            return Ok(());
        }
        // What is logged may be the application's own, and panic; the guard behind this one counts that.
        let shown = lent::caught(|| {
            let mut pairs = Pairs::default();
            let _ = slog::KV::serialize(&record.kv(), record, &mut pairs);
            let message = record.msg().to_string();
            let changed = self.redactor.changed(&message);
            let is_changed = pairs.hide(&self.redactor) || changed.is_some();
            is_changed.then(|| (changed.unwrap_or(message), pairs))
        });
        let Some(Some((message, pairs))) = shown else {
            return Drain::log(&self.inner, record, values);
        };
        let about = RecordStatic { location: record.location(), tag: record.tag(), level: record.level() };
        Drain::log(&self.inner, &Record::new(&about, &format_args!("{message}"), BorrowedKV(&pairs)), values)
    }

    fn is_enabled(&self, level: Level) -> bool {
        self.inner.is_enabled(level)
    }

    fn flush(&self) -> Result<(), FlushError> {
        Drain::flush(&self.inner)
    }
}

/// The pairs of a record, as they are written.
#[derive(Default)]
struct Pairs(Vec<(Key, Value)>);

enum Value {
    Text(String),
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Bool(bool),
    Unit,
}

impl Pairs {
    /// Hides the secrets; whether there was one.
    fn hide(&mut self, redactor: &Redactor) -> bool {
        let mut any = false;
        for (_, value) in &mut self.0 {
            if let Value::Text(text) = value
                && let Some(shown) = redactor.changed(text)
            {
                (*text, any) = (shown, true);
            }
        }
        any
    }
}

macro_rules! emits {
    ($($emit:ident($given:ident: $type:ty) => $value:expr;)*) => {$(
        fn $emit(&mut self, key: Key, $given: $type) -> slog::Result {
            self.0.push((key, $value));
            Ok(())
        }
    )*};
}

impl Serializer for Pairs {
    emits! {
        emit_arguments(text: &fmt::Arguments<'_>) => Value::Text(text.to_string());
        emit_str(text: &str) => Value::Text(text.to_owned());
        emit_u8(number: u8) => Value::Unsigned(number.into());
        emit_u16(number: u16) => Value::Unsigned(number.into());
        emit_u32(number: u32) => Value::Unsigned(number.into());
        emit_u64(number: u64) => Value::Unsigned(number);
        emit_usize(number: usize) => Value::Unsigned(number as u64);
        emit_i8(number: i8) => Value::Signed(number.into());
        emit_i16(number: i16) => Value::Signed(number.into());
        emit_i32(number: i32) => Value::Signed(number.into());
        emit_i64(number: i64) => Value::Signed(number);
        emit_isize(number: isize) => Value::Signed(number as i64);
        emit_f32(number: f32) => Value::Float(number.into());
        emit_f64(number: f64) => Value::Float(number);
        emit_bool(truth: bool) => Value::Bool(truth);
    }

    fn emit_unit(&mut self, key: Key) -> slog::Result {
        self.0.push((key, Value::Unit));
        Ok(())
    }

    fn emit_none(&mut self, key: Key) -> slog::Result {
        self.emit_unit(key)
    }
}

impl slog::KV for Pairs {
    fn serialize(&self, _: &Record<'_>, serializer: &mut dyn Serializer) -> slog::Result {
        for (key, value) in &self.0 {
            match value {
                Value::Text(text) => serializer.emit_str(key, text)?,
                Value::Unsigned(number) => serializer.emit_u64(key, *number)?,
                Value::Signed(number) => serializer.emit_i64(key, *number)?,
                Value::Float(number) => serializer.emit_f64(key, *number)?,
                Value::Bool(truth) => serializer.emit_bool(key, *truth)?,
                Value::Unit => serializer.emit_none(key)?,
            }
        }
        Ok(())
    }
}

#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
#[cfg(test)]
mod tests;
