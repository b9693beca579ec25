//! A port that accepts connections, refuses them, or lets them hang.

use std::{future::pending, io, net::SocketAddr, time::Duration};

use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    time::timeout,
};

use crate::local_server::net::copy::Cut;

/// Connections that may wait to be accepted.
const BACKLOG: u32 = 1024;

/// The treatment of new connections by a fault proxy or a local server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Door {
    /// They are served.
    #[default]
    Open,
    /// They are refused: nothing listens, the port stays reserved.
    Refused,
    /// They are accepted and cut at once.
    Dropped(Cut),
    /// They are accepted, everything they send is discarded, and nothing is answered.
    Silent,
    /// They hang: the port gives no answer at all, not even a refusal. On Linux; elsewhere the backlog may not fill.
    Blackhole,
}

/// A port on this machine. It stays reserved while it refuses.
pub(crate) struct Port {
    address: SocketAddr,
    /// Receive buffer of each accepted connection in bytes; `None` leaves it to the system.
    receive_buffer: Option<u32>,
    /// `None` only after the port was lost to another program.
    state: Option<PortState>,
}

enum PortState {
    Open(TcpListener),
    Shut(TcpSocket),
    /// Its backlog is full and nothing is accepted.
    Full {
        _listener: TcpListener,
        _backlog: Vec<TcpStream>,
    },
}

impl Port {
    /// Returns a port that listens already.
    pub(crate) fn listening(listener: TcpListener, address: SocketAddr) -> Self {
        Port { address, receive_buffer: None, state: Some(PortState::Open(listener)) }
    }

    /// Listens on a loopback port that the system picks.
    pub(crate) fn any(receive_buffer: u32) -> io::Result<Self> {
        let receive_buffer = Some(receive_buffer);
        let socket = bound(([127, 0, 0, 1], 0).into(), receive_buffer)?;
        let address = socket.local_addr()?;
        Ok(Port { address, receive_buffer, state: Some(PortState::Open(socket.listen(BACKLOG)?)) })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits for the next connection; none comes unless the port is open.
    pub(crate) async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        match &self.state {
            Some(PortState::Open(listener)) => listener.accept().await,
            _ => pending().await,
        }
    }

    /// Treats new connections so; what is accepted, its owner drops or leaves silent.
    pub(crate) async fn set(&mut self, door: Door) -> io::Result<()> {
        match door {
            Door::Refused => self.shut(),
            Door::Blackhole => self.fill().await,
            Door::Open | Door::Dropped(_) | Door::Silent => self.open(),
        }
    }

    /// Accepts connections.
    fn open(&mut self) -> io::Result<()> {
        if !matches!(self.state, Some(PortState::Open(_))) {
            let socket = self.reserve()?;
            self.state = Some(PortState::Open(socket.listen(BACKLOG)?));
        }
        Ok(())
    }

    /// Refuses connections.
    fn shut(&mut self) -> io::Result<()> {
        let socket = self.reserve()?;
        self.state = Some(PortState::Shut(socket));
        Ok(())
    }

    /// Leaves connections without any answer, as the system does with a backlog that is full.
    async fn fill(&mut self) -> io::Result<()> {
        /// Far beyond the time of a connect over loopback.
        const CONNECTED: Duration = Duration::from_millis(200);
        /// More than any system accepts beyond the requested backlog.
        const MOST: usize = 64;

        let listener = self.reserve()?.listen(1)?;
        let mut backlog = Vec::new();
        while let Ok(connected) = timeout(CONNECTED, TcpStream::connect(self.address)).await {
            backlog.push(connected?);
            if backlog.len() >= MOST {
                return Err(io::Error::other("this system's backlog does not fill"));
            }
        }
        self.state = Some(PortState::Full { _listener: listener, _backlog: backlog });
        Ok(())
    }

    /// Stops listening and reserves the port.
    fn reserve(&mut self) -> io::Result<TcpSocket> {
        match self.state.take() {
            Some(PortState::Shut(socket)) => Ok(socket),
            // The old listener has to go before the port is bound anew.
            other => {
                drop(other);
                bound(self.address, self.receive_buffer)
            }
        }
    }
}

fn bound(address: SocketAddr, receive_buffer: Option<u32>) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    if let Some(bytes) = receive_buffer {
        socket.set_recv_buffer_size(bytes)?;
    }
    socket.bind(address)?;
    Ok(socket)
}
