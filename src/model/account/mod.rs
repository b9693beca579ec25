mod app_key;
mod device;
mod key;
mod nickname;
mod secret;
mod user_id;

pub use app_key::{AppKey, AppKeyError};
pub use device::Device;
pub use key::AccountKey;
pub use nickname::Nickname;
pub use secret::{Password, Token};
pub use user_id::UserId;
