//! Signals of a program that runs as a service.

use std::io;

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// SIGTERM, SIGINT or Ctrl-C.
    End,
    /// SIGHUP.
    Reload,
}

/// SIGTERM, SIGINT and SIGHUP from now on; only Ctrl-C where there are none.
pub(crate) struct Signals {
    #[cfg(unix)]
    listened: Vec<(Asked, actix_rt::signal::unix::Signal)>,
}

#[cfg(unix)]
impl Signals {
    pub(crate) fn listen() -> io::Result<Self> {
        use actix_rt::signal::unix::{SignalKind, signal};
        let kinds = [
            (Asked::End, SignalKind::terminate()),
            (Asked::End, SignalKind::interrupt()),
            (Asked::Reload, SignalKind::hangup()),
        ];
        let listened = kinds.into_iter().map(|(asked, kind)| Ok((asked, signal(kind)?)));
        Ok(Signals { listened: listened.collect::<io::Result<_>>()? })
    }

    /// Waits for the next one.
    pub(crate) async fn next(&mut self) -> Asked {
        std::future::poll_fn(|context| {
            for (asked, signal) in &mut self.listened {
                if signal.poll_recv(context).is_ready() {
                    return std::task::Poll::Ready(*asked);
                }
            }
            std::task::Poll::Pending
        })
        .await
    }
}

#[cfg(not(unix))]
impl Signals {
    pub(crate) fn listen() -> io::Result<Self> {
        Ok(Signals {})
    }

    pub(crate) async fn next(&mut self) -> Asked {
        if actix_rt::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
        Asked::End
    }
}
