//! The one door for texts that a server writes on the socket: cut before anything looks at them, and without the session's
//! secrets where they are shown. What they mean is decided by the text as it came.

use crate::{
    model::{
        error::{LossCause, TokenError},
        redactor::{Redactor, bounded},
        server_text::ServerText,
    },
    session::Input,
    wire::{Downward, Status},
};

/// The longest text shown, in characters; the rest gives way to a mark.
pub(super) const LONGEST: usize = 512;

/// The longest extension of the login that kicked this device, in characters: no login may send a longer one.
pub(super) const LONGEST_EXT: usize = 1024;

/// Returns a text that the server wrote, as it may be shown.
pub(super) fn redact(redactor: &Redactor, text: String) -> String {
    redactor.taken_in(text, LONGEST)
}

/// Returns a text that the application may need as it is.
pub(super) fn whole(redactor: &Redactor, text: String, longest: usize) -> ServerText {
    ServerText::new(redactor.whole(text, longest), redactor)
}

/// Bounds the texts of a frame, before anything is decided by them.
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

/// Redacts the texts that come by other ways: why a link was lost, and why a call failed.
pub(super) fn redact_input(redactor: &Redactor, input: &mut Input<'_>) {
    match input {
        Input::Lost(cause) => *cause = std::mem::replace(cause, LossCause::ClosedHere).shown_by(redactor),
        Input::Discovered(Err(error)) | Input::TokenReady { result: Err(TokenError::Rest(error)), .. } => {
            error.hide(redactor);
        }
        _ => {}
    }
}
