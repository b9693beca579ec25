//! What a service manager is told, where one listens (`NOTIFY_SOCKET`, systemd's protocol).

use std::time::Duration;

#[cfg(unix)]
use {
    sd_notify::NotifyState,
    std::{
        sync::{
            OnceLock,
            mpsc::{SyncSender, sync_channel},
        },
        thread,
    },
};

/// Tells that the program is ready, at first or again.
pub(crate) fn ready() {
    #[cfg(unix)]
    tell(vec![NotifyState::Ready]);
}

/// Tells that the program reads its files again; [`ready`] ends that.
pub(crate) fn reloading() {
    #[cfg(unix)]
    if let Ok(now) = NotifyState::monotonic_usec_now() {
        tell(vec![NotifyState::Reloading, now]);
    }
}

/// Tells that the program ends.
pub(crate) fn stopping() {
    #[cfg(unix)]
    tell(vec![NotifyState::Stopping]);
}

/// Asks for so much time from now on before the end is forced.
pub(crate) fn extend(time: Duration) {
    #[cfg(unix)]
    tell(vec![NotifyState::ExtendTimeoutUsec(u32::try_from(time.as_micros()).unwrap_or(u32::MAX))]);
    #[cfg(not(unix))]
    let _ = time;
}

/// Tells that the program is alive.
pub(crate) fn alive() {
    #[cfg(unix)]
    tell(vec![NotifyState::Watchdog]);
}

/// Returns how often [`alive`] must be called; `None` if nobody waits for it.
pub(crate) fn alive_every() -> Option<Duration> {
    #[cfg(unix)]
    return sd_notify::watchdog_enabled().map(|limit| (limit / 2).max(Duration::from_millis(1)));
    #[cfg(not(unix))]
    None
}

/// Queues a message for a thread of its own: a service manager that does not read would hold up whoever tells it.
#[cfg(unix)]
fn tell(state: Vec<NotifyState<'static>>) {
    static TELLER: OnceLock<Option<SyncSender<Vec<NotifyState<'static>>>>> = OnceLock::new();
    let teller = TELLER.get_or_init(|| {
        std::env::var_os("NOTIFY_SOCKET")?;
        let (teller, told) = sync_channel::<Vec<NotifyState<'static>>>(64);
        let tell = move || told.into_iter().for_each(|state| drop(sd_notify::notify(&state)));
        thread::Builder::new().name("notify".to_owned()).spawn(tell).ok()?;
        Some(teller)
    });
    if let Some(teller) = teller {
        // One that reads nothing is told nothing more.
        let _ = teller.try_send(state);
    }
}
