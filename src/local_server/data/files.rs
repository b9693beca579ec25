//! Uploaded files.

use std::collections::{HashMap, VecDeque};

use bytes::Bytes;

use crate::local_server::limits;

/// One uploaded file.
pub(crate) struct File {
    pub(crate) secret: String,
    /// `true`: it is not served without its secret.
    pub(crate) restricted: bool,
    pub(crate) name: String,
    pub(crate) content_type: String,
    pub(crate) bytes: Bytes,
    /// Bytes held in memory for it.
    pub(crate) cost: usize,
}

/// Every file: [`limits::FILES_BYTES`] in all, the oldest are dropped.
#[derive(Default)]
pub(crate) struct Files {
    by_id: HashMap<String, File>,
    order: VecDeque<String>,
    bytes: usize,
}

impl Files {
    /// Adds a file; the oldest make room.
    pub(crate) fn put(&mut self, id: String, file: File) {
        self.bytes += file.cost;
        self.order.push_back(id.clone());
        self.by_id.insert(id, file);
        while self.bytes > limits::FILES_BYTES {
            let Some(oldest) = self.order.pop_front() else { break };
            if let Some(file) = self.by_id.remove(&oldest) {
                self.bytes -= file.cost;
            }
        }
    }

    pub(crate) fn get(&self, id: &str) -> Option<&File> {
        self.by_id.get(id)
    }

    /// Drops a file; `false` if there is none.
    pub(crate) fn remove(&mut self, id: &str) -> bool {
        let Some(file) = self.by_id.remove(id) else {
            return false;
        };
        self.bytes -= file.cost;
        self.order.retain(|other| other != id);
        true
    }
}
