//! The public port: takes connections, gives each to a relay, and can go away and come back.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    io::duplex,
    net::{TcpListener, TcpSocket, TcpStream},
    select,
    sync::{mpsc, oneshot},
};

use super::{http::Service, limits, relay::relay, shared::Shared};

/// What the handle asks of the port.
pub(super) enum Command {
    StopListening(oneshot::Sender<io::Result<()>>),
    ListenAgain(oneshot::Sender<io::Result<()>>),
    Stop,
}

/// Either it listens, or it holds the port so that nobody else gets it.
enum Door {
    Open(TcpListener),
    Shut(TcpSocket),
}

/// Serves until told to stop or until the last handle is gone.
pub(super) async fn serve(
    listener: TcpListener,
    service: Service,
    shared: Arc<Shared>,
    mut commands: mpsc::Receiver<Command>,
) {
    let mut door = Some(Door::Open(listener));
    loop {
        select! {
            biased;
            command = commands.recv() => match command {
                Some(Command::StopListening(answer)) => {
                    let shut = shut(&mut door, shared.address);
                    let _ = answer.send(shut);
                }
                Some(Command::ListenAgain(answer)) => {
                    let open = open(&mut door, shared.address);
                    let _ = answer.send(open);
                }
                Some(Command::Stop) | None => return,
            },
            accepted = accept(door.as_ref()) => match accepted {
                Ok((stream, peer)) => take(stream, peer, &service, &shared),
                // Out of descriptors, most likely: an immediate retry would only spin.
                Err(_) => actix_rt::time::sleep(Duration::from_millis(20)).await,
            },
        }
    }
}

async fn accept(door: Option<&Door>) -> io::Result<(TcpStream, SocketAddr)> {
    match door {
        Some(Door::Open(listener)) => listener.accept().await,
        _ => std::future::pending().await,
    }
}

fn bound(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

fn shut(door: &mut Option<Door>, address: SocketAddr) -> io::Result<()> {
    if !matches!(door, Some(Door::Shut(_))) {
        *door = None;
        *door = Some(Door::Shut(bound(address)?));
    }
    Ok(())
}

fn open(door: &mut Option<Door>, address: SocketAddr) -> io::Result<()> {
    let socket = match door.take() {
        Some(Door::Open(listener)) => {
            *door = Some(Door::Open(listener));
            return Ok(());
        }
        Some(Door::Shut(socket)) => socket,
        None => bound(address)?,
    };
    *door = Some(Door::Open(socket.listen(1024)?));
    Ok(())
}

fn take(stream: TcpStream, peer: SocketAddr, service: &Service, shared: &Arc<Shared>) {
    let Some(flow) = shared.change(|state| state.link_opened(peer)) else {
        return;
    };
    // Failing costs latency only.
    let _ = stream.set_nodelay(true);
    let (near, far) = duplex(limits::BACKLOG);
    let shared = Arc::clone(shared);
    actix_rt::spawn(async move {
        relay(stream, near, flow, &shared.delay_ms).await;
        shared.change(|state| state.link_closed(peer));
    });
    actix_rt::spawn(service(far, peer));
}
