//! A file on its way here, piece by piece (messages spec §5.1).

use std::{
    fs::{self, File},
    future::{Future, poll_fn},
    io::{self, Write as _},
    path::{Path, PathBuf},
    pin::{Pin, pin},
    task::Poll,
    time::Duration,
};

use awc::error::PayloadError;
use bytes::{Bytes, BytesMut};
use futures_core::Stream;
use tokio::{
    sync::mpsc,
    time::{Instant, timeout},
};

use super::upload::{PIECE, Progress, WATCHER, Watcher, failed};
use crate::{
    model::{
        account::UserId,
        error::{Operation, RestError, RestErrorKind},
        message::{Attachment, Bare, FileSecret},
        redactor::Leased,
    },
    net::Activity,
    rest::http_call::unread,
    store::regular,
    util::{
        impls::{impl_debug, impl_from, setters},
        lent::Lent,
        threads::{FILES, Job},
    },
};

const AHEAD: usize = 4;

/// A file to download, with its bounds. An [`Attachment`] converts into it.
///
/// ```
/// use agora_chat::{Message, MessageBody, rest::Fetch};
/// fn thumbnail(message: &Message) -> Option<Fetch> {
///     match &message.body {
///         MessageBody::Image(image) => Some(Fetch::new(&image.file).thumbnail()),
///         _ => None,
///     }
/// }
/// ```
#[derive(Clone)]
#[must_use]
pub struct Fetch {
    pub(super) url: String,
    pub(super) secret: Option<FileSecret>,
    /// The length the message gives; 0 where it does not.
    pub(super) length: u64,
    pub(super) thumbnail: bool,
    pub(super) limit: u64,
    pub(super) idle: Duration,
    pub(super) timeout: Duration,
    mode: u32,
}

impl_debug! {
    Fetch {
        url = Bare(url), secret, length, thumbnail, limit, idle, timeout, mode = format_args!("{:04o}", mode)
    }
}

impl Fetch {
    /// The largest file unless [`limit`](Fetch::limit) says otherwise: 100 MiB.
    pub const DEFAULT_LIMIT: u64 = 100 * 1024 * 1024;

    /// This file.
    pub fn new(attachment: &Attachment) -> Self {
        Fetch {
            url: attachment.url.clone(),
            secret: attachment.secret.clone(),
            length: attachment.length,
            thumbnail: false,
            limit: Self::DEFAULT_LIMIT,
            idle: Duration::from_secs(30),
            timeout: Duration::from_secs(3600),
            mode: 0o600,
        }
    }

    /// Sets the thumbnail of an image in the image's place.
    pub fn thumbnail(mut self) -> Self {
        self.thumbnail = true;
        self
    }

    setters! {
        /// Sets the largest file taken, in bytes. Default: [`Fetch::DEFAULT_LIMIT`].
        limit(bytes: u64) |this| this.limit = bytes;

        /// Sets the longest time without a byte from the service within the file; any byte counts. Default: 30 s.
        idle_timeout(limit: Duration) |this| this.idle = limit;

        /// Sets the service's time limit for the whole file; waiting for the reader does not count. Default: an hour.
        timeout(limit: Duration) |this| this.timeout = limit;

        /// Sets the permissions of a file that [`Download::to_file`] makes, less what the process's umask takes; of no
        /// meaning where files have none. Bits past `0o777` are ignored. Default: `0o600`, for its owner alone,
        /// whatever the mode of a file that it replaces.
        file_mode(mode: u32) |this| this.mode = mode & 0o777;
    }
}

impl_from! { Fetch {
    |attachment: &Attachment| Fetch::new(attachment);
    |attachment: Attachment| Fetch::new(&attachment);
} }

pub(super) struct Incoming {
    response: awc::ClientResponse,
    traffic: Activity,
    announced: Option<u64>,
    /// The least it must be where the answer does not say.
    expected: u64,
    got: u64,
    limit: u64,
    idle: Duration,
    left: Duration,
    mode: u32,
    rest: Bytes,
}

impl Incoming {
    pub(super) fn new(
        response: awc::ClientResponse,
        traffic: Activity,
        announced: Option<u64>,
        fetch: &Fetch,
    ) -> Result<Self, RestErrorKind> {
        if announced.is_some_and(|length| length > fetch.limit) {
            return Err(RestErrorKind::FileTooLarge { limit: fetch.limit });
        }
        Ok(Incoming {
            response,
            traffic,
            announced,
            expected: if fetch.thumbnail { 0 } else { fetch.length },
            got: 0,
            limit: fetch.limit,
            idle: fetch.idle,
            left: fetch.timeout,
            mode: fetch.mode,
            rest: Bytes::new(),
        })
    }

    async fn piece(&mut self) -> Result<Option<Bytes>, RestErrorKind> {
        while self.rest.is_empty() {
            match self.received().await? {
                Some(Ok(next)) => self.rest = next,
                Some(Err(error)) => return Err(unread(&error)),
                None => return self.end(),
            }
        }
        let piece = self.rest.split_to(self.rest.len().min(PIECE));
        self.got += piece.len() as u64;
        if self.got > self.limit {
            return Err(RestErrorKind::FileTooLarge { limit: self.limit });
        }
        Ok(Some(piece))
    }

    /// Receives the next piece. Bytes that are no whole record of TLS yet count as activity, too.
    async fn received(&mut self) -> Result<Option<Result<Bytes, PayloadError>>, RestErrorKind> {
        let (all, began) = (self.left, Instant::now());
        loop {
            let still = self.traffic.moved().map_or(began, |moved| moved.max(began)).elapsed();
            let patience = self.idle.saturating_sub(still).min(self.left);
            if patience.is_zero() {
                return Err(RestErrorKind::Timeout(self.idle.min(all)));
            }
            let next = timeout(patience, poll_fn(|task| Pin::new(&mut self.response).poll_next(task))).await;
            self.left = all.saturating_sub(began.elapsed());
            if let Ok(next) = next {
                return Ok(next);
            }
        }
    }

    /// Ends the body; one that ends with its connection may be short of the announced length.
    fn end(&self) -> Result<Option<Bytes>, RestErrorKind> {
        let all = self.announced.unwrap_or(self.expected);
        if self.got < all {
            return Err(RestErrorKind::Unreachable(format!("cut off after {} of {all} bytes", self.got)));
        }
        Ok(None)
    }
}

/// A file on its way here: read it by [`next_chunk`](Download::next_chunk), or have it written by
/// [`to_file`](Download::to_file) or kept by [`bytes`](Download::bytes).
///
/// It may be read on any thread. At most 4 pieces of up to 64 KiB wait for the reader; the service waits then.
/// Dropping it ends the download.
///
/// ```no_run
/// # async fn save(connection: agora_chat::Connection, file: agora_chat::messages::Attachment) -> Result<(), Box<dyn std::error::Error>> {
/// let download = connection.download(&file).await?;
/// download.on_progress(|progress| println!("{progress:?}")).to_file("picture.png").await?;
/// # Ok(()) }
/// ```
pub struct Download {
    /// `None` is the end of a whole file; without it the file was cut.
    pieces: mpsc::Receiver<Result<Option<Bytes>, RestErrorKind>>,
    length: Option<u64>,
    got: u64,
    over: bool,
    user: UserId,
    host: Option<String>,
    watcher: Option<Watcher>,
    /// The disk's time limit for a piece, and for the last of it.
    idle: Duration,
    timeout: Duration,
    mode: u32,
    secrets: Leased,
}

impl_debug! { Download { length, got, .. } }

impl Download {
    pub(super) fn start(mut incoming: Incoming, user: &UserId, host: Option<String>, secrets: Leased) -> Self {
        let (sender, pieces) = mpsc::channel(AHEAD);
        let (length, mode, idle, timeout) = (incoming.announced, incoming.mode, incoming.idle, incoming.left);
        actix_rt::spawn(async move {
            loop {
                let Ok(place) = sender.reserve().await else { return };
                let piece = {
                    let (mut gone, mut piece) = (pin!(sender.closed()), pin!(incoming.piece()));
                    poll_fn(|task| match gone.as_mut().poll(task) {
                        Poll::Ready(()) => Poll::Ready(None),
                        Poll::Pending => piece.as_mut().poll(task).map(Some),
                    })
                    .await
                };
                let Some(piece) = piece else { return };
                let goes_on = matches!(piece, Ok(Some(_)));
                place.send(piece);
                if !goes_on {
                    return;
                }
            }
        });
        Download {
            pieces,
            length,
            got: 0,
            over: false,
            user: user.clone(),
            host,
            watcher: None,
            idle,
            timeout,
            mode,
            secrets,
        }
    }

    /// Returns the length in bytes, where the service said it.
    #[must_use]
    pub fn length(&self) -> Option<u64> {
        self.length
    }

    /// Calls this for each piece read, on the reader's thread. A panic ends the download: [`RestErrorKind::Panicked`].
    #[must_use]
    pub fn on_progress(mut self, watcher: impl FnMut(Progress) + Send + 'static) -> Self {
        self.watcher = Some(Lent::new(Box::new(watcher)));
        self
    }

    /// Returns the next piece, of up to 64 KiB; `None` after the last one of a whole file, and after an error.
    ///
    /// # Errors
    /// [`RestErrorKind::Unreachable`] for a file cut off before its end, [`RestErrorKind::Timeout`] where the service
    /// sends nothing for too long, [`RestErrorKind::FileTooLarge`] past the limit.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub async fn next_chunk(&mut self) -> Option<Result<Bytes, RestError>> {
        if self.over {
            return None;
        }
        let piece = self.pieces.recv().await;
        match piece
            .unwrap_or_else(|| Err(RestErrorKind::Unreachable("the arbiter it was read on has ended".to_owned())))
        {
            Ok(Some(piece)) => {
                self.got += piece.len() as u64;
                let progress = Progress::new(self.got, self.length);
                let told = self.watcher.as_mut().map(|watcher| watcher.with(|watcher| watcher(progress)));
                if told == Some(None) {
                    self.over = true;
                    return Some(Err(self.fail(RestErrorKind::Panicked(WATCHER))));
                }
                Some(Ok(piece))
            }
            Ok(None) => {
                self.over = true;
                None
            }
            Err(kind) => {
                self.over = true;
                Some(Err(self.fail(kind)))
            }
        }
    }

    /// Returns the whole file in memory, at most `limit` bytes.
    ///
    /// # Errors
    /// As [`next_chunk`](Download::next_chunk); [`RestErrorKind::FileTooLarge`] past `limit`.
    pub async fn bytes(mut self, limit: usize) -> Result<Bytes, RestError> {
        let too_large = RestErrorKind::FileTooLarge { limit: limit as u64 };
        if self.length.is_some_and(|length| length > limit as u64) {
            return Err(self.fail(too_large));
        }
        let mut whole = BytesMut::new();
        while let Some(piece) = self.next_chunk().await {
            let piece = piece?;
            if whole.len() + piece.len() > limit {
                return Err(self.fail(too_large));
            }
            whole.extend_from_slice(&piece);
        }
        Ok(whole.freeze())
    }

    /// Writes the file to this path and answers its length in bytes.
    ///
    /// It is written next to it under another name first, and takes its place when it is whole and on disk: a file that
    /// was there is replaced then, and kept where the download fails. Its mode is [`Fetch::file_mode`]. Needs a tokio
    /// or actix runtime; the disk is written off its threads.
    ///
    /// # Errors
    /// As [`next_chunk`](Download::next_chunk); [`RestErrorKind::File`] where the disk fails, or takes longer than
    /// [`Fetch::idle_timeout`] for a piece or [`Fetch::timeout`] for the end, [`RestErrorKind::NoRuntime`] without a
    /// runtime.
    pub async fn to_file(mut self, path: impl AsRef<Path>) -> Result<u64, RestError> {
        if tokio::runtime::Handle::try_current().is_err() {
            return Err(self.fail(RestErrorKind::NoRuntime));
        }
        let path = path.as_ref().to_owned();
        let (mode, idle, whole) = (self.mode, self.idle, self.timeout);
        let mut part = self.on_disk(idle, move || PartialFile::beside(&path, mode)).await?;
        while let Some(piece) = self.next_chunk().await {
            let piece = piece?;
            part = self.on_disk(idle, move || part.written(&piece)).await?;
        }
        // In two, so that nothing takes the place of what was there once this is given up.
        let part = self.on_disk(whole, move || part.synced()).await?;
        self.on_disk(idle, move || part.whole()).await?;
        Ok(self.got)
    }

    async fn on_disk<T: Send + 'static>(
        &self,
        limit: Duration,
        work: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> Result<T, RestError> {
        let done = timeout(limit, FILES.run(work)).await.unwrap_or_else(|_| {
            Err(io::Error::new(io::ErrorKind::TimedOut, format!("the disk has not answered within {limit:?}")))
        });
        done.map_err(|error| self.fail(failed(&error)))
    }

    fn fail(&self, kind: RestErrorKind) -> RestError {
        let mut error = RestError::local(Operation::Download, kind).about(Some(&self.user), self.host.as_deref());
        error.hide(self.secrets.redactor());
        error
    }
}

/// A partial file, removed when it is dropped.
struct PartialFile(Option<Beside>);

struct Beside {
    // The fields are dropped in this order: not every system removes an open file.
    file: File,
    name: TemporaryName,
    path: PathBuf,
}

/// A name in a folder, which goes when it is dropped.
struct TemporaryName(PathBuf);

impl Drop for TemporaryName {
    fn drop(&mut self) {
        // Once renamed it is not there any more.
        let _ = fs::remove_file(&self.0);
    }
}

impl PartialFile {
    fn beside(path: &Path, mode: u32) -> io::Result<Self> {
        // A pipe or a device in its place would be replaced by a file.
        match fs::metadata(path) {
            Ok(about) => regular(&about)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        // The whole name stays within what file systems take.
        let name: String = name.chars().take(32).collect();
        let name = path.with_file_name(format!(".{name}.{:016x}.part", fastrand::u64(..)));
        let mut options = File::options();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
        #[cfg(not(unix))]
        let _ = mode;
        let file = options.open(&name)?;
        Ok(PartialFile(Some(Beside { file, name: TemporaryName(name), path: path.to_owned() })))
    }

    fn written(mut self, piece: &[u8]) -> io::Result<Self> {
        let written = self.0.as_mut().map_or(Ok(()), |beside| beside.file.write_all(piece));
        if written.is_err() {
            // Here, where it may take its time.
            self.0 = None;
        }
        written.map(|()| self)
    }

    fn synced(self) -> io::Result<Self> {
        self.0.as_ref().map_or(Ok(()), |beside| beside.file.sync_all())?;
        Ok(self)
    }

    fn whole(mut self) -> io::Result<()> {
        let Some(Beside { file, name, path }) = self.0.take() else { return Ok(()) };
        drop(file);
        fs::rename(&name.0, path)
    }
}

impl Drop for PartialFile {
    fn drop(&mut self) {
        /// The longest wait of the thread for its removal: a disk that hangs must not hang the thread with it.
        const MOMENT: Duration = Duration::from_millis(100);

        if let Some(beside) = self.0.take() {
            let (gone, going) = std::sync::mpsc::channel();
            let work = move || {
                drop(beside);
                let _ = gone.send(());
            };
            FILES.submit(Job::always(work));
            let _ = going.recv_timeout(MOMENT);
        }
    }
}
