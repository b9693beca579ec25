//! Notices: receipts, recalls, edits, groups, rooms, threads, contacts, own devices (messages spec §2.9, §3, §4).

mod contact;
mod device;
mod edit;
mod muc;
mod pin;
mod presence;
mod reaction;
mod recall;
mod receipt;
mod thread;
mod unknown;

pub use contact::{ContactChange, ContactEvent};
pub use device::{DeviceEvent, DeviceOperation, SilentMode, ThreadAct};
pub use edit::Edit;
pub use muc::{MucEvent, MucOperation, MucSettings};
pub use pin::PinEvent;
pub use presence::{PresenceEvent, UserPresence};
pub use reaction::{ReactionChange, ReactionEvent, ReactionOperation};
pub use recall::Recall;
pub use receipt::{Receipt, ReceiptKind};
pub use thread::{ThreadEvent, ThreadOperation};
pub use unknown::UnknownNotice;
