//! An upload's form, piece by piece (messages spec §5.1).

use std::{
    fs::File,
    future::Future,
    io::{self, Read as _},
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use tokio::time::Instant;

use super::upload::{PIECE, Pieces, Progress, STREAM, WATCHER, Watcher, failed};
use crate::{
    model::error::RestErrorKind,
    util::{lent::Lent, threads},
};

pub(super) struct Multipart {
    pub(super) boundary: String,
    pub(super) head: Bytes,
    pub(super) tail: Bytes,
    pub(super) reading: FileSource,
    pub(super) length: Option<u64>,
    pub(super) done: u64,
    pub(super) limit: u64,
    pub(super) watcher: Option<Watcher>,
    pub(super) moved: Instant,
    /// Set if a piece is asked for that the source does not give.
    pub(super) hungry: bool,
    /// Set if any of it was asked for: then it cannot be sent again.
    pub(super) started: bool,
    pub(super) failed: Option<RestErrorKind>,
}

pub(super) enum FileSource {
    Bytes(Bytes),
    Stream { stream: Lent<Pieces>, rest: Bytes },
    File(FileReading),
    Over,
}

/// A file on disk, which is read by a thread that may wait.
pub(super) enum FileReading {
    Idle(Option<File>),
    Busy(ReadPiece),
}

type ReadPiece = Pin<Box<dyn Future<Output = io::Result<(File, Bytes)>> + Send>>;

impl Multipart {
    pub(super) fn size(&self) -> Option<u64> {
        Some(self.length? + (self.head.len() + self.tail.len()) as u64)
    }

    pub(super) fn done(&self) -> u64 {
        self.done
    }

    /// Returns the next piece of the form; after an error there is none, and [`Multipart::failed`] says why.
    pub(super) fn poll_piece(&mut self, task: &mut Context<'_>) -> Poll<Option<Result<Bytes, Broken>>> {
        self.started = true;
        if !self.head.is_empty() {
            self.moved = Instant::now();
            return Poll::Ready(Some(Ok(std::mem::take(&mut self.head))));
        }
        let polled = self.poll_file(task);
        self.hungry = polled.is_pending();
        let piece = ready!(polled);
        self.moved = Instant::now();
        match piece.map(|piece| piece.and_then(|piece| self.counted(piece))) {
            Some(Ok(piece)) => Poll::Ready(Some(Ok(piece))),
            Some(Err(kind)) => {
                self.failed = Some(kind);
                self.reading = FileSource::Over;
                Poll::Ready(Some(Err(Broken)))
            }
            None if self.length.is_some_and(|length| length != self.done) && self.failed.is_none() => {
                let short = io::Error::new(io::ErrorKind::UnexpectedEof, "it is shorter than it was said to be");
                self.failed = Some(failed(&short));
                Poll::Ready(Some(Err(Broken)))
            }
            None if self.tail.is_empty() => Poll::Ready(None),
            None => Poll::Ready(Some(Ok(std::mem::take(&mut self.tail)))),
        }
    }

    fn counted(&mut self, piece: Bytes) -> Result<Bytes, RestErrorKind> {
        self.done += piece.len() as u64;
        if self.done > self.limit {
            return Err(RestErrorKind::FileTooLarge { limit: self.limit });
        }
        if self.length.is_some_and(|length| self.done > length) {
            let long = io::Error::new(io::ErrorKind::InvalidData, "it is longer than it was said to be");
            return Err(failed(&long));
        }
        let progress = Progress::new(self.done, self.length);
        match self.watcher.as_mut().map(|watcher| watcher.with(|watcher| watcher(progress))) {
            Some(None) => Err(RestErrorKind::Panicked(WATCHER)),
            _ => Ok(piece),
        }
    }

    /// Returns the next piece of the file itself, never an empty one.
    fn poll_file(&mut self, task: &mut Context<'_>) -> Poll<Option<Result<Bytes, RestErrorKind>>> {
        // A file that grows while it is read ends where it ended at the start.
        let left = self.length.map_or(u64::MAX, |length| length.saturating_sub(self.done));
        let piece = match &mut self.reading {
            FileSource::Over => None,
            FileSource::Bytes(bytes) => Some(Ok(bytes.split_to(bytes.len().min(PIECE)))),
            FileSource::Stream { stream, rest } => {
                while rest.is_empty() {
                    let Some(polled) = stream.with(|stream| stream.as_mut().poll_next(task)) else {
                        return Poll::Ready(Some(Err(RestErrorKind::Panicked(STREAM))));
                    };
                    match ready!(polled) {
                        Some(Ok(next)) => *rest = next,
                        Some(Err(error)) => return Poll::Ready(Some(Err(failed(&error)))),
                        None => {
                            self.reading = FileSource::Over;
                            return Poll::Ready(None);
                        }
                    }
                }
                Some(Ok(rest.split_to(rest.len().min(PIECE))))
            }
            FileSource::File(reading) => {
                ready!(reading.poll(left, task)).map(|read| read.map_err(|error| failed(&error)))
            }
        };
        match piece {
            Some(Ok(piece)) if piece.is_empty() => {
                self.reading = FileSource::Over;
                Poll::Ready(None)
            }
            piece => Poll::Ready(piece),
        }
    }
}

impl FileReading {
    fn poll(&mut self, left: u64, task: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        if let FileReading::Idle(file) = self {
            let Some(mut file) = file.take() else { return Poll::Ready(None) };
            let most = left.min(PIECE as u64);
            *self = FileReading::Busy(Box::pin(threads::FILES.run(move || {
                let mut piece = Vec::with_capacity(usize::try_from(most).unwrap_or(PIECE));
                (&mut file).take(most).read_to_end(&mut piece)?;
                Ok((file, piece.into()))
            })));
        }
        let FileReading::Busy(reading) = self else { return Poll::Ready(None) };
        let (file, piece) = match ready!(reading.as_mut().poll(task)) {
            Ok((file, piece)) => (Some(file), Ok(piece)),
            Err(error) => (None, Err(error)),
        };
        *self = FileReading::Idle(file);
        Poll::Ready(Some(piece))
    }
}

/// The form could not be read to its end; [`Multipart::failed`] says why.
#[derive(Debug, thiserror::Error)]
#[error("the source of the upload failed")]
pub(super) struct Broken;

#[cfg(test)]
mod tests {
    use std::{
        collections::VecDeque,
        future::poll_fn,
        io,
        pin::Pin,
        sync::{Arc, Mutex},
        task::{Context, Poll},
    };

    use bytes::Bytes;
    use futures_core::Stream;

    use super::{Multipart, PIECE, Progress, RestErrorKind as Kind};
    use crate::rest::Upload;

    struct Pieces(VecDeque<io::Result<Bytes>>);

    impl Stream for Pieces {
        type Item = io::Result<Bytes>;

        fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
            Poll::Ready(self.0.pop_front())
        }
    }

    fn pieces(lengths: &[usize]) -> Pieces {
        Pieces(lengths.iter().map(|length| Ok(vec![b'x'; *length].into())).collect())
    }

    async fn read(form: &mut Multipart) -> Result<Vec<u8>, Kind> {
        let mut whole = Vec::new();
        while let Some(piece) = poll_fn(|task| form.poll_piece(task)).await {
            let Ok(piece) = piece else { return Err(form.failed.take().unwrap()) };
            assert!(piece.len() <= PIECE);
            whole.extend(piece);
        }
        Ok(whole)
    }

    #[tokio::test]
    async fn a_form_has_the_length_it_says_and_a_name_that_cannot_leave_its_quotes() {
        let mut form = Upload::bytes("a\"\r\nb.txt", "hello").thumbnail(3, 4).open().await.unwrap();
        let (size, boundary) = (form.size().unwrap(), form.boundary.clone());
        let text = String::from_utf8(read(&mut form).await.unwrap()).unwrap();
        assert_eq!(text.len() as u64, size);
        let wanted = format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a%22%0D%0Ab.txt\"\r\n\
             Content-Type: text/plain\r\n\r\nhello\r\n--{boundary}\r\n\
             Content-Disposition: form-data; name=\"thumbnail-width\"\r\n\r\n3\r\n--{boundary}\r\n\
             Content-Disposition: form-data; name=\"thumbnail-height\"\r\n\r\n4\r\n--{boundary}--\r\n"
        );
        assert_eq!(text, wanted);
    }

    #[tokio::test]
    async fn every_source_gives_the_same_bytes_in_bounded_pieces_with_progress_to_the_end() {
        let length = 3 * PIECE + 7;
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), vec![b'x'; length]).unwrap();
        let whole = || vec![b'x'; length];
        let sources = [
            Upload::bytes("n", whole()),
            Upload::file(file.path()).named("n"),
            Upload::stream("n", Some(length as u64), pieces(&[1, 0, 2 * PIECE, length - 2 * PIECE - 1])),
            Upload::stream("n", None, pieces(&[length])),
        ];
        for upload in sources {
            let told = Arc::new(Mutex::new(Vec::<Progress>::new()));
            let teller = Arc::clone(&told);
            let upload = upload.on_progress(move |progress| teller.lock().unwrap().push(progress));
            let mut form = upload.open().await.unwrap();
            let read = read(&mut form).await.unwrap();
            assert!(read.windows(length).any(|window| window == whole()));
            let told = told.lock().unwrap();
            assert!(told.windows(2).all(|pair| pair[0].done < pair[1].done));
            assert_eq!(told.last().unwrap().done, length as u64);
        }
    }

    #[tokio::test]
    async fn a_file_is_what_it_is_said_to_be_or_what_its_name_says() {
        let rows = [
            (Upload::bytes("a.PNG", ""), "image/png"),
            (Upload::bytes("png", ""), "application/octet-stream"),
            (Upload::bytes("a.png", "").media_type("image/x; v=1"), "image/x; v=1"),
            (Upload::bytes("a.png", "").media_type("x\r\nevil: y"), "image/png"),
        ];
        for (upload, wanted) in rows {
            let form = String::from_utf8(read(&mut upload.open().await.unwrap()).await.unwrap()).unwrap();
            assert!(form.contains(&format!("\r\nContent-Type: {wanted}\r\n\r\n")), "{form}");
        }
    }

    #[tokio::test]
    async fn an_empty_file_is_a_form_too() {
        for upload in [Upload::bytes("n", ""), Upload::stream("n", None, pieces(&[]))] {
            let mut form = upload.open().await.unwrap();
            assert!(!read(&mut form).await.unwrap().is_empty());
            assert_eq!(form.done(), 0);
        }
    }

    #[tokio::test]
    async fn what_is_too_large_is_refused_before_and_while_it_is_read() {
        let large = Kind::FileTooLarge { limit: 4 };
        assert_eq!(Upload::bytes("n", "12345").limit(4).open().await.err(), Some(large.clone()));
        assert_eq!(Upload::stream("n", Some(5), pieces(&[5])).limit(4).open().await.err(), Some(large.clone()));
        let mut form = Upload::stream("n", None, pieces(&[3, 3])).limit(4).open().await.unwrap();
        assert_eq!(read(&mut form).await, Err(large));
    }

    #[tokio::test]
    async fn a_source_that_fails_or_lies_about_its_length_breaks_the_form() {
        let kind = |outcome: Result<Vec<u8>, Kind>| match outcome {
            Err(Kind::File { kind, .. }) => kind,
            other => panic!("{other:?}"),
        };
        let mut form = Upload::stream("n", Some(5), pieces(&[3])).open().await.unwrap();
        assert_eq!(kind(read(&mut form).await), io::ErrorKind::UnexpectedEof);
        let mut form = Upload::stream("n", Some(5), pieces(&[3, 3])).open().await.unwrap();
        assert_eq!(kind(read(&mut form).await), io::ErrorKind::InvalidData);
        let broken = Pieces([Err(io::Error::from(io::ErrorKind::BrokenPipe))].into());
        let mut form = Upload::stream("n", None, broken).open().await.unwrap();
        assert_eq!(kind(read(&mut form).await), io::ErrorKind::BrokenPipe);
        let folder = tempfile::tempdir().unwrap();
        let missing = Upload::file(folder.path().join("missing")).open().await.err().unwrap();
        assert!(matches!(missing, Kind::File { kind: io::ErrorKind::NotFound, .. }), "{missing:?}");
        assert!(Upload::file(folder.path()).open().await.is_err());
    }
}
