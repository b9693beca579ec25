//! One account's connection: the actor that acts, and the handle that applications hold.

mod actor;
mod calls;
mod delivering;
#[cfg(feature = "fuzzing")]
pub(crate) mod echo;
pub(crate) mod frame;
mod handle;
mod health;
mod keeper;
mod messages;
mod outbox;
mod pump;
mod renewal;
mod requests;
mod shared;
mod socket;
mod trouble;

pub use actor::ConnectionActor;
pub use calls::{
    DeleteHistory, DownloadFile, GetAttributes, GetConversations, GetHistory, GetPresence, GetPresenceSubscriptions,
    PublishPresence, SetAttributes, SubscribePresence, UnsubscribePresence, UploadFile,
};
pub use handle::{Connection, WeakConnection};
pub use health::Health;
pub use messages::{ChangeRoom, Close, GetHealth, NetworkChanged, Open, RegisterUser, RenewToken, SendMessage, State};
pub use shared::{StateChange, StateWatch};
