//! The application key `org#app` (connection spec §1).

use std::{fmt, str::FromStr, sync::Arc};

/// An application key, `org#app`: exactly one `#`, neither half empty (connection spec §1).
///
/// White space, control characters, `/`, `?` and `%` are refused. Letter case is kept.
///
/// ```
/// use agora_chat::AppKey;
/// let key: AppKey = "easemob-demo#chatdemoui".parse()?;
/// assert_eq!((key.org(), key.app()), ("easemob-demo", "chatdemoui"));
/// assert!("no-hash".parse::<AppKey>().is_err());
/// # Ok::<(), agora_chat::AppKeyError>(())
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
    #[error("an app key has the form `org#app` with exactly one `#`; `{0}` has {1}")]
    Separators(String, usize),
    /// One of the halves is empty.
    #[error("an app key has the form `org#app`; in `{0}` one half is empty")]
    EmptyHalf(String),
    /// A character that cannot stand in an app key.
    #[error("an app key holds no white space, control character, `/`, `?` or `%`; `{0}` does")]
    Character(String),
}

impl AppKey {
    /// The organisation, before the `#`.
    #[must_use]
    pub fn org(&self) -> &str {
        self.text.get(..self.hash).unwrap_or_default()
    }

    /// The application, after the `#`.
    #[must_use]
    pub fn app(&self) -> &str {
        self.text.get(self.hash + 1..).unwrap_or_default()
    }

    /// The whole key, `org#app`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
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
        Ok(AppKey { text: text.into(), hash })
    }
}

impl TryFrom<&str> for AppKey {
    type Error = AppKeyError;

    fn try_from(text: &str) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl fmt::Display for AppKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for AppKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AppKey({})", self.text)
    }
}

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
}
