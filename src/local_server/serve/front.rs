//! The public port: accepts connections, gives each to a relay, and can close and listen again.

use std::{convert::Infallible, future::pending, io, net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    io::{copy, duplex, sink},
    net::{TcpListener, TcpStream},
    select,
    sync::{mpsc, oneshot, watch},
    time::{Instant, sleep, sleep_until},
};

use crate::local_server::{
    limits,
    net::{Cut, Door, Flow, Port, cut_requested, finish, relay},
    rates::Activity,
    serve::{http::Service, shared::SharedState},
};

/// Commands of the handle to the port.
pub(crate) enum Command {
    /// Treats new connections so, and after this time as usual again.
    Door(Door, Option<Duration>, oneshot::Sender<io::Result<()>>),
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
    let mut door = Door::Open;
    let mut reopens: Option<Instant> = None;
    loop {
        select! {
            biased;
            command = commands.recv() => match command {
                Some(Command::Door(wanted, time, answer)) => {
                    let done = port.set(wanted).await;
                    if done.is_ok() {
                        door = wanted;
                        reopens = time.and_then(|time| Instant::now().checked_add(time));
                    }
                    let _ = answer.send(done);
                }
                Some(Command::Stop) | None => return,
            },
            () = until(reopens), if reopens.is_some() => {
                // Failing means that the port was lost to another program; the next command tells.
                if port.set(Door::Open).await.is_ok() {
                    door = Door::Open;
                }
                reopens = None;
            }
            accepted = port.accept() => match accepted {
                Ok((stream, peer)) => accept(stream, peer, door, &service, &shared),
                // Out of descriptors, most likely: an immediate retry would only spin.
                Err(_) => actix_rt::time::sleep(Duration::from_millis(20)).await,
            },
        }
    }
}

async fn until(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => pending().await,
    }
}

fn accept(stream: TcpStream, peer: SocketAddr, door: Door, service: &Service, shared: &Arc<SharedState>) {
    let Some(flow) = shared.change(|state| {
        if matches!(door, Door::Dropped(_) | Door::Silent) {
            state.rates.count(Activity::Probes);
        }
        state.link_opened(peer)
    }) else {
        return;
    };
    if matches!(door, Door::Dropped(_) | Door::Silent) {
        let shared = Arc::clone(shared);
        actix_rt::spawn(async move {
            unserved(stream, door, flow).await;
            shared.change(|state| state.link_closed(peer));
        });
        return;
    }
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

/// Cuts a link at once, or reads what comes on it and answers nothing until it is cut or its client goes.
async fn unserved(mut stream: TcpStream, door: Door, flow: watch::Receiver<Flow>) {
    let mut nowhere = sink();
    let cut = match door {
        Door::Dropped(cut) => Some(cut),
        _ => select! {
            cut = cut_requested(flow) => Some(cut),
            // However it ends, the client has gone.
            _ = copy(&mut stream, &mut nowhere) => None,
        },
    };
    if let Some(cut) = cut {
        finish(stream, cut).await;
    }
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
