//! The parts of the state; each owns its fields and knows nothing of frames and calls.

mod channels;
mod files;
mod groups;
mod history;
mod links;
mod logs;
mod mailbox;
mod presences;
mod queue;
mod queue_name;
mod repeats;
mod rooms;
mod send;
mod session_log;
mod tokens;
mod users;

pub(crate) use self::{
    files::{File, Files},
    groups::{Group, Groups, Thread},
    history::{Chat, History, HistoryRange},
    links::{Links, Session},
    logs::CallLog,
    mailbox::Bounds,
    presences::{Presences, now_s},
    queue::{Item, Run, StoredItem, Texts},
    queue_name::QueueName,
    repeats::Repeats,
    rooms::{Room, Rooms},
    send::{SendAccepted, Target},
    session_log::{SessionLog, online_twice},
    tokens::{Owner, Token, Tokens},
    users::{User, Users},
};
