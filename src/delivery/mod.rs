//! The message handler's contract: a page of a queue is acknowledged after its messages were handled.

mod cursor;
mod cursor_table;
mod dead_letters;
mod file_cursors;
mod handler;
mod page_task;
mod slot;
#[cfg(test)]
mod tests;

pub use cursor::{Account, Cursor, CursorError, CursorFuture, CursorStore};
pub(crate) use cursor::{Cursors, load, queue_name};
pub(crate) use cursor_table::CursorTable;
pub use dead_letters::{DeadLetter, DeadLetters, Replayed};
pub use file_cursors::FileCursors;
pub use handler::{Delivery, HandlerError, MessageHandler};
pub(crate) use page_task::{PageTask, Progress};
pub(crate) use slot::Slot;
