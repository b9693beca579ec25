//! What asks a program to end.

use std::io;

/// SIGINT, SIGTERM and SIGHUP from now on; only Ctrl-C where there are none.
pub(crate) struct Signals {
    #[cfg(unix)]
    listened: Vec<(i32, actix_rt::signal::unix::Signal)>,
    /// The log that a SIGHUP reopens, where it does not end the program.
    reopened: Option<agora_chat::logger::LogHandle>,
}

#[cfg(unix)]
impl Signals {
    /// Takes the signals over. A SIGHUP that is ignored, as `nohup` has it, stays so.
    pub(crate) fn listen() -> io::Result<Self> {
        use actix_rt::signal::unix::{SignalKind, signal};
        let mut kinds = vec![SignalKind::interrupt(), SignalKind::terminate()];
        let hangup = SignalKind::hangup();
        if !is_ignored(hangup.as_raw_value()) {
            kinds.push(hangup);
        }
        let listened = kinds.into_iter().map(|kind| Ok((kind.as_raw_value(), signal(kind)?)));
        Ok(Signals { listened: listened.collect::<io::Result<_>>()?, reopened: None })
    }

    /// Lets a SIGHUP reopen this log's file in place of ending the program, as logrotate expects.
    #[allow(dead_code, reason = "only programs with a log file use it")]
    pub(crate) fn reopen_on_hangup(&mut self, log: agora_chat::logger::LogHandle) {
        self.reopened = Some(log);
    }

    /// Waits for the next one that ends the program and returns its number.
    pub(crate) async fn next(&mut self) -> i32 {
        let hangup = actix_rt::signal::unix::SignalKind::hangup().as_raw_value();
        std::future::poll_fn(|context| {
            for (number, signal) in &mut self.listened {
                while signal.poll_recv(context).is_ready() {
                    match &self.reopened {
                        Some(log) if *number == hangup => log.reopen(),
                        _ => return std::task::Poll::Ready(*number),
                    }
                }
            }
            std::task::Poll::Pending
        })
        .await
    }
}

/// Whether this process was started with a signal ignored, as far as the system says so.
#[cfg(unix)]
fn is_ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    ignored >> (signal - 1) & 1 == 1
}

#[cfg(not(unix))]
impl Signals {
    pub(crate) fn listen() -> io::Result<Self> {
        Ok(Signals {})
    }

    #[allow(dead_code, reason = "only programs with a log file use it")]
    pub(crate) fn reopen_on_hangup(&mut self, _: agora_chat::logger::LogHandle) {}

    pub(crate) async fn next(&mut self) -> i32 {
        if actix_rt::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
        2
    }
}
