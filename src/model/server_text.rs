//! A text of the server's that an application may need as it is.

use std::{fmt, ops::Deref, sync::Arc};

use crate::{
    model::redactor::Redactor,
    util::{
        impls::impl_from,
        weight::{Weigh, allocation},
    },
};

/// A text that the server wrote and that somebody acts on, such as the extension of the login that kicked this device.
///
/// It is whole where it is used (it dereferences to `str`, and [`as_str`](ServerText::as_str) says the same by name) and
/// without the session's secrets where it is shown: `Debug` and `Display` have `<redacted>` where the server repeats a
/// password or a token. Clones share the text.
///
/// ```
/// use agora_chat::{errors::{Kick, ServerText}};
/// let kick = Kick::LoggedInElsewhere { ext: Some(ServerText::from("my phone")) };
/// if let Kick::LoggedInElsewhere { ext: Some(ext) } = &kick {
///     assert_eq!(ext.as_str(), "my phone");
/// }
/// ```
#[derive(Clone)]
pub struct ServerText(Arc<Texts>);

struct Texts {
    whole: Box<str>,
    shown: Option<Box<str>>,
}

impl ServerText {
    pub(crate) fn new(whole: String, redactor: &Redactor) -> Self {
        let shown = redactor.changed(&whole).map(String::into_boxed_str);
        ServerText(Arc::new(Texts { whole: whole.into(), shown }))
    }

    /// Returns the text as the server wrote it. Keep it out of logs: it may repeat a secret.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0.whole
    }

    /// Returns the text as it may be shown.
    #[must_use]
    pub fn shown(&self) -> &str {
        self.0.shown.as_deref().unwrap_or(&self.0.whole)
    }
}

impl Weigh for ServerText {
    fn heap(&self) -> usize {
        let shown = self.0.shown.as_ref().map_or(0, |shown| allocation(shown.len()));
        let around = allocation(size_of::<Texts>().saturating_add(2 * size_of::<usize>()));
        around.saturating_add(allocation(self.0.whole.len())).saturating_add(shown)
    }
}

impl_from! { ServerText {
    |text: &str| ServerText(Arc::new(Texts { whole: text.into(), shown: None }));
    |text: String| ServerText(Arc::new(Texts { whole: text.into(), shown: None }));
} }

impl Deref for ServerText {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl AsRef<str> for ServerText {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl PartialEq for ServerText {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for ServerText {}

impl PartialEq<str> for ServerText {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<&str> for ServerText {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

impl PartialEq<String> for ServerText {
    fn eq(&self, other: &String) -> bool {
        self.as_str() == other
    }
}

impl serde::Serialize for ServerText {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self)
    }
}

impl fmt::Debug for ServerText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.shown(), f)
    }
}

impl fmt::Display for ServerText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.shown())
    }
}
