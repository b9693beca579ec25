//! The application key `org#app` (connection spec §1).

use std::{str::FromStr, sync::Arc};

use crate::util::{
    Escaped,
    impls::{impl_debug, impl_display},
};

/// An application key, `org#app`: exactly one `#`, neither half empty (connection spec §1).
///
/// White space, control characters, `/`, `?` and `%` are refused, and a half that is `.` or `..`: both halves stand in the
/// paths of REST calls. Letter case is kept.
///
/// ```
/// use agora_chat::AppKey;
/// let key: AppKey = "easemob-demo#chatdemoui".parse()?;
/// assert_eq!((key.org(), key.app()), ("easemob-demo", "chatdemoui"));
/// assert!("no-hash".parse::<AppKey>().is_err());
/// # Ok::<(), agora_chat::account::AppKeyError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct AppKey {
    text: Arc<str>,
    hash: usize,
}

/// A text that is not an application key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AppKeyError {
    /// There is not exactly one `#`.
    #[error("an app key has the form `org#app` with exactly one `#`; `{}` has {}", Escaped(.0), .1)]
    Separators(String, usize),
    /// One of the halves is empty.
    #[error("an app key has the form `org#app`; in `{}` one half is empty", Escaped(.0))]
    EmptyHalf(String),
    /// A character that cannot stand in an app key.
    #[error("an app key holds no white space, control character, `/`, `?` or `%`; `{}` does", Escaped(.0))]
    Character(String),
    /// A half that is a step in a path and no name: `.` or `..`.
    #[error("neither half of an app key may be `.` or `..`; `{}` has one that is", Escaped(.0))]
    Step(String),
}

impl AppKey {
    /// Returns the organisation, before the `#`.
    #[must_use]
    pub fn org(&self) -> &str {
        self.text.get(..self.hash).unwrap_or_default()
    }

    /// Returns the application, after the `#`.
    #[must_use]
    pub fn app(&self) -> &str {
        self.text.get(self.hash + 1..).unwrap_or_default()
    }

    /// Wraps a text that is parsed before it is used.
    pub(crate) fn unchecked(text: &str) -> Self {
        AppKey { text: text.into(), hash: text.len() }
    }

    /// Returns the whole key, `org#app`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl AsRef<str> for AppKey {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl FromStr for AppKey {
    type Err = AppKeyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let separators = text.matches('#').count();
        let Some(hash) = text.find('#').filter(|_| separators == 1) else {
            return Err(AppKeyError::Separators(text.to_owned(), separators));
        };
        if hash == 0 || hash + 1 == text.len() {
            return Err(AppKeyError::EmptyHalf(text.to_owned()));
        }
        if text.contains(|c: char| c.is_whitespace() || c.is_control() || matches!(c, '/' | '?' | '%')) {
            return Err(AppKeyError::Character(text.to_owned()));
        }
        let key = AppKey { text: text.into(), hash };
        if [key.org(), key.app()].iter().any(|half| is_step(half)) {
            return Err(AppKeyError::Step(text.to_owned()));
        }
        Ok(key)
    }
}

/// Returns whether a text as a part of a path would be a step in it, which no encoding changes.
pub(crate) fn is_step(text: &str) -> bool {
    matches!(text, "." | "..")
}

impl TryFrom<&str> for AppKey {
    type Error = AppKeyError;

    fn try_from(text: &str) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl_display!(|this: AppKey| "{}", this.text);

impl_debug!(|this: AppKey| "AppKey({})", this.text);

#[cfg(test)]
mod tests {
    use super::{AppKey, AppKeyError};

    #[test]
    fn exactly_one_hash_and_two_clean_halves_make_an_app_key() {
        for good in ["a#b", "1234#demo-app", "org.x#app_y"] {
            assert_eq!(good.parse::<AppKey>().unwrap().as_str(), good);
        }
        for bad in ["", "a", "a#b#c", "##"] {
            assert!(matches!(bad.parse::<AppKey>(), Err(AppKeyError::Separators(..))), "{bad}");
        }
        for bad in ["#b", "a#", "#"] {
            assert!(matches!(bad.parse::<AppKey>(), Err(AppKeyError::EmptyHalf(_))), "{bad}");
        }
        for bad in ["a b#c", "a#b/c", "a\n#c", "a#b?x", "a%#b"] {
            assert!(matches!(bad.parse::<AppKey>(), Err(AppKeyError::Character(_))), "{bad}");
        }
    }

    #[test]
    fn a_half_that_leads_elsewhere_in_a_path_makes_no_app_key() {
        for bad in ["..#..", ".#app", "org#..", "..#app", "org#."] {
            assert!(matches!(bad.parse::<AppKey>(), Err(AppKeyError::Step(_))), "{bad}");
        }
        for good in ["...#app", "o.#.a", ".org#app.."] {
            assert!(good.parse::<AppKey>().is_ok(), "{good}");
        }
    }
}
