//! The public port: accepts connections, gives each to a relay, and can close and listen again.

use std::{convert::Infallible, future::pending, io, net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    io::duplex,
    net::{TcpListener, TcpStream},
    select,
    sync::{mpsc, oneshot},
    time::{Instant, sleep, sleep_until},
};

use crate::local_server::{
    limits,
    net::{Cut, Port, relay},
    serve::{http::Service, shared::SharedState},
};

/// Commands of the handle to the port.
pub(crate) enum Command {
    StopListening(oneshot::Sender<io::Result<()>>),
    ListenAgain(oneshot::Sender<io::Result<()>>),
    Stop,
}

/// Serves until [`Command::Stop`] or until the last handle is gone.
pub(crate) async fn serve(
    listener: TcpListener,
    service: Service,
    shared: Arc<SharedState>,
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
                Ok((stream, peer)) => accept(stream, peer, &service, &shared),
                // Out of descriptors, most likely: an immediate retry would only spin.
                Err(_) => actix_rt::time::sleep(Duration::from_millis(20)).await,
            },
        }
    }
}

fn accept(stream: TcpStream, peer: SocketAddr, service: &Service, shared: &Arc<SharedState>) {
    let Some(flow) = shared.change(|state| state.link_opened(peer)) else {
        return;
    };
    // Failing costs latency only.
    let _ = stream.set_nodelay(true);
    let (near, far) = duplex(limits::BACKLOG);
    let shared = Arc::clone(shared);
    actix_rt::spawn(async move {
        select! {
            () = relay(stream, near, flow, &shared.delay_ms) => {}
            never = overdue(&shared, peer) => match never {},
        }
        shared.change(|state| state.link_closed(peer));
    });
    actix_rt::spawn(service(far, peer));
}

/// Cuts a link that takes longer to its next request than [`limits::REQUEST`] allows, and never resolves. The HTTP stack
/// limits the first head and a link without a byte, but not a later head that arrives slowly.
async fn overdue(shared: &SharedState, peer: SocketAddr) -> Infallible {
    let limit = shared.read(|state| state.settings.keep_alive() + state.settings.request_timeout);
    loop {
        let due = shared.read(|state| state.links.waiting_since(peer)).map(|since| since + limit);
        match due {
            Some(due) if due <= Instant::now() => {
                shared.change(|state| state.cut_link(peer, Cut::Fin));
                return pending().await;
            }
            Some(due) => sleep_until(due).await,
            None => sleep(limit).await,
        }
    }
}
