//! REST calls (connection spec §2, §3, messages spec §5).

pub(crate) mod answer;
mod bodies;
mod dispatch;
mod files;
mod groups;
mod history;
mod multipart;
mod presence;
mod registration;
mod users;
