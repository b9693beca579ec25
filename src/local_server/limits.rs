//! What the local server keeps at most. Everything a client or a test can make it hold has its bound here.

use std::time::Duration;

/// Open TCP links, unless the builder says otherwise; one more is closed at once.
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
/// Messages kept for one device, and for devices to come, unless the builder says otherwise; the oldest are dropped.
pub(super) const STORED: usize = 10_000;
/// Metas in one batch, unless the builder says otherwise.
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
/// Groups and threads; one more is refused.
pub(super) const GROUPS: usize = 10_000;
/// Members of a group that names no number of its own.
pub(super) const MEMBERS: usize = 3000;
/// Chat rooms; one more is refused.
pub(super) const ROOMS: usize = 10_000;
/// Rooms one device may be in.
pub(super) const ROOMS_JOINED: usize = 100;
/// Users in a room up to which its members are told who comes and goes.
pub(super) const ROOM_TOLD: usize = 500;
/// Messages remembered of one conversation; the oldest are forgotten.
pub(super) const HISTORY: usize = 1000;
/// Messages remembered of all conversations, and their bytes; the oldest are forgotten.
pub(super) const HISTORY_ALL: usize = 100_000;
/// See [`HISTORY_ALL`].
pub(super) const HISTORY_BYTES: usize = 64 << 20;
/// Messages in one page of history (messages spec §5.3).
pub(super) const HISTORY_PAGE: usize = 50;
/// Conversations listed of one user; the one longest silent is forgotten.
pub(super) const CHANNELS: usize = 1000;
/// How long a message may be recalled (messages spec §1.7).
pub(super) const RECALL: Duration = Duration::from_secs(120);
/// How often a message may be edited (messages spec §1.7).
pub(super) const EDITS: u32 = 5;
/// How long a repeated client id is recognised.
pub(super) const REPEAT: Duration = Duration::from_secs(600);
/// Sends remembered so that they are recognised; the oldest are forgotten.
pub(super) const REPEATS: usize = 65_536;
/// Bytes of one file (messages spec §6).
pub(super) const FILE: usize = 10 << 20;
/// Bytes of an upload: a file and the form around it.
pub(super) const UPLOAD: usize = FILE + (64 << 10);
/// Bytes of all files, with what is stored beside each; the oldest are dropped.
pub(super) const FILES_BYTES: usize = 256 << 20;
/// Bytes that a file counts for beside what came with it: its ids and its places in the tables.
pub(super) const FILE_COST: usize = 512;
/// Bytes of all uploads in flight, unless the builder says otherwise. Room for a whole upload is reserved before it is read:
/// for its `Content-Length`, or for the largest one where none is said. Past the bound a new upload is not read until others
/// are answered, first come first served, as behind a front that passes on so many at a time; one that has waited for
/// [`REQUEST`] is refused with 503 and `Retry-After`, which clients know as a pause, and not with 413, which says that the
/// file itself never fits.
pub(super) const UPLOADS_BYTES: usize = 64 << 20;
/// Bytes of all other REST bodies in flight, with the same rules.
pub(super) const BODIES_BYTES: usize = 64 << 20;
/// How long the head of a request may take, how long a body may stand still, and how long it may wait for room, unless the
/// builder says otherwise; past the first two the answer is 408 and the link ends. As common fronts have it.
pub(super) const REQUEST: Duration = Duration::from_secs(60);
/// How long a body may take in all; past it the answer is 408 and the link ends.
pub(super) const WHOLE_BODY: Duration = Duration::from_secs(600);
/// Users one user may watch (messages spec §5.2).
pub(super) const WATCHED: usize = 3000;
/// Users in one presence call.
pub(super) const WATCHED_AT_ONCE: usize = 100;
/// Bytes of a presence text. The service's limit is not known.
pub(super) const PRESENCE_TEXT: usize = 1024;
/// Bytes of one user's attributes (messages spec §5.5).
pub(super) const ATTRIBUTES: usize = 2048;
