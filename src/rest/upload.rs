//! Uploads (messages spec §5.1).

use std::{io, path::PathBuf, pin::Pin, time::Duration};

use bytes::Bytes;
use futures_core::Stream;
use tokio::time::{Instant, timeout};

use crate::{
    model::{
        error::RestErrorKind,
        message::{ChatType, Conversation},
    },
    rest::multipart::{FileReading, FileSource, Multipart},
    store,
    util::{
        impls::{impl_debug, setters},
        lent::Lent,
        threads,
    },
};

/// The largest piece of a file in memory, and of a body.
pub(super) const PIECE: usize = 64 * 1024;

/// Progress of an upload or download.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// Bytes of the file that are done: handed to the connection, or taken from it.
    pub done: u64,
    /// All bytes, where that is known.
    pub total: Option<u64>,
}

impl Progress {
    pub(super) fn new(done: u64, total: Option<u64>) -> Self {
        Progress { done, total }
    }
}

pub(super) type Watcher = Lent<Box<dyn FnMut(Progress) + Send>>;

/// Name of the watcher in [`RestErrorKind::Panicked`].
pub(super) const WATCHER: &str = "`on_progress`";
pub(super) const STREAM: &str = "the upload's stream";

/// A file to be uploaded, for [`RestClient::upload`](super::RestClient::upload) or
/// [`Connection::upload`](crate::Connection::upload).
///
/// It is sent in pieces of at most 64 KiB and never held in memory as a whole, but for [`Upload::bytes`].
///
/// ```
/// use agora_chat::{Conversation, rest::Upload};
/// let picture = Upload::file("cat.png").to(Conversation::group("182736")).thumbnail(170, 170);
/// let note = Upload::bytes("note.txt", "hello").on_progress(|progress| println!("{progress:?}"));
/// ```
#[must_use = "an upload does nothing until it is given to `upload`"]
pub struct Upload {
    pub(super) name: String,
    media_type: Option<String>,
    source: Source,
    target: Option<Conversation>,
    thumbnail: Option<(u32, u32)>,
    pub(super) limit: u64,
    pub(super) idle: Duration,
    pub(super) timeout: Duration,
    watcher: Option<Watcher>,
}

enum Source {
    File(PathBuf),
    Bytes(Bytes),
    Stream(Option<u64>, Lent<Pieces>),
}

pub(super) type Pieces = Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>;

impl_debug! { Upload { name, target, .. } }

impl Upload {
    /// The largest file unless [`limit`](Upload::limit) says otherwise: 10 MiB, which is what the vendor documents.
    pub const DEFAULT_LIMIT: u64 = 10 * 1024 * 1024;

    /// Uploads a file on disk, by its own name. It is read off the arbiter's thread, up to its length at the start.
    ///
    /// Only a regular file, or a link to one: a pipe, a device or a folder is refused with [`RestErrorKind::File`].
    pub fn file(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        Upload::new(name, Source::File(path))
    }

    /// Uploads a file in memory.
    pub fn bytes(name: impl Into<String>, bytes: impl Into<Bytes>) -> Self {
        Upload::new(name.into(), Source::Bytes(bytes.into()))
    }

    /// Uploads a file that comes in pieces, such as from a download. It is polled on the connection's arbiter, so it
    /// must not block; one that panics ends the upload with [`RestErrorKind::Panicked`], and nothing else. Where its
    /// length is not known the body is sent in chunks, which a proxy before the service may refuse.
    pub fn stream(
        name: impl Into<String>,
        length: Option<u64>,
        stream: impl Stream<Item = io::Result<Bytes>> + Send + 'static,
    ) -> Self {
        Upload::new(name.into(), Source::Stream(length, Lent::new(Box::pin(stream))))
    }

    fn new(name: String, source: Source) -> Self {
        Upload {
            name,
            media_type: None,
            source,
            target: None,
            thumbnail: None,
            limit: Self::DEFAULT_LIMIT,
            idle: Duration::from_secs(30),
            timeout: Duration::from_secs(300),
            watcher: None,
        }
    }

    setters! {
        /// Sets the name shown to users. Default: the file's own.
        named(name: impl Into<String>) |this| this.name = name.into();

        /// Sets its media type, such as `image/png`. Default: by the ending of its name, else
        /// `application/octet-stream`, which is also sent for a text that cannot stand in a header.
        media_type(media_type: impl Into<String>) |this| this.media_type = Some(media_type.into());

        /// Sets the conversation it is meant for, which the service wants to know. Default: none.
        to(conversation: impl Into<Conversation>) |this| this.target = Some(conversation.into());

        /// Sets the size of an image's thumbnail that the service makes, in pixels. Default: the service's, 170 by 170.
        thumbnail(width: u32, height: u32) |this| this.thumbnail = Some((width, height));

        /// Sets the largest file, in bytes, checked before sending where known. Default: [`Upload::DEFAULT_LIMIT`].
        limit(bytes: u64) |this| this.limit = bytes;

        /// Sets the longest time without progress of the source or the service. Default: 30 s.
        ///
        /// On Linux what the peer has acknowledged counts as taken, so that slow links live and dead ones fail; on
        /// other systems what the system has buffered does.
        idle_timeout(limit: Duration) |this| this.idle = limit;

        /// Sets the time limit at one host in all. Default: 300 s.
        timeout(limit: Duration) |this| this.timeout = limit;

        /// Calls this for each piece handed to the connection, on its thread; the last call, with all bytes, precedes
        /// the answer. Keep it short. A panic ends the upload with [`RestErrorKind::Panicked`], and nothing else.
        on_progress(watcher: impl FnMut(Progress) + Send + 'static) |this|
            this.watcher = Some(Lent::new(Box::new(watcher)));
    }

    pub(super) fn query(&self) -> Option<(&'static str, String)> {
        let target = self.target.as_ref()?;
        let kind = match target.chat() {
            ChatType::Single => "CHAT",
            ChatType::Group => "GROUP",
            ChatType::Room => "ROOM",
        };
        Some((kind, target.id().split('/').next().unwrap_or_default().to_owned()))
    }

    /// Opens the source, and refuses one that is known to be too large.
    pub(super) async fn open(self) -> Result<Multipart, RestErrorKind> {
        let (reading, length) = match self.source {
            Source::Bytes(bytes) => {
                let length = bytes.len() as u64;
                (FileSource::Bytes(bytes), Some(length))
            }
            Source::Stream(length, stream) => (FileSource::Stream { stream, rest: Bytes::new() }, length),
            Source::File(path) => {
                let opened = threads::FILES.run(move || store::open_regular(&path));
                let opened = timeout(self.idle.min(self.timeout), opened).await;
                let opened = opened.map_err(|_| RestErrorKind::Timeout(self.idle.min(self.timeout)))?;
                let (file, length) = opened.map_err(|error| failed(&error))?;
                (FileSource::File(FileReading::Idle(Some(file))), Some(length))
            }
        };
        if length.is_some_and(|length| length > self.limit) {
            return Err(RestErrorKind::FileTooLarge { limit: self.limit });
        }
        let boundary = format!("----agora-chat-{:016x}{:016x}", fastrand::u64(..), fastrand::u64(..));
        let head = format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{}\"\r\n\
             Content-Type: {}\r\n\r\n",
            quotable(&self.name),
            self.media_type.as_deref().filter(|text| is_visible(text)).unwrap_or_else(|| media_type(&self.name)),
        );
        let mut tail = String::new();
        if let Some((width, height)) = self.thumbnail {
            for (name, value) in [("thumbnail-width", width), ("thumbnail-height", height)] {
                tail.push_str(&format!(
                    "\r\n--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}"
                ));
            }
        }
        tail.push_str(&format!("\r\n--{boundary}--\r\n"));
        Ok(Multipart {
            boundary,
            head: head.into(),
            tail: tail.into(),
            reading,
            length,
            done: 0,
            limit: self.limit,
            watcher: self.watcher,
            moved: Instant::now(),
            hungry: false,
            started: false,
            failed: None,
        })
    }
}

/// Returns a file's name as it may stand in quotes in a form.
fn quotable(name: &str) -> String {
    name.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A")
}

fn is_visible(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic())
}

/// Returns the media type by the ending of a name, for the kinds that messages show.
fn media_type(name: &str) -> &'static str {
    let ending = name.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase()).unwrap_or_default();
    match ending.as_str() {
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "bmp" => "image/bmp",
        "mp4" => "video/mp4",
        "mov" => "video/quicktime",
        "webm" => "video/webm",
        "amr" => "audio/amr",
        "mp3" => "audio/mpeg",
        "m4a" => "audio/mp4",
        "wav" => "audio/wav",
        "ogg" => "audio/ogg",
        "txt" => "text/plain",
        "pdf" => "application/pdf",
        _ => "application/octet-stream",
    }
}

pub(super) fn failed(error: &io::Error) -> RestErrorKind {
    RestErrorKind::File { kind: error.kind(), detail: error.to_string() }
}
