//! Files that messages point at (messages spec §1.3, §2.6, §5.1).

use std::{fmt, sync::Arc};

use secrecy::{ExposeSecret, SecretString};

use crate::util::{
    impls::impl_debug,
    weight::{Weigh, allocation, weigh},
};

/// The service's `share-secret`, which opens a stored file. `Debug` shows nothing of it.
#[derive(Clone)]
pub struct FileSecret(Arc<SecretString>);

impl FileSecret {
    /// Takes a share-secret as the service gave it.
    #[must_use]
    pub fn new(secret: impl Into<String>) -> Self {
        FileSecret(Arc::new(SecretString::from(secret.into())))
    }

    /// Returns the secret itself, for an application that stores it.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl PartialEq for FileSecret {
    fn eq(&self, other: &Self) -> bool {
        self.expose() == other.expose()
    }
}

impl Eq for FileSecret {}

impl_debug!(|_: FileSecret| "FileSecret(<redacted>)");

/// A stored file: where it is and what opens it.
///
/// An upload answers with one, and a received image, file, voice or video message has one to download.
/// `Debug` shows its address without the query, which may hold what opens it.
#[derive(Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Attachment {
    /// Its address, without what opens it: `{rest}/{org}/{app}/chatfiles/{uuid}` for a file the service stores.
    pub url: String,
    /// Its secret; `None` where the address alone opens it.
    pub secret: Option<FileSecret>,
    /// Its name as shown to users; empty where there is none.
    pub name: String,
    /// Its length in bytes; 0 where it is not known.
    pub length: u64,
}

impl Attachment {
    /// Makes a file at an address of the application's own, which needs no secret.
    #[must_use]
    pub fn at(url: impl Into<String>) -> Self {
        Attachment { url: url.into(), ..Attachment::default() }
    }
}

impl_debug! { Attachment { url = Bare(url), secret, name, length } }

/// An address as it may be shown: an application's own may be signed, so that whoever sees its query can open the file.
pub(crate) struct Bare<'a>(pub(crate) &'a str);

impl fmt::Debug for Bare<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (bare, query) = self.0.split_once(['?', '#', ';']).map_or((self.0, ""), |(bare, _)| (bare, " and a query"));
        // An `@` in the path only makes less of it be shown.
        match bare.rsplit_once('@') {
            Some((_, rest)) => write!(f, "{rest:?} with userinfo{query}"),
            None => write!(f, "{bare:?}{query}"),
        }
    }
}

weigh! { Attachment { url, secret, name, length } }

impl Weigh for FileSecret {
    fn heap(&self) -> usize {
        let around = size_of::<SecretString>() + 2 * size_of::<usize>();
        allocation(around).saturating_add(allocation(self.expose().len()))
    }
}

#[cfg(test)]
mod tests {
    use super::Attachment;
    use crate::rest::Fetch;

    #[test]
    fn what_opens_a_file_is_not_shown_with_its_address() {
        let file = Attachment::at("https://h.test/f?signature=canary-7f3a");
        let named = format!("{:?}", Attachment::at("https://key:canary-7f3a@h.test/f?x"));
        assert!(named.contains(r#""h.test/f" with userinfo and a query"#) && !named.contains("canary"), "{named}");
        for shown in [format!("{file:?}"), format!("{:?}", Fetch::new(&file))] {
            assert!(shown.contains("h.test/f") && !shown.contains("canary"), "{shown}");
        }
        assert!(format!("{:?}", Attachment::at("https://h.test/f")).contains(r#"url: "https://h.test/f","#));
    }
}
