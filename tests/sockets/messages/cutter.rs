//! A proxy that knows frames: it cuts a connection at one of them, to the byte.

use std::{cell::Cell, io, net::SocketAddr, rc::Rc};

use agora_chat::{ConfigBuilder, local_server::LocalServer};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
};

/// Which way a frame goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Up,
    Down,
}

/// How much of the frame passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Nothing,
    OneByte,
    Half,
    AllButOneByte,
    Whole,
}

/// All of them.
pub(crate) const PARTS: [Part; 5] = [Part::Nothing, Part::OneByte, Part::Half, Part::AllButOneByte, Part::Whole];

/// Where a connection is cut: frame 0 of a way is the head of its upgrade.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct At {
    pub(crate) way: Way,
    pub(crate) frame: usize,
    pub(crate) part: Part,
    /// Whether the client is told by a reset and so may lose what it has not read, or by a clean end.
    pub(crate) reset: bool,
}

/// Plays a scene with a cut at each frame of a way, until one is past them all, which the scene answers by `false`: how
/// many frames there are depends on what was cut, so it is found by doing. Answers how many there were.
pub(crate) async fn cut_everywhere(way: Way, part: Part, mut scene: impl AsyncFnMut(At) -> bool) -> usize {
    for frame in 0..200 {
        let at = At { way, frame, part, reset: frame % 2 == 0 };
        if !scene(at).await {
            return frame;
        }
    }
    panic!("the cuts never end");
}

#[derive(Default)]
struct Plan {
    /// What is to be done to the next connection.
    next: Cell<Option<At>>,
    cuts: Cell<usize>,
    /// Whether connections are dropped at once.
    shut: Cell<bool>,
}

/// The proxy; it serves on the test's own thread and ends with it.
#[derive(Clone)]
pub(crate) struct Cutter {
    address: SocketAddr,
    plan: Rc<Plan>,
}

impl Cutter {
    pub(crate) async fn start(server: &LocalServer) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let (address, upstream) = (listener.local_addr().unwrap(), server.address());
        let plan = Rc::new(Plan::default());
        let cutter = Cutter { address, plan: Rc::clone(&plan) };
        actix_rt::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                if plan.shut.get() {
                    continue;
                }
                let server = TcpStream::connect(upstream).await.unwrap();
                actix_rt::spawn(serve(client, server, plan.next.take(), Rc::clone(&plan)));
            }
        });
        cutter
    }

    /// The server's configuration, with the socket through here.
    pub(crate) fn config(&self, server: &LocalServer) -> ConfigBuilder {
        server.config().addresses(server.rest_url(), format!("ws://{}/websocket", self.address))
    }

    /// Has the next connection cut there, if it comes as far.
    pub(crate) fn cut_next(&self, at: At) {
        self.plan.next.set(Some(at));
    }

    pub(crate) fn cuts(&self) -> usize {
        self.plan.cuts.get()
    }

    /// Whether connections are dropped at once from now on; those there are stay.
    pub(crate) fn shut(&self, shut: bool) {
        self.plan.shut.set(shut);
    }
}

async fn serve(client: TcpStream, server: TcpStream, at: Option<At>, plan: Rc<Plan>) {
    for stream in [&client, &server] {
        stream.set_nodelay(true).unwrap();
    }
    let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
    let mut up = Lane { from: from_client, to: to_server, read: Vec::new() };
    let mut down = Lane { from: from_server, to: to_client, read: Vec::new() };
    let here = |way| at.filter(|at| at.way == way);
    let cut = tokio::select! {
        cut = up.carry(here(Way::Up)) => cut,
        cut = down.carry(here(Way::Down)) => cut,
    };
    if let Ok(at) = cut {
        plan.cuts.set(plan.cuts.get() + 1);
        // What passed reaches the server; the client may lose what it has not read.
        if at.reset {
            let _ = down.to.as_ref().set_zero_linger();
        }
    }
}

/// One way of a connection.
struct Lane {
    from: OwnedReadHalf,
    to: OwnedWriteHalf,
    read: Vec<u8>,
}

impl Lane {
    /// Passes frames on until the cut or the connection's end.
    async fn carry(&mut self, at: Option<At>) -> io::Result<At> {
        for nth in 0.. {
            let length = self.frame(nth == 0).await?;
            let frame: Vec<u8> = self.read.drain(..length).collect();
            if let Some(at) = at.filter(|at| at.frame == nth) {
                let passes = match at.part {
                    Part::Nothing => 0,
                    Part::OneByte => 1,
                    Part::Half => length / 2,
                    Part::AllButOneByte => length - 1,
                    Part::Whole => length,
                };
                self.to.write_all(&frame[..passes]).await?;
                return Ok(at);
            }
            self.to.write_all(&frame).await?;
        }
        unreachable!("frames are not counted to the end of numbers")
    }

    /// Reads until a whole frame is there; answers its length.
    async fn frame(&mut self, head: bool) -> io::Result<usize> {
        loop {
            if let Some(length) = if head { head_length(&self.read) } else { frame_length(&self.read) } {
                return Ok(length);
            }
            if self.from.read_buf(&mut self.read).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }
}

fn head_length(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|end| end == b"\r\n\r\n").map(|at| at + 4)
}

/// The length of a whole WebSocket frame at the beginning of these bytes (RFC 6455 §5.2).
fn frame_length(bytes: &[u8]) -> Option<usize> {
    let second = *bytes.get(1)?;
    let mask = if second & 0x80 == 0 { 0 } else { 4 };
    let (head, payload) = match second & 0x7f {
        126 => (4, usize::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().unwrap()))),
        127 => (10, usize::try_from(u64::from_be_bytes(bytes.get(2..10)?.try_into().unwrap())).unwrap()),
        short => (2, usize::from(short)),
    };
    let whole = head + mask + payload;
    (bytes.len() >= whole).then_some(whole)
}
