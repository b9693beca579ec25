//! A port that takes connections, refuses them, or lets them hang.

use std::{future::pending, io, net::SocketAddr, time::Duration};

use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    time::timeout,
};

/// Connections that may wait to be taken.
const BACKLOG: u32 = 1024;

/// A port on this machine. It is kept while it refuses, so that nobody else gets it.
pub(super) struct Port {
    address: SocketAddr,
    /// What each taken connection holds at most of what it has not read, where the system is not to decide.
    receive_buffer: Option<u32>,
    /// `None` only after the port was lost to another program.
    state: Option<PortState>,
}

enum PortState {
    Open(TcpListener),
    Shut(TcpSocket),
    /// Its backlog is full and nobody takes anything from it.
    Full {
        _listener: TcpListener,
        _backlog: Vec<TcpStream>,
    },
}

impl Port {
    /// A port that listens already.
    pub(super) fn listening(listener: TcpListener, address: SocketAddr) -> Self {
        Port { address, receive_buffer: None, state: Some(PortState::Open(listener)) }
    }

    /// A loopback port that the system picks, listening.
    pub(super) fn any(receive_buffer: u32) -> io::Result<Self> {
        let receive_buffer = Some(receive_buffer);
        let socket = bound(([127, 0, 0, 1], 0).into(), receive_buffer)?;
        let address = socket.local_addr()?;
        Ok(Port { address, receive_buffer, state: Some(PortState::Open(socket.listen(BACKLOG)?)) })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The next connection; none comes unless the port is open.
    pub(super) async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        match &self.state {
            Some(PortState::Open(listener)) => listener.accept().await,
            _ => pending().await,
        }
    }

    /// Takes connections.
    pub(super) fn open(&mut self) -> io::Result<()> {
        if !matches!(self.state, Some(PortState::Open(_))) {
            let socket = self.reserve()?;
            self.state = Some(PortState::Open(socket.listen(BACKLOG)?));
        }
        Ok(())
    }

    /// Refuses connections.
    pub(super) fn shut(&mut self) -> io::Result<()> {
        let socket = self.reserve()?;
        self.state = Some(PortState::Shut(socket));
        Ok(())
    }

    /// Leaves connections without any answer, as the system does with a backlog that is full.
    pub(super) async fn fill(&mut self) -> io::Result<()> {
        /// Far beyond the time a connect over loopback takes.
        const TAKEN: Duration = Duration::from_millis(200);
        /// More than any system lets wait beyond the backlog asked for.
        const MOST: usize = 64;

        let listener = self.reserve()?.listen(1)?;
        let mut backlog = Vec::new();
        while let Ok(connected) = timeout(TAKEN, TcpStream::connect(self.address)).await {
            backlog.push(connected?);
            if backlog.len() >= MOST {
                return Err(io::Error::other("this system's backlog does not fill"));
            }
        }
        self.state = Some(PortState::Full { _listener: listener, _backlog: backlog });
        Ok(())
    }

    /// Stops listening and keeps the port.
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
