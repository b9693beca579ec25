//! Traffic of one connection, below TLS and HTTP.

use std::{
    cell::Cell,
    fmt,
    fs::File,
    future::Future,
    io::{self, BufReader},
    net::{IpAddr, SocketAddr},
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

use crate::util::threads::FILES;

/// Clock of the traffic of a connection: when bytes last passed. A clone is a reference count.
#[derive(Clone, Default)]
pub(crate) struct Activity(Rc<LastActive>);

#[derive(Default)]
struct LastActive {
    moved: Cell<Option<Instant>>,
    ends: Cell<Option<(SocketAddr, SocketAddr)>>,
}

impl Activity {
    /// Wraps a stream, whose traffic is recorded here from now on.
    pub(crate) fn of(&self, stream: TcpStream) -> WatchedStream {
        self.0.ends.set(stream.local_addr().ok().zip(stream.peer_addr().ok()));
        WatchedStream { stream, traffic: self.clone() }
    }

    /// Returns when bytes last came, or were last accepted by this machine for sending.
    pub(crate) fn moved(&self) -> Option<Instant> {
        self.0.moved.get()
    }

    /// Returns the local and the remote address of the connection.
    pub(crate) fn ends(&self) -> Option<(SocketAddr, SocketAddr)> {
        self.0.ends.get()
    }

    fn moves(&self) {
        self.0.moved.set(Some(Instant::now()));
    }
}

/// Returns the number of bytes accepted for sending on a connection that the peer has not acknowledged; `None` where
/// the system does not tell.
///
/// Linux tells it in a table of all connections, which is read line by line on one of this crate's threads. There is a
/// call for it (`SIOCOUTQ`), but no safe one in the standard library or in this crate's dependencies.
pub(crate) fn unacknowledged_bytes(
    ends: (SocketAddr, SocketAddr),
) -> impl Future<Output = Option<u64>> + Send + 'static {
    let asked = cfg!(target_os = "linux").then(|| {
        FILES.run(move || {
            let table = if ends.0.is_ipv4() { "/proc/thread-self/net/tcp" } else { "/proc/thread-self/net/tcp6" };
            Ok(found(BufReader::new(File::open(table)?), ends))
        })
    });
    async move { asked?.await.ok().flatten() }
}

/// Finds the bytes of a connection in the system's table.
fn found(table: impl io::BufRead, (local, remote): (SocketAddr, SocketAddr)) -> Option<u64> {
    let (local, remote) = (in_table(local), in_table(remote));
    table.lines().map_while(Result::ok).find_map(|line| {
        let mut columns = line.split_ascii_whitespace().skip(1);
        let this = columns.next()? == local && columns.next()? == remote;
        let (queued, _) = columns.nth(1).filter(|_| this)?.split_once(':')?;
        u64::from_str_radix(queued, 16).ok()
    })
}

/// Formats an address as in that table: words of 32 bits in hexadecimal digits, each in this machine's byte order.
fn in_table(address: SocketAddr) -> String {
    let words = |octets: &[u8]| {
        let words = octets.chunks_exact(4).filter_map(|word| word.try_into().ok().map(u32::from_ne_bytes));
        words.map(|word| format!("{word:08X}")).collect::<String>()
    };
    let host = match address.ip() {
        IpAddr::V4(ip) => words(&ip.octets()),
        IpAddr::V6(ip) => words(&ip.octets()),
    };
    format!("{host}:{:04X}", address.port())
}

/// A stream whose traffic is recorded.
pub(crate) struct WatchedStream {
    stream: TcpStream,
    traffic: Activity,
}

impl WatchedStream {
    /// Returns the socket itself.
    pub(crate) fn socket(&self) -> &TcpStream {
        &self.stream
    }
}

impl fmt::Debug for WatchedStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.stream.fmt(f)
    }
}

impl AsyncRead for WatchedStream {
    fn poll_read(mut self: Pin<&mut Self>, task: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let known = buffer.filled().len();
        let read = ready!(Pin::new(&mut self.stream).poll_read(task, buffer));
        if buffer.filled().len() > known {
            self.traffic.moves();
        }
        Poll::Ready(read)
    }
}

impl AsyncWrite for WatchedStream {
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

impl ActixStream for WatchedStream {
    fn poll_read_ready(&self, task: &mut Context<'_>) -> Poll<io::Result<Ready>> {
        ActixStream::poll_read_ready(&self.stream, task)
    }

    fn poll_write_ready(&self, task: &mut Context<'_>) -> Poll<io::Result<Ready>> {
        ActixStream::poll_write_ready(&self.stream, task)
    }
}

#[cfg(test)]
mod tests {
    use super::found;

    #[test]
    #[cfg(target_endian = "little")]
    fn the_bytes_of_a_connection_are_found_in_the_systems_table() {
        const TABLE: &str =
            "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 1 1 0 100 0 0 10 0
   1: 0100007F:9C40 0200007F:1F90 01 00028A1C:00000007 01:00000014 00000000  1000        0 2 2 0 20 4 30 10 -1
   2: 00000000000000000000000001000000:9C40 B80D0120000000000000000001000000:1F90 01 0000000A:00000000 00:0 0 0 0 3
";
        let of = |local: &str, remote: &str| found(TABLE.as_bytes(), (local.parse().unwrap(), remote.parse().unwrap()));
        assert_eq!(of("127.0.0.1:40000", "127.0.0.2:8080"), Some(0x28a1c));
        assert_eq!(of("[::1]:40000", "[2001:db8::1]:8080"), Some(10));
        assert_eq!(of("127.0.0.1:40000", "127.0.0.3:8080"), None);
        assert_eq!(of("127.0.0.1:8080", "127.0.0.2:40000"), None);
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn what_a_peer_does_not_read_stays_unacknowledged_and_what_it_reads_does_not() {
        use tokio::{
            io::{AsyncReadExt as _, AsyncWriteExt as _},
            net::{TcpListener, TcpStream},
        };

        use super::{Activity, unacknowledged_bytes};

        for host in ["127.0.0.1", "::1"] {
            let Ok(listener) = TcpListener::bind((host, 0)).await else { continue };
            let traffic = Activity::default();
            let mut stream = traffic.of(TcpStream::connect(listener.local_addr().unwrap()).await.unwrap());
            let (mut peer, _) = listener.accept().await.unwrap();
            let ends = traffic.ends().unwrap();
            let more = vec![b'x'; 1 << 20];
            let moment = std::time::Duration::from_millis(200);
            let mut sent = 0;
            while let Ok(written) = tokio::time::timeout(moment, stream.write(&more)).await {
                sent += written.unwrap();
            }
            let stuck = unacknowledged_bytes(ends).await.unwrap();
            assert!(stuck > 0, "{sent} bytes were taken");
            let mut left = vec![0; sent];
            peer.read_exact(&mut left).await.unwrap();
            while unacknowledged_bytes(ends).await != Some(0) {
                tokio::time::sleep(moment / 100).await;
            }
        }
    }
}
