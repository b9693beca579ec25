//! Bounds of the local server. Everything a client or a test can make it hold is bounded here.

use std::time::Duration;

/// Open TCP links, unless the builder sets another bound; one more is closed at once.
pub(crate) const LINKS: usize = 20_000;
/// Users; creating one more is an error.
pub(crate) const USERS: usize = 100_000;
/// Tokens; the oldest is forgotten for a new one.
pub(crate) const TOKENS: usize = 200_000;
/// Bytes of one WebSocket message, fragments joined (connection spec §18).
pub(crate) const FRAME: usize = 4 << 20;
/// Bytes of one REST body.
pub(crate) const BODY: usize = 1 << 20;
/// Frames waiting to be written to one client; one more cuts its link.
pub(crate) const OUTBOX: usize = 1024;
/// Devices of one user that have queues; the longest unused is forgotten.
pub(crate) const DEVICES: usize = 64;
/// Messages stored for one device, and for devices to come, unless the builder sets another bound; the oldest are dropped.
pub(crate) const STORED: usize = 10_000;
/// Metas in one page, unless the builder sets another bound.
pub(crate) const PAGE: usize = 10;
/// Bytes of metas after which a page is not filled further.
pub(crate) const PAGE_BYTES: usize = 1 << 20;
/// Frames remembered of one user, and their bytes; the oldest are forgotten.
pub(crate) const FRAMES: usize = 1024;
/// See [`FRAMES`].
pub(crate) const FRAME_BYTES: usize = 4 << 20;
/// Sessions remembered that have ended; the oldest are forgotten.
pub(crate) const SESSIONS: usize = 100_000;
/// Pairs remembered of sessions that overlapped; later ones are only counted.
pub(crate) const ONLINE_TWICE: usize = 10_000;
/// Times remembered of each activity, to find how many fell into one window.
pub(crate) const RATE_TIMES: usize = 65_536;
/// Seconds for which each activity's number is remembered.
pub(crate) const RATE_SECONDS: usize = 3600;
/// REST calls remembered; the oldest are forgotten.
pub(crate) const CALLS: usize = 4096;
/// Injected faults of one kind; one more is an error.
pub(crate) const FAULTS: usize = 64;
/// Users in one authorised registration.
pub(crate) const BATCH: usize = 60;
/// Bytes on their way through one link, each direction, before the sender has to wait.
pub(crate) const BACKLOG: usize = 64 << 10;
/// Time for a client to answer the end of its link.
pub(crate) const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);
/// Time for a client to end its link by itself after its last frame. The web SDKs take a link that ends together with a
/// kick for a lost one, and reconnect.
pub(crate) const LINGER: Duration = Duration::from_millis(200);
/// Groups and threads; one more is refused.
pub(crate) const GROUPS: usize = 10_000;
/// Members of a group that sets no limit of its own.
pub(crate) const MEMBERS: usize = 3000;
/// Chat rooms; one more is refused.
pub(crate) const ROOMS: usize = 10_000;
/// Rooms one device may be in.
pub(crate) const ROOMS_JOINED: usize = 100;
/// Users in a room up to which its members are notified of those who join and leave.
pub(crate) const ROOM_NOTIFIED: usize = 500;
/// Messages remembered of one conversation; the oldest are forgotten.
pub(crate) const HISTORY: usize = 1000;
/// Messages remembered of all conversations, and their bytes; the oldest are forgotten.
pub(crate) const HISTORY_ALL: usize = 100_000;
/// See [`HISTORY_ALL`].
pub(crate) const HISTORY_BYTES: usize = 64 << 20;
/// Messages in one page of history (messages spec §5.3).
pub(crate) const HISTORY_PAGE: usize = 50;
/// Conversations listed of one user; the longest silent is forgotten.
pub(crate) const CHANNELS: usize = 1000;
/// Time in which a message may be recalled (messages spec §1.7).
pub(crate) const RECALL: Duration = Duration::from_secs(120);
/// Edits of one message (messages spec §1.7).
pub(crate) const EDITS: u32 = 5;
/// Time in which a repeated client id is recognised.
pub(crate) const REPEAT: Duration = Duration::from_secs(600);
/// Sends remembered so that they are recognised; the oldest are forgotten.
pub(crate) const REPEATS: usize = 65_536;
/// Bytes of one file (messages spec §6).
pub(crate) const FILE: usize = 10 << 20;
/// Bytes of an upload: a file and the form around it.
pub(crate) const UPLOAD: usize = FILE + (64 << 10);
/// Bytes of all files, with the [cost](FILE_COST) of each; the oldest are dropped.
pub(crate) const FILES_BYTES: usize = 256 << 20;
/// Bytes that a file counts for besides its content: its ids and its places in the tables.
pub(crate) const FILE_COST: usize = 512;
/// Bytes of all uploads in flight, unless the builder sets another bound. A whole upload is reserved before it is read:
/// its `Content-Length`, or the largest one where there is none. Past the bound a new upload is not read until others are
/// answered, first come first served. One that has waited for [`REQUEST`] is refused with 503 and `Retry-After`, which
/// clients take for a pause; 413 would say that the file never fits.
pub(crate) const UPLOADS_BYTES: usize = 64 << 20;
/// Bytes of all other REST bodies in flight, with the same rules.
pub(crate) const BODIES_BYTES: usize = 64 << 20;
/// Time for the head of a request, for a pause in a body, and for a body to wait for capacity, unless the builder sets
/// another bound; past the first two the answer is 408 and the link ends. Common front ends do the same.
pub(crate) const REQUEST: Duration = Duration::from_secs(60);
/// Time for a whole body; past it the answer is 408 and the link ends.
pub(crate) const WHOLE_BODY: Duration = Duration::from_secs(600);
/// Users one user may watch (messages spec §5.2).
pub(crate) const WATCHED: usize = 3000;
/// Users in one presence call.
pub(crate) const WATCHED_AT_ONCE: usize = 100;
/// Bytes of a presence text. The service's limit is not known.
pub(crate) const PRESENCE_TEXT: usize = 1024;
/// Bytes of one user's attributes (messages spec §5.5).
pub(crate) const ATTRIBUTES: usize = 2048;
