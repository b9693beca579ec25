//! The public port: takes connections, gives each to a relay, and can go away and come back.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    io::duplex,
    net::{TcpListener, TcpStream},
    select,
    sync::{mpsc, oneshot},
};

use super::{http::Service, limits, port::Port, relay::relay, shared::Shared};

/// What the handle asks of the port.
pub(super) enum Command {
    StopListening(oneshot::Sender<io::Result<()>>),
    ListenAgain(oneshot::Sender<io::Result<()>>),
    Stop,
}

/// Serves until told to stop or until the last handle is gone.
pub(super) async fn serve(
    listener: TcpListener,
    service: Service,
    shared: Arc<Shared>,
    mut commands: mpsc::Receiver<Command>,
) {
    let mut port = Port::listening(listener, shared.address);
    loop {
        select! {
            biased;
            command = commands.recv() => match command {
                Some(Command::StopListening(answer)) => {
                    let _ = answer.send(port.shut());
                }
                Some(Command::ListenAgain(answer)) => {
                    let _ = answer.send(port.open());
                }
                Some(Command::Stop) | None => return,
            },
            accepted = port.accept() => match accepted {
                Ok((stream, peer)) => take(stream, peer, &service, &shared),
                // Out of descriptors, most likely: an immediate retry would only spin.
                Err(_) => actix_rt::time::sleep(Duration::from_millis(20)).await,
            },
        }
    }
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
