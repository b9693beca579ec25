//! What the local server keeps at most. Everything a client or a test can make it hold has its bound here.

use std::time::Duration;

/// Open TCP links; one more is closed at once.
pub(super) const LINKS: usize = 20_000;
/// Users; creating one more is an error.
pub(super) const USERS: usize = 100_000;
/// Tokens; the oldest is forgotten for a new one.
pub(super) const TOKENS: usize = 200_000;
/// Bytes of one WebSocket message, fragments joined (connection spec §18).
pub(super) const FRAME: usize = 4 << 20;
/// Bytes of one REST body.
pub(super) const BODY: usize = 1 << 20;
/// Frames waiting to be written to one client; one more cuts its link.
pub(super) const OUTBOX: usize = 1024;
/// Devices of one user whose queues are kept; the longest unused is forgotten.
pub(super) const DEVICES: usize = 64;
/// Messages kept for one device, and for one user without a device; the oldest are dropped.
pub(super) const STORED: usize = 10_000;
/// Metas in one batch.
pub(super) const PAGE: usize = 10;
/// Bytes of metas after which a batch is not filled further.
pub(super) const PAGE_BYTES: usize = 1 << 20;
/// Frames remembered of one user, and their bytes; the oldest are forgotten.
pub(super) const FRAMES: usize = 1024;
/// See [`FRAMES`].
pub(super) const FRAME_BYTES: usize = 4 << 20;
/// REST calls remembered; the oldest are forgotten.
pub(super) const CALLS: usize = 4096;
/// REST faults standing at once; one more is an error.
pub(super) const FAULTS: usize = 64;
/// Users in one authorised registration.
pub(super) const BATCH: usize = 60;
/// Bytes on their way through one link, each direction, before the sender has to wait.
pub(super) const BACKLOG: usize = 64 << 10;
/// How long a client may take to answer the end of its link before it is ended anyway.
pub(super) const FAREWELL: Duration = Duration::from_secs(2);
/// How long a client may end its link by itself after its last frame. The web SDKs take the end of a link that reaches
/// them together with a kick for a loss, and come back.
pub(super) const LINGER: Duration = Duration::from_millis(200);
