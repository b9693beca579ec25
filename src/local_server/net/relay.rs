//! One client's TCP link to the service behind the public port, with faults on request.

use std::{
    future::pending,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use tokio::{io::DuplexStream, net::TcpStream, sync::watch};

use crate::local_server::net::copy::{Cut, LinkEnd, LinkFaults, Shaping, finish, relay_both};

/// Faults requested for one link.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Flow {
    pub(crate) stalled: bool,
    pub(crate) cut: Option<Cut>,
}

/// One direction of a link.
struct Side<'a> {
    flow: watch::Receiver<Flow>,
    delay_ms: Option<&'a AtomicU64>,
}

impl LinkFaults for Side<'_> {
    fn shaping(&mut self) -> Shaping {
        let delay = Duration::from_millis(self.delay_ms.map_or(0, |ms| ms.load(Ordering::Relaxed)));
        Shaping { stalled: self.flow.borrow_and_update().stalled, delay, drip: None }
    }

    async fn changed(&mut self) -> bool {
        self.flow.changed().await.is_ok()
    }
}

/// Copies bytes until either side is done or the link is cut. `delay_ms` delays the bytes of the server.
pub(crate) async fn relay(
    mut public: TcpStream,
    mut service: DuplexStream,
    flow: watch::Receiver<Flow>,
    delay_ms: &AtomicU64,
) {
    let up = Side { flow: flow.clone(), delay_ms: None };
    let down = Side { flow: flow.clone(), delay_ms: Some(delay_ms) };
    let end = relay_both(&mut public, &mut service, up, down, cut_requested(flow)).await;
    // The service must not wait for the client to close.
    drop(service);
    if let LinkEnd::Cut(cut) = end {
        finish(public, cut).await;
    }
}

/// Waits until a link is to be cut.
pub(crate) async fn cut_requested(mut flow: watch::Receiver<Flow>) -> Cut {
    match flow.wait_for(|flow| flow.cut.is_some()).await {
        Ok(flow) => flow.cut.unwrap_or(Cut::Fin),
        Err(_) => pending().await,
    }
}
