//! The single entry point for server texts from the socket: cut before use, redacted only when shown.

use crate::{
    model::{
        error::{LossCause, TokenError},
        redactor::{Redactor, bounded},
        server_text::ServerText,
    },
    session::Input,
    wire::{Downward, Status},
};

/// Longest text shown, in characters; the rest is replaced by a mark.
pub(super) const LONGEST: usize = 512;

/// Longest extension of the login that kicked this device, in characters: no login may send a longer one.
pub(super) const LONGEST_EXT: usize = 1024;

/// Redacts a text that the server wrote.
pub(super) fn redact(redactor: &Redactor, text: String) -> String {
    redactor.taken_in(text, LONGEST)
}

/// Keeps a text whole, up to a length, for the application.
pub(super) fn whole(redactor: &Redactor, text: String, longest: usize) -> ServerText {
    ServerText::new(redactor.whole(text, longest), redactor)
}

/// Bounds the texts of a frame, before any decision uses them.
pub(super) fn bound_texts(frame: &mut Downward) {
    let status: Option<&mut Status> = match frame {
        Downward::Sync(sync) => sync.status.as_mut(),
        Downward::Unread(unread) => unread.status.as_mut(),
        Downward::Provision(answer) => answer.status.as_mut(),
        Downward::Logout(answer) => answer.status.as_mut(),
        _ => None,
    };
    if let Some(reason) = status.and_then(|status| status.reason.as_mut()) {
        bounded(reason, LONGEST);
    }
}

/// Redacts texts that come by other ways: the cause of a lost link, the error of a failed call.
pub(super) fn redact_input(redactor: &Redactor, input: &mut Input<'_>) {
    match input {
        Input::Lost(cause) => *cause = std::mem::replace(cause, LossCause::ClosedHere).shown_by(redactor),
        Input::Discovered(Err(error)) | Input::TokenReady { result: Err(TokenError::Rest(error)), .. } => {
            error.hide(redactor);
        }
        _ => {}
    }
}
