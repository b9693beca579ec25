//! What passes over one connection, below TLS and HTTP.

use std::{
    cell::Cell,
    fmt, io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
};

use actix_rt::net::{ActixStream, Ready};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::Instant,
};

/// Tells when bytes last passed over a connection. A clone is a reference count.
#[derive(Clone, Default)]
pub(crate) struct Traffic(Rc<Passed>);

#[derive(Default)]
struct Passed {
    moved: Cell<Option<Instant>>,
}

impl Traffic {
    /// A stream whose traffic shows here from now on.
    pub(crate) fn of(&self, stream: TcpStream) -> Watched {
        Watched { stream, traffic: self.clone() }
    }

    /// When bytes last came, or were taken by this machine to be sent.
    pub(crate) fn moved(&self) -> Option<Instant> {
        self.0.moved.get()
    }

    fn moves(&self) {
        self.0.moved.set(Some(Instant::now()));
    }
}

/// A stream whose traffic is watched.
pub(crate) struct Watched {
    stream: TcpStream,
    traffic: Traffic,
}

impl Watched {
    /// The socket itself.
    pub(crate) fn socket(&self) -> &TcpStream {
        &self.stream
    }
}

impl fmt::Debug for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.stream.fmt(f)
    }
}

impl AsyncRead for Watched {
    fn poll_read(mut self: Pin<&mut Self>, task: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let known = buffer.filled().len();
        let read = ready!(Pin::new(&mut self.stream).poll_read(task, buffer));
        if buffer.filled().len() > known {
            self.traffic.moves();
        }
        Poll::Ready(read)
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, task: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write(task, bytes));
        self.traffic.moves();
        Poll::Ready(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        task: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write_vectored(task, bytes));
        self.traffic.moves();
        Poll::Ready(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(task)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(task)
    }
}

impl ActixStream for Watched {
    fn poll_read_ready(&self, task: &mut Context<'_>) -> Poll<io::Result<Ready>> {
        ActixStream::poll_read_ready(&self.stream, task)
    }

    fn poll_write_ready(&self, task: &mut Context<'_>) -> Poll<io::Result<Ready>> {
        ActixStream::poll_write_ready(&self.stream, task)
    }
}
