//! Redaction of a session's secrets in texts that others write.

mod drain;
mod places;
mod secrets;
mod spelling;

use std::{
    fmt,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use secrecy::SecretString;
use slog::Logger;

use crate::{
    model::account::{Password, Token},
    util::impls::impl_debug,
};
use drain::RedactingDrain;
pub(crate) use secrets::{Leased, Secret};
use secrets::{Secrets, remember};

/// Stands in the place of a secret; the next one is taken where a secret is part of the one before.
const MARKS: [&str; 3] = ["<redacted>", "***", "…"];

const CUT: char = '…';

/// Bytes examined behind the kept part: a secret that begins in it ends there. Of longer ones [`BEGINNING`] is found.
const BEHIND: usize = 16 * 1024;

/// The secrets of a session, or of a REST client, and what hides them in texts that others write. It knows the
/// password, the tokens held now and before (the newest [`TOKENS`](Self::TOKENS)), the credentials of the configured
/// proxy, what calls under way carry (also share-secrets of files, passwords of registrations and app tokens) and the
/// newest [`OTHERS`](Self::OTHERS) of what calls carried before. Clones share all of it. A secret is found in upper and
/// lower case, percent-encoded (with `+` for a space or not), with the escapes of JSON, Rust and C (`\"`, `\u00e9`,
/// `\u{e9}`, `\x2f`, `\/`), and, from 6 characters on, within anything that is base64 in either alphabet. From 6
/// characters on it is found anywhere, and so is its beginning from 16 bytes on; one of 3 to 5 characters with a digit
/// or a sign in it only as a whole word; a shorter one, or one of 5 letters or fewer, only where it is the whole text.
/// The work goes by the length of the text and the number of secrets, whatever both hold.
#[derive(Clone, Default)]
pub(crate) struct Redactor(Arc<RwLock<Secrets>>);

impl_debug!(|this: Redactor| "Redactor({} secrets)", this.read().all().count());

impl Redactor {
    pub(crate) const TOKENS: usize = 16;

    pub(crate) const OTHERS: usize = 32;

    const PASSWORDS: usize = 4;

    /// The most texts of a proxy's credentials that are remembered.
    const PROXIES: usize = 16;

    pub(crate) fn learn_password(&self, password: &Password) {
        remember(&mut self.write().account, password.into(), Self::PASSWORDS);
    }

    pub(crate) fn learn_token(&self, token: &Token) {
        remember(&mut self.write().tokens, token.into(), Self::TOKENS);
    }

    pub(crate) fn learn_proxy(&self, secrets: impl IntoIterator<Item = SecretString>) {
        let mut held = self.write();
        for secret in secrets {
            remember(&mut held.proxies, secret.into(), Self::PROXIES);
        }
    }

    pub(crate) fn learn(&self, secret: impl Into<Secret>) {
        remember(&mut self.write().others, secret.into(), Self::OTHERS);
    }

    /// Remembers the secrets of a call, at least until it is over.
    pub(crate) fn lease<'a>(&self, secrets: impl IntoIterator<Item = &'a Token>) -> Leased {
        let mut leased = Leased::of(self.clone());
        secrets.into_iter().for_each(|secret| leased.add(secret));
        leased
    }

    pub(crate) fn shown(&self, text: String) -> String {
        self.found_in(&text, false).unwrap_or(text)
    }

    /// Does the same; `None` where the text holds no secret.
    pub(crate) fn changed(&self, text: &str) -> Option<String> {
        self.found_in(text, false)
    }

    pub(crate) fn show(&self, thing: &dyn fmt::Debug, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = if f.alternate() { format!("{thing:#?}") } else { format!("{thing:?}") };
        f.write_str(&self.shown(text))
    }

    /// Returns at most `longest` characters without secrets or parts of one, and a mark if cut, in time bounded by
    /// `longest`.
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

    /// Returns at most `longest` characters, secrets included, and a mark if cut; no secret is cut in two.
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

    /// Returns a logger whose records are without the secrets: the last net, behind everything that hides them before.
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

/// Shortens a text to the kept part and as much as a secret in it may need beyond. Returns whether that is all of it.
pub(crate) fn bounded(text: &mut String, longest: usize) -> bool {
    let most = longest.saturating_mul(4).saturating_add(BEHIND);
    if text.len() <= most {
        return true;
    }
    text.truncate(boundary(text, most));
    text.shrink_to_fit();
    false
}

/// Returns the last place for a cut at or before this one.
fn boundary(text: &str, at: usize) -> usize {
    (0..=at).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

#[cfg(feature = "fuzzing")]
#[path = "../../../tests/fuzz/redactor.rs"]
pub(crate) mod fuzzing;
#[cfg(test)]
mod tests;
