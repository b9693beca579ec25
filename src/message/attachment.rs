//! Files that messages point at (messages spec §1.3, §2.6, §5.1).

use std::{fmt, sync::Arc};

use secrecy::{ExposeSecret, SecretString};

/// What opens a stored file: the service's `share-secret`. `Debug` shows nothing of it.
#[derive(Clone)]
pub struct FileSecret(Arc<SecretString>);

impl FileSecret {
    /// Takes a share-secret as the service gave it.
    #[must_use]
    pub fn new(secret: impl Into<String>) -> Self {
        FileSecret(Arc::new(SecretString::from(secret.into())))
    }

    /// The secret itself, for an application that stores it.
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

impl fmt::Debug for FileSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FileSecret(<redacted>)")
    }
}

/// A stored file: where it is and what opens it.
///
/// An upload answers with one, and a received image, file, voice or video message has one to download.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Attachment {
    /// Its address, without what opens it: `{rest}/{org}/{app}/chatfiles/{uuid}` for a file the service stores.
    pub url: String,
    /// What opens it; `None` where the address alone does.
    pub secret: Option<FileSecret>,
    /// Its name as shown to users; empty where there is none.
    pub name: String,
    /// Its length in bytes; 0 where it is not known.
    pub length: u64,
}

impl Attachment {
    /// A file at an address of the application's own, which needs no secret.
    #[must_use]
    pub fn at(url: impl Into<String>) -> Self {
        Attachment { url: url.into(), ..Attachment::default() }
    }
}
